"""For tests that a stopped run becomes the run that was not stopped."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from triptych.files.tensors import load_tensors
from triptych.training.run_folder import RunFolder


def interrupt_at(
    patch: pytest.MonkeyPatch,
    batches: type[Any],
    batch: int,
    kind: signal.Signals = signal.SIGTERM,
) -> None:
    """A signal to this process when so many batches of the run are loaded by that class."""
    load, left = batches.load, [batch]

    def counted(self: Any, choice: object) -> object:
        if getattr(self, "seed", True):  # not the validation's
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), kind)
        return load(self, choice)

    patch.setattr(batches, "load", counted)


def assert_same(one: Path, other: Path, update: int) -> None:
    """To the bit: weights and training state of two runs at an update, and every loss."""
    for name in ("model.safetensors", "training.safetensors"):
        first, second = (
            load_tensors(RunFolder(run).checkpoint(update) / name) for run in (one, other)
        )
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert torch.equal(value, second[key]), (name, key)
    losses = [
        [row["loss"] for row in RunFolder(run).rows() if "loss" in row] for run in (one, other)
    ]
    assert losses[0] == losses[1]
