"""What a training run says when it ends."""

import json
import shlex
from pathlib import Path
from typing import Protocol

from triptych.recipes.bert_run import BertRun
from triptych.recipes.elmo_run import ElmoRun
from triptych.recipes.gpt_run import GptRun
from triptych.recipes.translation_run import TranslationRun
from triptych.training.signals import EXIT_STATUS
from triptych.training.task import Outcome

ENDINGS = {
    "max_updates": "all updates are done",
    "patience": "no better validation for as long as patience allows",
    "SIGTERM": "stopped by SIGTERM, and saved",
    "SIGINT": "interrupted, and saved",
}

Run = TranslationRun | BertRun | GptRun | ElmoRun
NEXT: dict[type[Run], str] = {
    TranslationRun: "triptych translate {} --input FILE",
    BertRun: "triptych fill {} 'The [MASK] sat by the river.'",
    GptRun: "triptych generate {} --prompt 'Once'",
    ElmoRun: "triptych evaluate senses {} --data storybook",
}


STOPPED = {number.name: status for number, status in EXIT_STATUS.items()}
"""The exit status of a run that a signal stopped."""


class Ended(Protocol):
    """How a run, or several, ended."""

    @property
    def stopped_by(self) -> str: ...


def exit_status(outcome: Ended) -> int:
    """0 for a run that ended by itself, 75 after SIGTERM, 130 after SIGINT."""
    return STOPPED.get(outcome.stopped_by, 0)


def summary_text(outcome: Outcome, out: Path, run: Run) -> str:
    """Where the best model is, how good, and the command to try next."""
    lines = [f"{outcome.updates:,} updates: {ENDINGS[outcome.stopped_by]}"]
    best = out / "best"
    if outcome.best is None:
        lines.append(f"no validation yet, so no {best}")
    else:
        lines.append(
            f"best model: {best} ({outcome.prefix}{run.training.select} {outcome.best:.3f} on the "
            f"validation set, at update {outcome.best_update:,})"
        )
        lines.append("next: " + NEXT[type(run)].format(shlex.quote(str(best))))
    if exit_status(outcome):
        lines.append("the same command goes on from here")
    return "\n".join(lines)


def summary_json(outcome: Outcome, out: Path, run: Run) -> str:
    """The same as one JSON object with fixed keys; `model` is null before a validation."""
    return json.dumps(
        {
            "out": str(out),
            "model": None if outcome.best is None else str(out / "best"),
            "updates": outcome.updates,
            "select": outcome.prefix + run.training.select,
            "best": outcome.best,
            "best_update": outcome.best_update,
            "stopped_by": outcome.stopped_by,
        }
    )
