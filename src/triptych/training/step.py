"""One update: gradients of a batch group, summed over micro-batches and processes."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from triptych.core.loss import LossSum
from triptych.errors import DivergedError, MachineError
from triptych.files.notices import notice
from triptych.training.distributed import Processes
from triptych.training.holding import Holding, WholeModel
from triptych.training.state import own_random_states, set_own_random_states


class Batch(Protocol):
    """A dataclass of tensors [B, …] that can be moved and counted."""

    @property
    def indices(self) -> Tensor:
        """The place of each row in the corpus [B]."""

    def __len__(self) -> int: ...
    def to(self, device: torch.device | str) -> Self: ...
    @property
    def n_tokens(self) -> int:
        """Tokens that count for the speed: of a translation, those of its target."""

    @property
    def n_targets(self) -> tuple[int, ...]:
        """Predictions of each term of the loss."""


Objective = Callable[[nn.Module, Any], tuple[LossSum, ...]]
"""The terms of a loss; each is divided by its own number of predictions over the whole update."""


class Means(NamedTuple):
    """Of one update, over all processes."""

    loss: float
    """The sum of the terms' means: what is minimized, nats."""
    terms: dict[str, float]
    """The mean of each term by its name, unsmoothed, nats."""
    n_tokens: int
    gradient_norm: float


@dataclasses.dataclass
class Stepper:
    """Computes gradients; `n_parts` is into how many pieces each batch is cut, and it only grows.

    When memory runs out, the pieces are halved and the update starts again from the same
    random state: the sum over pieces is the gradient of the whole batch.
    """

    model: nn.Module
    objective: Objective
    processes: Processes
    precision: str
    clip_norm: float
    n_parts: int = 1
    terms: tuple[str, ...] = ("nll",)
    """What the unsmoothed mean of each term of the loss is called."""
    holding: Holding | None = None
    """Who holds the model; every process all of it, if not said."""

    def __post_init__(self) -> None:
        self.held = self.holding or WholeModel(self.model, self.processes)
        self.suspect: Batch | None = None
        """Of the last update, the first piece of this process whose loss was not finite."""

    def gradients(self, batches: Sequence[Batch]) -> Means:
        """Leave in each parameter's `grad` that of the loss over all processes.

        Raises DivergedError, before anything is updated, if a loss or gradient is not finite;
        MachineError when not even single rows fit into memory.
        """
        counts = torch.zeros(1 + len(self.terms), dtype=torch.float64)
        for batch in batches:
            counts += torch.tensor([batch.n_tokens, *batch.n_targets], dtype=torch.float64)
        n_tokens, *totals = self.processes.sum(counts).tolist()
        means = self._with_halving(batches, [max(total, 1.0) for total in totals])
        smoothed, *terms = self.processes.sum(means).tolist()
        norm = self.held.clip(self.clip_norm or float("inf"))
        if not (abs(smoothed) < float("inf") and norm < float("inf")):
            raise DivergedError(_divergence(smoothed, norm, self.suspect, batches))
        return Means(smoothed, dict(zip(self.terms, terms, strict=True)), int(n_tokens), norm)

    def _with_halving(self, batches: Sequence[Batch], totals: Sequence[float]) -> Tensor:
        while True:
            random_states = own_random_states(self.processes.device)
            try:
                return self._accumulate(batches, totals)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.held.is_shared:  # the others are in the middle of a pass and cannot stop
                    raise MachineError(
                        "memory ran out where processes share a model; give a smaller "
                        "--batch-size and more --accumulate"
                    ) from error
                if self.n_parts >= max(len(batch) for batch in batches):
                    raise MachineError(
                        "not even one sentence at a time fits into memory; "
                        "use a smaller model or shorter sentences"
                    ) from error
            self.n_parts *= 2
            notice(
                f"memory ran out: each batch now goes through in {self.n_parts} parts, "
                "which changes nothing but the speed"
            )
            set_own_random_states(random_states, self.processes.device)
            if self.processes.device.type == "cuda":
                torch.cuda.empty_cache()

    def _accumulate(self, batches: Sequence[Batch], totals: Sequence[float]) -> Tensor:
        """This process's share of the loss, then of each term's mean [1 + terms]."""
        for p in self.model.parameters():
            p.grad = None
        device, self.suspect = self.processes.device, None
        means = torch.zeros(1 + len(self.terms), dtype=torch.float64)
        for part, counts in self._passes(batches):
            with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                terms = self.objective(self.model, part.to(device))
            pairs = list(zip(terms, totals, strict=True))
            loss = torch.stack([term.smoothed / total for term, total in pairs]).sum()
            (loss if counts else 0 * loss).backward()  # type: ignore[no-untyped-call]
            if counts:
                parts = [loss.detach(), *(term.nll / total for term, total in pairs)]
                shares = torch.stack(parts).double().cpu()
                means += shares
                if self.suspect is None and not shares[0].isfinite():
                    self.suspect = part
        return means

    def _passes(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, bool]]:
        """Each piece of each batch; then, where another process has more, the last one again,
        which does not count."""
        own = [part for batch in batches for part in split_rows(batch, self.n_parts)]
        n_idle = self.held.n_passes(len(own)) - len(own)
        yield from ((part, True) for part in own)
        yield from ((own[-1], False) for _ in range(n_idle))


def split_rows(batch: Any, n_parts: int) -> Iterator[Any]:
    """A batch cut along its rows into at most n_parts batches of nearly equal size."""
    if n_parts == 1:
        yield batch
        return
    fields = [field.name for field in dataclasses.fields(batch)]
    n_rows = -(-len(batch) // n_parts)
    for start in range(0, len(batch), n_rows):
        part = {name: getattr(batch, name)[start : start + n_rows] for name in fields}
        yield dataclasses.replace(batch, **part)


NO_MEMORY = ("can't allocate memory", "not enough memory", "could not create a primitive")
"""What torch says on a CPU; the last is oneDNN's, which does not say what it lacked."""
UNSUPPORTED = "could not create a primitive descriptor"
"""What oneDNN says of a product that it cannot do."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: Python's, CUDA's, or that of torch or oneDNN on a CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).replace(UNSUPPORTED, "")
    return any(words in text for words in NO_MEMORY)


def _divergence(loss: float, norm: float, suspect: Batch | None, batches: Sequence[Batch]) -> str:
    """What is wrong, and where: the piece whose own loss was wrong, else all of the update."""
    if suspect is not None:
        which = f"the batch with the pairs {_some_of(suspect)}"
    else:  # only the sum, or the gradient, or what another process computed
        which = "one of the batches with the pairs " + " and ".join(map(_some_of, batches))
    return (
        f"the loss is {loss} and the gradient's norm {norm} for {which}; nothing was updated, so "
        "look at these pairs (numbers in the run's data, from 0) or lower the learning rate"
    )


def _some_of(batch: Batch) -> str:
    numbers = [int(i) for i in batch.indices[:8]]
    return f"{numbers}{' …' if len(batch) > 8 else ''}"
