"""The loop: take batches, update, validate, keep the best, and never lose anything."""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from triptych.errors import UsageError
from triptych.files.notices import notice
from triptych.files.sizes import human_bytes
from triptych.training.distributed import Processes
from triptych.training.holding import borrowed_weights, hold
from triptych.training.optimizer import make_optimizer, set_learning_rate
from triptych.training.progress import (
    ProgressLine,
    measure_peak_flops,
    peak_memory,
    reset_peak_memory,
)
from triptych.training.run_folder import Row, RunFolder
from triptych.training.settings import SMALLER_IS_BETTER, OptimizerSettings, TrainingSettings
from triptych.training.signals import StopRequest
from triptych.training.state import (
    Counters,
    gather_random_states,
    move_parts,
    read_state,
    restore_random_states,
    write_part,
    write_state,
)
from triptych.training.step import Means, Stepper
from triptych.training.task import Outcome, Task, Validation


class Trainer:
    """Trains `task.model` in `run`; goes on by itself from the newest checkpoint there."""

    def __init__(
        self,
        task: Task,
        run: RunFolder,
        settings: TrainingSettings,
        optimizer: OptimizerSettings,
        processes: Processes,
        quiet: bool = False,
        share: bool = False,
    ) -> None:
        """`share`: processes divide weights, gradients and optimizer states among themselves.

        Raises UsageError where an update has fewer batches than there are processes to share.
        """
        self.task, self.run_folder, self.settings = task, run, settings
        self.processes = processes
        self.quiet = quiet or not processes.is_first
        if processes.is_first and settings.accumulate < processes.world_size:
            notice(
                f"an update has {settings.accumulate} batches for {processes.world_size} "
                "processes, so some have nothing to do; give --accumulate "
                f"{processes.world_size} or more"
            )
        self.holding = hold(task.model, processes, share, settings.precision)
        if self.holding.is_shared and settings.accumulate < processes.world_size:
            raise UsageError(
                f"--accumulate is {settings.accumulate}, but {processes.world_size} processes "
                f"share a model and each needs a batch; give --accumulate {processes.world_size}"
            )
        self.model = self.holding.model
        self.optimizer = make_optimizer(self.model, optimizer, task.rate_factor)
        self.counters = Counters()
        self.stepper = Stepper(
            self.model,
            task.objective,
            processes,
            settings.precision,
            optimizer.clip_norm,
            terms=task.terms,
            holding=self.holding,
        )
        torch.manual_seed(settings.seed + 1000 * processes.rank)
        self._resume()

    def run(self) -> Outcome:
        """Train until the last update, the end of patience, or a signal.

        Raises DivergedError before an update with a value that is not finite; then the newest
        checkpoint is from before it.
        """
        peak = measure_peak_flops(self.processes.device, self.settings.precision)
        reset_peak_memory(self.processes.device)
        total, c = self.settings.max_updates, self.counters
        with (
            StopRequest() as stop,
            ProgressLine("train", total, self.counters.update, self.quiet) as line,
        ):
            if self._validation_is_due() and c.validated < c.update:
                self._validate(line)  # the run was stopped just before
            while self.counters.update < total and not self._out_of_patience():
                self._update(line, peak)
                if self._stop_agreed(stop):
                    self._save_checkpoint(self.holding.whole())
                    # Another process may have been asked, and this one not yet.
                    return self._outcome(stop.signal.name if stop.signal else "SIGTERM")
                if self._validation_is_due():
                    self._validate(line)
                elif self._is_due(self.settings.checkpoint_every):
                    self._save_checkpoint(self.holding.whole())
        return self._outcome("patience" if self._out_of_patience() else "max_updates")

    # -- one update --------------------------------------------------------------------------

    def _update(self, line: ProgressLine, peak: float) -> None:
        began = time.monotonic()
        batches = []
        mine = self.processes.share(self.settings.accumulate)
        for i in range(self.settings.accumulate):
            choice = next(self.task.source)
            if i in mine:  # at once: the source may cut its texts anew in the next epoch
                batches.append(self.task.source.load(choice))
        self.stepper.n_parts = self.counters.n_parts
        means = self.stepper.gradients(batches)
        self.counters.n_parts = self.stepper.n_parts
        rate = self.task.schedule(self.counters.update + 1)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.step()

        seconds = time.monotonic() - began
        self.counters.update += 1
        self.counters.tokens += means.n_tokens
        self.counters.seconds += seconds
        flops = sum(self.task.flops(batch) for batch in batches)
        self._log(means, rate, seconds, flops / seconds / peak, line)

    def _log(
        self, means: Means, rate: float, seconds: float, share: float, line: ProgressLine
    ) -> None:
        memory = peak_memory(self.processes.device)
        row = {
            "update": self.counters.update,
            "epoch": self.task.source.epoch,
            "tokens": self.counters.tokens,
            "loss": means.loss,
            **means.terms,
            "learning_rate": rate,
            "gradient_norm": means.gradient_norm,
            "tokens_per_second": means.n_tokens / seconds,
            "peak_share": share,
            "peak_memory": memory,
        }
        if self.processes.is_first:
            self._add_row(row)
        line.show(
            self.counters.update,
            f"loss {row['loss']:.3f}  {row['tokens_per_second']:,.0f} tokens/s  "
            f"{share:.0%} of peak  {human_bytes(memory)}  epoch {row['epoch']}",
        )

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.counters.update % every == 0

    def _validation_is_due(self) -> bool:
        is_last = self.counters.update == self.settings.max_updates
        return is_last or self._is_due(self.settings.validate_every)

    def _out_of_patience(self) -> bool:
        may_end = self.counters.validated > self.task.patience_after
        return may_end and self.counters.without_better >= self.settings.patience

    def _stop_agreed(self, stop: StopRequest) -> bool:
        """True in all processes as soon as one was asked to stop."""
        asked = torch.tensor([float(stop.signal is not None)])
        return self.processes.sum(asked).item() > 0

    # -- validation --------------------------------------------------------------------------

    def _validate(self, line: ProgressLine) -> None:
        """Save a checkpoint; then measure the mean of the last few, and keep it if it is best.

        The checkpoint is written twice: before the measuring, which may take long, and after
        it with the new counters, so that a resumed run does not measure again.
        """
        c = self.counters
        better = torch.zeros(2, dtype=torch.float64)
        with self.holding.on_device() as model:  # gathered once, where processes share it
            self._save_checkpoint(model)
            if self.processes.is_first:
                line.show(c.update, "validating")
                better = self._measure(model, line)
            value, is_better = self.processes.first(better).tolist()
            c.without_better = 0 if is_better else c.without_better + 1
            if is_better:
                c.best, c.best_update = value, c.update
            c.validated = c.update
            self._save_checkpoint(model)
        if self.processes.is_first:
            self.run_folder.keep_only(self._validated_folders())

    def _measure(self, model: nn.Module, line: ProgressLine) -> Tensor:
        """The value of the metric that selects, and whether it is the best so far: then the model
        is saved."""
        with self._averaged(model), torch.no_grad():
            model.eval()
            found = self.task.validate(model)
            model.train()
            value = self._selected(found)
            is_better = self._is_better(value, found.prefix)
            self.counters.prefix = found.prefix
            self._report(found, is_better, line)
            if is_better:
                self.task.save_model(self.run_folder.best, model, None)
        return torch.tensor([value, float(is_better)], dtype=torch.float64)

    def _selected(self, found: Validation) -> float:
        name = found.prefix + self.settings.select
        assert name in found.metrics, sorted(found.metrics)
        return float(found.metrics[name])

    def _is_better(self, value: float, prefix: str) -> bool:
        if self.counters.best is None or prefix != self.counters.prefix:
            return True
        if self.settings.select in SMALLER_IS_BETTER:
            return value < self.counters.best
        return value > self.counters.best

    def _report(self, found: Validation, is_best: bool, line: ProgressLine) -> None:
        c = self.counters
        metrics = {f"valid_{name}": value for name, value in found.metrics.items()}
        self._add_row(
            {"update": c.update, "epoch": self.task.source.epoch, "tokens": c.tokens,
             "seconds": round(c.seconds, 1), **metrics, "samples": found.samples}
        )  # fmt: skip
        self.run_folder.write_samples(lambda row: f"After {row['update']:,} updates")
        shown = "  ".join(f"{name} {value:.3f}" for name, value in found.metrics.items())
        line.say(f"update {c.update:,}: {shown}{'  (best so far)' if is_best else ''}")

    def _add_row(self, row: Row) -> None:
        self.run_folder.add_row(row)
        self.task.on_row(row)

    def _averaged(self, model: nn.Module) -> AbstractContextManager[None]:
        """The whole model with the mean of its last checkpoints, for as long as the block lasts."""
        folders = self._validated_folders()
        if len(folders) == 1:
            return nullcontext()
        return borrowed_weights(model, self.task.mean_weights(folders))

    # -- saving and going on -----------------------------------------------------------------

    def _validated_folders(self) -> list[Path]:
        """The checkpoints that are averaged: of the last validations, and of no other moment.

        So a run that was stopped in between averages what an unstopped one does.
        """
        every, last = self.settings.validate_every, self.settings.max_updates
        updates = self.run_folder.checkpoint_updates()
        folders = [self.run_folder.checkpoint(u) for u in updates if u % every == 0 or u == last]
        return folders[-self.settings.average :]

    def _save_checkpoint(self, model: nn.Module) -> None:
        random_states = gather_random_states(self.processes)
        if self.holding.is_shared:
            write_part(self.run_folder.parts, self.optimizer, self.processes)
            self.processes.wait()
        if self.processes.is_first:
            folder = self.run_folder.checkpoint(self.counters.update)

            def add_state(new: Path) -> None:
                source = self.task.source.state()
                write_state(new, self.counters, self.optimizer, random_states, source)
                if self.holding.is_shared:
                    move_parts(self.run_folder.parts, new, self.processes)

            self.task.save_model(folder, model, add_state)
            self.run_folder.link_last(folder)
        self.processes.wait()

    def _resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        folder = self.run_folder.newest_checkpoint() if self.processes.is_first else None
        self.processes.wait()
        if not self.processes.is_first:
            folder = self.run_folder.newest_checkpoint()
        if folder is None:
            if self.processes.is_first:
                self.run_folder.forget_after(0)
            return
        self.holding.load(self.task.mean_weights([folder]))
        self.counters, random_states, source = read_state(folder, self.optimizer)
        self.task.source.restore(source)
        if not restore_random_states(random_states, self.processes):
            notice("the run was saved by other processes: dropout goes on with new random numbers")
        if self.processes.is_first:
            self.run_folder.forget_after(self.counters.update)

    def _outcome(self, stopped_by: str) -> Outcome:
        c = self.counters
        return Outcome(c.update, c.best, c.best_update, stopped_by, c.prefix)
