"""A word where it stands in a sentence, and the sense it has there where that is known."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from triptych.data.text import PathLike, read_lines
from triptych.errors import DataError, UsageError


@dataclass(frozen=True)
class Occurrence:
    """The word is `text[start:end]`; `place` is its file:line, for messages."""

    text: str
    start: int
    end: int
    place: str
    sense: str | None = None


def word_span(sentence: str, word: str) -> tuple[int, int] | None:
    """Where a word first stands in a sentence as a whole word, upper or lower case alike."""
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sentence, flags=re.IGNORECASE)
    return None if found is None else found.span()


def read_occurrences(path: PathLike, word: str) -> list[Occurrence]:
    """A word in each line of a file: the sentence, or the sentence, a tab and the word's sense.

    Raises DataError with file:line for a sentence without the word, a file where some lines name a
    sense and others do not, or one without lines; UsageError for an empty word.
    """
    if not word.strip():
        raise UsageError("the word is empty; give one that stands in every sentence")
    found = list(_occurrences(enumerate(read_lines(path), 1), path, word))
    if not found:
        raise DataError(f"{path} has no lines; give one sentence a line")
    other = next((o for o in found if (o.sense is None) != (found[0].sense is None)), None)
    if other is not None:
        with_sense, without = (found[0], other) if other.sense is None else (other, found[0])
        raise DataError(
            f"{without.place} names no sense and {with_sense.place} does; name one in every line, "
            "behind a tab, or in none"
        )
    return found


def _occurrences(
    lines: Iterable[tuple[int, str]], path: PathLike, word: str
) -> Iterator[Occurrence]:
    for number, line in lines:
        text, *sense = line.split("\t")
        place = f"{path}:{number}"
        if len(sense) > 1:
            raise DataError(
                f"{place} has {len(sense)} tabs; give the sentence, or the sentence, one tab and "
                "the sense"
            )
        span = word_span(text, word)
        if span is None:
            raise DataError(
                f"{place} does not hold the word {word!r}: {text[:80]!r}; leave the line out, or "
                "name the word as it stands there"
            )
        yield Occurrence(text, *span, place, (sense[0].strip() if sense else "") or None)
