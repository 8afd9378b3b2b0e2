"""What decodes in a module's place: the module itself, or its fast twin where there is one."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from triptych.errors import UsageError
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.runtime.encoder_decoder import FastEncoderDecoder
from triptych.runtime.gpt import FastGpt
from triptych.runtime.packed import Precision

Version = tuple[int, list[tuple[int, int]]]
Decoding = TypeVar("Decoding")
"""What the module and its twin both do: a protocol, such as `generator_parts.Decoder`."""

TWINS: Mapping[type, Callable[[Any, Precision], Any]] = {
    Gpt: FastGpt,
    EncoderDecoder: FastEncoderDecoder,
}


class _Steps:
    """How many steps optimizers have taken in this process: the fused ones of torch change weights
    without counting it at the weight."""

    taken = 0

    def count(self, *_: object) -> None:
        self.taken += 1


_STEPS = _Steps()
register_optimizer_step_post_hook(_STEPS.count)


class FastTwin(Generic[Decoding]):
    """`FastTwin(module, precision)()` is a twin of the module as it is now.

    It is made when it is first asked for, and again when a weight was replaced or changed in
    place since. On a GPU the module decodes itself, in float32 or bf16.
    """

    def __init__(self, module: Decoding, precision: Precision = "fp32") -> None:
        """Raises UsageError for int8 on a GPU."""
        self.module: Any = module
        self.precision = precision
        if not has_twin(self.module) and precision == "int8":
            raise UsageError("precision int8 is for a CPU; choose bf16, or --device cpu")
        if not has_twin(self.module) and precision == "bf16":
            self.module.to(torch.bfloat16)
        self.twin: Decoding | None = None
        self.version: Version | None = None

    def __call__(self) -> Decoding:
        if not has_twin(self.module):
            return self.module  # type: ignore[no-any-return]
        version = version_of(self.module)
        if self.twin is None or version != self.version:
            self.twin, self.version = TWINS[type(self.module)](self.module, self.precision), version
        return self.twin


def has_twin(module: Any) -> bool:
    """Whether it is of a class that `runtime/` knows, on a CPU."""
    return type(module) in TWINS and next(module.parameters()).device.type == "cpu"


def version_of(module: nn.Module) -> Version:
    """Changes with every change of a weight that torch counts, and with every optimizer's step: all
    but what is done through `.data`. Reading the weights themselves would take longer than a text.
    """
    counts = [(p.data_ptr(), 0 if p.is_inference() else p._version) for p in module.parameters()]
    return _STEPS.taken, counts
