"""Metrics survive crashes; retention never deletes what is averaged or newest."""

import json
import resource
from pathlib import Path

import pytest

from triptych.errors import DiskFullError
from triptych.files.atomic import write_folder
from triptych.training.run_folder import RunFolder


def add_checkpoint(run: RunFolder, update: int) -> Path:
    folder = run.checkpoint(update)
    write_folder(folder, lambda new: (new / "weights").write_bytes(b"%d" % update) and None)
    return folder


def test_rows_that_a_crash_cut_are_dropped_and_later_ones_forgotten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    for update in range(1, 6):
        run.add_row({"update": update, "loss": 1 / update})
    with run.metrics.open("a") as file:
        file.write('{"update": 6, "lo')
    assert [row["update"] for row in run.rows()] == [1, 2, 3, 4, 5]
    run.forget_after(3)
    assert [json.loads(x)["update"] for x in run.metrics.read_text().splitlines()] == [1, 2, 3]


def test_a_full_disk_is_said_and_keeps_the_rows(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.add_row({"update": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(DiskFullError, match=r"no room for .*metrics.jsonl: .* raise the limit"):
            run.add_row({"update": 2, "loss": 0.123456789})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.rows() == [{"update": 1}]
    run.forget_after(1)
    run.add_row({"update": 2})
    assert run.rows() == [{"update": 1}, {"update": 2}]


def test_only_what_is_named_and_the_newest_is_kept(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    for update in (5, 10, 15, 1_000_000):
        add_checkpoint(run, update)
    run.keep_only([run.checkpoint(10)])
    assert run.checkpoint_updates() == [10, 1_000_000]


def test_the_newest_whole_checkpoint_is_found_among_leftovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunFolder(tmp_path / "run")
    assert run.newest_checkpoint() is None
    for update in (9, 10, 11):
        add_checkpoint(run, update)
    (run.checkpoint(11) / "weights").write_bytes(b"1")
    unfinished = run.checkpoints / ".step-000012.new-999999999-0123abcd"
    unfinished.mkdir()
    assert run.newest_checkpoint() == run.checkpoint(10)
    assert "cut short" in caplog.text
    assert not unfinished.exists()
    assert run.checkpoint_updates() == [9, 10]  # the damaged one stands aside


def test_last_names_the_newest_and_moves_in_one_step(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    for update in (1, 2):
        run.link_last(add_checkpoint(run, update))
        assert (run.last / "weights").read_bytes() == b"%d" % update
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoints", "last"]


def test_a_row_may_hold_what_unicode_calls_a_line_end(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    texts = [f"one{sign}two" for sign in "\u2028\u2029\x85\x0b\x1c"]
    for update, text in enumerate(texts, start=1):
        run.add_row({"update": update, "samples": [text]})
    run.forget_after(4)
    assert [row["samples"] for row in run.rows()] == [[text] for text in texts[:4]]


def test_a_copy_of_a_checkpoint_by_hand_is_no_checkpoint(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    add_checkpoint(run, 5)
    (run.checkpoints / "step-000005 (copy)").mkdir()
    assert run.checkpoint_updates() == [5]


def test_samples_stand_newest_first(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.add_row({"update": 1, "samples": ["- one"]})
    run.add_row({"update": 2, "loss": 1.0})
    run.add_row({"update": 3, "samples": ["- three"]})
    run.write_samples(lambda row: f"After {row['update']}")
    text = (run.folder / "samples.md").read_text()
    assert text.index("After 3") < text.index("- three") < text.index("After 1")
    assert "After 2" not in text
