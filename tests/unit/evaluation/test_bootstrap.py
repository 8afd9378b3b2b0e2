"""The paired bootstrap: seeded, fair, and on the right side of its interval."""

import json

import pytest

from triptych.errors import DataError, UsageError
from triptych.evaluation.bleu import bleu
from triptych.evaluation.bootstrap import paired_bootstrap

REFERENCES = [f"der Hund Nummer {i} läuft heute am Ufer entlang" for i in range(60)]
GOOD = [line if i % 10 else "gar nichts" for i, line in enumerate(REFERENCES)]
WORSE = [line if i % 3 else "der Hund läuft" for i, line in enumerate(GOOD)]


def test_a_clear_difference_is_found():
    found = paired_bootstrap(GOOD, WORSE, REFERENCES, n_samples=200, seed=1)
    assert [score.metric for score in found.scores] == ["bleu", "chrf"]
    for score in found.scores:
        assert score.p_value < 0.05
        assert 0 < score.low < score.difference < score.high
    assert found.scores[0].score == pytest.approx(bleu(GOOD, REFERENCES).bleu)
    assert found.scores[0].baseline == pytest.approx(bleu(WORSE, REFERENCES).bleu)


def test_swapping_the_outputs_mirrors_the_interval():
    one = paired_bootstrap(GOOD, WORSE, REFERENCES, n_samples=100).scores[0]
    other = paired_bootstrap(WORSE, GOOD, REFERENCES, n_samples=100).scores[0]
    assert other.difference == pytest.approx(-one.difference)
    assert other.low == pytest.approx(-one.high)
    assert other.p_value == one.p_value


def test_an_output_is_not_better_than_itself():
    for score in paired_bootstrap(GOOD, GOOD, REFERENCES, n_samples=50).scores:
        assert (score.low, score.high, score.p_value) == (0, 0, 1)


def test_equally_good_outputs_do_not_differ():
    one = [line if i % 2 else "gar nichts" for i, line in enumerate(REFERENCES)]
    two = ["gar nichts" if i % 2 else line for i, line in enumerate(REFERENCES)]
    score = paired_bootstrap(one, two, REFERENCES, n_samples=200).scores[0]
    assert score.p_value > 0.05
    assert score.low < 0 < score.high


def test_the_seed_decides():
    first = paired_bootstrap(GOOD, WORSE, REFERENCES, n_samples=50, seed=3)
    assert paired_bootstrap(GOOD, WORSE, REFERENCES, n_samples=50, seed=3) == first
    assert paired_bootstrap(GOOD, WORSE, REFERENCES, n_samples=50, seed=4) != first
    assert first.scores[0].signature.endswith("|bs:50|seed:3")


def test_with_a_language_the_papers_scale_joins():
    upper = [line.upper() for line in GOOD]
    found = paired_bootstrap(upper, GOOD, REFERENCES, language="de", n_samples=20).to_json()
    assert list(found) == ["n", "n_samples", "seed", "bleu", "chrf", "papers_bleu"]
    assert found["papers_bleu"]["difference"] == 0
    assert found["bleu"]["difference"] < -50
    json.dumps(found)


def test_refusals():
    with pytest.raises(DataError, match="59 baseline outputs but 60 references"):
        paired_bootstrap(GOOD, WORSE[1:], REFERENCES)
    with pytest.raises(DataError, match="0 lines"):
        paired_bootstrap([], [], [])
    with pytest.raises(UsageError, match="n_samples is 0"):
        paired_bootstrap(GOOD, WORSE, REFERENCES, n_samples=0)
