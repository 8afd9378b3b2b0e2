"""Record the attention weights of whatever a model computes inside a `with` block.

    with record(model) as tape:
        model(source_ids, source_valid, target_ids)
    tape.weights["decoder.3.cross_attention"]  # one [B, H, T, S] for each call

For the time of the block each attention uses the equation as written, which has weights to show,
in place of its fused twin, which never has them. The results are the same (to rounding); it is
slower and needs the memory of the weights.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention, attention
from triptych.errors import UsageError


@dataclass(frozen=True)
class Tape:
    """What was recorded: for each attention's path in the model, the weights of each call.

    A tensor is [B, H, T, S], without its gradient, on the model's device; `weights` before
    dropout, so each row sums to 1.
    """

    weights: dict[str, list[Tensor]] = field(default_factory=dict)


@contextmanager
def record(model: nn.Module) -> Iterator[Tape]:
    """Give a tape that fills while `model` runs; the model is as before afterwards, errors or not.

    Raises UsageError for a model without any MultiHeadAttention.
    """
    modules = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, MultiHeadAttention)
    }
    if not modules:
        raise UsageError(
            f"{type(model).__name__} has no MultiHeadAttention to record; pass the plain torch"
            " module (of a loaded model: its .module)."
        )
    tape = Tape()
    with ExitStack() as undo:
        for path, module in modules.items():
            _attach(path, module, tape, undo)
        yield tape


def _attach(path: str, module: MultiHeadAttention, tape: Tape, undo: ExitStack) -> None:
    def keep(tap: nn.Module, inputs: Any, output: Tensor) -> None:
        tape.weights.setdefault(path, []).append(output.detach())

    undo.callback(setattr, module, "attend", module.attend)
    undo.callback(module.weights.register_forward_hook(keep).remove)
    module.attend = attention
