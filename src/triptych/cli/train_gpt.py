"""triptych train gpt: from text to a generator."""

from dataclasses import dataclass, field
from functools import partial

from triptych.cli.common import Machine
from triptych.cli.training import RunFolderOptions, train
from triptych.recipes.gpt_run import GptRun


@dataclass(frozen=True, kw_only=True)
class Options(RunFolderOptions):
    """Train a generator. The same command again goes on where it stopped."""

    run: GptRun
    shard: bool = False
    """Processes that torchrun starts divide weights, gradients and optimizer states among
    themselves, for a model that does not fit one (FSDP2)."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train until the end or a signal, and tell how it ended."""
    from triptych.recipes.train_gpt import train_gpt

    recipe = partial(train_gpt, share=options.shard)
    return train(recipe, options.run, options, options.machine.choose())
