"""Tests of word vectors: pairs of words that people have rated, and analogies."""

import math
import re
from dataclasses import dataclass

from triptych.data.text import PathLike, read_lines
from triptych.errors import DataError

SEPARATORS = ("\t", ",", ";")


@dataclass(frozen=True)
class RatedPair:
    """Two words, and how similar or related people find them."""

    one: str
    other: str
    rating: float


@dataclass(frozen=True)
class Analogy:
    """`a` is to `b` as `c` is to `d`."""

    section: str
    a: str
    b: str
    c: str
    d: str


def read_rated_pairs(path: PathLike) -> list[RatedPair]:
    """Two words and, somewhere behind them, a number in each line: WordSim-353, SimLex-999, MEN.

    Tabs, commas, semicolons or spaces divide the cells; the first number counts. A first line
    without a number is the head of the table. MEN's endings of word class (`sun-n`) are taken off
    where every word of the file has one. Raises DataError with file and line.
    """
    pairs = []
    for number, line in enumerate(read_lines(path), 1):
        separator = next((each for each in SEPARATORS if each in line), None)
        cells = [cell.strip() for cell in line.strip().split(separator)]
        if cells in ([], [""]) or line.startswith("#"):
            continue
        rating = next((x for x in map(_number, cells[2:]) if x is not None), None)
        if rating is None and number == 1 and len(cells) > 2:
            continue
        if rating is None:
            raise DataError(
                f"{path}:{number}: {line[:60]!r} is not two words and a number; put tabs between"
            )
        if not math.isfinite(rating):
            raise DataError(
                f"{path}:{number}: the rating of {cells[0]!r} and {cells[1]!r} is {rating}; give "
                "a finite number, or leave the line out"
            )
        pairs.append(RatedPair(cells[0], cells[1], rating))
    if len(pairs) < 2:
        raise DataError(f"{path} has {len(pairs)} rated pairs; a correlation needs at least two")
    if all(re.search(r".-[njv]$", word) for pair in pairs for word in (pair.one, pair.other)):
        pairs = [RatedPair(pair.one[:-2], pair.other[:-2], pair.rating) for pair in pairs]
    return pairs


def read_analogies(path: PathLike) -> list[Analogy]:
    """Four words in each line below `: section`, as Google's questions-words.txt has them.

    Raises DataError with file and line.
    """
    section, found = "", []
    for number, line in enumerate(read_lines(path), 1):
        words = line.split()
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words) == 4:
            found.append(Analogy(section, *words))
        elif words:
            raise DataError(
                f"{path}:{number}: {line[:60]!r} has {len(words)} words; an analogy has four, and "
                "the name of a section a colon before it"
            )
    if not found:
        raise DataError(f"{path} holds no analogy; give four words a line")
    return found


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
