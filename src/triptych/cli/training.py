"""What the verbs that train share: a model in a run folder, or vectors of words."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.recipes.training_summary import Run
    from triptych.recipes.vectors_run import Run as VectorsRun


@dataclass(frozen=True, kw_only=True)
class RunFolderOptions:
    """Where a run is, and what is told of it."""

    out: Path
    """The folder of the run; its best/ is the model."""
    config: Path | None = None
    """A TOML file with any of the settings below, as a run writes its run.toml."""
    fresh: bool = False
    """Start anew; a run that is there is renamed to OUT.1, OUT.2 …"""
    quiet: bool = False
    """No progress."""
    json: bool = False
    """How it ended, as JSON."""


def train(recipe: Callable[..., Any], run: "Run", options: RunFolderOptions, device: str) -> int:
    """`recipe` is `train_translation`, `train_bert`, `train_gpt` or `train_elmo`.

    Until the end or a signal; 75 after SIGTERM and 130 after SIGINT, both saved.
    """
    from triptych.recipes.training_summary import exit_status, summary_json, summary_text

    outcome = recipe(run, options.out, device=device, fresh=options.fresh, quiet=options.quiet)
    if int(os.environ.get("RANK", "0")) == 0:
        show = summary_json if options.json else summary_text
        print(show(outcome, options.out, run))
    return exit_status(outcome)


@dataclass(frozen=True, kw_only=True)
class VectorsOptions:
    """Where vectors of words go, and what is told of it."""

    out: Path
    """The folder of vectors to write, at the end and in one step."""
    config: Path | None = None
    """A TOML file with any of the settings below, as a model card shows it."""
    quiet: bool = False
    """No progress."""
    json: bool = False
    """What was trained, as JSON."""


def train_vectors(run: "VectorsRun", options: VectorsOptions) -> int:
    """Word2Vec or GloVe, by the kind of run."""
    from triptych.recipes.train_vectors import train_vectors

    report = train_vectors(run, options.out, quiet=options.quiet)
    print(json.dumps(report.to_json()) if options.json else report)
    return 0
