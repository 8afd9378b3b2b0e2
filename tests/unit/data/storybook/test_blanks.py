"""A blank in a story: every word that can stand there, with its exact probability."""

import math
from collections import Counter

import pytest

from triptych.data.storybook import Story, stories, story_split, tokenize
from triptych.data.storybook.blanks import (
    SIGNS,
    Blank,
    blank_probabilities,
    capitalized,
    draw_blanks,
    vocabulary,
)
from triptych.data.storybook.ngrams import KneserNey
from triptych.data.storybook.recognition import story_log_prob

STORIES = list(stories(61, 60))


def all_usable(told: list[Story]) -> list[list[bool]]:
    return [[True] * len(story.sentences) for story in told]


@pytest.mark.parametrize("number", range(60))
def test_probabilities_are_those_of_the_whole_stories(number: int) -> None:
    """Against the probability of each story told in full, for words that fit and words that do
    not."""
    blank: Blank = draw_blanks(STORIES, all_usable(STORIES), 1)[number]
    found = blank_probabilities(blank)
    assert math.fsum(found.values()) == pytest.approx(1)
    assert blank.answer in found
    texts = [sentence.english for sentence in blank.story.sentences]
    choice = capitalized() if blank.place == 0 else vocabulary()
    whole = {}
    for word in {*found, *choice[::40]}:
        told = [*texts[: blank.sentence], blank.filled(word), *texts[blank.sentence + 1 :]]
        whole[word] = math.exp(story_log_prob(" ".join(told)) - blank.story.log_prob)
    total = math.fsum(whole.values())
    for word, share in whole.items():
        assert found.get(word, 0.0) == pytest.approx(share / total, abs=1e-9), word


def test_every_word_of_the_stories_is_in_the_vocabulary() -> None:
    for story in stories(62, 2000):
        for sentence in story.sentences:
            first, *others = sentence.english_words
            assert first in capitalized()
            assert set(others) <= set(vocabulary()) | SIGNS


def test_the_probability_is_how_often_a_word_is_there() -> None:
    """Over many blanks, the word that stands there is the most probable as often as promised."""
    told = list(stories(63, 400))
    blanks = draw_blanks(told, all_usable(told), 2)
    found = [blank_probabilities(blank) for blank in blanks]
    promised = sum(max(p.values()) for p in found) / len(found)
    kept = sum(max(p, key=p.__getitem__) == b.answer for p, b in zip(found, blanks, strict=True))
    assert abs(kept / len(found) - promised) < 3 * math.sqrt(promised * (1 - promised) / len(found))


def test_a_blank_is_a_word_of_a_usable_sentence() -> None:
    split = story_split(3, 50, 0, 60)
    usable = split.unseen(split.test)
    blanks = draw_blanks(split.test, usable, 5)
    assert blanks == draw_blanks(split.test, usable, 5) != draw_blanks(split.test, usable, 6)
    assert len(blanks) == sum(map(any, usable))
    flags = dict(zip((story.text for story in split.test), usable, strict=True))
    for blank in blanks:
        assert flags[blank.story.text][blank.sentence]
        assert blank.answer not in SIGNS
        assert tokenize(blank.story.text)[blank.text_place] == blank.answer
        assert blank.filled(blank.answer) == blank.story.sentences[blank.sentence].english
        assert tokenize(blank.filled("[MASK]"))[blank.place] == "[MASK]"
    assert draw_blanks(split.test, [[False] * len(flags) for flags in usable], 5) == []


def test_the_best_filling_of_n_grams_by_trying_every_word() -> None:
    model = KneserNey([tokenize(story.text) for story in stories(64, 200)])
    for blank in draw_blanks(STORIES, all_usable(STORIES), 3)[:4]:
        words = list(tokenize(blank.story.text))
        costs = {}
        for word in model.ids:
            words[blank.text_place] = word
            costs[word] = float(model.log_probs([words]).sum())
        words[blank.text_place] = "never-seen"
        found = model.best_filling(words, blank.text_place)
        assert costs[found] == pytest.approx(max(costs.values()))


def test_blanks_fall_everywhere() -> None:
    told = list(stories(65, 600))
    blanks = draw_blanks(told, all_usable(told), 7)
    assert set(Counter(blank.sentence for blank in blanks)) >= set(range(6))
    assert {0, 1, 2, 5} <= {blank.place for blank in blanks}
