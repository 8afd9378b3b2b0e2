"""Storybook is no toy: what simple methods reach, measured."""

import math
import subprocess
import sys

import pytest

from triptych.data.storybook import Split, baselines, stories, story_split, translation_split
from triptych.data.storybook.grammar import CLASSES, SENSES, start, topic_pools
from triptych.data.storybook.lexicon import Noun
from triptych.data.storybook.recognition import readings


@pytest.fixture(scope="module")
def split() -> Split:
    return translation_split(seed=51, n_train=6000, n_valid=0, n_test=600)


def test_a_dictionary_stays_under_40_bleu(split: Split) -> None:
    assert baselines.dictionary_bleu(split.train, split.test) < 40


def test_the_dictionary_knows_its_words(split: Split) -> None:
    """So it is the grammar that defeats it, not ignorance."""
    best = baselines.translation_dictionary(split.train)
    assert (best["because"], best["crown"], best["and"]) == ("weil", "Krone", "und")


def test_bleu_of_the_dictionary_is_high_where_words_do_not_move() -> None:
    (same,) = readings("Anna and her uncle greeted three polite doctors.")
    assert baselines.dictionary_bleu([same], [same]) == pytest.approx(100.0)


def test_the_commonest_sense_is_right_in_at_most_60_percent_of_cases() -> None:
    sentences = [s for story in stories(52, 8000) for s in story.sentences]
    by_word = baselines.commonest_sense_accuracy(sentences, sentences)
    assert set(by_word) == set(SENSES)
    right = [by_word[sense.word] for s in sentences for sense in s.senses]
    assert sum(right) / len(right) <= 0.60


def test_the_senses_of_a_word_are_equally_likely() -> None:
    """Exact, where a sample by word would waver: whatever draws a noun draws it as often."""
    for pool in (start()["marked"], dict(topic_pools(CLASSES[0], CLASSES[0].nouns[5]))["other"]):
        shares: dict[Noun, float] = {}
        for item, log_prob in dict(pool).items():
            assert item.noun is not None
            shares[item.noun] = shares.get(item.noun, 0.0) + math.exp(log_prob)
        for senses in SENSES.values():
            assert {round(shares[noun], 9) for noun in senses} == {round(shares[senses[0]], 9)}


def test_a_diagonal_alignment_has_an_error_rate_above_35_percent(split: Split) -> None:
    assert baselines.diagonal_error_rate(split.test) > 0.35


def test_the_diagonal_is_right_where_the_order_is_the_same() -> None:
    (same,) = readings("Anna and her uncle greeted three polite doctors.")
    assert baselines.diagonal_error_rate([same]) == 0.0
    assert baselines.diagonal(3, 5) == {(0, 0), (0, 1), (1, 2), (2, 3), (2, 4)}


def test_a_5_gram_model_stays_25_percent_above_the_limit() -> None:
    """With few stories; more bring it nearer, so the whole size is tested below."""
    split = story_split(seed=53, n_train=3000, n_valid=0, n_test=200)
    assert baselines.ngram_ratio(split.train, split.test) >= 1.25


@pytest.mark.slow
def test_it_does_with_20_000_stories() -> None:
    split = story_split(seed=54)
    assert baselines.ngram_ratio(split.train, split.test) >= 1.25


@pytest.mark.slow
def test_the_command_prints_every_figure() -> None:
    command = [sys.executable, "-m", "triptych.data.storybook"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for title in ("Contents", "Stories", "Baselines", "Speed"):
        assert f"\n{title}\n" in printed
