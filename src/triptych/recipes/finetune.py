"""Fine-tune an encoder (Devlin et al. 2018, §4) with several seeds: files to the best model.

RUN/run.toml         everything needed to repeat it
RUN/seed-1 …         one run folder a seed: run.toml, metrics.jsonl, checkpoints/, best/
RUN/best             the model of the seed that is best on the validation set
RUN/summary.json     every seed's metrics, their median and spread
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import nn

from triptych import checkpoint
from triptych.config import to_toml
from triptych.data.finetuning_batches import FinetuningBatch, FinetuningBatches
from triptych.errors import DivergedError, UsageError
from triptych.files.atomic import write_file
from triptych.files.notices import notice
from triptych.models.heads import BertWithHeads
from triptych.recipes.collapse import watching
from triptych.recipes.finetune_answers import answer_task
from triptych.recipes.finetune_run import (
    AnswerRun,
    ClassificationRun,
    FinetuneRun,
    RegressionRun,
    TaggingRun,
)
from triptych.recipes.finetune_summary import (
    FinetuneSummary,
    SeedResult,
    seed_result,
    summarize,
    summary_json,
    summary_text,
)
from triptych.recipes.finetune_tagging import tagging_task
from triptych.recipes.finetune_task import FinetuneTask, HeadValidation
from triptych.recipes.finetune_texts import classification_task, regression_task
from triptych.recipes.finetune_weights import load_start, make_model, rate_factor
from triptych.recipes.model_card import finetune_card
from triptych.recipes.run_curves import draw_curves
from triptych.recipes.run_start import check_same_run, start_run
from triptych.recipes.training_summary import STOPPED, exit_status
from triptych.runtime.training import use_fast_training
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.distributed import Processes
from triptych.training.run_folder import RunFolder
from triptych.training.schedule import make_schedule
from triptych.training.task import Outcome, Task
from triptych.training.trainer import Trainer


def finetune(
    run: FinetuneRun, out: Path, *, device: str = "cpu", fresh: bool = False, quiet: bool = False
) -> FinetuneSummary:
    """Train every seed in the folder `out`, or go on with the run that is there.

    Raises ConfigError if the run there has another configuration (`fresh` moves it aside),
    DataError with file and line for examples that cannot be used.
    """
    start, tokenizer = load_start(run)
    task = make_task(run, tokenizer)
    return start_run(
        out,
        device,
        fresh,
        lambda: check_same_run(run, out),
        lambda processes: _Seeds(run, out, start, tokenizer, task).train(processes, quiet),
    )


def make_task(run: FinetuneRun, tokenizer: WordPiece) -> FinetuneTask:
    """The examples of a run, by its kind. Raises DataError, UsageError for standard input."""
    if "-" in run.data.train + run.data.valid:
        raise UsageError("fine-tuning reads its examples from files: give a file instead of '-'")
    if isinstance(run, ClassificationRun):
        return classification_task(run, tokenizer)
    if isinstance(run, RegressionRun):
        return regression_task(run, tokenizer)
    if isinstance(run, TaggingRun):
        return tagging_task(run, tokenizer)
    assert isinstance(run, AnswerRun), type(run)
    return answer_task(run, tokenizer)


def report(summary: FinetuneSummary, out: Path, *, as_json: bool) -> int:
    """Print what was found, in the first process; gives the exit status."""
    if int(os.environ.get("RANK", "0")) == 0:
        print(summary_json(summary, out) if as_json else summary_text(summary, out))
    return exit_status(summary)


class _Seeds:
    """One task, trained from the same start with one seed after the other."""

    def __init__(
        self,
        run: FinetuneRun,
        out: Path,
        start: BertWithHeads,
        tokenizer: WordPiece,
        task: FinetuneTask,
    ) -> None:
        self.run, self.out, self.start = run, out, start
        self.tokenizer, self.task = tokenizer, task
        self.updates = run.training.epochs * -(-len(task.train) // run.data.batch_size)

    def train(self, processes: Processes, quiet: bool) -> FinetuneSummary:
        """All seeds, until the end or a signal. One that diverges is left out.

        Raises DivergedError if all did.
        """
        first = self.run.training.seed
        results: list[SeedResult] = []
        diverged: dict[int, DivergedError] = {}
        stopped_by = "max_updates"
        for seed in range(first, first + self.run.training.seeds):
            folder = self.out / f"seed-{seed}"
            try:
                outcome = self._train_seed(seed, folder, processes, quiet)
            except DivergedError as error:
                diverged[seed] = error
                notice(f"seed {seed} is left out: {error}")
                continue
            if outcome.best is not None:
                rows = RunFolder(folder).rows()
                results.append(seed_result(seed, outcome, rows, self.task, self.updates))
            if outcome.stopped_by in STOPPED:
                stopped_by = outcome.stopped_by
                break
        if len(diverged) == self.run.training.seeds:
            raise diverged[first]
        summary = summarize(results, self.task, self.run, stopped_by, tuple(diverged))
        if processes.is_first and results:
            _link(self.out / "best", f"seed-{summary.best.seed}/best")
            write_file(self.out / "summary.json", json.dumps(summary.to_json(), indent=1) + "\n")
        return summary

    def _train_seed(self, seed: int, folder: Path, processes: Processes, quiet: bool) -> Outcome:
        run = replace(self.run, training=replace(self.run.training, seed=seed, seeds=1))
        if processes.is_first:
            write_file(folder / "run.toml", to_toml(run))
        task = self.task
        model = make_model(run, self.start, task.heads, task.labels)
        use_fast_training(model.to(processes.device))
        trunk = model.config.trunk
        settings = run.training.settings(self.updates, task.select)
        optimizer = run.training.optimizer(self.updates)
        trained = Task(
            model=model,
            objective=task.objective,
            source=FinetuningBatches(task.train, trunk.pad_id, run.data.batch_size, seed),
            validate=HeadValidation(task, trunk.pad_id, processes.device),
            save_model=self._saver(run, folder),
            mean_weights=checkpoint.average_weights,
            schedule=make_schedule(optimizer, run.training.learning_rate, self.updates),
            flops=lambda batch: encoder_flops(model, batch),
            rate_factor=rate_factor(trunk, run.weights.layer_decay),
            on_row=watching(folder, f"seed {seed}", task.guess_loss, self.updates),
        )
        run_folder = RunFolder(folder)
        outcome = Trainer(trained, run_folder, settings, optimizer, processes, quiet).run()
        if processes.is_first and outcome.best is not None:
            draw_curves(folder, task.panels)
        return outcome

    def _saver(
        self, run: FinetuneRun, folder: Path
    ) -> Callable[[Path, nn.Module, Callable[[Path], None] | None], None]:
        def save(place: Path, model: nn.Module, also: Callable[[Path], None] | None) -> None:
            assert isinstance(model, BertWithHeads)
            card = finetune_card(self.task.kind, run, folder, model)
            checkpoint.save_folder(
                place, model, self.tokenizer, extras=self.task.extras, card=card, also=also
            )

        return save


def encoder_flops(model: BertWithHeads, batch: FinetuningBatch) -> float:
    """Forward and backward of one batch, real tokens only: 6 · (weights · tokens) and attention."""
    c = model.config.trunk
    lengths = batch.valid.sum(dim=1).double()  # [B]
    weights = float(lengths.sum()) * c.n_layers * (4 * c.d_model**2 + 2 * c.d_model * c.d_ff)
    return 6 * weights + 12 * c.d_model * c.n_layers * float((lengths**2).sum())


def _link(link: Path, target: str) -> None:
    """Make a name for a folder beside it, in one step."""
    new = link.with_name(f".{link.name}-{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(target, target_is_directory=True)
    os.replace(new, link)
