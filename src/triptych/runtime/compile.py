"""torch.compile where a compiler is present, and the plain path where none is."""

import shutil
from importlib.util import find_spec

from torch import nn

from triptych.files.notices import notice


def compiled(model: nn.Module) -> nn.Module:
    """The model compiled for shapes that change from batch to batch; it shares its weights.

    Without a C++ compiler (or Triton, on a GPU) the model itself is returned, and that is said
    once. The compiled model has the same parameters under the same names.
    """
    lacks = _lacks(on_gpu=any(p.device.type == "cuda" for p in model.parameters()))
    if lacks:
        notice(f"no {lacks} found: training goes on without torch.compile")
        return model
    model.compile(dynamic=True)  # in place: the module's own forward is replaced
    return model


def _lacks(on_gpu: bool) -> str | None:
    """What torch.compile needs and this machine has not."""
    if on_gpu:
        return None if find_spec("triton") else "Triton"
    return None if any(map(shutil.which, ("g++", "clang++", "c++"))) else "C++ compiler"
