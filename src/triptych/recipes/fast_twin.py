"""What runs in a module's place: the module itself, or its fast twin where there is one."""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, Generic, TypeVar, cast

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from triptych.core.attention import MultiHeadAttention, fused_attention
from triptych.core.blocks import Block, CrossBlock
from triptych.core.feed_forward import FeedForward
from triptych.errors import UsageError
from triptych.files.notices import notice
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads
from triptych.runtime import packed
from triptych.runtime.attention import fast_attention
from triptych.runtime.encoder import FastBert
from triptych.runtime.encoder_decoder import FastEncoderDecoder
from triptych.runtime.gelu import FastActivation
from triptych.runtime.gpt import FastGpt
from triptych.runtime.packed import Precision

Version = tuple[int, list[tuple[int, int]]]
Running = TypeVar("Running")
"""What the module and its twin both do: a protocol, such as `generator_parts.Decoder`."""

TWINS: Mapping[type, Callable[[Any, Precision], Any]] = {
    Gpt: FastGpt,
    EncoderDecoder: FastEncoderDecoder,
}
"""Of copies of the weights, in a precision of their own; for a CPU."""

PLAIN_TWINS: Mapping[type, Callable[[Any], Any]] = {
    BertWithHeads: lambda model: FastBert(model.bert),
}
"""Of the weights as they are and copies of some, on any device."""


FEED_FORWARDS = FeedForward, FastActivation
"""The plain one, and what training makes of it."""


class _Steps:
    """How many steps optimizers have taken in this process: the fused ones of torch change weights
    without counting it at the weight."""

    taken = 0

    def count(self, *_: object) -> None:
        self.taken += 1


_STEPS = _Steps()
register_optimizer_step_post_hook(_STEPS.count)


class FastTwin(Generic[Running]):
    """`FastTwin(module, precision)()` is a twin of the module as it is now.

    It is made when it is first asked for, and again when a weight was replaced, moved or changed
    in place since. On a GPU what decodes does so itself, in float32 or bf16.
    """

    def __init__(self, module: Running, precision: Precision = "fp32") -> None:
        """Raises UsageError for int8 where there is no twin."""
        self.module = cast(Any, module)  # a torch module as well
        self.precision = precision
        if precision == "int8" and not on_cpu(self.module):
            raise UsageError("precision int8 is for a CPU; choose bf16, or --device cpu")
        if precision == "int8" and type(self.module) not in TWINS:
            raise UsageError(
                f"precision int8 is not there for a {type(self.module).__name__}; choose fp32"
            )
        if precision == "bf16" and not (on_cpu(self.module) and type(self.module) in TWINS):
            self.module.to(torch.bfloat16)
        self.twin: Running | None = None
        self.version: Version | None = None

    def __call__(self) -> Running:
        if not has_twin(self.module):
            self._say_what_decodes()
            return self.module  # type: ignore[no-any-return]
        version = version_of(self.module)
        if self.twin is None or version != self.version:
            self.twin, self.version = self._make(), version
        return self.twin

    def _make(self) -> Running:
        kind = type(self.module)
        if kind in PLAIN_TWINS:
            return PLAIN_TWINS[kind](self.module)  # type: ignore[no-any-return]
        return TWINS[kind](self.module, self.precision)  # type: ignore[no-any-return]

    def _say_what_decodes(self) -> None:
        """Where smaller weights were asked for, and somebody looks in."""
        if self.precision != "fp32" and on_cpu(self.module) and type(self.module) in TWINS:
            notice(
                f"the module has hooks or parts that its {self.precision} twin does not know, so "
                "it decodes itself, with the weights that it has",
                key="a module in its twin's place",
            )


def on_cpu(module: Any) -> bool:
    first: torch.Tensor = next(module.parameters())
    return first.device.type == "cpu"


def has_twin(module: Any) -> bool:
    """Whether `runtime/` knows all of it: of a known class with its own parts, on a CPU if it
    decodes, and nobody looking in or changing how it attends (`inspection.record`, hooks)."""
    is_known = type(module) in PLAIN_TWINS or (type(module) in TWINS and on_cpu(module))
    return is_known and all(map(_is_known, module.modules()))


def _is_known(part: nn.Module) -> bool:
    if part._forward_hooks or part._forward_pre_hooks:
        return False
    if isinstance(part, MultiHeadAttention):
        return part.attend in (fused_attention, fast_attention)
    if isinstance(part, nn.ModuleList):  # the stacks of blocks
        return all(type(block) in (Block, CrossBlock) for block in part)
    return not isinstance(part, Block | CrossBlock) or type(part.feed_forward) in FEED_FORWARDS


def version_of(module: nn.Module) -> Version:
    """Changes with every change of a weight or buffer that torch counts, and with every optimizer's
    step: all but what is done through `.data`. Reading the weights themselves would take longer
    than a text.
    """
    held = chain(module.parameters(), module.buffers())
    return _STEPS.taken, [packed.version_of(weight) for weight in held]
