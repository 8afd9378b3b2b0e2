"""triptych train bert: from documents to a pretrained encoder."""

from dataclasses import dataclass, field

from triptych.cli.common import Machine
from triptych.cli.training import RunFolderOptions, train
from triptych.recipes.bert_run import BertRun


@dataclass(frozen=True, kw_only=True)
class Options(RunFolderOptions):
    """Pretrain an encoder. The same command again goes on where it stopped."""

    run: BertRun
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train until the end or a signal, and tell how it ended."""
    from triptych.recipes.train_bert import train_bert

    return train(train_bert, options.run, options, options.machine.choose())
