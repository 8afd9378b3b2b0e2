"""AMX: whether the processor multiplies tiles of bfloat16 and of bytes."""

import torch


def has_amx() -> bool:
    """Of bfloat16 the fused attention kernel multiplies them, and takes half to two thirds of the
    plain products' time; of bytes `runtime/int8_rows.py` does."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
