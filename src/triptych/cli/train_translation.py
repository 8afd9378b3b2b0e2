"""triptych train translation: from sentence pairs to a model folder."""

from dataclasses import dataclass, field

from triptych.cli.common import Machine
from triptych.cli.training import RunFolderOptions, train
from triptych.recipes.translation_run import TranslationRun


@dataclass(frozen=True, kw_only=True)
class Options(RunFolderOptions):
    """Train a translation model. The same command again goes on where it stopped."""

    run: TranslationRun
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train until the end or a signal, and tell how it ended."""
    from triptych.recipes.train_translation import train_translation

    return train(train_translation, options.run, options, options.machine.choose())
