"""Which device: a name that a person may give, checked before anything is loaded onto it."""

import torch

from triptych.errors import MachineError, UsageError


def choose_device(name: str = "auto") -> str:
    """`auto` is the first GPU where torch can use one, else the CPU; other names as torch's.

    Raises UsageError for a name that is none, MachineError for a GPU that is not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name} names no device; give auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name} is not supported; give auto, cpu or cuda")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= n_gpus:
        raise MachineError(
            f"--device {name}: torch can use {n_gpus or 'no'} GPUs here; give --device cpu"
        )
    return name
