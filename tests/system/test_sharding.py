"""Processes that share a model (FSDP2) train it as one process does; a run may change them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from training_toy import toy_trainer

from triptych.errors import MachineError, ModelFileError, UsageError
from triptych.files.tensors import load_tensors
from triptych.training.distributed import Processes
from triptych.training.run_folder import RunFolder
from triptych.training.state import PART_FILE, TENSOR_FILE

SCRIPT = Path(__file__).parent / "training_toy.py"
ONLY_ROUNDING = "w_k.bias"
"""Biases of keys: their true gradient is zero, so Adam amplifies rounding."""


def start(folder: Path, updates: int, n_processes: int, *options: str) -> None:
    """Train the toy in so many processes that share it; one alone where it is one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, str(SCRIPT), str(folder), str(updates), "share=1", "accumulate=3",
             "validate_every=10", "batch_tokens=60", *options]  # fmt: skip
    workers = [
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "WORLD_SIZE": str(n_processes), "RANK": str(rank),
                 "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(n_processes)
    ]  # fmt: skip
    for worker in workers:
        out, err = worker.communicate(timeout=280)
        assert worker.returncode == 0, err
        assert out.split() == [str(updates), "max_updates"]


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def weights(folder: Path, update: int) -> dict[str, torch.Tensor]:
    return load_tensors(RunFolder(folder).checkpoint(update) / "weights.safetensors")


def test_shared_by_two_is_one(tmp_path: Path) -> None:
    """Three batches an update: one process has two of them, the other one and an idle pass."""
    start(tmp_path / "one", 20, 1, "dropout=0.0")
    start(tmp_path / "two", 20, 2, "dropout=0.0")
    for a, b in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-6)
    one, two = weights(tmp_path / "one", 20), weights(tmp_path / "two", 20)
    assert one.keys() == two.keys()
    for name, value in one.items():
        if not name.endswith(ONLY_ROUNDING):
            assert float((value - two[name]).abs().max()) <= 1e-5, name


def test_a_run_of_two_goes_on_with_two_and_with_one(tmp_path: Path) -> None:
    """With two, bit for bit, dropout and all; with one, and back again, but for rounding."""
    start(tmp_path / "whole", 20, 2, "dropout=0.2")
    start(tmp_path / "again", 10, 2, "dropout=0.2")
    checkpoint = RunFolder(tmp_path / "again").checkpoint(10)
    parts = [load_tensors(checkpoint / PART_FILE.format(i, 2)) for i in (1, 2)]
    assert all(parts)
    assert parts[0].keys() == parts[1].keys()
    assert not any("exp_avg" in name for name in load_tensors(checkpoint / TENSOR_FILE))
    start(tmp_path / "again", 20, 2, "dropout=0.2")
    assert losses(tmp_path / "whole") == losses(tmp_path / "again")
    ended = weights(tmp_path / "whole", 20)
    for name, value in weights(tmp_path / "again", 20).items():
        assert torch.equal(value, ended[name]), name

    start(tmp_path / "never", 30, 1, "dropout=0.0")
    for updates, n_processes in ((10, 2), (20, 1), (30, 2)):
        start(tmp_path / "changed", updates, n_processes, "dropout=0.0")
    for a, b in zip(losses(tmp_path / "never"), losses(tmp_path / "changed"), strict=True):
        assert a == pytest.approx(b, rel=1e-6)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    toy_trainer(tmp_path, 2, validate_every=2).run()
    folder = RunFolder(tmp_path).checkpoint(2)
    (folder / TENSOR_FILE).rename(folder / PART_FILE.format(2, 2))
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelFileError):
        toy_trainer(tmp_path, 4)


def test_each_process_needs_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.training.holding.shard_model", lambda model, *_: model)
    with pytest.raises(UsageError, match="--accumulate is 1, but 2 processes share a model"):
        toy_trainer(tmp_path, 2, processes=Processes(world_size=2), share=True, accumulate=1)


def test_out_of_memory_is_not_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are in the middle of a pass, so batches cannot be halved by one alone."""

    def nothing_fits(model, batch):  # type: ignore[no-untyped-def]
        raise MemoryError

    trainer = toy_trainer(tmp_path, 2, objective=nothing_fits)
    monkeypatch.setattr(trainer.stepper.held, "is_shared", True)
    with pytest.raises(MachineError, match="give a smaller --batch-size and more --accumulate"):
        trainer.run()
