"""The early warning: what is a collapse, what is not, and that it is said once."""

import logging
from pathlib import Path
from typing import Any

import pytest

from triptych.recipes.collapse import early_warning, is_collapsed, watching
from triptych.training.run_folder import RunFolder

GUESS, UPDATES = 0.69, 90


def run_rows(losses: Any, distinct: dict[int, int], until: int = UPDATES) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for update in range(1, until + 1):
        rows.append({"update": update, "loss": losses(update)})
        if update in distinct:
            found = {"valid_loss": 0.5, "valid_distinct_predictions": distinct[update]}
            rows.append({"update": update, **found})
    return rows


def falling(update: int) -> float:
    return 0.7 - 0.004 * update


def flat(update: int) -> float:
    return 0.69 + 0.01 * (-1) ** update


def test_a_healthy_run_is_left_alone() -> None:
    rows = run_rows(falling, {30: 2, 60: 2, 90: 2})
    assert early_warning(rows, GUESS, UPDATES) is None
    assert not is_collapsed(rows, GUESS, 60)


def test_a_loss_like_a_guess_is_named_when_a_third_is_done() -> None:
    assert early_warning(run_rows(flat, {}, until=29), GUESS, UPDATES) is None
    warning = early_warning(run_rows(flat, {}, until=30), GUESS, UPDATES)
    assert warning is not None
    assert "after 30 updates, a third, the training loss is 0.69" in warning
    assert is_collapsed(run_rows(flat, {90: 2}), GUESS, 90)


def test_one_answer_to_everything_is_named_at_once() -> None:
    rows = run_rows(falling, {10: 1, 90: 2})
    assert early_warning(rows, GUESS, UPDATES) == (
        "after 10 updates it says the same of every validation example"
    )
    assert not is_collapsed(rows, GUESS, 90)  # it recovered
    assert is_collapsed(rows, GUESS, 10)


def test_short_runs_are_not_judged_by_their_loss() -> None:
    assert early_warning(run_rows(flat, {}, until=24), GUESS, 24) is None


def test_it_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    run = RunFolder(tmp_path / "run")
    listen = watching(run.folder, "seed 4", GUESS, UPDATES)
    for row in run_rows(flat, {30: 1, 60: 1, 90: 1}):
        run.add_row(row)
        listen(row)
    assert caplog.text.count("seems to have collapsed") == 1
    assert "seed 4 seems to have collapsed: after 30 updates" in caplog.text
