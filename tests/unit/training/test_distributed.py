"""What travels between processes lies on their device, whatever it was made on."""

from typing import Any

import pytest
import torch

from triptych.core.loss import LossSum
from triptych.errors import UsageError
from triptych.training import distributed
from triptych.training.distributed import Processes, join_processes
from triptych.training.state import gather_random_states, restore_random_states
from triptych.training.step import Stepper


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


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is asked of torch when processes join; `WORLD_SIZE` is 2 and this is the second."""
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: asked.append(str(device)))
    monkeypatch.setattr(
        distributed.dist, "init_process_group", lambda kind, timeout: asked.append((kind, timeout))
    )
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    return asked


def test_processes_wait_for_the_first_as_long_as_it_prepares(joined: list[Any]) -> None:
    assert join_processes("cuda").device == torch.device("cuda", 1)
    assert join_processes("cpu").device == torch.device("cpu")
    device, (nccl, patience), (gloo, _) = joined
    assert (device, nccl, gloo) == ("cuda:1", "nccl", "gloo")
    assert patience.total_seconds() > 6 * 3600


def test_a_gpu_with_a_number_is_the_one_taken_and_for_one_process(
    joined: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="cuda:3 is one GPU for 2 processes"):
        join_processes("cuda:3")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_processes("cuda:3").device == torch.device("cuda", 3)
    assert joined == ["cuda:3"]  # else random states and memory would be those of GPU 0


class Gpu:
    """Stands in for the generators of the GPUs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states = {torch.device("cuda", n): torch.tensor([n, 0]) for n in range(3)}
        monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: self.states[device].clone())
        monkeypatch.setattr(torch.cuda, "set_rng_state", self.set)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    def set(self, state: torch.Tensor, device: torch.device) -> None:
        self.states[device] = state


def test_the_random_state_is_that_of_the_gpu_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, alone = Gpu(monkeypatch), Processes(device=torch.device("cuda", 2))
    saved = gather_random_states(alone)
    assert saved["cuda.0"].tolist() == [2, 0]
    gpu.states[alone.device] = torch.tensor([9, 9])
    assert restore_random_states(saved, alone)
    assert gpu.states[alone.device].tolist() == [2, 0]
    assert gpu.states[torch.device("cuda", 0)].tolist() == [0, 0]
    assert not restore_random_states({"cpu.0": saved["cpu.0"]}, alone)


def test_an_update_that_ran_out_of_memory_begins_again_from_the_same_random_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, place = Gpu(monkeypatch), torch.device("cuda", 2)

    class OutOfMemoryOnce(Stepper):
        def _accumulate(self, batches: Any, totals: Any) -> torch.Tensor:
            if self.n_parts == 1:
                gpu.states[place] = torch.tensor([5, 5])  # dropout has drawn
                raise torch.OutOfMemoryError
            return gpu.states[place]

    stepper = OutOfMemoryOnce(
        torch.nn.Linear(1, 1), lambda model, batch: (LossSum(*[torch.zeros(())] * 2, 1),),
        Processes(device=place), "fp32", 0.0,
    )  # fmt: skip
    assert stepper._with_halving([range(4)], [1.0]).tolist() == [2, 0]  # type: ignore[list-item]
