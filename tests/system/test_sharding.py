"""Processes that share a model (FSDP2) train it as one process does; a run may change them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from sharing_toy import run_shared
from training_toy import toy_model, toy_trainer

import triptych
from triptych.cli.main import main
from triptych.errors import MachineError, ModelFileError, UsageError
from triptych.files import notices
from triptych.files.tensors import load_tensors
from triptych.training import state
from triptych.training.distributed import Processes
from triptych.training.holding import hold
from triptych.training.optimizer import make_optimizer
from triptych.training.run_folder import RunFolder
from triptych.training.settings import OptimizerSettings
from triptych.training.state import PART_FILE, TENSOR_FILE, read_state

SCRIPT = Path(__file__).parent / "sharing_toy.py"
ONLY_ROUNDING = "w_k.bias"
"""Biases of keys: their true gradient is zero, so Adam amplifies rounding."""
STILL, DROPPED = {"dropout": 0.0}, {"dropout": 0.2}


def in_two(*runs: tuple[Path, int, dict[str, float]]) -> None:
    """One run after another, each in two processes that share the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stages = json.dumps([[str(folder), updates, changes] for folder, updates, changes in runs])
    workers = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), stages], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank), "OMP_NUM_THREADS": "1",
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(2)
    ]  # fmt: skip
    errors = [worker.communicate(timeout=400)[1] for worker in workers]
    for worker, error in zip(workers, errors, strict=True):
        assert worker.returncode == 0, error


def in_one(folder: Path, updates: int, changes: dict[str, float]) -> None:
    run_shared(folder, updates, Processes(), **changes)


def losses(folder: Path, what: str = "loss") -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row[what] for row in rows if "loss" in row]


def weights(folder: Path, update: int) -> dict[str, torch.Tensor]:
    return load_tensors(RunFolder(folder).checkpoint(update) / "weights.safetensors")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`whole`: 20 updates of two processes; `again`: the same with a stop; `changed`: 10 updates of
    two, 10 of one, 10 of two; `one`: 30 of one."""
    folder = tmp_path_factory.mktemp("runs")
    in_two(
        (folder / "whole", 20, DROPPED),
        (folder / "again", 10, DROPPED),
        (folder / "again", 20, DROPPED),
        (folder / "changed", 10, STILL),
    )
    in_one(folder / "changed", 20, STILL)
    in_two((folder / "changed", 30, STILL))
    in_one(folder / "one", 30, STILL)
    return folder


def test_shared_by_two_is_one(runs: Path) -> None:
    """Three batches an update: one process has two of them, the other one and an idle pass."""
    one, two = losses(runs / "one")[:10], losses(runs / "changed")[:10]
    assert len(one) == len(two) == 10
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-6)
    norms = (losses(runs / name, "gradient_norm")[:10] for name in ("one", "changed"))
    for a, b in zip(*norms, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_a_run_of_two_goes_on_with_two(runs: Path) -> None:
    """Bit for bit, dropout and all."""
    assert len(losses(runs / "whole")) == 20
    assert losses(runs / "whole") == losses(runs / "again")
    ended = weights(runs / "whole", 20)
    for name, value in weights(runs / "again", 20).items():
        assert torch.equal(value, ended[name]), name


def test_a_run_of_two_goes_on_with_one_and_with_two_again(runs: Path) -> None:
    """As if there had only ever been one, but for rounding."""
    for a, b in zip(losses(runs / "one"), losses(runs / "changed"), strict=True):
        assert a == pytest.approx(b, rel=1e-6)
    one, changed = weights(runs / "one", 30), weights(runs / "changed", 30)
    assert one.keys() == changed.keys()
    for name, value in one.items():
        if not name.endswith(ONLY_ROUNDING):
            assert float((value - changed[name]).abs().max()) <= 1e-5, name


def test_each_process_writes_its_part_and_the_model_is_whole(runs: Path) -> None:
    checkpoint = RunFolder(runs / "whole").checkpoint(20)
    parts = [load_tensors(checkpoint / PART_FILE.format(i, 2)) for i in (1, 2)]
    assert parts[0].keys() == parts[1].keys()
    assert not any("exp_avg" in name for name in load_tensors(checkpoint / TENSOR_FILE))
    sizes = [sum(value.numel() for value in part.values()) for part in parts]
    n_parameters = sum(p.numel() for p in toy_model(0.0).parameters())
    assert sum(sizes) == 2 * n_parameters  # both of Adam's means, nothing twice
    assert max(sizes) < 1.1 * n_parameters
    whole = {name: value.shape for name, value in toy_model(0.0).state_dict().items()}
    assert {name: value.shape for name, value in weights(runs / "whole", 20).items()} == whole
    assert not list((runs / "whole" / "checkpoints" / ".parts").iterdir())


def test_a_missing_part_is_named(runs: Path, tmp_path: Path) -> None:
    checkpoint = RunFolder(runs / "whole").checkpoint(20)
    shutil.copytree(checkpoint, tmp_path / "cut")
    (tmp_path / "cut" / PART_FILE.format(1, 2)).unlink()
    optimizer = make_optimizer(toy_model(0.0), OptimizerSettings())
    with pytest.raises(ModelFileError, match=r"has 1 parts .* training-00002-of-00002"):
        read_state(tmp_path / "cut", optimizer)
    read_state(checkpoint, optimizer)


def test_states_are_read_one_by_one(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them whole may be more than a process can hold."""
    together, n_alive = [], []

    def whole(parts: list[torch.Tensor]) -> torch.Tensor:
        n_alive.append(sum(one() is not None for one in together))
        made = torch.cat(parts)
        together.append(weakref.ref(made))
        return made

    monkeypatch.setattr(state, "whole_of", whole)
    monkeypatch.setattr(state, "is_shared", lambda tensor: isinstance(tensor, torch.nn.Parameter))
    monkeypatch.setattr(state, "as_held", lambda whole, like: whole[:1].clone())
    optimizer = make_optimizer(toy_model(0.0), OptimizerSettings())
    read_state(RunFolder(runs / "whole").checkpoint(20), optimizer)
    assert len(together) == 2 * len(list(toy_model(0.0).parameters()))
    assert max(n_alive) <= 1


