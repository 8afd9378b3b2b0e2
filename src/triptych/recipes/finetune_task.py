"""What one kind of fine-tuning hands to the runs of its seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from triptych.data.finetuning_batches import LabelledInput, collate_inputs
from triptych.errors import DataError
from triptych.files.notices import notice
from triptych.recipes.run_curves import Panels
from triptych.training.objectives import HeadObjective
from triptych.training.task import Validation

Output = npt.NDArray[np.float32]
"""What a head says of one input: [K], a value [], [T, K] or [T, 2]."""

DISTINCT = "distinct_predictions"
"""The metric that shows a constant prediction."""
VALID_ROWS = 64
N_SAMPLES = 5


@dataclass(frozen=True, kw_only=True)
class FinetuneTask:
    """One task with its examples, ready for any seed."""

    kind: str
    """classification, regression, tagging or qa."""
    heads: tuple[str, ...]
    labels: tuple[str, ...]
    """As `BertWithHeadsConfig` has them."""
    train: list[LabelledInput]
    valid: list[LabelledInput]
    objective: HeadObjective
    measure: Callable[[list[Output]], Validation]
    """Metrics and samples from the outputs for `valid`, in order."""
    select: str
    """The metric that chooses the best model."""
    guess_loss: float
    """The training loss of the best constant guess."""
    panels: Panels
    extras: dict[str, Any]
    """For the "triptych" section of config.json."""


class HeadValidation:
    """Loss and metrics over all validation inputs."""

    def __init__(self, task: FinetuneTask, pad_id: int, device: torch.device) -> None:
        self.task, self.pad_id, self.device = task, pad_id, device

    def __call__(self, model: nn.Module) -> Validation:
        """Measure a model that is in evaluation mode."""
        inputs, objective = self.task.valid, self.task.objective
        outputs: list[Output] = [np.empty(0, dtype=np.float32)] * len(inputs)
        loss = n = 0.0
        order = sorted(range(len(inputs)), key=lambda i: -len(inputs[i].token_ids))
        for start in range(0, len(order), VALID_ROWS):
            rows = order[start : start + VALID_ROWS]
            batch = collate_inputs([inputs[i] for i in rows], rows, self.pad_id).to(self.device)
            read = objective.read(model, batch)
            summed = objective.loss(read, batch.labels)
            loss += float(summed.nll)
            n += summed.n_tokens
            for row, output in zip(rows, read.cpu().numpy(), strict=True):
                outputs[row] = output[: len(inputs[row].token_ids)] if output.ndim > 1 else output
        found = self.task.measure(outputs)
        return Validation({"loss": loss / max(1.0, n), **found.metrics}, found.samples)


def entropy(counts: Sequence[int]) -> float:
    """−Σ p log p of labels that occur so often, nats: the loss of guessing by their shares."""
    p = np.array([count for count in counts if count]) / sum(counts)
    return float(-(p * np.log(p)).sum())


def held_out(n: int, every: int, name: str) -> tuple[list[int], list[int]]:
    """The numbers of n examples that train and that validate: every n-th one is held out.

    Raises DataError where too few are there.
    """
    if n < every:
        raise DataError(
            f"{name}: {n} examples, of which every {every}th cannot be held out; give --valid, or "
            "a smaller --holdout-every"
        )
    valid = [i for i in range(n) if i % every == every - 1]
    notice(f"no --valid: every {every}th example is held out, {len(valid):,} of {n:,}")
    return [i for i in range(n) if i % every != every - 1], valid
