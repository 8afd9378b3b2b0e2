"""Corpus BLEU and chrF: against figures worked out by hand, and refusals."""

import json
import math

import pytest

from triptych.errors import DataError
from triptych.evaluation.bleu import bleu, chrf


def test_bleu_by_hand():
    # 7 tokens against 8; all words but "a", three pairs and one triple are in the reference
    score = bleu(["the cat sat on a mat ."], ["the big cat sat on the mat ."])
    expected = [100 * 6 / 7, 100 * 3 / 6, 100 * 1 / 5]
    assert score.precisions[:3] == pytest.approx(expected)
    assert score.brevity_penalty == pytest.approx(math.exp(1 - 8 / 7))
    assert (score.hypothesis_length, score.reference_length) == (7, 8)


def test_bleu_of_the_reference_is_100():
    lines = ["Ein Hund läuft am Ufer .", "Die Bank ist heute zu ."]
    assert bleu(lines, lines).bleu == pytest.approx(100)
    assert chrf(lines, lines).chrf == pytest.approx(100)


def test_bleu_is_cased_and_says_so():
    upper, lower = ["Ein Hund läuft am Ufer entlang."], ["ein hund läuft am ufer entlang."]
    assert bleu(upper, lower).bleu < 60
    assert "case:mixed" in bleu(upper, lower).signature
    assert "tok:13a" in bleu(upper, lower).signature
    assert "nc:6" in chrf(upper, lower).signature


def test_an_empty_output_line_is_scored_not_refused():
    score = bleu(["", "a b c d e"], ["a b c d e", "a b c d e"])
    assert score.brevity_penalty == pytest.approx(math.exp(1 - 10 / 5))


def test_json_has_fixed_keys():
    keys = "bleu precisions brevity_penalty hypothesis_length reference_length signature"
    assert list(bleu(["a"], ["a"]).to_json()) == keys.split()
    assert list(chrf(["a"], ["a"]).to_json()) == ["chrf", "signature"]
    json.dumps(bleu(["a"], ["a"]).to_json())


@pytest.mark.parametrize("score", [bleu, chrf])
def test_unequal_and_empty_sets_are_refused_with_their_counts(score):
    with pytest.raises(DataError, match="2 outputs but 1 references"):
        score(["a", "b"], ["a"])
    with pytest.raises(DataError, match="0 lines"):
        score([], [])
