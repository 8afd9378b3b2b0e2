"""Documents in parts, so that one may be larger than memory.

A document is cut before a space or line end that stands behind another character. There GPT-2's
pattern cuts as well, whatever comes before and after, so that the tokens of the parts, joined, are
those of the whole.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

PART_CHARACTERS = 1 << 16
"""A part has at most so many, unless it offers no place to be cut."""
LONGEST_PART = 1 << 20
"""A run without white space that is longer is cut all the same."""


class TextPart(NamedTuple):
    """A piece of a document, the last one if it `ends` it."""

    text: str
    ends: bool


def whole_texts(texts: Iterable[str]) -> Iterator[TextPart]:
    """Texts that are in memory as the parts of documents, each text one."""
    for text in texts:
        yield from regroup([TextPart(text, True)])


def regroup(fragments: Iterable[TextPart]) -> Iterator[TextPart]:
    """The same documents in parts of the size of PART_CHARACTERS; of each one at least one."""
    waiting: list[str] = []
    n_waiting = 0
    for text, ends in fragments:
        waiting.append(text)
        n_waiting += len(text)
        if n_waiting <= PART_CHARACTERS and not ends:
            continue
        whole = "".join(waiting)
        begin = 0
        while end := _cut(whole, begin):
            yield TextPart(whole[begin:end], False)
            begin = end
        rest = whole[begin:]
        if ends:
            yield TextPart(rest, True)
        waiting, n_waiting = ([], 0) if ends else ([rest], len(rest))


def _cut(text: str, begin: int) -> int:
    """Where the part that begins here may end; 0 where it need not end yet, or cannot."""
    for limit in (PART_CHARACTERS, LONGEST_PART):
        if len(text) - begin <= limit:
            return 0
        place = begin + limit
        while (place := max(text.rfind(c, begin + 1, place) for c in " \n")) > 0:
            if not text[place - 1].isspace():
                return place
    return begin + LONGEST_PART
