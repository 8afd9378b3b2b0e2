"""A file of texts through a Generator's `score`, block by block, with progress."""

import json
from collections.abc import Iterator
from itertools import islice

from triptych.data.text import STDIN, PathLike, count_lines, is_read_once, read_lines
from triptych.recipes.completion import TextScore
from triptych.recipes.generate_options import OnTooLong
from triptych.recipes.generator import Generator
from triptych.recipes.translate_file import BLOCK, counted


def score_file(
    generator: Generator,
    path: PathLike,
    on_too_long: OnTooLong | None = None,
    quiet: bool = False,
) -> Iterator[TextScore]:
    """What the model gives to each line of a file or a pipe; "-" is standard input.

    A blank line scores 0. Raises DataError for text that is not UTF-8 or longer than the model's
    context (`on_too_long`), with file and line.
    """
    name = "standard input" if str(path) == STDIN else str(path)

    def blocks() -> Iterator[TextScore]:
        lines, done = read_lines(path), 0
        while some := [line if line.strip() else "" for line in islice(lines, BLOCK)]:
            first = done + 1
            yield from generator.score(
                some,
                on_too_long=on_too_long,
                place=lambda number, first=first: f"{name}:{first + number}",  # type: ignore[misc]
            )
            done += len(some)

    found = blocks()
    yield from found if is_read_once(path) else counted(found, count_lines(path), "score", quiet)


def to_json(found: TextScore) -> str:
    """What `triptych score --json` writes for a text: the keys of a translation's score."""
    row = {
        "score": found.logprob,
        "log_prob": found.logprob,
        "tokens": found.tokens,
        "token_log_probs": found.logprobs,
    }
    return json.dumps(row, ensure_ascii=False)
