"""A toy run for the trainer's tests: reverse a short sequence; used in this and in child processes.

As a script: `python training_toy.py FOLDER UPDATES [option=value …]` trains and prints the outcome.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from triptych.data.batching import BatchStream, PairBatch, TokenBatches, collate_pairs
from triptych.files.atomic import write_folder
from triptych.files.tensors import load_tensors, save_tensors
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.training.distributed import Processes, join_processes
from triptych.training.objectives import TranslationObjective
from triptych.training.run_folder import RunFolder
from triptych.training.schedule import inverse_sqrt
from triptych.training.settings import OptimizerSettings, TrainingSettings
from triptych.training.task import Outcome, Task, Validation
from triptych.training.trainer import Trainer

PAD, EOS, VOCABULARY = 19, 0, 20


class ToyBatches:
    """Ragged pairs: a sequence and its reverse."""

    def __init__(self, n_pairs: int = 150, batch_tokens: int = 120, seed: int = 3) -> None:
        generator = np.random.default_rng(7)
        sources = [generator.integers(1, PAD, generator.integers(2, 9)) for _ in range(n_pairs)]
        self.pairs = [(np.append(s, EOS), np.append(s[::-1], EOS)) for s in sources]
        lengths = np.array([(len(s), len(t)) for s, t in self.pairs])
        self.stream = BatchStream(TokenBatches(lengths, batch_tokens, seed))
        self.state, self.restore = self.stream.state, self.stream.restore
        self.after: dict[int, Callable[[], None]] = {}
        self.n_loaded = 0

    @property
    def epoch(self) -> int:
        return self.stream.epoch

    def __next__(self) -> Any:
        return next(self.stream)

    def load(self, indices: Any) -> PairBatch:
        self.n_loaded += 1
        if self.n_loaded in self.after:
            self.after[self.n_loaded]()
        return collate_pairs([self.pairs[i] for i in indices], PAD, PAD, indices)


def toy_model(dropout: float) -> EncoderDecoder:
    torch.manual_seed(11)
    config = EncoderDecoderConfig(
        vocab_size=VOCABULARY, d_model=16, d_ff=32, n_heads=2, n_encoder_layers=1,
        n_decoder_layers=1, dropout=dropout, pad_id=PAD, eos_id=EOS, start_id=PAD,
    )  # fmt: skip
    return EncoderDecoder(config).train()


def save_toy(folder: Path, model: nn.Module, also: Callable[[Path], None] | None = None) -> None:
    def fill(new: Path) -> None:
        save_tensors(new / "weights.safetensors", model.state_dict())
        if also is not None:
            also(new)

    write_folder(folder, fill)


def mean_toy(folders: list[Path]) -> dict[str, torch.Tensor]:
    states = [load_tensors(folder / "weights.safetensors") for folder in folders]
    return {name: torch.stack([s[name] for s in states]).mean(dim=0) for name in states[0]}


def validate_toy(model: nn.Module) -> Validation:
    source = ToyBatches(20, seed=5)
    objective = TranslationObjective(PAD, 0.0)
    losses = [objective(model, source.load(indices))[0] for indices in source.stream._current]
    return Validation({"loss": float(sum(x.nll for x in losses) / sum(x.n_tokens for x in losses))})


def toy_trainer(
    folder: Path,
    updates: int,
    source: ToyBatches | None = None,
    processes: Processes | None = None,
    **changes: Any,
) -> Trainer:
    """A trainer in `folder`; `changes` are dropout, objective, clip_norm or TrainingSettings."""
    dropout = float(changes.pop("dropout", 0.2))
    objective = changes.pop("objective", TranslationObjective(PAD, 0.1))
    share = bool(changes.pop("share", False))
    optimizer = OptimizerSettings(clip_norm=float(changes.pop("clip_norm", 1.0)))
    defaults: Mapping[str, Any] = {
        "max_updates": updates, "validate_every": 8, "select": "loss", "average": 2,
        "patience": 100, "accumulate": 2,
    }  # fmt: skip
    task = Task(
        model=toy_model(dropout), objective=objective, source=source or ToyBatches(),
        validate=validate_toy, save_model=save_toy, mean_weights=mean_toy,
        schedule=inverse_sqrt(3e-3, 10), flops=lambda batch: 1.0,
    )  # fmt: skip
    settings = TrainingSettings(**{**defaults, **changes})
    return Trainer(
        task, RunFolder(folder), settings, optimizer, processes or Processes(), True, share
    )


def run_toy(folder: Path, updates: int, **changes: Any) -> tuple[Outcome, Trainer]:
    trainer = toy_trainer(folder, updates, **changes)
    return trainer.run(), trainer


def main() -> None:
    """One run in this process, options as `name=number`; `kill_at=N` kills it at a batch."""
    torch.set_num_threads(1)
    folder, updates = Path(sys.argv[1]), int(sys.argv[2])
    options = {k: float(v) if "." in v else int(v) for k, v in (a.split("=") for a in sys.argv[3:])}
    source = ToyBatches(batch_tokens=int(options.pop("batch_tokens", 120)))
    for name, number in (("kill_at", signal.SIGKILL), ("term_at", signal.SIGTERM)):
        if name in options:
            source.after[int(options.pop(name))] = lambda n=number: os.kill(os.getpid(), n)
    trainer = toy_trainer(
        folder, updates, source=source, processes=join_processes("cpu"), **options
    )
    outcome = trainer.run()
    print(outcome.updates, outcome.stopped_by)


if __name__ == "__main__":
    main()
