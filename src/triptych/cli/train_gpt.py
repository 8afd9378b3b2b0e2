"""triptych train gpt: from text to a generator."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from triptych.cli.common import Machine
from triptych.recipes.gpt_run import GptRun


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train a generator. The same command again goes on where it stopped."""

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
    run: GptRun
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train until the end or a signal; 75 after SIGTERM and 130 after SIGINT, both saved."""
    from triptych.recipes.train_gpt import train_gpt
    from triptych.recipes.training_summary import exit_status, summary_json, summary_text

    outcome = train_gpt(
        options.run,
        options.out,
        device=options.machine.choose(),
        fresh=options.fresh,
        quiet=options.quiet,
    )
    if int(os.environ.get("RANK", "0")) == 0:
        show = summary_json if options.json else summary_text
        print(show(outcome, options.out, options.run))
    return exit_status(outcome)
