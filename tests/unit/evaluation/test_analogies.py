"""Analogies by 3CosAdd, against gensim and by hand."""

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from triptych.evaluation import analogies as module
from triptych.evaluation.analogies import AnalogyScore, score_analogies, sum_scores, three_cos_add

V, E, Q = 60, 9, 500


@pytest.fixture
def unit() -> np.ndarray:
    rows = np.random.default_rng(1).normal(size=(V, E)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def questions(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.array([random.choice(V, 4, replace=False) for _ in range(Q)])


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_answers_are_those_of_brute_force(
    unit: np.ndarray, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUESTIONS_AT_ONCE", at_once)
    for (a, b, c, _), found in zip(questions(2), three_cos_add(unit, questions(2)), strict=True):
        others = [row for row in range(V) if row not in (a, b, c)]
        cosines = [
            unit[row] @ (unit[b] - unit[a] + unit[c]) / np.linalg.norm(unit[b] - unit[a] + unit[c])
            for row in others
        ]
        assert found == others[int(np.argmax(cosines))]


def test_accuracies_are_gensims(unit: np.ndarray, tmp_path: Path) -> None:
    answers = three_cos_add(unit, questions(3))
    asked = questions(3)
    asked[::2, 3] = answers[::2]  # half of them right
    sections = ["one" if n < 200 else "gram2" for n in range(Q)]
    lines = [f": {s}" for s in ("one",)] + [" ".join(f"w{i}" for i in q) for q in asked[:200]]
    lines += [": gram2"] + [" ".join(f"w{i}" for i in q) for q in asked[200:]]
    (tmp_path / "q.txt").write_text("\n".join(lines) + "\n")
    theirs = KeyedVectors(E)
    theirs.add_vectors([f"w{i}" for i in range(V)], unit)
    accuracy, by_section = theirs.evaluate_word_analogies(
        str(tmp_path / "q.txt"), case_insensitive=False
    )
    scores = score_analogies(unit, asked, sections)
    assert list(scores) == ["one", "gram2"]
    for found in by_section[:2]:
        assert scores[found["section"]].n_correct == len(found["correct"])
    assert sum_scores(list(scores.values())).accuracy == pytest.approx(accuracy)
    assert 0.4 < accuracy < 0.7


def test_unknown_words_are_counted_not_asked(unit: np.ndarray) -> None:
    asked = questions(4)[:10]
    asked[:, 3] = three_cos_add(unit, asked)
    asked[:4, [0, 1, 2, 3]] = np.where(np.eye(4, dtype=bool), -1, asked[:4])
    score = score_analogies(unit, asked, ["s"] * 10)["s"]
    assert score == AnalogyScore(6, 6, 10)
    assert (score.accuracy, score.accuracy_of_all) == (1.0, 0.6)
    assert AnalogyScore(0, 0, 0).accuracy == AnalogyScore(0, 0, 0).accuracy_of_all == 0
