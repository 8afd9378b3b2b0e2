"""What travels between processes lies on their device, whatever it was made on."""

import pytest
import torch

from triptych.training import distributed
from triptych.training.distributed import Processes


class Elsewhere(torch.Tensor):
    """A tensor that was moved with `.to(device)`."""


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Two processes whose communication takes only moved tensors, as NCCL does."""
    move = torch.Tensor.to

    def to(self: torch.Tensor, device: object) -> torch.Tensor:
        moved = move(self, "cpu").clone()
        return moved.as_subclass(Elsewhere if device == torch.device("cpu", 7) else torch.Tensor)

    def all_reduce(values: torch.Tensor) -> None:
        assert isinstance(values, Elsewhere)
        values.mul_(2)

    def broadcast(values: torch.Tensor, src: int) -> None:
        assert isinstance(values, Elsewhere)
        values.add_(1)

    def all_gather(parts: list[torch.Tensor], values: torch.Tensor) -> None:
        assert all(isinstance(part, Elsewhere) for part in [*parts, values])
        for part in parts:
            part.copy_(values)

    monkeypatch.setattr(torch.Tensor, "to", to)
    for function in (all_reduce, broadcast, all_gather):
        monkeypatch.setattr(distributed.dist, function.__name__, function)
    return Processes(rank=0, world_size=2, device=torch.device("cpu", 7))


def test_values_travel_on_the_device_and_come_back(two: Processes) -> None:
    values = torch.tensor([1.0, 2.0])
    for found, expected in (
        (two.sum(values), [2.0, 4.0]),
        (two.first(values), [2.0, 3.0]),
        (two.gather(values)[1], [1.0, 2.0]),
    ):
        assert type(found) is torch.Tensor
        assert found.tolist() == expected
    assert values.tolist() == [1.0, 2.0]


def test_one_process_sends_nothing() -> None:
    values = torch.tensor([1.0])
    alone = Processes()
    assert alone.sum(values) is alone.first(values) is alone.gather(values)[0] is values
