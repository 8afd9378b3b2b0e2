"""The memory that `triptych plan` foretells, beside what training really takes on this CPU.

    python benchmarks/plan_memory.py [--json FILE]

Each row is a process of its own that trains a GPT of a preset's shape for three updates, with the
trainer's own step and optimizer. Private memory is RssAnon of /proc/self/status, read every 10 ms.
What the libraries take for themselves is subtracted: the process has imported everything and
trained the smallest model before. Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from in_turn import machine, write_json
from memory_watch import kilobytes
from triptych.data.packed_batches import PackedBatch
from triptych.files.sizes import human_bytes
from triptych.models.gpt import Gpt, GptConfig
from triptych.models.presets import gpt_preset
from triptych.runtime.costs import shape_of
from triptych.runtime.memory import Memory, Pass, memory_of
from triptych.runtime.training import use_fast_training
from triptych.training.distributed import Processes
from triptych.training.objectives import LanguageModelObjective
from triptych.training.optimizer import make_optimizer, set_learning_rate
from triptych.training.settings import OptimizerSettings
from triptych.training.step import Stepper

UPDATES = 3
BOUND = 0.15
"""The estimate may be so far from what is measured."""


class Row(NamedTuple):
    """One measurement."""

    preset: str
    vocab_size: int
    rows: int
    length: int
    precision: str
    dropout: float

    @property
    def config(self) -> GptConfig:
        p = self.dropout
        config = gpt_preset(self.preset, self.vocab_size)
        return replace(config, dropout=p, attention_dropout=p, embedding_dropout=p)

    @property
    def estimate(self) -> Memory:
        how = Pass(rows=self.rows, precision=self.precision, on_gpu=False)  # type: ignore[arg-type]
        return memory_of(shape_of(self.config, self.length), how)


ROWS = [
    Row("nano", 2_000, 32, 128, "fp32", 0.0),
    Row("nano", 2_000, 32, 128, "fp32", 0.1),
    Row("nano", 2_000, 32, 128, "bf16", 0.0),
    Row("nano", 2_000, 32, 128, "bf16", 0.1),
    Row("mini", 16_384, 1, 64, "fp32", 0.0),
    Row("mini", 16_384, 4, 256, "fp32", 0.1),
    Row("mini", 16_384, 4, 256, "bf16", 0.0),
    Row("tiny", 16_384, 4, 256, "bf16", 0.1),
]


class PeakOfPrivate:
    """The largest private memory of this process while the block runs, in bytes."""

    def __enter__(self) -> "PeakOfPrivate":
        self.peak, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, private())
            if self._done.wait(0.01):
                return


def private() -> int:
    return kilobytes("status", "RssAnon") * 1024


def train(row: Row) -> None:
    """Some updates on random tokens."""
    model = use_fast_training(Gpt(row.config)).train()
    settings = OptimizerSettings(weight_decay=0.1, clip_norm=1.0)
    optimizer = make_optimizer(model, settings)
    stepper = Stepper(model, LanguageModelObjective(), Processes(), row.precision, 1.0)
    ids = torch.randint(row.vocab_size, (row.rows, row.length + 1))
    places = torch.arange(row.length).expand(row.rows, row.length)
    batch = PackedBatch(
        ids[:, :-1], ids[:, 1:], places, torch.zeros_like(places), torch.arange(row.rows)
    )
    for _ in range(UPDATES):
        stepper.gradients([batch])
        set_learning_rate(optimizer, 1e-4)
        optimizer.step()


def measure(row: Row) -> dict[str, int]:
    """In this process: what the libraries take, and what training takes beside it."""
    imported = private()
    train(Row("nano", 100, 1, 8, row.precision, row.dropout))
    before = private()
    with PeakOfPrivate() as watch:
        train(row)
    return {"libraries": before - imported, "peak": watch.peak - before}


def measured(row: Row, environment: dict[str, str]) -> dict[str, int]:
    """`measure` in a process of its own."""
    words = [sys.executable, __file__, "--measure", json.dumps(row)]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def main() -> None:
    """One line a row; exit status 1 where an estimate is further off than the bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(Row(*json.loads(given.measure)))))
        return
    results = []
    for row in ROWS:
        found, estimate = measured(row, {}), row.estimate
        exact = measured(row, {"MALLOC_MMAP_THRESHOLD_": "65536"})
        ratio, exact_ratio = estimate.peak / found["peak"], estimate.tensors / exact["peak"]
        print(
            f"{row.preset:5} V {row.vocab_size:6,}  {row.rows:3} x {row.length:4}  "
            f"{row.precision}  dropout {row.dropout}   plan {human_bytes(estimate.peak):>9}  "
            f"measured {human_bytes(found['peak']):>9}  ratio {ratio:.3f}   without gaps: "
            f"plan {human_bytes(estimate.tensors):>9}  measured {human_bytes(exact['peak']):>9}  "
            f"ratio {exact_ratio:.3f}   libraries {human_bytes(found['libraries'])}",
            flush=True,
        )
        results.append({**row._asdict(), "ratio": ratio, "ratio_without_gaps": exact_ratio,
                        "plan": estimate.peak, **found})  # fmt: skip
    worst = max(abs(float(result["ratio"]) - 1) for result in results)
    print(f"furthest off: {worst:.1%} (bound {BOUND:.0%})")
    write_json(given.json, {"machine": machine(), "rows": results, "furthest_off": worst})
    if worst > BOUND:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
