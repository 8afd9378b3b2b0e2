"""The notation in which the grammar writes words with their links.

    was/v? sleeping/v in/1 the/1? straw/2      schlief/v im/1 Stroh/2

A word may carry tags after a slash, divided by commas. An English and a German word with the
same tag are linked: surely, or possibly where either tag ends in a question mark. A tag belongs
to the slot that its word fills, so the `v` of two verbs never meet; `slot.tag` names the tag of
another slot, `^tag` one of the verb that governs the word.
"""

from functools import cache
from typing import NamedTuple

PUNCTUATION = frozenset(".,?!")


class TaggedWord(NamedTuple):
    """A word with the tags of its sure and of its possible links."""

    text: str
    sure: tuple[str, ...]
    possible: tuple[str, ...]


@cache
def read_word(written: str) -> TaggedWord:
    """Read `word`, `word/tag`, `word/tag,tag?`."""
    text, _, tags = written.partition("/")
    names = tags.split(",") if tags else []
    return TaggedWord(
        text,
        tuple(name for name in names if not name.endswith("?")),
        tuple(name[:-1] for name in names if name.endswith("?")),
    )


def read_words(written: str) -> tuple[TaggedWord, ...]:
    """Read words divided by white space."""
    return tuple(map(read_word, written.split()))


def surface(written: str) -> str:
    """The text as it is glued into a sentence: a space before each word, none before a sign."""
    words = (word.text for word in read_words(written))
    return "".join(word if word in PUNCTUATION else " " + word for word in words)


def tag_pattern(written: str) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """The tags without the words: two texts of one pattern are linked alike."""
    return tuple((word.sure, word.possible) for word in read_words(written))


def pair(english: str, german: str) -> tuple[str, str]:
    """A phrase in both languages; without tags, phrases of equal length are linked in order."""
    if "/" in english or "/" in german:
        return english, german
    n_english, n_german = len(english.split()), len(german.split())
    assert n_english == n_german, f"no tags, and the lengths differ: {english} = {german}"
    return number_words(english), number_words(german)


def number_words(phrase: str) -> str:
    """`the day` becomes `the/0 day/1`."""
    return " ".join(f"{word}/{n}" for n, word in enumerate(phrase.split()))
