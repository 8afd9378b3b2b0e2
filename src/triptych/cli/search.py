"""triptych search: the texts of a file that are nearest to a query."""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated

from triptych.cli.common import Embedding, Machine
from triptych.cli.options import POSITIONAL
from triptych.config import Range


@dataclass(frozen=True, kw_only=True)
class Options:
    """Search texts by meaning."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    corpus: str
    """A text file, one text a line."""
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
    from triptych.recipes.embed_file import search_file
    from triptych.recipes.load import load_encoder

    place = options.machine.choose()
    encoder = load_encoder(options.model, device=place, precision=options.embedding.precision)
    for found in search_file(
        encoder,
        options.corpus,
        options.query,
        options.top_k,
        options.embedding.settings(),
        quiet=options.quiet,
    ):
        line = f"{found.cosine:.4f}  {found.line:6}  {found.text}"
        print(json.dumps(asdict(found), ensure_ascii=False) if options.json else line)
    return 0
