"""Neighbors, analogies and spellings, by hand and by brute force."""

import numpy as np
import pytest

from triptych.errors import DataError, UsageError
from triptych.predecessors.vectors import WordVectors

WORDS = ["the", "king", "queen", "man", "woman", "frog", "frogs", "Paris"]
ROWS = [[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0],
        [0, 0, 1], [-1, -1, -1], [-2, -2, -1.5], [3, 0, 0]]  # fmt: skip


@pytest.fixture
def vectors() -> WordVectors:
    return WordVectors(WORDS, np.array(ROWS, dtype=np.float32))


def test_a_word_as_it_is_written_then_in_lower_case(vectors: WordVectors) -> None:
    assert np.array_equal(vectors.vector("king"), [1, 1, 0])
    assert np.array_equal(vectors.vector("KING"), [1, 1, 0])
    assert np.array_equal(vectors.vector("Paris"), [3, 0, 0])
    assert "Frog" in vectors
    assert "paris" not in vectors
    assert 3 not in vectors
    assert (len(vectors), vectors.d_model) == (8, 3)


def test_neighbors_by_both_measures(vectors: WordVectors) -> None:
    by_cosine = vectors.neighbors("king", 2)
    assert [n.word for n in by_cosine] == ["man", "Paris"]  # equal ones in the order of words
    assert by_cosine[0].cosine == pytest.approx(0.5**0.5)
    assert by_cosine[1].distance == pytest.approx(5**0.5)
    by_distance = vectors.neighbors("king", 3, "euclidean")
    assert [n.word for n in by_distance] == ["man", "the", "queen"]
    assert [n.distance for n in by_distance] == pytest.approx([1, 2**0.5, 2**0.5])


def test_neighbors_are_all_others_once(vectors: WordVectors) -> None:
    found = [n.word for n in vectors.neighbors("frog", 100)]
    assert sorted(found) == sorted(set(WORDS) - {"frog"})
    assert found[0] == "frogs"


def test_a_vector_of_zeros_has_cosine_0(vectors: WordVectors) -> None:
    assert vectors.cosine("the", "king") == 0
    assert all(n.cosine == 0 for n in vectors.neighbors("the"))


def test_analogy_leaves_out_the_three_words(vectors: WordVectors) -> None:
    found = vectors.analogy("man", "king", "woman", 2)
    assert found[0].word == "queen"
    unit = vectors.unit
    target = unit[1] - unit[3] + unit[4]
    assert found[0].cosine == pytest.approx(float(unit[2] @ target / np.linalg.norm(target)))
    assert not {"man", "king", "woman"} & {n.word for n in vectors.analogy("man", "king", "woman")}


@pytest.mark.parametrize(
    ("word", "expected"),
    [("frg", "did you mean frog?"), ("forg", "frog"), ("wonan", "woman"), ("queens", "queen"),
     ("kingdom", "king"), ("xyzzy", "try another word"), ("", "try another word")],
)  # fmt: skip
def test_an_unknown_word_is_answered_with_near_spellings(
    vectors: WordVectors, word: str, expected: str
) -> None:
    with pytest.raises(DataError, match=f"{word!r} is not among the 8 words") as caught:
        vectors.vector(word)
    assert expected in str(caught.value)


def test_the_more_frequent_spelling_comes_first(vectors: WordVectors) -> None:
    assert vectors.spellings("rogs") == ["frogs"]
    assert vectors.spellings("froga") == ["frog", "frogs"]


def test_wrong_arguments_are_refused(vectors: WordVectors) -> None:
    with pytest.raises(UsageError, match="top_k is 0"):
        vectors.neighbors("king", 0)
    with pytest.raises(UsageError, match="by is 'taxi'"):
        vectors.neighbors("king", by="taxi")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="2 words and vectors of shape"):
        WordVectors(["a", "b"], np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(DataError, match="0 words"):
        WordVectors([], np.zeros((0, 2), dtype=np.float32))


def test_words_are_found_as_our_own_are_spelled() -> None:
    vectors = WordVectors(["don't", "café", "New_York"], np.eye(3, dtype=np.float32))
    assert vectors.find("Don’t") == 0
    assert vectors.find("Cafe\u0301") == 1
    assert vectors.find("new_york") is None


@pytest.mark.parametrize(
    ("word", "near"),
    [("New_Yrok", "New_York"), ("londn", "London"), ("nasa", "NASA"), ("NASAA", "NASA")],
)
def test_spellings_of_words_in_upper_case(word: str, near: str) -> None:
    vectors = WordVectors(["New_York", "London", "NASA"], np.eye(3, dtype=np.float32))
    assert vectors.spellings(word) == [near]


def test_distances_piece_by_piece(vectors: WordVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = vectors.neighbors("king", 7, "euclidean")
    monkeypatch.setattr("triptych.predecessors.vectors.PIECE", 3)
    assert vectors.neighbors("king", 7, "euclidean") == whole
