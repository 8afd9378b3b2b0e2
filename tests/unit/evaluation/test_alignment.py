"""Alignment error rate by hand, attention to words, Pharaoh lines there and back."""

import json

import numpy as np
import pytest

from triptych.errors import DataError, UsageError
from triptych.evaluation.alignment import (
    GoldAlignment,
    HeadChoice,
    align,
    alignment_error_rate,
    balance,
    choose_head,
    error_rates_by_head,
    format_gold,
    format_pharaoh,
    read_gold,
    read_pharaoh,
    word_weights,
)


def links(text):
    return read_pharaoh([text])[0]


def test_error_rate_by_hand():
    gold = read_gold(["0-0 1-1 2p1 2-2", "0-1"])
    found = [links("0-0 2-1 2-3"), links("0-1")]
    # A = 4 links, S = 4; A∩S = {0-0, 0-1}, A∩P adds 2p1
    score = alignment_error_rate(found, gold)
    assert score.aer == pytest.approx(1 - (2 + 3) / (4 + 4))
    assert score.precision == pytest.approx(3 / 4)
    assert score.recall == pytest.approx(2 / 4)
    assert (score.n, score.n_links, score.n_sure, score.n_possible) == (2, 4, 4, 5)
    keys = ["aer", "precision", "recall", "n", "n_links", "n_sure", "n_possible"]
    assert list(score.to_json()) == keys
    json.dumps(score.to_json())


def test_perfect_and_hopeless():
    gold = read_gold(["0-0 1p1 2-2"])
    assert alignment_error_rate([links("0-0 2-2")], gold).aer == 0
    assert alignment_error_rate([links("0-0 1-1 2-2")], gold).aer == 0  # possible links are free
    assert alignment_error_rate([links("0-1 1-2")], gold).aer == 1
    assert alignment_error_rate([links("")], gold).aer == 1


def test_every_sure_link_is_possible():
    gold = GoldAlignment(frozenset({(0, 0)}), frozenset({(1, 0)}))
    assert gold.possible == {(0, 0), (1, 0)}


def test_error_rate_refusals():
    with pytest.raises(DataError, match="1 alignments but 2 gold alignments"):
        alignment_error_rate([links("0-0")], read_gold(["0-0", "1-1"]))
    with pytest.raises(DataError, match="no alignments"):
        alignment_error_rate([], [])
    with pytest.raises(DataError, match="none of the 1 gold alignments has a sure link"):
        alignment_error_rate([links("0-0")], read_gold(["0p0"]))


def test_word_weights_sum_over_source_and_average_over_target():
    weights = [
        [0.1, 0.2, 0.3, 0.4],
        [0.3, 0.4, 0.1, 0.2],
        [0.0, 0.0, 0.5, 0.5],
        [0.9, 0.0, 0.0, 0.1],
    ]
    # source: word 0 in two tokens, word 1, end; target: word 0 in two tokens, word 1, end
    found = word_weights(weights, [0, 0, 1, -1], [0, 0, 1, -1])
    np.testing.assert_allclose(found, [[(0.3 + 0.7) / 2, (0.3 + 0.1) / 2], [0.0, 0.5]])


def test_align_takes_the_most_attended_word():
    weights = [[0.4, 0.3, 0.3, 0.0], [0.1, 0.1, 0.1, 0.7]]
    # split over two tokens, word 1 outweighs word 0; the end token, though first, is left out
    assert align(weights, [0, 1, 1, -1], [0, 1]) == {(0, 0), (1, 1)}
    # a tie goes to the first source word
    assert align([[0.5, 0.5]], [0, 1], [0]) == {(0, 0)}


def test_a_word_at_which_all_look_is_not_the_translation_of_all():
    """Both target words look most at source word 1, but the second has nobody else."""
    weights = [[0.4, 0.6], [0.1, 0.9]]
    assert np.argmax(weights, axis=1).tolist() == [1, 1]
    assert align(weights, [0, 1], [0, 1]) == {(0, 0), (1, 1)}


