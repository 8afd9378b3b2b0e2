"""Files of prompts through a Generator, block by block, with progress."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from triptych.data.text import STDIN, PathLike, count_lines, is_read_once, read_lines
from triptych.recipes.completion import Completion
from triptych.recipes.generate_options import GenerateOptions
from triptych.recipes.generator import Generator
from triptych.recipes.translate_file import BLOCK, counted

ESCAPES = {ord("\\"): r"\\", ord("\n"): r"\n", ord("\r"): r"\r"}


def generate_file(
    generator: Generator, path: PathLike, options: GenerateOptions, quiet: bool = False
) -> Iterator[Completion]:
    """One completion for each line of a file or a pipe; "-" is standard input.

    A person at a terminal gets each at once. Raises DataError for text that is not UTF-8 or longer
    than the model's context, with file and line.
    """
    piped = str(path) == STDIN
    found = generator.generate_lines(
        read_lines(path),
        options=options,
        name="standard input" if piped else str(path),
        at_once=1 if piped and sys.stdin.isatty() else BLOCK,
    )
    yield from (
        found if is_read_once(path) else counted(found, count_lines(path), "generate", quiet)
    )


def on_one_line(text: str) -> str:
    r"""The text with `\n` for a line end, `\r` for a carriage return and `\\` for a backslash."""
    return text.translate(ESCAPES)


def to_json(found: Completion) -> str:
    """What `triptych generate --json` writes for a prompt."""
    row: dict[str, Any] = {
        "text": found.text,
        "stopped_by": found.stopped_by,
        "tokens": found.tokens,
        "token_ids": found.token_ids,
        "logprobs": found.logprobs,
    }
    return json.dumps(row, ensure_ascii=False)
