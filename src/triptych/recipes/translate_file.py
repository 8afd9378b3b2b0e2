"""Files of any length through a Translator, block by block, with progress."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any, TypeVar

from triptych.data.pairs import read_aligned
from triptych.data.text import STDIN, PathLike, count_lines, is_read_once, read_lines
from triptych.errors import UsageError
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation import ForcedScore, Translation
from triptych.recipes.translator import Translator
from triptych.training.progress import ProgressLine

T = TypeVar("T")

BLOCK = 1000
"""Lines in memory at once; they are batched by length among themselves."""


def translate_file(
    translator: Translator,
    path: PathLike,
    options: TranslateOptions,
    quiet: bool = False,
    prefixes: PathLike | None = None,
) -> Iterator[Translation]:
    """One translation for each line of a file or a pipe; "-" is standard input.

    `prefixes` is a file aligned with it: how each translation begins. A person at a terminal gets
    each answer at once. Raises DataError for text that is not UTF-8 or longer than the model's
    limit, with file and line.
    """
    lines = read_lines(path)
    piped, name = str(path) == STDIN, str(path)
    found = translator.stream(
        lines,
        options=options,
        prefixes=None if prefixes is None else read_lines(prefixes),
        name="standard input" if piped else name,
        at_once=1 if piped and sys.stdin.isatty() else BLOCK,
    )
    yield from (
        found if is_read_once(path) else counted(found, count_lines(path), "translate", quiet)
    )


def line_form(n_best: int, alignments: bool, as_json: bool) -> Callable[[int, Translation], str]:
    """How a translation and its line number, from 0, are written.

    A text alone; `text ||| links` with alignments; `line ||| text ||| score` for each of the
    n best (Moses' form); or one JSON object. Raises UsageError for n best with alignments.
    """
    if as_json:
        return lambda number, found: json.dumps(to_json(found), ensure_ascii=False)
    if n_best == 1:
        return lambda number, found: found.text + (f" ||| {_links(found)}" if alignments else "")
    if alignments:
        raise UsageError(
            "--alignments go with the best translation only; drop --n-best, or add "
            "--json to have both"
        )
    return lambda number, found: "\n".join(
        f"{number} ||| {each.text} ||| {each.score:.6f}" for each in found.n_best
    )


def to_json(found: Translation) -> dict[str, Any]:
    """What `triptych translate --json` writes for a line; `alignment` is null unless asked for."""
    return {
        "text": found.text,
        "score": found.score,
        "tokens": found.tokens,
        "alignment": _links(found) if found.alignment else None,
        "reached_limit": found.reached_limit,
        "n_best": [asdict(each) for each in found.n_best],
    }


def _links(found: Translation) -> str:
    return found.alignment.pharaoh() if found.alignment else ""


def score_files(
    translator: Translator,
    source: PathLike,
    target: PathLike,
    options: TranslateOptions,
    quiet: bool = False,
) -> Iterator[ForcedScore]:
    """What the model gives to line n of `target` as the translation of line n of `source`.

    Raises DataError for files that are missing, empty or of unequal length.
    """
    pairs = read_aligned(source, target)
    total = 0 if is_read_once(source) else count_lines(source)

    def blocks() -> Iterator[ForcedScore]:
        done, rest = 0, iter(pairs)
        while some := list(islice(rest, BLOCK)):
            sources, targets = [pair.source for pair in some], [pair.target for pair in some]
            yield from translator.score(sources, targets, options=options, first_line=done + 1)
            done += len(some)

    yield from counted(blocks(), total, "score", quiet)


def counted(items: Iterable[T], total: int, name: str, quiet: bool) -> Iterator[T]:
    """The items themselves, while a line on standard error counts them."""
    with ProgressLine(name, total, quiet=quiet) as line:
        for done, item in enumerate(items, 1):
            yield item
            line.show(done, "")