def test_balanced_weights_sum_to_one_both_ways():
    generator = np.random.default_rng(3)
    balanced = balance(generator.random((5, 5)) + 0.01, rounds=200)
    np.testing.assert_allclose(balanced.sum(axis=0), 1, atol=1e-9)
    np.testing.assert_allclose(balanced.sum(axis=1), 1, atol=1e-9)
    # Only rows and columns are scaled: cross ratios of 2 × 2 blocks stay.
    weights = np.array([[4.0, 1.0], [2.0, 3.0]])
    scaled = balance(weights)
    ratio = scaled[0, 0] * scaled[1, 1] / (scaled[0, 1] * scaled[1, 0])
    assert ratio == pytest.approx(4 * 3 / (1 * 2))
    assert (balance([[0.0, 0.0], [0.5, 0.0]]) == [[0, 0], [1, 0]]).all()


def test_target_in_and_target_out_are_the_callers_choice_of_rows():
    weights = np.eye(3)  # row i looks at source word i
    assert align(weights, [0, 1, 2], [0, 1, -1]) == {(0, 0), (1, 1)}  # what row i produces
    assert align(weights, [0, 1, 2], [-1, 0, 1]) == {(1, 0), (2, 1)}  # what row i has read


def test_align_of_nothing():
    assert align(np.zeros((1, 1)), [-1], [0]) == frozenset()
    assert align(np.zeros((1, 1)), [0], [-1]) == frozenset()
    assert align(np.zeros((2, 2)), [0, 1], [0, 2]) == {(0, 0), (0, 2)}  # no word 1 to align


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"\[2, 3\].*2 target and 2 source"):
        word_weights(np.zeros((2, 3)), [0, 1], [0, 1])


def attention_with_one_good_head(target_to_source, n_source, layer, head, shape=(2, 3)):
    """[L, H, T, S] that looks at word 0 everywhere but in one head."""
    weights = np.zeros((*shape, len(target_to_source), n_source))
    weights[..., 0] = 0.5
    weights[layer, head] = np.eye(n_source)[target_to_source]
    return weights


def test_choose_head_finds_the_head_that_aligns():
    gold = read_gold(["1-0 2-1 0-2", "1-0 0-1"])
    attentions = [
        attention_with_one_good_head([1, 2, 0], 3, layer=1, head=2),
        attention_with_one_good_head([1, 0], 2, layer=1, head=2),
    ]
    words = [[0, 1, 2], [0, 1]]
    assert choose_head(attentions, words, words, gold) == HeadChoice(layer=1, head=2, aer=0.0)
    rates = error_rates_by_head(attentions, words, words, gold)
    assert rates.shape == (2, 3)
    assert rates[0, 0] == pytest.approx(1 - 2 * 2 / 10)  # one of three and one of two are right


def test_choose_head_prefers_the_first_of_equals():
    attentions = [np.ones((2, 2, 1, 1))]
    assert choose_head(attentions, [[0]], [[0]], read_gold(["0-0"]))[:2] == (0, 0)


def test_choose_head_refusals():
    gold = read_gold(["0-0", "0-0"])
    with pytest.raises(DataError, match="1 attentions but 2 gold"):
        choose_head([np.ones((1, 1, 1, 1))], [[0], [0]], [[0], [0]], gold)
    with pytest.raises(UsageError, match=r"\(1, 1\), \(2, 1\)"):
        choose_head([np.ones((1, 1, 1, 1)), np.ones((2, 1, 1, 1))], [[0], [0]], [[0], [0]], gold)


def test_pharaoh_there_and_back():
    assert format_pharaoh({(1, 2), (0, 0), (1, 0)}) == "0-0 1-0 1-2"
    assert read_pharaoh(["0-0 1-2", "", " 10-11\n"]) == [{(0, 0), (1, 2)}, set(), {(10, 11)}]
    for line in ("0-0 1p2 2-1", ""):
        assert format_gold(read_gold([line])[0]) == line


@pytest.mark.parametrize("item", ["0", "0-", "-1", "a-b", "1--2", "0-0-0", "1p2", "²-1", "٣-1"])
def test_pharaoh_faults_are_named(item):
    with pytest.raises(DataError, match=rf"links\.txt:2: '{item}' is not a word link; write"):
        read_pharaoh(["0-0", f"0-0 {item}"], "links.txt")
