"""What a fine-tuning with several seeds found: each seed, the median, the spread."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triptych.recipes.collapse import early_warning, is_collapsed
from triptych.recipes.finetune_run import FinetuneRun
from triptych.recipes.finetune_task import DISTINCT, FinetuneTask
from triptych.recipes.training_summary import ENDINGS, STOPPED
from triptych.training.run_folder import Row
from triptych.training.settings import SMALLER_IS_BETTER
from triptych.training.task import Outcome

AGAIN = "the same command goes on from here"


@dataclass(frozen=True)
class SeedResult:
    """One seed's best validation."""

    seed: int
    metrics: dict[str, float]
    best_update: int
    updates: int
    """Those done; fewer than asked for in a run that was stopped."""
    warning: str | None
    """Why the run seemed to have collapsed, at the first sign of it."""
    collapsed: bool
    """Whether its model is no better than a constant answer."""

    def to_json(self) -> dict[str, Any]:
        """Fixed keys."""
        return {**vars(self), "model": f"seed-{self.seed}/best"}


@dataclass(frozen=True)
class Spread:
    """Of one metric over all seeds; quartiles are interpolated linearly."""

    median: float
    minimum: float
    maximum: float
    quartile_1: float
    quartile_3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        low, first, median, third, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
        return cls(median, low, high, first, third)

    def to_json(self) -> dict[str, float]:
        """The fields, and the interquartile range."""
        return {**vars(self), "interquartile_range": self.quartile_3 - self.quartile_1}


@dataclass(frozen=True)
class FinetuneSummary:
    """All seeds that have a validation."""

    kind: str
    model: str
    select: str
    n_train: int
    n_valid: int
    guess_loss: float
    seeds: tuple[SeedResult, ...]
    n_seeds: int
    """Those asked for."""
    stopped_by: str
    diverged: tuple[int, ...] = ()
    """Seeds whose loss became no finite number; they are not among `seeds`."""

    @property
    def best(self) -> SeedResult:
        """The seed with the best validation, the first of equals."""
        sign = -1 if self.select in SMALLER_IS_BETTER else 1
        return max(self.seeds, key=lambda seed: (sign * seed.metrics[self.select], -seed.seed))

    @property
    def spreads(self) -> dict[str, Spread]:
        """Of every metric."""
        names = self.seeds[0].metrics if self.seeds else ()
        return {name: Spread.of([seed.metrics[name] for seed in self.seeds]) for name in names}

    def to_json(self) -> dict[str, Any]:
        """The content of `summary.json`; keys in `docs/finetune.md`."""
        return {
            "kind": self.kind,
            "start": self.model,
            "select": self.select,
            "n_train": self.n_train,
            "n_valid": self.n_valid,
            "guess_loss": self.guess_loss,
            "n_seeds": self.n_seeds,
            "diverged": list(self.diverged),
            "stopped_by": self.stopped_by,
            "best": {"seed": self.best.seed, "model": "best"} if self.seeds else None,
            "metrics": {name: spread.to_json() for name, spread in self.spreads.items()},
            "seeds": [seed.to_json() for seed in self.seeds],
        }


def summarize(
    results: Sequence[SeedResult],
    task: FinetuneTask,
    run: FinetuneRun,
    stopped_by: str,
    diverged: tuple[int, ...] = (),
) -> FinetuneSummary:
    """All seeds that have a validation, together."""
    return FinetuneSummary(
        kind=task.kind,
        model=run.model,
        select=task.select,
        n_train=len(task.train),
        n_valid=len(task.valid),
        guess_loss=task.guess_loss,
        seeds=tuple(results),
        n_seeds=run.training.seeds,
        stopped_by=stopped_by,
        diverged=diverged,
    )


def seed_result(
    seed: int, outcome: Outcome, rows: Sequence[Row], task: FinetuneTask, updates: int
) -> SeedResult:
    """From what a run of so many updates, if it was not stopped, left in its metrics."""
    kept = [row for row in rows if row["update"] == outcome.best_update and "valid_loss" in row]
    metrics = {
        name.removeprefix("valid_"): value
        for name, value in kept[-1].items()
        if name.startswith("valid_") and not name.endswith(DISTINCT)
    }
    return SeedResult(
        seed=seed,
        metrics={task.select: metrics[task.select], **metrics},
        best_update=outcome.best_update,
        updates=outcome.updates,
        warning=early_warning(rows, task.guess_loss, updates),
        collapsed=is_collapsed(rows, task.guess_loss, outcome.best_update),
    )


def summary_json(summary: FinetuneSummary, out: Path) -> str:
    """The content of `summary.json` with the folder, on one line."""
    return json.dumps({"out": str(out), **summary.to_json()})


def summary_text(summary: FinetuneSummary, out: Path) -> str:
    """A table with a row a seed, then median and spread, and what to do next."""
    if not summary.seeds:
        return f"{ENDINGS[summary.stopped_by]}, before any validation; {AGAIN}"
    names = list(summary.spreads)
    rows = [["seed", *names, ""]]
    for seed in summary.seeds:
        values = [f"{seed.metrics[name]:.4f}" for name in names]
        rows.append([str(seed.seed), *values, _remark(seed, summary)])
    spreads = summary.spreads.values()
    rows += [
        ["median", *(f"{s.median:.4f}" for s in spreads), ""],
        ["quartiles", *(f"{s.quartile_1:.4f}-{s.quartile_3:.4f}" for s in spreads), ""],
        ["range", *(f"{s.minimum:.4f}-{s.maximum:.4f}" for s in spreads), ""],
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False))
        + (f"  {row[-1]}" if row[-1] else "")
        for row in rows
    ]
    lines.insert(0, f"{summary.n_train:,} inputs to learn from, {summary.n_valid:,} to validate")
    lines += [f"seed {seed} diverged and is left out" for seed in summary.diverged]
    best = shlex.quote(str(out / "best"))
    lines.append(f"best model: {best} (seed {summary.best.seed}, by {summary.select})")
    if summary.stopped_by in STOPPED:
        lines.append(f"{ENDINGS[summary.stopped_by]}; {AGAIN}")
    return "\n".join(lines)


def _remark(seed: SeedResult, summary: FinetuneSummary) -> str:
    if seed.collapsed:
        return f"collapsed: {seed.warning or 'no better than a constant guess'}"
    if seed.warning:
        return f"recovered: {seed.warning}"
    return "best" if seed is summary.best else ""
