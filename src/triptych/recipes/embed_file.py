"""Files of texts through an Encoder, block by block: a matrix on disk, or the nearest lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triptych.data.text import PathLike, count_lines, is_read_once, read_lines
from triptych.errors import DataError
from triptych.files.atomic import check_writable, write_stream
from triptych.recipes.encoder import Encoder
from triptych.recipes.encoding import OnTooLong
from triptych.recipes.search import nearest
from triptych.training.progress import ProgressLine

BLOCK = 4000
"""Texts in memory at once; they are batched by length among themselves."""


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """How vectors are made; what is None is as the model's folder says."""

    pooling: str | None = None
    normalize: bool | None = None
    batch_tokens: int | None = None
    on_too_long: OnTooLong = "cut"


@dataclass(frozen=True)
class FoundLine:
    """One line found."""

    line: int
    """Its number, from 1."""
    cosine: float
    text: str | None
    """None where a matrix was searched without its texts."""


def embed_lines(
    encoder: Encoder, path: PathLike, settings: EmbedSettings, quiet: bool
) -> Iterator[tuple[list[str], npt.NDArray[np.float32]]]:
    """(texts, their vectors) for each block of lines of a file."""
    lines = read_lines(path)
    total = 0 if is_read_once(path) else count_lines(path)
    done = 0
    with ProgressLine("embed", total, quiet=quiet or not total) as progress:
        while block := list(islice(lines, BLOCK)):
            vectors = encoder.embed(
                block,
                pooling=settings.pooling,
                normalize=settings.normalize,
                batch_tokens=settings.batch_tokens,
                on_too_long=settings.on_too_long,
                place=lambda i, start=done: f"{path}:{start + i + 1}",  # type: ignore[misc]
            )
            done += len(block)
            progress.show(done, "")
            yield block, vectors


def embed_file(
    encoder: Encoder, path: PathLike, out: Path, settings: EmbedSettings, quiet: bool = False
) -> tuple[int, int]:
    """Write one row a line as a .npy file, which appears whole or not at all; gives its shape.

    Raises DataError for a file without lines or with a line that cannot be read; MachineError,
    before anything is embedded, where `out` cannot be written.
    """
    check_writable(out)
    blocks = [vectors for _, vectors in embed_lines(encoder, path, settings, quiet)]
    if not blocks:
        raise DataError(f"{path} has no lines, so there is nothing to embed")
    matrix = np.concatenate(blocks)
    write_stream(
        out, lambda stream: np.save(stream, matrix, allow_pickle=False), needs=matrix.nbytes
    )
    return matrix.shape[0], matrix.shape[1]


def search_file(
    encoder: Encoder,
    path: PathLike,
    query: str,
    top_k: int,
    settings: EmbedSettings,
    quiet: bool = False,
) -> list[FoundLine]:
    """The lines of a file nearest to a query, the nearest first.

    Raises UsageError for a top_k below 1, DataError for a query without tokens and for a file
    without lines or with a line that cannot be read.
    """
    wanted = _query_vector(encoder, query, settings)
    found: list[FoundLine] = []
    start = 0
    for texts, vectors in embed_lines(encoder, path, settings, quiet):
        (hits,) = nearest(wanted, vectors, top_k, partial(_line_place, path, start))
        found += [FoundLine(start + h.row + 1, h.cosine, texts[h.row]) for h in hits]
        start += len(texts)
    if not found:
        raise DataError(f"{path} has no lines, so there is nothing to search; give another file")
    return sorted(found, key=lambda line: (-line.cosine, line.line))[:top_k]


def _line_place(path: PathLike, start: int, row: int) -> str:
    return f"{path}:{start + row + 1}"


def search_vectors(
    encoder: Encoder,
    vectors: Path,
    path: PathLike | None,
    query: str,
    top_k: int,
    settings: EmbedSettings,
) -> list[FoundLine]:
    """The rows of a matrix on disk nearest to a query, with their lines of `path` if there is one.

    Raises UsageError for a top_k below 1; DataError for a query without tokens, for a file that is
    no such matrix or not of this model, and for a text file with another number of lines.
    """
    corpus = _read_matrix(vectors)
    wanted = _query_vector(encoder, query, settings)
    (hits,) = nearest(wanted, corpus, top_k, lambda row: f"{vectors}, row {row} (from 0),")
    texts: dict[int, str] = {}
    if path is not None:
        texts = _lines_of_rows(path, {hit.row for hit in hits}, vectors, len(corpus))
    return [FoundLine(hit.row + 1, hit.cosine, texts.get(hit.row)) for hit in hits]


def _query_vector(encoder: Encoder, query: str, settings: EmbedSettings) -> npt.NDArray[np.float32]:
    """[1, E]. Raises DataError for a query without tokens."""
    return encoder.embed(
        [query], pooling=settings.pooling, on_empty="refuse", place=lambda _: "the query"
    )


def _read_matrix(path: Path) -> npt.NDArray[np.float32]:
    try:
        matrix = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; write it with triptych embed") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is no .npy file: {error}; write it with triptych embed") from error
    is_matrix = isinstance(matrix, np.ndarray) and matrix.ndim == 2 and matrix.dtype.kind == "f"
    if not is_matrix or not len(matrix):
        raise DataError(
            f"{path} holds no matrix of floats with a row a text; write it with triptych embed"
        )
    floats: npt.NDArray[np.float32] = matrix.astype(np.float32, copy=False)
    return floats


def _lines_of_rows(path: PathLike, rows: set[int], vectors: Path, n_rows: int) -> dict[int, str]:
    found, n_lines = {}, 0
    for row, text in enumerate(read_lines(path)):
        n_lines += 1
        if row in rows:
            found[row] = text
    if n_lines != n_rows:
        raise DataError(
            f"{path} has {n_lines:,} lines and {vectors} {n_rows:,} rows; give the text file that "
            "the vectors were made from"
        )
    return found
