"""Entities as conlleval counts them: worked out by hand, and against a second reading of it."""

import random

import pytest

from triptych.errors import DataError
from triptych.evaluation.entities import Entity, are_entity_tags, entities, score_entities


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-x I-x O", [(0, 2, "x")]),
        ("B-x B-x I-x", [(0, 1, "x"), (1, 3, "x")]),
        ("O I-x I-x O I-x", [(1, 3, "x"), (4, 5, "x")]),  # begins without a B
        ("B-x I-y", [(0, 1, "x"), (1, 2, "y")]),  # another type begins anew
        ("B-creative-work I-creative-work", [(0, 2, "creative-work")]),
        ("S-x B-x E-x I-x", [(0, 1, "x"), (1, 3, "x"), (3, 4, "x")]),
        ("O O", []),
        ("", []),
    ],
)
def test_where_entities_are(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert list(entities(tags.split())) == [Entity(*each) for each in expected]


def starts(before: str, tag: str, type_before: str, its_type: str) -> bool:
    """conlleval's startOfChunk, line by line."""
    start = tag in ("B", "S")
    start |= before in ("E", "S", "O") and tag in ("E", "I")
    return start or (tag != "O" and type_before != its_type)


def ends(before: str, tag: str, type_before: str, its_type: str) -> bool:
    """conlleval's endOfChunk, line by line."""
    end = before in ("E", "S")
    end |= before in ("B", "I") and tag in ("B", "S", "O")
    return end or (before != "O" and type_before != its_type)


def conlleval(predicted: list[str], gold: list[str]) -> tuple[int, int, int]:
    """Right, predicted and gold chunks, as the script's one pass over the words finds them."""
    inside = False
    n_right = n_predicted = n_gold = 0
    last = ("O", ""), ("O", "")
    for pair in [*zip(predicted, gold, strict=True), ("O", "O")]:
        now = tuple((tag.partition("-")[0], tag.partition("-")[2]) for tag in pair)
        if inside:
            both = [ends(b[0], n[0], b[1], n[1]) for b, n in zip(last, now, strict=True)]
            if all(both):
                inside = False
                n_right += 1
            elif any(both) or now[0][1] != now[1][1]:
                inside = False
        begin = [starts(b[0], n[0], b[1], n[1]) for b, n in zip(last, now, strict=True)]
        if all(begin) and now[0][1] == now[1][1]:
            inside = True
        n_predicted += begin[0]
        n_gold += begin[1]
        last = now
    return n_right, n_predicted, n_gold


def test_against_a_second_reading_of_the_script() -> None:
    draw = random.Random(3)
    tags = ["O", "O", "B-x", "I-x", "B-y", "I-y", "E-x", "S-y"]
    n_seen = 0
    for _ in range(3000):
        n = draw.randint(1, 8)
        gold = [draw.choice(tags) for _ in range(n)]
        predicted = [tag if draw.random() < 0.7 else draw.choice(tags) for tag in gold]
        right, n_predicted, n_gold = conlleval(predicted, gold)
        found = score_entities([predicted], [gold])
        assert found.n == n_gold
        assert found.precision == pytest.approx(right / max(1, n_predicted))
        assert found.recall == pytest.approx(right / max(1, n_gold))
        n_seen += right
    assert n_seen > 1000


def test_by_hand() -> None:
    gold = [["B-x", "I-x", "O", "B-y"], ["O", "B-x"]]
    predicted = [["B-x", "I-x", "O", "B-x"], ["B-y", "B-x"]]  # 2 right of 4 said, of 3 to find
    found = score_entities(predicted, gold)
    assert (found.n, found.precision, found.recall) == (3, 0.5, pytest.approx(2 / 3))
    assert found.f1 == pytest.approx(4 / 7)
    with pytest.raises(DataError):
        score_entities([["O"]], [["O", "O"]])


def test_which_tags_are_entities() -> None:
    assert are_entity_tags(["O", "B-x", "I-x"])
    assert not are_entity_tags(["NOUN", "VERB"])
    assert not are_entity_tags(["O"])
    assert not are_entity_tags(["O", "B"])
