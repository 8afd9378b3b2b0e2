"""Guarantee 7: splitting the work changes nothing but rounding."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_toy import PAD, ToyBatches, run_toy, toy_model, toy_trainer

from triptych.errors import MachineError
from triptych.files import notices
from triptych.files.tensors import load_tensors
from triptych.training.distributed import Processes
from triptych.training.objectives import RegularizedDropoutObjective, TranslationObjective
from triptych.training.run_folder import RunFolder
from triptych.training.step import Stepper, is_out_of_memory, split_rows

SCRIPT = Path(__file__).parent / "training_toy.py"


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def gradients(n_parts: int, batches: list[object]) -> dict[str, torch.Tensor]:
    model = toy_model(dropout=0.0)
    stepper = Stepper(model, TranslationObjective(PAD, 0.1), Processes(), "fp32", 0.0, n_parts)
    stepper.gradients(batches)  # type: ignore[arg-type]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same_gradients(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    largest = max(float(g.abs().max()) for g in one.values())
    for name, gradient in one.items():
        assert float((gradient - other[name]).abs().max()) <= 1e-5 * largest, name


def test_pieces_of_a_batch_have_the_gradient_of_the_whole() -> None:
    source = ToyBatches()
    batches = [source.load(next(source)) for _ in range(3)]
    whole = gradients(1, batches)
    for n_parts in (2, 3, 7, 1000):
        assert_same_gradients(whole, gradients(n_parts, batches))


def test_two_passes_without_dropout_have_the_gradient_of_one() -> None:
    """R-Drop's passes agree when nothing is dropped, so its loss is the ordinary one."""
    source = ToyBatches()
    batches = [source.load(next(source)) for _ in range(3)]
    model = toy_model(dropout=0.0)
    objective = RegularizedDropoutObjective(PAD, 0.1, alpha=5.0)
    Stepper(model, objective, Processes(), "fp32", 0.0, 2).gradients(batches)
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert_same_gradients(gradients(1, batches), found)


def test_accumulated_batches_have_the_gradient_of_one_big_batch() -> None:
    """The ragged batches of one epoch, against all pairs padded into a single batch."""
    source = ToyBatches()
    choices = [next(source) for _ in range(source.stream.n_batches)]
    big = source.load([i for choice in choices for i in choice])
    assert_same_gradients(gradients(1, [big]), gradients(1, [source.load(c) for c in choices]))


def test_rows_are_each_in_one_piece() -> None:
    source = ToyBatches()
    batch = source.load(next(source))
    for n_parts in (1, 2, 5, 100):
        pieces = list(split_rows(batch, n_parts))
        assert len(pieces) <= n_parts
        assert torch.equal(torch.cat([piece.indices for piece in pieces]), batch.indices)


def test_two_processes_are_one(tmp_path: Path) -> None:
    """Five batches an update, so the ranks have three and two; 50 updates, dropout 0."""
    options = ["dropout=0.0", "accumulate=5", "validate_every=50", "batch_tokens=60"]
    one = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "one"), "50", *options],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert one.returncode == 0, one.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workers = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tmp_path / "two"), "50", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank), "OMP_NUM_THREADS": "1",
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(2)
    ]  # fmt: skip
    for worker in workers:
        out, err = worker.communicate(timeout=200)
        assert worker.returncode == 0, err
        assert out.split() == ["50", "max_updates"]
    first, second = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(first) == len(second) == 50
    for a, b in zip(first, second, strict=True):
        assert a == pytest.approx(b, rel=1e-6)
    weights = [
        load_tensors(RunFolder(tmp_path / name).checkpoint(50) / "weights.safetensors")
        for name in ("one", "two")
    ]
    for name, value in weights[0].items():
        if not name.endswith("w_k.bias"):  # their true gradient is zero: Adam amplifies rounding
            assert float((value - weights[1][name]).abs().max()) <= 1e-5, name


def test_processes_without_work_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_said", set())  # another test may have made it say so

    class Two(Processes):
        def wait(self) -> None:
            return

    toy_trainer(tmp_path / "two", 3, processes=Two(world_size=2), accumulate=2)
    assert "nothing to do" not in caplog.text
    toy_trainer(tmp_path / "idle", 3, processes=Two(world_size=2), accumulate=1)
    assert "give --accumulate 2 or more" in caplog.text


def test_running_out_of_memory_halves_the_batch_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An objective that refuses more than ten rows, against one that never does."""
    honest = TranslationObjective(PAD, 0.1)

    def narrow(model, batch):  # type: ignore[no-untyped-def]
        if len(batch) > 10:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: "
                               "can't allocate memory: you tried to allocate 1 bytes")  # fmt: skip
        return honest(model, batch)

    free, _ = run_toy(tmp_path / "free", 10, dropout=0.0)
    held, trainer = run_toy(tmp_path / "held", 10, dropout=0.0, objective=narrow)
    assert trainer.stepper.n_parts > 1
    assert caplog.text.count("memory ran out") >= 1
    assert free.updates == held.updates == 10
    for a, b in zip(losses(tmp_path / "free"), losses(tmp_path / "held"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    again = toy_trainer(tmp_path / "held", 12, objective=narrow, dropout=0.0)
    assert again.counters.n_parts == trainer.stepper.n_parts  # remembered over a stop


def test_when_not_even_one_row_fits_it_is_said(tmp_path: Path) -> None:
    def nothing_fits(model, batch):  # type: ignore[no-untyped-def]
        raise MemoryError

    with pytest.raises(MachineError, match="one sentence at a time"):
        run_toy(tmp_path / "run", 3, objective=nothing_fits)


REAL_LIMIT = """
import resource, sys, torch
sys.path.insert(0, {folder!r})
torch.set_num_threads(1)
from training_toy import *
from triptych.core.loss import IGNORE
torch.zeros(8, 8) @ torch.zeros(8, 8)
trainer = toy_trainer(Path(sys.argv[1]), 3, dropout=0.0, clip_norm=0.0,
                      source=ToyBatches(n_pairs=30000, batch_tokens=200000), accumulate=1)
used = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1]) * 1024
if sys.argv[2] == "limited":
    resource.setrlimit(resource.RLIMIT_AS, (used + 350_000_000, resource.RLIM_INFINITY))
trainer.run()
print(trainer.stepper.n_parts)
"""


@pytest.mark.slow
def test_a_real_allocation_limit_halves_the_batch(tmp_path: Path) -> None:
    """RLIMIT_AS, in a child: the allocator itself says no, and the losses stay the same."""
    code = REAL_LIMIT.format(folder=str(Path(__file__).parent))
    parts = {}
    for kind in ("free", "limited"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / kind), kind],
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        parts[kind] = int(done.stdout)
    assert parts["free"] == 1
    assert parts["limited"] > 1
    for a, b in zip(losses(tmp_path / "free"), losses(tmp_path / "limited"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_which_errors_mean_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError())
    assert is_out_of_memory(RuntimeError("could not create a primitive"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor for …"))
