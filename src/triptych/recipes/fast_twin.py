"""What decodes in a generator's place: the module itself, or its fast twin where there is one."""

from typing import TypeGuard

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from triptych.errors import UsageError
from triptych.models.gpt import Gpt
from triptych.recipes.generator_parts import Decoder, GeneratorModule
from triptych.runtime.gpt import FastGpt
from triptych.runtime.packed import Precision

Version = tuple[int, list[tuple[int, int]]]


class _Steps:
    """How many steps optimizers have taken in this process: the fused ones of torch change weights
    without counting it at the weight."""

    taken = 0

    def count(self, *_: object) -> None:
        self.taken += 1


_STEPS = _Steps()
register_optimizer_step_post_hook(_STEPS.count)


class FastTwin:
    """`FastTwin(module, precision)()` is a twin of the module as it is now.

    It is made when it is first asked for, and again when a weight was replaced or changed in
    place since. On a GPU the module decodes itself, in float32 or bf16.
    """

    def __init__(self, module: GeneratorModule, precision: Precision = "fp32") -> None:
        """Raises UsageError for int8 on a GPU."""
        self.module, self.precision = module, precision
        if not has_twin(module) and precision == "int8":
            raise UsageError("precision int8 is for a CPU; choose bf16, or --device cpu")
        if not has_twin(module) and precision == "bf16":
            module.to(torch.bfloat16)
        self.twin: FastGpt | None = None
        self.version: Version | None = None

    def __call__(self) -> Decoder:
        module = self.module
        if not has_twin(module):
            return module
        version = version_of(module)
        if self.twin is None or version != self.version:
            self.twin, self.version = FastGpt(module, self.precision), version
        return self.twin


def has_twin(module: GeneratorModule) -> TypeGuard[Gpt]:
    """Whether it is one that `runtime/gpt.py` knows, on a CPU."""
    return isinstance(module, Gpt) and next(module.parameters()).device.type == "cpu"


def version_of(module: Gpt) -> Version:
    """Changes with every change of a weight that torch counts, and with every optimizer's step: all
    but what is done through `.data`. Reading the weights themselves would take longer than a text.
    """
    counts = [(p.data_ptr(), 0 if p.is_inference() else p._version) for p in module.parameters()]
    return _STEPS.taken, counts