def test_a_validation_gathers_the_model_once(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, 2, validate_every=2)
    holding, n_gathered = trainer.holding, 0

    def whole() -> torch.nn.Module:
        nonlocal n_gathered
        n_gathered += 1
        return holding.model

    @contextmanager
    def on_device() -> Iterator[torch.nn.Module]:
        yield whole()

    holding.whole, holding.on_device = whole, on_device  # type: ignore[method-assign]
    trainer.run()
    assert n_gathered == 1
    assert RunFolder(tmp_path).best.is_dir()


def test_one_process_says_that_it_shares_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notices, "_said", set())
    model = toy_model(0.0)
    assert not hold(model, Processes(), False, "fp32").is_shared
    assert caplog.text == ""
    for _ in range(2):
        assert not hold(model, Processes(), True, "fp32").is_shared
    assert caplog.text.count("--shard has nothing to do for one process") == 1


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


def test_a_generator_is_trained_through_torchrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its folder is an ordinary one, and one process without the option goes on with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("\n\n".join(f"The {i} birds sing." for i in range(60)) + "\n")
    options = {
        "text": "t.txt", "valid-text": "t.txt", "kind": "characters", "preset": "nano",
        "max-seq-len": 16, "batch-size": 4, "max-updates": 4, "validate-every": 2,
        "accumulate": 2, "precision": "bf16", "dropout": 0, "out": "run", "device": "cpu",
    }  # fmt: skip
    words = ["train", "gpt", *(f"--{name}={value}" for name, value in options.items())]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
         "-m", "triptych.cli.main", *words, "--shard"],
        capture_output=True, text=True, timeout=400, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("4 updates: all updates are done") == 1
    together = losses(tmp_path / "run")
    generator = triptych.load(tmp_path / "run" / "best")
    assert len(generator.generate(["The"], max_new_tokens=4)) == 1
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-000004")
    assert main(words) == 0
    assert "4 updates" in capsys.readouterr().out
    assert losses(tmp_path / "run")[:2] == together[:2]
    assert losses(tmp_path / "run")[2:] == pytest.approx(together[2:], rel=1e-4)
    assert main([*words, "--shard", "--compile"]) == 2
    assert "--compile and --shard do not go together" in capsys.readouterr().err
    assert main([*words, "--shard", "--optimizer=muon"]) == 2
    assert "--optimizer muon and --shard do not go together" in capsys.readouterr().err
