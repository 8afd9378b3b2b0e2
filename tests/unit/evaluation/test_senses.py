"""Sense accuracy: the right form, none of the wrong ones, whole words only."""

import json

import pytest

from triptych.errors import DataError
from triptych.evaluation.senses import SenseCase, sense_accuracy, sense_is_right

SHORE = SenseCase("bank", gold=("Ufer", "Ufers"), other=("Bank", "Banken"))
MONEY = SenseCase("bank", gold=("Bank", "Banken"), other=("Ufer", "Ufers"))
BAT = SenseCase("bat", gold=("Fledermaus",), other=("Schläger",))


@pytest.mark.parametrize(
    ("hypothesis", "right"),
    [
        ("Er sitzt am Ufer.", True),
        ("die farbe des ufers", True),
        ("Er sitzt auf der Bank.", False),
        ("Er sitzt am Ufer der Bank.", False),  # both is no choice
        ("Er sitzt am Flussufer.", False),  # whole words
        ("Er sitzt am Ufer beim Bankraub.", True),
        ("", False),
    ],
)
def test_one_case(hypothesis, right):
    assert sense_is_right(SHORE, hypothesis) is right


def test_two_senses_of_one_word_in_a_line():
    line = "Die Bank steht am Ufer."
    assert sense_accuracy([[SHORE, MONEY]], [line]).accuracy == 1
    assert sense_accuracy([[SHORE]], [line]).accuracy == 0


def test_counts_by_word():
    cases = [[SHORE], [], [MONEY, BAT], [BAT]]
    hypotheses = ["am Ufer", "nichts", "Die Bank hat eine Fledermaus", "der Schläger"]
    found = sense_accuracy(cases, hypotheses)
    assert found.accuracy == pytest.approx(3 / 4)
    assert found.by_word == {"bank": (2, 2), "bat": (1, 2)}
    assert found.wrong == ((3, "bat"),)
    assert found.to_json() == {
        "accuracy": 0.75,
        "n": 4,
        "n_correct": 3,
        "by_word": {
            "bank": {"accuracy": 1.0, "n": 2, "n_correct": 2},
            "bat": {"accuracy": 0.5, "n": 2, "n_correct": 1},
        },
    }
    json.dumps(found.to_json())


def test_refusals():
    with pytest.raises(DataError, match="1 outputs but 2 lines of sense cases"):
        sense_accuracy([[SHORE], [BAT]], ["am Ufer"])
    with pytest.raises(DataError, match="none of the 1 lines has an ambiguous word"):
        sense_accuracy([[]], ["am Ufer"])
