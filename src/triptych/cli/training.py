"""What the verbs that train a model in a run folder share."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.recipes.training_summary import Run


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
