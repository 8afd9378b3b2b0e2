"""triptych finetune classification: from labelled texts to a classifier."""

from dataclasses import dataclass, field
from pathlib import Path

from triptych.cli.common import Machine
from triptych.recipes.finetune_run import ClassificationRun


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fine-tune an encoder to label texts or pairs of texts.

    The same command again goes on where it stopped.
    """

    out: Path
    """The folder of the runs; its best/ is the model, its summary.json what was found."""
    config: Path | None = None
    """A TOML file with any of the settings below, as a run writes its run.toml."""
    fresh: bool = False
    """Start anew; a run that is there is renamed to OUT.1, OUT.2 …"""
    quiet: bool = False
    """No progress."""
    json: bool = False
    """What was found, as JSON."""
    run: ClassificationRun
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train every seed, until the end or a signal; 75 after SIGTERM and 130 after SIGINT."""
    from triptych.recipes.finetune import finetune, report

    summary = finetune(
        options.run,
        options.out,
        device=options.machine.choose(),
        fresh=options.fresh,
        quiet=options.quiet,
    )
    return report(summary, options.out, as_json=options.json)
