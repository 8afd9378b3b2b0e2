"""What a slot of a sentence can be filled with: every entry with all its forms.

An `Item` gives a marked-up text for each form that a frame may ask for, in both languages, and
may narrow what later slots of its story choose from (`opens`). Items of one `shape` are linked
alike in every frame, so the alignment of a sentence is worked out once for each mix of shapes.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from triptych.data.storybook.lexicon import Noun
from triptych.data.storybook.markup import surface, tag_pattern

Markup = Callable[[str], str]
Pool = Sequence[tuple["Item", float]]  # what may be drawn, each with the log of its probability

_SHAPES: dict[object, int] = {}


class Forms(dict[str, str]):
    """From the name of a form to its text, glued; each is made when first asked for."""

    def __init__(self, markup: Markup) -> None:
        super().__init__()
        self.markup = markup

    def __missing__(self, form: str) -> str:
        text = self[form] = surface(self.markup(form))
        return text


class Item:
    """One choice for a slot. `selects` names the forms that its object must take, if it governs;
    `noun` and `gender` (p in the plural) are those of a noun phrase."""

    __slots__ = ("english", "gender", "german", "noun", "opens", "selects", "shape")

    def __init__(
        self,
        english: Markup,
        german: Markup,
        shape: object,
        selects: Mapping[str, str] | None = None,
        noun: Noun | None = None,
        gender: str = "",
    ) -> None:
        self.english = Forms(english)
        self.german = Forms(german)
        self.shape = _SHAPES.setdefault(shape, len(_SHAPES))
        self.selects = selects or {}
        self.noun = noun
        self.gender = gender
        self.opens: Callable[[], Mapping[str, Pool]] | None = None


def table_item(
    english: Mapping[str, str],
    german: Mapping[str, str],
    selects: Mapping[str, str] | None = None,
) -> Item:
    """An item whose forms are listed."""
    forms = [*english.items(), *german.items()]
    tags = tuple((name, tag_pattern(text)) for name, text in forms)
    shape = (tags, tuple((selects or {}).items()))
    return Item(english.__getitem__, german.__getitem__, shape, selects)


def uniform(items: Iterable[Item], weight: Callable[[Item], int] = lambda item: 1) -> Pool:
    """A pool in which an item of weight 2 is listed twice: drawing is one multiplication."""
    weighted = [(item, weight(item)) for item in items]
    total = sum(weight for _, weight in weighted)
    return [(item, math.log(weight / total)) for item, weight in weighted for _ in range(weight)]


def only(item: Item) -> Pool:
    """A pool without a choice."""
    return [(item, 0.0)]


def opening(item: Item, pools: Mapping[str, Pool]) -> Item:
    """The item, which from now on opens these pools when it is drawn."""
    return opening_later(item, lambda: pools)


def opening_later(item: Item, pools: Callable[[], Mapping[str, Pool]]) -> Item:
    """The same with pools that are made when the item is first drawn."""
    item.opens = pools
    return item
