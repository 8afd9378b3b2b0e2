"""Sources one after another."""

import pytest

from triptych.data.phases import PhasedBatches
from triptych.data.streams import EpochStream
from triptych.errors import DataError, UsageError


class Letters(EpochStream[str]):
    """The batches a0, a1, a2; then b0 …, an epoch a letter."""

    def __init__(self, name: str) -> None:
        super().__init__(lambda n: [f"{name}{n}.{i}" for i in range(3)], {"name": name})

    def load(self, choice: str) -> str:
        return choice.upper()


def made() -> PhasedBatches:
    return PhasedBatches([(4, Letters("a")), (2, Letters("b")), (0, Letters("c"))])


def test_each_source_has_its_number_and_the_last_no_end() -> None:
    source = made()
    found = [source.load(next(source)) for _ in range(10)]
    assert found == ["A0.0", "A0.1", "A0.2", "A1.0", "B0.0", "B0.1", "C0.0", "C0.1", "C0.2", "C1.0"]


def test_the_phase_of_the_last_batch_and_of_the_next() -> None:
    source, found = made(), []
    for _ in range(8):
        found.append((source.last_phase, source.phase))
        next(source)
    assert found == [(0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]


@pytest.mark.parametrize("stop", range(10))
def test_it_goes_on_where_it_was(stop: int) -> None:
    whole, source = made(), made()
    expected = [next(whole) for _ in range(12)]
    for _ in range(stop):
        next(source)
    again = made()
    again.restore(source.state())
    assert again.epoch == source.epoch
    assert [next(again) for _ in range(12 - stop)] == expected[stop:]


def test_other_phases_are_refused() -> None:
    with pytest.raises(DataError, match="has 3 phases, this run 1"):
        PhasedBatches([(0, Letters("a"))]).restore(made().state())
    with pytest.raises(UsageError, match="no phase"):
        PhasedBatches([])
