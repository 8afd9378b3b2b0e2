"""One derivation a story, one German for each English sentence: found by reading back."""

import math
from dataclasses import replace

import pytest

from triptych.data.storybook import stories
from triptych.data.storybook.recognition import readings, story_derivations, story_log_prob

TOLERANCE = 1e-9


def assert_single_derivations(seed: int, count: int) -> None:
    seen: dict[str, float] = {}
    for story in stories(seed, count):
        (log_prob,) = story_derivations(story.text)
        assert log_prob == pytest.approx(story.log_prob, abs=TOLERANCE), story.text
        assert seen.setdefault(story.text, story.log_prob) == story.log_prob


def test_each_story_has_one_derivation() -> None:
    assert_single_derivations(seed=21, count=300)


@pytest.mark.slow
def test_each_of_100_000_stories_has_one_derivation() -> None:
    assert_single_derivations(seed=22, count=100_000)


def assert_single_readings(seed: int, count: int) -> None:
    for story in stories(seed, count):
        for sentence in story.sentences:
            assert readings(sentence.english) == {replace(sentence, log_prob=0.0)}


def test_german_links_and_senses_are_functions_of_the_english_sentence() -> None:
    assert_single_readings(seed=23, count=200)


@pytest.mark.slow
def test_they_are_for_100_000_sentences() -> None:
    assert_single_readings(seed=24, count=18_700)


def test_what_is_no_story_has_no_probability() -> None:
    story = next(stories(1))
    texts = [s.english for s in story.sentences]
    assert story_log_prob(story.text) == pytest.approx(story.log_prob, abs=TOLERANCE)
    assert story_log_prob(" ".join(texts[::-1])) == -math.inf
    assert story_log_prob(" ".join(texts[:3])) == -math.inf
    assert story_log_prob(" ".join([*texts[:-1], *[texts[-2]] * 9, texts[-1]])) == -math.inf
    assert story_log_prob("") == -math.inf
    assert story_log_prob("Hello.") == -math.inf
    assert story_log_prob(story.text + "x") == -math.inf


def test_a_pronoun_must_agree_with_the_hero_far_back() -> None:
    """Agreement at a distance: he for she is no story of the grammar."""
    for story in stories(5, 200):
        last = story.sentences[-1].english
        if last.startswith("She never"):
            told = [s.english for s in story.sentences[:-1]]
            wrong = " ".join([*told, last.replace("She", "He", 1)])
            assert story_log_prob(wrong) == -math.inf
            return
    pytest.fail("no story ended so")
