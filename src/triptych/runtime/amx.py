"""AMX: whether the processor multiplies tiles of bfloat16 and of bytes."""

import torch


def has_amx() -> bool:
    """The fused attention kernel uses it in bf16, and takes half to two thirds of the plain
    products' time there; so does `runtime/int8_rows.py`."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
