"""triptych train gpt: from text to a generator."""

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from triptych.cli.common import Machine
from triptych.cli.training import RunFolderOptions, train
from triptych.config import Range
from triptych.recipes.gpt_run import GptRun


@dataclass(frozen=True, kw_only=True)
class Options(RunFolderOptions):
    """Train a generator. The same command again goes on where it stopped."""

    run: GptRun
    shard: bool = False
    """Processes that torchrun starts divide weights, gradients and optimizer states among
    themselves, for a model that does not fit one (FSDP2)."""
    processes: Annotated[int, Range(1)] = 1
    """That tokenise the text, before training; they change the speed and nothing else."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train until the end or a signal, and tell how it ended."""
    from triptych.recipes.train_gpt import train_gpt

    recipe = partial(train_gpt, share=options.shard, n_processes=options.processes)
    return train(recipe, options.run, options, options.machine.choose())
