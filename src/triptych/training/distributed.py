"""One process or many: what each needs to know, and the two sums that they share."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from triptych.errors import UsageError

WAIT = timedelta(days=1)
"""How long a process waits for another: the first tokenises and validates for all, and NCCL's own
ten minutes are too few for that."""
SENT_BYTES = 64_000_000
"""Of gradients in one message, if a single one is not larger: enough to be fast, and little
beside the gradients themselves."""


@dataclass(frozen=True)
class Processes:
    """This process among `world_size`; with one, every sum is the value itself."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, n_items: int) -> range:
        """Which of n items are this process's: every world_size-th, beginning with its rank."""
        return range(self.rank, n_items, self.world_size)

    def sum(self, values: Tensor) -> Tensor:
        """The elementwise sum over all processes, where `values` lie.

        On the way they are on this process's device: NCCL moves nothing that lies on the CPU.
        """
        if self.world_size == 1:
            return values
        sent = values.to(self.device)
        dist.all_reduce(sent)
        return sent.to(values.device)

    def first(self, values: Tensor) -> Tensor:
        """What the first process holds, where `values` lie."""
        if self.world_size == 1:
            return values
        sent = values.to(self.device)
        dist.broadcast(sent, src=0)
        return sent.to(values.device)

    def gather(self, values: Tensor) -> list[Tensor]:
        """What each process holds, in the order of their ranks; all of one shape."""
        if self.world_size == 1:
            return [values]
        sent = values.to(self.device)
        parts = [torch.empty_like(sent) for _ in range(self.world_size)]
        dist.all_gather(parts, sent)
        return [part.to(values.device) for part in parts]

    def sum_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes, in messages of `SENT_BYTES`."""
        if self.world_size == 1:
            return
        for p in parameters:
            if p.grad is None:  # this process had nothing to do in this update
                p.grad = torch.zeros_like(p)
        gradients = [p.grad for p in parameters if p.grad is not None]
        for message in _messages(gradients):
            flat = torch.cat([gradient.flatten() for gradient in message])
            dist.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in message])
            for gradient, part in zip(message, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.world_size > 1:
            dist.barrier()


def _messages(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """In order, as many together as `SENT_BYTES` hold."""
    message: list[Tensor] = []
    n_bytes = 0
    for gradient in gradients:
        if message and n_bytes + gradient.nbytes > SENT_BYTES:
            yield message
            message, n_bytes = [], 0
        message.append(gradient)
        n_bytes += gradient.nbytes
    if message:
        yield message


def join_processes(device: str) -> Processes:
    """Join the others that `torchrun` started; alone when nothing says otherwise.

    NCCL between GPUs, gloo between CPUs. `cuda` is the GPU that `torchrun` gives this process.
    Raises UsageError for several processes on a GPU with a number.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    place = torch.device(device)
    if place.type == "cuda":
        if place.index is not None and world_size > 1:
            raise UsageError(
                f"--device {device} is one GPU for {world_size} processes; give --device cuda, "
                "and each takes its own"
            )
        if place.index is None:
            place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    if world_size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=WAIT)
    return Processes(rank, world_size, place)
