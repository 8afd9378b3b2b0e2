"""Drawing stories: an opening, an encounter, one to four middle sentences, an ending."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from triptych.data.storybook import frames
from triptych.data.storybook.grammar import CONTINUE, SENSES, start
from triptych.data.storybook.items import Item, Pool
from triptych.data.storybook.layout import Layout
from triptych.data.storybook.lexicon import Noun
from triptych.data.storybook.patterns import Pattern, compile_frames
from triptych.data.storybook.records import Story, StorySentence, WordSense
from triptych.errors import UsageError

STAGES = {
    "opening": frames.OPENINGS,
    "encounter": frames.ENCOUNTERS,
    "middle": frames.MIDDLES,
    "ending": frames.ENDINGS,
}


@cache
def stage_patterns(stage: str) -> tuple[tuple[Pattern, int], ...]:
    """The compiled frames of a stage with their weights, once a process."""
    return tuple(compile_frames(STAGES[stage]))


def distinct_patterns(stage: str) -> list[Pattern]:
    """Each pattern of a stage once."""
    return [pattern for pattern, _ in stage_patterns(stage)]


@cache
def lots(stage: str) -> list[Pattern]:
    """Each pattern as often as its weight says: drawing one is one multiplication."""
    return [pattern for pattern, weight in stage_patterns(stage) for _ in range(weight)]


def stories(seed: int, count: int | None = None) -> Iterator[Story]:
    """Draw `count` stories, or stories without end; equal seeds give equal stories.

    Raises UsageError for a negative count.
    """
    if count is not None and count < 0:
        raise UsageError(f"the number of stories is {count}; give 0 or more")
    uniform = random.Random(seed).random
    numbers = itertools.count() if count is None else range(count)
    return (draw_story(uniform) for _ in numbers)


def draw_story(uniform: Callable[[], float]) -> Story:
    """One story from a source of numbers in [0, 1)."""
    pools = dict(start())
    sentences = [
        draw_sentence(lots("opening"), pools, uniform, 0.0),
        draw_sentence(lots("encounter"), pools, uniform, 0.0),
    ]
    for chance in CONTINUE:
        more = uniform() < chance
        decision = math.log(chance if more else 1.0 - chance)
        sentences.append(
            draw_sentence(lots("middle" if more else "ending"), pools, uniform, decision)
        )
        if not more:
            break
    return Story(tuple(sentences), math.fsum([sentence.log_prob for sentence in sentences]))


def draw_sentence(
    patterns: Sequence[Pattern],
    pools: dict[str, Pool],
    uniform: Callable[[], float],
    log_prob: float,
) -> StorySentence:
    """Draw a pattern and its items, which may change `pools`; `log_prob` is what led here."""
    pattern = patterns[int(uniform() * len(patterns))]
    log_prob += pattern.log_prob
    items = [pattern.literals] * len(pattern.outline.slots)
    for number, slot in pattern.draw_order:
        pool = pools[slot]
        item, cost = pool[int(uniform() * len(pool))]
        items[number] = item
        log_prob += cost
        if item.opens is not None:
            pools.update(item.opens())
    return realize(pattern, items, log_prob)


def realize(pattern: Pattern, items: Sequence[Item], log_prob: float) -> StorySentence:
    """The sentence in both languages with its links and senses."""
    layout = pattern.layout(items)
    return StorySentence(
        pattern.english_text(items),
        pattern.german_text(items),
        layout.sure,
        layout.possible,
        word_senses(layout, items) if layout.nouns else (),
        log_prob,
    )


def word_senses(layout: Layout, items: Sequence[Item]) -> tuple[WordSense, ...]:
    """The ambiguous nouns of a sentence."""
    found = []
    for place in layout.nouns:
        item = items[place.item]
        noun = item.noun
        if noun is not None and noun.english in SENSES:
            form = noun.form(item.gender, place.case)
            found.append(
                WordSense(
                    noun.english,
                    place.english_index,
                    place.german_index,
                    noun.german,
                    form,
                    other_forms(noun),
                )
            )
    return tuple(found)


@cache
def other_forms(noun: Noun) -> tuple[str, ...]:
    """All German forms of the other senses of the same English word."""
    others = [other.forms for other in SENSES[noun.english] if other is not noun]
    return tuple(sorted(frozenset().union(*others)))
