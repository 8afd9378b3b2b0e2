"""Figures of generators from what was measured: perplexities, last words, minimal pairs."""

import math

import pytest
import torch

from triptych.evaluation.language_model import TextSums, perplexity
from triptych.evaluation.last_words import (
    LastWord,
    cut_last_word,
    score_last_words,
    stop_word_ids,
)
from triptych.evaluation.minimal_pairs import score_groups, score_pairs
from triptych.evaluation.published import COLUMNS, PUBLISHED, nearest_row
from triptych.models.gpt import Gpt
from triptych.models.presets import gpt_preset


def test_one_sum_three_denominators():
    sums = TextSums(nll=12.0, n_tokens=6, n_words=4, n_bytes=24)
    assert sums.loss == 2
    assert sums.perplexity == pytest.approx(math.e**2)
    assert sums.word_perplexity == pytest.approx(math.e**3)
    assert sums.bits_per_byte == pytest.approx(0.5 / math.log(2))
    assert math.isfinite(perplexity(1e9, 1))


@pytest.mark.parametrize(
    ("text", "before", "word"),
    [
        ("the cat sat", "the cat", " sat"),
        ("kind of\n\nPower ", "kind of", "\n\nPower"),
        ("\none two", "\none", " two"),
        ("alone", "", "alone"),
    ],
)
def test_the_last_word_and_the_white_space_before_it(text, before, word):
    assert cut_last_word(text) == (before, word)


def test_stop_words_are_whole_tokens_behind_a_space():
    tokens = [b" the", b"the", b" The", b" theme", b" a", b" s", b"  the", b" cat"]
    assert stop_word_ids(tokens) == [0, 2, 4]


def test_last_words():
    found = [
        LastWord(-1.0, True, True, True),
        LastWord(-2.0, False, True, True),
        LastWord(-3.0, False, False, True),
        LastWord(-6.0, False, False, False),
    ]
    scores = score_last_words(found)
    assert (scores.n, scores.accuracy, scores.accuracy_stop_words) == (4, 0.25, 0.5)
    assert scores.accuracy_last_token == 0.75
    assert scores.perplexity == pytest.approx(math.e**3)


def test_a_tie_is_half_right():
    scores = score_pairs([-1.0, -3.0, -200.0, -5.0], [-2.0, -2.0, -200.001, -5.0])
    assert (scores.n, scores.n_ties, scores.accuracy) == (4, 2, 0.5)
    groups = score_groups(["b", "a", "b"], [-1.0, -3.0, -1.0], [-2.0, -2.0, -1.0])
    assert list(groups) == ["b", "a"]
    assert (groups["b"].accuracy, groups["a"].accuracy, groups["b"].n) == (0.75, 0.0, 2)


def test_published_rows_are_those_of_the_presets():
    for name, size in (("gpt2", "117M"), ("gpt2-xl", "1542M")):
        with torch.device("meta"):
            model = Gpt(gpt_preset(name, 50257, 50256))
        n_parameters = sum(p.numel() for p in model.parameters())
        assert PUBLISHED[n_parameters][0] == size
        assert nearest_row(n_parameters)[0] == size
    assert nearest_row(1000)[0] == "117M"
    assert nearest_row(600_000_000)[0] == "762M"
    assert {len(row) for _, row in PUBLISHED.values()} == {len(COLUMNS)}
