"""What a recipe hands to the trainer, and what the trainer hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from triptych.training.optimizer import same_rate
from triptych.training.run_folder import Row
from triptych.training.schedule import Schedule
from triptych.training.step import Batch, Objective

Weights = dict[str, Tensor]


class BatchSource(Protocol):
    """An endless stream of batches that can go on from where it was."""

    @property
    def epoch(self) -> int:
        """Passes over the corpus that are complete."""

    def __next__(self) -> Any: ...
    def load(self, choice: Any) -> Batch: ...
    def state(self) -> Mapping[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Validation:
    """What a validation found: metrics by name, and the same few items each time (markdown)."""

    metrics: Mapping[str, float]
    samples: list[str] = field(default_factory=list)
    prefix: str = ""
    """What stands before `select` in the name of the metric that now chooses the best: values
    with different prefixes were measured on different inputs and are never compared."""


@dataclass(frozen=True)
class Task:
    """What is trained: the parts of a run that belong to a family, handed in by a recipe."""

    model: nn.Module
    objective: Objective
    source: BatchSource
    validate: Callable[[nn.Module], Validation]
    save_model: Callable[[Path, nn.Module, Callable[[Path], None] | None], None]
    """Write a model folder; the last argument adds files to the same atomic step."""
    mean_weights: Callable[[list[Path]], Weights]
    """The mean of the weights in some model folders; of one, its own."""
    schedule: Schedule
    flops: Callable[[Any], float]
    """Floating-point operations of one batch, forward and backward, padding left out."""
    terms: tuple[str, ...] = ("nll",)
    """Names of the terms of the loss in the metrics, in the objective's order."""
    rate_factor: Callable[[str], float] = same_rate
    """By which the learning rate of a parameter is multiplied, by its name."""
    patience_after: int = 0
    """Validations up to this update never end the run: the first phase of two is not its end."""
    on_row: Callable[[Row], None] = lambda row: None
    """Called with each row of metrics (TensorBoard, curves)."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    updates: int
    best: float | None
    best_update: int
    stopped_by: str
    """"max_updates", "patience", "SIGTERM" or "SIGINT"."""
    prefix: str = ""
    """What stands before `select` in the name of the metric of which `best` is a value."""
