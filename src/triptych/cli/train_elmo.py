"""triptych train elmo: from text to vectors of words in their sentences."""

from dataclasses import dataclass, field

from triptych.cli.common import Machine
from triptych.cli.training import RunFolderOptions, train
from triptych.recipes.elmo_run import ElmoRun


@dataclass(frozen=True, kw_only=True)
class Options(RunFolderOptions):
    """Train ELMo. The same command again goes on where it stopped."""

    run: ElmoRun
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train until the end or a signal, and tell how it ended."""
    from triptych.recipes.train_elmo import train_elmo

    return train(train_elmo, options.run, options, options.machine.choose())
