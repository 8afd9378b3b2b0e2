"""Where the words of a sentence stand, and how they are linked."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from triptych.data.storybook.items import Item
from triptych.data.storybook.markup import read_words


class Chunk(NamedTuple):
    """A piece of a sentence: a form of an item; `verb` numbers the item that selects it, or -1."""

    item: int
    form: str
    verb: int


class NounPlace(NamedTuple):
    """Where a noun stands: the number of its item, its indices, its German case."""

    item: int
    english_index: int
    german_index: int
    case: str


class Layout(NamedTuple):
    """The links of a sentence and its nouns."""

    sure: tuple[tuple[int, int], ...]
    possible: tuple[tuple[int, int], ...]
    nouns: tuple[NounPlace, ...]


class Placed(NamedTuple):
    """A word of a sentence: its tags, each with the slot that it belongs to, and its form."""

    sure: frozenset[tuple[str, str]]
    possible: frozenset[tuple[str, str]]
    form: str


class Outline(NamedTuple):
    """The chunks of both languages, and the slot of each item."""

    slots: tuple[str, ...]
    english: tuple[Chunk, ...]
    german: tuple[Chunk, ...]


def lay_out(outline: Outline, items: Sequence[Item]) -> Layout:
    """Link what shares a tag: surely where both sides are sure, else possibly."""
    english = list(placed_words(outline, items, "english"))
    german = list(placed_words(outline, items, "german"))
    sure, possible = [], []
    for i, source in enumerate(english):
        for j, target in enumerate(german):
            if source.sure & target.sure:
                sure.append((i, j))
            elif (source.sure | source.possible) & (target.sure | target.possible):
                possible.append((i, j))
    nouns = noun_places(outline.slots, items, english, german)
    return Layout(tuple(sure), tuple(possible), tuple(nouns))


def placed_words(outline: Outline, items: Sequence[Item], language: str) -> Iterator[Placed]:
    """The words of one language in their order."""
    in_english = language == "english"
    for chunk in outline.english if in_english else outline.german:
        item = items[chunk.item]
        forms = item.english if in_english else item.german
        form = items[chunk.verb].selects[chunk.form] if chunk.verb >= 0 else chunk.form
        slot = outline.slots[chunk.item]
        governor = outline.slots[chunk.verb] if chunk.verb >= 0 else slot
        for word in read_words(forms.markup(form)):
            sure = {full_tag(tag, slot, governor) for tag in word.sure}
            if word.text in ".?!":
                sure.add(("end", word.text))
            possible = {full_tag(tag, slot, governor) for tag in word.possible}
            yield Placed(frozenset(sure), frozenset(possible), form)


def full_tag(tag: str, slot: str, governor: str) -> tuple[str, str]:
    """`v` in a slot, `^p` of its governor, `verb.t` of another slot."""
    if tag.startswith("^"):
        return governor, tag[1:]
    other, _, name = tag.rpartition(".")
    return other or slot, name


def noun_places(
    slots: Sequence[str], items: Sequence[Item], english: list[Placed], german: list[Placed]
) -> Iterator[NounPlace]:
    """Every item that is a noun phrase prints its noun once a sentence: here."""
    for number, item in enumerate(items):
        if item.noun is None:
            continue
        tag = (slots[number], "n")
        source = [i for i, word in enumerate(english) if tag in word.sure]
        target = [j for j, word in enumerate(german) if tag in word.sure]
        case = german[target[0]].form.split()[-1]
        yield NounPlace(number, source[-1], target[0], case)
