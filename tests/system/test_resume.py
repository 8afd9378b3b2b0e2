"""Guarantee 6: a run that was stopped is, bit for bit, the run that was not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_toy import ToyBatches, run_toy, save_toy, toy_trainer

from triptych.errors import DivergedError
from triptych.files.tensors import load_tensors
from triptych.training.distributed import Processes
from triptych.training.run_folder import RunFolder
from triptych.training.task import Outcome, Validation
from triptych.training.trainer import Trainer

SCRIPT = Path(__file__).parent / "training_toy.py"
MEASURED = ("tokens_per_second", "peak_share", "peak_memory", "seconds")


def final(folder: Path, update: int) -> dict[str, torch.Tensor]:
    """Weights, optimizer and random states of a checkpoint."""
    path = RunFolder(folder).checkpoint(update)
    return load_tensors(path / "weights.safetensors") | load_tensors(path / "training.safetensors")


def rows(folder: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in found]


def counters(folder: Path, update: int) -> dict[str, object]:
    text = (RunFolder(folder).checkpoint(update) / "training.json").read_text()
    state = json.loads(text)
    del state["counters"]["seconds"]
    return state


def assert_same_run(one: Path, other: Path, update: int) -> None:
    first, second = final(one, update), final(other, update)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert rows(one) == rows(other)
    assert counters(one, update) == counters(other, update)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "straight"
    outcome, _ = run_toy(folder, 30)
    assert (outcome.updates, outcome.stopped_by) == (30, "max_updates")
    return folder


def child(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), "30", *options],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("at", [3, 16, 17, 31])
def test_killed_anywhere_it_goes_on_as_if_never_stopped(
    tmp_path: Path, straight: Path, at: int
) -> None:
    """Killed at a batch: before any checkpoint, mid-epoch, between the two of one update."""
    folder = tmp_path / "killed"
    assert child(folder, f"kill_at={at}").returncode == -signal.SIGKILL
    outcome, _ = run_toy(folder, 30)
    assert outcome.updates == 30
    assert_same_run(straight, folder, 30)


@pytest.mark.parametrize("at", [9, 16, 22])
def test_sigterm_saves_and_goes_on(tmp_path: Path, straight: Path, at: int) -> None:
    folder = tmp_path / "stopped"
    stopped = child(folder, f"term_at={at}")
    update = (at + 1) // 2  # two batches an update: it is finished before the run leaves
    assert stopped.stdout.split() == [str(update), "SIGTERM"]
    assert RunFolder(folder).newest_checkpoint() == RunFolder(folder).checkpoint(update)
    run_toy(folder, 30)
    assert_same_run(straight, folder, 30)


def test_a_validation_that_was_killed_is_made_again(tmp_path: Path, straight: Path) -> None:
    folder = tmp_path / "killed"
    trainer = toy_trainer(folder, 30)

    def dies(model: object) -> None:
        raise KeyboardInterrupt

    object.__setattr__(trainer.task, "validate", dies)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert RunFolder(folder).newest_checkpoint() == RunFolder(folder).checkpoint(8)
    run_toy(folder, 30)
    assert_same_run(straight, folder, 30)


@pytest.mark.parametrize("stop", ["killed while validating", "asked to stop"])
def test_the_last_validation_is_made_up_for(tmp_path: Path, stop: str) -> None:
    """The last update is validated out of turn (8, 16, 20): a stop just there loses nothing."""
    run_toy(tmp_path / "one", 20)
    source = ToyBatches()
    trainer = toy_trainer(tmp_path / "two", 20, source=source)
    if stop == "asked to stop":
        source.after[40] = lambda: os.kill(os.getpid(), signal.SIGTERM)
        assert trainer.run().stopped_by == "SIGTERM"
    else:
        validate = trainer.task.validate

        def dies(model: torch.nn.Module) -> object:
            if trainer.counters.update == 20:
                raise KeyboardInterrupt
            return validate(model)

        object.__setattr__(trainer.task, "validate", dies)
        with pytest.raises(KeyboardInterrupt):
            trainer.run()
    outcome, _ = run_toy(tmp_path / "two", 20)
    assert outcome.stopped_by == "max_updates"
    assert_same_run(tmp_path / "one", tmp_path / "two", 20)


def test_all_stop_when_another_process_was_asked_first(tmp_path: Path) -> None:
    class AskedElsewhere(Processes):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            return values + 1 if values.shape == (1,) else values

    outcome = toy_trainer(tmp_path / "run", 30, processes=AskedElsewhere()).run()
    assert (outcome.updates, outcome.stopped_by) == (1, "SIGTERM")
    assert RunFolder(tmp_path / "run").newest_checkpoint() is not None


def test_a_batch_is_loaded_before_the_source_moves_on(tmp_path: Path) -> None:
    """A source that cuts its texts anew each epoch knows only the choices of the present one."""

    class NewEachEpoch(ToyBatches):
        def __next__(self) -> object:
            choice = super().__next__()
            return self.epoch, choice

        def load(self, choice: object) -> object:
            epoch, indices = choice  # type: ignore[misc]
            assert epoch == self.epoch
            return super().load(indices)

    source = NewEachEpoch(n_pairs=30)
    assert source.stream.n_batches % 2 == 1  # so that an update crosses into the next epoch
    run_toy(tmp_path / "run", source.stream.n_batches + 1, source=source)
    assert source.epoch >= 1


def test_early_stopping_counts_on_after_a_stop(tmp_path: Path) -> None:
    """With an objective that gets worse, patience ends both runs at the same update."""
    options = {"patience": 3, "validate_every": 2, "objective": worse}
    one, _ = run_toy(tmp_path / "one", 60, **options)
    assert one.stopped_by == "patience"
    source = ToyBatches()
    source.after[9] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    stopped, _ = run_toy(tmp_path / "two", 60, source=source, **options)
    assert stopped.stopped_by == "SIGTERM"
    two, _ = run_toy(tmp_path / "two", 60, **options)
    assert two == one
    assert_same_run(tmp_path / "one", tmp_path / "two", one.updates)


LOSSES = {8: (1.0, 9.0), 16: (2.0, 8.0), 24: (3.0, 5.0), 32: (4.0, 6.0), 40: (0.5, 4.0)}
"""By update: the loss on the first and on the second kind of inputs; the latter counts from 17."""


@pytest.mark.parametrize("stop", [None, 33, 47, 50])
@pytest.mark.parametrize(
    ("patience", "end", "best"),
    [(1, Outcome(32, 5.0, 24, "patience", "long_"), [8, 24]),
     (2, Outcome(40, 4.0, 40, "max_updates", "long_"), [8, 24, 40])],
)  # fmt: skip
def test_the_best_is_chosen_among_those_measured_on_the_same_inputs(
    tmp_path: Path, patience: int, end: Outcome, best: list[int], stop: int | None
) -> None:
    """A worse value on other inputs is the new best, patience begins anew, and a first phase that
    gets worse is not the end of the run."""
    chosen = []

    def started(source: ToyBatches) -> Trainer:
        trainer = toy_trainer(tmp_path / "run", 40, source=source, average=1, patience=patience)
        object.__setattr__(trainer.task, "patience_after", 16)

        def validate(model: torch.nn.Module) -> Validation:
            update = trainer.counters.update
            first, second = LOSSES[update]
            prefix = "long_" if update > 16 else ""
            return Validation({"loss": first, "long_loss": second}, prefix=prefix)

        def save(folder: Path, *rest: object) -> None:
            if folder.name == "best":
                chosen.append(trainer.counters.update)
            save_toy(folder, *rest)  # type: ignore[arg-type]

        object.__setattr__(trainer.task, "validate", validate)
        object.__setattr__(trainer.task, "save_model", save)
        return trainer

    source = ToyBatches()
    if stop is not None:
        source.after[stop] = lambda: os.kill(os.getpid(), signal.SIGTERM)
        assert started(source).run().stopped_by == "SIGTERM"
    assert started(ToyBatches()).run() == end
    assert chosen == best


def worse(model, batch):  # type: ignore[no-untyped-def]
    """Ascends instead of descending."""
    from triptych.training.objectives import TranslationObjective

    (loss,) = TranslationObjective(19, 0.1)(model, batch)
    return (loss._replace(smoothed=-loss.smoothed),)


def test_a_damaged_checkpoint_is_named_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    run_toy(folder, 16)
    newest = RunFolder(folder).checkpoint(16) / "training.safetensors"
    content = bytearray(newest.read_bytes())
    content[-3] ^= 4
    newest.write_bytes(content)
    assert RunFolder(folder).newest_checkpoint() == RunFolder(folder).checkpoint(8)
    assert "training.safetensors" in caplog.text
    assert "damaged" in caplog.text
    outcome, _ = run_toy(folder, 30)
    assert outcome.updates == 30


@pytest.mark.parametrize("nth", [21, 22])
def test_nan_stops_before_the_update_and_names_the_batch(tmp_path: Path, nth: int) -> None:
    """Whichever of an update's two batches it is."""
    from triptych.training.objectives import TranslationObjective

    honest = TranslationObjective(19, 0.1)
    calls = 0

    def poisoned(model, batch):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        (loss,) = honest(model, batch)
        factor = float("nan") if calls == nth else 1.0
        return (loss._replace(smoothed=loss.smoothed * factor),)

    trainer = toy_trainer(tmp_path / "run", 30, objective=poisoned)
    with pytest.raises(DivergedError, match="pairs") as caught:
        trainer.run()
    assert caught.value.exit_status == 4
    batches = ToyBatches()
    wrong, other = ([next(batches) for _ in range(22)][i] for i in (nth - 1, 42 - nth))
    assert str([int(i) for i in wrong[:8]]) in str(caught.value)
    assert str([int(i) for i in other[:8]]) not in str(caught.value)
    assert trainer.counters.update == 10
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert RunFolder(tmp_path / "run").newest_checkpoint() is not None
