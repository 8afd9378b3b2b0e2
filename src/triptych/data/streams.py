"""One epoch after another, without end; resumable at any batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from triptych.errors import DataError

Choice = TypeVar("Choice")
"""What names a batch before it is loaded, for instance the indices of its rows."""


class EpochStream(Generic[Choice]):
    """The choices of `draw(0)`, then those of `draw(1)`, and so on.

    The position is (epoch, batch), since `draw` depends on nothing but the number of the epoch and
    on what `identity` names: plain values that a saved position must share.
    """

    def __init__(
        self,
        draw: Callable[[int], Sequence[Choice]],
        identity: Mapping[str, Any],
        epoch: int = 0,
        position: int = 0,
    ) -> None:
        self._draw = draw
        self._identity = dict(identity)
        self._move_to(epoch, position)

    def __iter__(self) -> Iterator[Choice]:
        return self

    def __next__(self) -> Choice:
        if self.position == len(self._current):
            self._move_to(self.epoch + 1, 0)
        self.position += 1
        return self._current[self.position - 1]

    @property
    def n_batches(self) -> int:
        """Batches in the current epoch."""
        return len(self._current)

    def state(self) -> dict[str, Any]:
        """Where the stream is, and what its order depends on; plain values."""
        return {"epoch": self.epoch, "position": self.position, **self._identity}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises DataError where the corpus or options differ."""
        for name, value in self._identity.items():
            if state.get(name) != value:
                raise DataError(
                    f"the saved data position belongs to {name} {state.get(name)}, this run has "
                    f"{name} {value}; use the same data and options, or start a fresh run"
                )
        self._move_to(state["epoch"], state["position"])

    def _move_to(self, epoch: int, position: int) -> None:
        self.epoch = epoch
        self._current = self._draw(epoch)
        if not 0 <= position <= len(self._current):
            raise DataError(
                f"batch {position} of epoch {epoch} does not exist; it has {len(self._current)}"
            )
        self.position = position
