"""Who holds a model's weights, gradients and optimizer states: each process all, or its share.

`WholeModel` is data parallel training: gradients are added up. `SharedModel` is
fully sharded: each process holds an n-th of everything and gathers the rest while it computes
(Rajbhandari et al. 2020, ZeRO stage 3; torch's FSDP2).
"""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.feed_forward import FeedForward
from triptych.files.notices import notice
from triptych.training.distributed import Processes

GATHERED_TOGETHER = (MultiHeadAttention, FeedForward)
"""Whose weights come and go as one: all products of a block. Norms and embeddings are gathered
with the model, for a whole pass, and stay float32."""
NORM_EPS = 1e-6
"""Added to the norm that divides, as torch's own clipping does."""


class Holding(Protocol):
    """What the trainer needs of a model, however it is held. Every process calls each of these."""

    model: nn.Module
    """The one that is trained."""
    is_shared: bool

    def n_passes(self, n_own: int) -> int:
        """How often each process must go through the model in an update."""

    def clip(self, limit: float) -> float:
        """Add up gradients over processes, cut their norm to the limit, and return it as it was."""

    def whole(self) -> nn.Module:
        """The model with all its weights, in the first process; elsewhere not to be used."""

    def on_device(self) -> AbstractContextManager[nn.Module]:
        """`whole`, for as long as the block lasts, where it computes."""

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights, all of them."""


class WholeModel:
    """Every process has all of it."""

    is_shared = False

    def __init__(self, model: nn.Module, processes: Processes) -> None:
        self.model = model
        self.processes = processes

    def n_passes(self, n_own: int) -> int:
        return n_own

    def clip(self, limit: float) -> float:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.processes.sum_gradients(parameters)
        return float(nn.utils.clip_grad_norm_(parameters, limit, foreach=True))

    def whole(self) -> nn.Module:
        return self.model

    @contextmanager
    def on_device(self) -> Iterator[nn.Module]:
        yield self.model

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self.model.load_state_dict(weights)


class SharedModel:
    """Every process has its share: of each parameter, some rows."""

    is_shared = True

    def __init__(self, model: nn.Module, processes: Processes, precision: str) -> None:
        self.processes = processes
        self.twin = copy.deepcopy(model).cpu() if processes.is_first else model
        self.model = shard_model(model, processes, precision)

    def n_passes(self, n_own: int) -> int:
        """The most of any process: weights are gathered from all, so all must go through."""
        return max(int(n) for n in self.processes.gather(torch.tensor(n_own)))

    def clip(self, limit: float) -> float:
        """Gradients were added up on the way back, each process has its rows of them."""
        gradients = [own_part(p.grad) for p in self.model.parameters() if p.grad is not None]
        squares = torch.stack([(gradient.float() ** 2).sum() for gradient in gradients])
        norm = float(self.processes.sum(squares.double().sum()).sqrt())
        if norm > limit:
            torch._foreach_mul_(gradients, limit / (norm + NORM_EPS))
        return norm

    def whole(self) -> nn.Module:
        state = self.twin.state_dict() if self.processes.is_first else {}
        for name, value in self.model.state_dict().items():
            gathered = whole_tensor(value)
            if self.processes.is_first:
                state[name].copy_(gathered)
        return self.twin

    @contextmanager
    def on_device(self) -> Iterator[nn.Module]:
        twin = self.whole()
        if not self.processes.is_first:
            yield twin
            return
        twin.to(self.processes.device)
        try:
            yield twin
        finally:
            twin.cpu()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        for name, value in self.model.state_dict().items():
            own_part(value).copy_(own_part(as_held(weights[name], value)))


def hold(model: nn.Module, processes: Processes, share: bool, precision: str) -> Holding:
    """Shared where it is asked for and there is another process to share with; where there is
    none, that is said."""
    if share and processes.world_size > 1:
        return SharedModel(model, processes, precision)
    if share:
        notice(
            "--shard has nothing to do for one process, which holds the whole model; start several "
            "with torchrun --nproc-per-node N --no-python triptych …"
        )
    return WholeModel(model.to(processes.device), processes)


@contextmanager
def borrowed_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """A whole model with other weights, for as long as the block lasts."""
    own = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    try:
        yield
    finally:
        model.load_state_dict(own)


def is_shared(tensor: Tensor) -> bool:
    """Whether only a part of it lies in this process: it is a DTensor, whose module takes seconds
    to import."""
    return hasattr(tensor, "to_local")


def own_part(tensor: Tensor) -> Tensor:
    """What of a tensor lies in this process."""
    shared: Any = tensor
    part: Tensor = shared.to_local() if is_shared(tensor) else tensor
    return part


def whole_tensor(tensor: Tensor) -> Tensor:
    """All of a tensor, in every process; each must ask."""
    shared: Any = tensor
    whole: Tensor = shared.full_tensor() if is_shared(tensor) else tensor
    return whole


def as_held(whole: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, the same in every process, as `like` is held: cut into rows, or not."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor):
        return whole.to(like.device)
    placed = whole.to(like.device_mesh.device_type)
    return distribute_tensor(placed, like.device_mesh, like.placements, src_data_rank=None)


def whole_of(parts: Sequence[Tensor]) -> Tensor:
    """The whole of what each process held, in the order of their ranks: rows, one after another."""
    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


def shard_model(model: nn.Module, processes: Processes, precision: str) -> nn.Module:
    """The same module, in place, each parameter cut into rows.

    In bf16 products gather their weights in bf16, which is what autocast makes of them; sums of
    gradients are float32.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    # What attention and feed-forward return is only ever added, never changed in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
    mesh = init_device_mesh(processes.device.type, (processes.world_size,))
    policy = MixedPrecisionPolicy()
    if precision == "bf16":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    for part in list(model.modules()):
        if isinstance(part, GATHERED_TOGETHER):
            fully_shard(part, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)  # the loss is divided by tokens already
            part.set_force_sum_reduction_for_comms(True)
    return model
