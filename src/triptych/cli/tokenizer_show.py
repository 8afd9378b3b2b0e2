"""triptych tokenizer show: how a text is cut."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Show tokens."""

    tokenizer: Annotated[Path, POSITIONAL]
    """A folder with a tokenizer, or a model folder."""
    text: Annotated[str, POSITIONAL]
    """The text (of a translation tokenizer, a source text)."""
    json: bool = False
    """A list of JSON objects."""


def run(options: Options) -> int:
    """One token a line: as the vocabulary spells it, its id, its characters."""
    from triptych.recipes.train_tokenizer import show_tokens

    rows = show_tokens(options.tokenizer, options.text)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False))
        return 0
    tokens = [_printable(row.token) for row in rows]
    width = max(map(len, tokens), default=0)
    for token, row in zip(tokens, rows, strict=True):
        print(f"{token:<{width}}  {row.token_id:>6}  {_printable(row.characters)}")
    return 0


def _printable(text: str) -> str:
    """`text` in one line: a line feed, which is a token like others, as `\\n`."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
