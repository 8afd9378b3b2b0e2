"""Merging with some merges left out, on merges small enough to follow by hand."""

from collections import Counter
from random import Random

from triptych.tokenizers.bpe_dropout import MAX_STRETCH, Merges, merge_with_dropout

A, B, C, AB, ABC, BC = range(6)
MERGES: Merges = {(A, B): (0, AB), (AB, C): (1, ABC), (B, C): (2, BC)}


def test_without_dropout_the_lowest_rank_goes_first() -> None:
    def never() -> float:
        raise AssertionError("dropout 0 must not need chance")

    assert merge_with_dropout([A, B, C], MERGES, 0.0, Random(1).random) == [ABC]
    assert merge_with_dropout([B, C, A, B], MERGES, 0.0, Random(1).random) == [BC, AB]
    assert merge_with_dropout([A, A], MERGES, 0.0, never) == [A, A]
    assert merge_with_dropout([], MERGES, 0.0, never) == []


def test_equal_ranks_go_left_to_right() -> None:
    merges: Merges = {(A, A): (0, B)}
    assert merge_with_dropout([A, A, A], merges, 0.0, Random(1).random) == [B, A]


def test_all_dropped_leaves_the_letters() -> None:
    assert merge_with_dropout([A, B, C], MERGES, 1.0, Random(1).random) == [A, B, C]


def test_the_shares_are_those_of_the_paper() -> None:
    """A merge falls out with p at each step: [abc] p(ab) and then p(abc), and so on."""
    p, draw = 0.4, Random(5).random
    counts = Counter(tuple(merge_with_dropout([A, B, C], MERGES, p, draw)) for _ in range(20_000))
    expected = {
        (A, B, C): p * p,
        (A, BC): p * (1 - p),
        (AB, C): (1 - p) * p,
        (ABC,): (1 - p) * (1 - p),
    }
    assert set(counts) == set(expected)
    for cut, share in expected.items():
        assert abs(counts[cut] / 20_000 - share) < 0.015


def test_a_long_piece_is_done_in_stretches() -> None:
    """100,000 letters without a space take moments, and no letter is lost."""
    length = 100_000
    merged = merge_with_dropout([A, B] * (length // 2), MERGES, 0.1, Random(1).random)
    assert sum(2 if token_id == AB else 1 for token_id in merged) == length
    whole = merge_with_dropout([A, B, C] * MAX_STRETCH, MERGES, 0.0, Random(1).random)
    assert len(whole) <= MAX_STRETCH + 2 * 3
