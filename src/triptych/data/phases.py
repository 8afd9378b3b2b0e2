"""Several sources of batches one after another, each for a given number of batches."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from triptych.errors import DataError, UsageError


class Source(Protocol):
    """As `training.task.BatchSource`."""

    @property
    def epoch(self) -> int: ...
    def __next__(self) -> Any: ...
    def load(self, choice: Any) -> Any: ...
    def state(self) -> Mapping[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...


class PhasedBatches:
    """The first source for its number of batches, then the next; the last one has no end.

    BERT's two lengths of input are two phases (Devlin et al. 2018, appendix A.2).
    """

    def __init__(self, phases: Sequence[tuple[int, Source]]) -> None:
        """`phases`: (batches, source); the number of the last one does not matter."""
        if not phases:
            raise UsageError("there is no phase to draw batches from")
        self.sources = [source for _, source in phases]
        self.lengths = [n for n, _ in phases]
        self.drawn = 0

    @property
    def phase(self) -> int:
        """The phase that the next batch comes from, from 0."""
        return self._phase_of(self.drawn)

    @property
    def last_phase(self) -> int:
        """The phase that the last batch came from; before any, that of the first."""
        return self._phase_of(max(self.drawn - 1, 0))

    def _phase_of(self, batch: int) -> int:
        left = batch
        for number, length in enumerate(self.lengths[:-1]):
            if left < length:
                return number
            left -= length
        return len(self.sources) - 1

    @property
    def epoch(self) -> int:
        """Passes of the present phase over its corpus that are complete."""
        return self.sources[self.phase].epoch

    def __next__(self) -> tuple[int, Any]:
        phase = self.phase
        self.drawn += 1
        return phase, next(self.sources[phase])

    def load(self, choice: tuple[int, Any]) -> Any:
        """The batch of a choice, by the phase that it was drawn in."""
        phase, inner = choice
        return self.sources[phase].load(inner)

    def state(self) -> dict[str, Any]:
        """How many batches were drawn, and where each source is."""
        return {"drawn": self.drawn, "sources": [dict(source.state()) for source in self.sources]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises DataError for the state of other phases."""
        if len(state.get("sources", ())) != len(self.sources):
            raise DataError(
                f"the saved data position has {len(state.get('sources', ()))} phases, this run "
                f"{len(self.sources)}; use the same options, or start a fresh run"
            )
        for source, saved in zip(self.sources, state["sources"], strict=True):
            source.restore(saved)
        self.drawn = state["drawn"]
