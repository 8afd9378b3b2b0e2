"""triptych search: the texts of a file, or rows of a matrix, that are nearest to a query."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from triptych.cli.common import Embedding, Machine
from triptych.cli.options import POSITIONAL
from triptych.config import Range
from triptych.errors import UsageError

if TYPE_CHECKING:
    from triptych.recipes.embed_file import FoundLine
    from triptych.recipes.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """Search texts by meaning."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    corpus: str | None = None
    """A text file, one text a line."""
    vectors: Path | None = None
    """The vectors of those texts as `triptych embed` wrote them, which spares their making; without
    a corpus, only the numbers of the rows are shown."""
    query: str
    """What to look for."""
    top_k: Annotated[int, Range(1)] = 10
    """Texts to show, the nearest first."""
    json: bool = False
    """One JSON object a text."""
    quiet: bool = False
    """No progress."""
    embedding: Embedding = field(default_factory=Embedding)
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Cosine, line number (from 1) and text, one a line."""
    for found in _found(options):
        line = f"{found.cosine:.4f}  {found.line:6}"
        line += "" if found.text is None else f"  {found.text}"
        print(json.dumps(asdict(found), ensure_ascii=False) if options.json else line)
    return 0


def _found(options: Options) -> "list[FoundLine]":
    from triptych.recipes.embed_file import search_file, search_vectors

    corpus, query, top_k = options.corpus, options.query, options.top_k
    settings = options.embedding.settings()
    if options.vectors is not None:
        encoder = _encoder(options)
        return search_vectors(encoder, options.vectors, corpus, query, top_k, settings)
    if corpus is None:
        raise UsageError(
            "triptych search needs --corpus, a text file, or --vectors, which triptych embed wrote"
        )
    return search_file(_encoder(options), corpus, query, top_k, settings, quiet=options.quiet)


def _encoder(options: Options) -> "Encoder":
    from triptych.recipes.load import load_encoder

    place = options.machine.choose()
    return load_encoder(options.model, device=place, precision=options.embedding.precision)
