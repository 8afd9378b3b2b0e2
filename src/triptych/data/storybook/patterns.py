"""Frames made ready to run: which slots are drawn in which order, which texts are glued.

A `Pattern` fills a frame with items in a few list operations. Where the links lie depends only on
the shapes of the items, so each mix of shapes is laid out once (`layout.py`) and remembered.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from triptych.data.storybook.frames import Frame
from triptych.data.storybook.items import Item, table_item
from triptych.data.storybook.layout import Chunk, Layout, Outline, lay_out

PART = re.compile(r"\{(\w+)\.?([^}/]*)/?(\w*)\.?(\w*)\}|(\S+)")
OPENS_OTHERS = ("name", "newhome", "marked", "other", "many")  # drawn before what depends on them


@dataclass(frozen=True, eq=False)
class Pattern:
    """A frame compiled. Items are numbered as its outline's slots; the last are the literals."""

    frame: Frame
    log_prob: float
    outline: Outline
    draw_order: tuple[tuple[int, str], ...]
    literals: Item
    layouts: dict[tuple[int, ...], Layout] = field(default_factory=dict)

    def english_text(self, items: Sequence[Item]) -> str:
        """The sentence, with its capital; `items` end in `literals`."""
        text = "".join([items[i].english[form] for i, form, _ in self.outline.english])
        return text[1].upper() + text[2:]

    def german_text(self, items: Sequence[Item]) -> str:
        """The sentence, with its capital; an object's form is the one its verb selects."""
        text = "".join(
            [
                items[i].german[form if verb < 0 else items[verb].selects[form]]
                for i, form, verb in self.outline.german
            ]
        )
        return text[1].upper() + text[2:]

    def layout(self, items: Sequence[Item]) -> Layout:
        """Where the links and nouns of these items lie."""
        shapes = tuple([item.shape for item in items])
        found = self.layouts.get(shapes)
        if found is None:
            found = self.layouts[shapes] = lay_out(self.outline, items)
        return found


def compile_frames(frames: Sequence[Frame]) -> list[tuple[Pattern, int]]:
    """The patterns of one stage, with the number of lots that each has."""
    total = sum(frame.weight for frame in frames)
    return [
        (compile_frame(frame, math.log(frame.weight / total)), frame.weight) for frame in frames
    ]


def compile_frame(frame: Frame, log_prob: float) -> Pattern:
    """Number the slots in the order of their first English mention."""
    slots = list(dict.fromkeys(m[1] for m in PART.finditer(frame.english) if m[1]))
    literals: dict[str, dict[str, str]] = {"english": {}, "german": {}}
    english = read_chunks(frame.english, slots, literals["english"])
    german = read_chunks(frame.german, slots, literals["german"])
    order = sorted(enumerate(slots), key=lambda slot: slot[1] not in OPENS_OTHERS)
    return Pattern(
        frame,
        log_prob,
        Outline((*slots, "literals"), english, german),
        tuple(order),
        table_item(literals["english"], literals["german"]),
    )


def read_chunks(template: str, slots: Sequence[str], literals: dict[str, str]) -> tuple[Chunk, ...]:
    """The parts of a template; neighboring literal words become one form of `literals`."""
    chunks: list[Chunk] = []
    words: list[str] = []
    for part in (*PART.finditer(template), None):
        if part is not None and part[5]:
            words.append(part[5])
            continue
        if words:
            name = str(len(literals))
            literals[name] = " ".join(words)
            chunks.append(Chunk(len(slots), name, -1))
            words = []
        if part is not None:
            slot, form, verb, only = part.group(1, 2, 3, 4)
            selected = f"{form}.{only}" if only else form
            verb_index = slots.index(verb) if verb else -1
            chunks.append(Chunk(slots.index(slot), selected, verb_index))
    return tuple(chunks)
