"""Files of texts through an Encoder, block by block: a matrix on disk, or the nearest lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triptych.data.text import PathLike, count_lines, is_read_once, read_lines
from triptych.errors import DataError, UsageError
from triptych.files.atomic import write_stream
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
    text: str


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

    Raises UsageError where the folder of `out` is missing, before anything is computed, DataError
    for a file without lines or with a line that cannot be read.
    """
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} for {out.name}; make it first")
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

    Raises DataError for a query without tokens and for a file without lines.
    """
    if not encoder.tokenizer.encode([query])[0]:
        raise DataError(f"the query {query!r} has no tokens; write what to look for")
    wanted = encoder.embed([query], pooling=settings.pooling)
    found: list[FoundLine] = []
    start = 0
    for texts, vectors in embed_lines(encoder, path, settings, quiet):
        (hits,) = nearest(wanted, vectors, top_k)
        found += [FoundLine(start + h.row + 1, h.cosine, texts[h.row]) for h in hits]
        start += len(texts)
    if not start:
        raise DataError(f"{path} has no lines, so there is nothing to find")
    return sorted(found, key=lambda line: (-line.cosine, line.line))[:top_k]
