"""bfloat16 inside compiled loops, which know it as 16 bits: the upper half of float32."""

import numpy as np

from triptych.runtime.team import Scalar, inner


@inner
def as_float(bits: int) -> Scalar:
    """The number that these 16 bits are."""
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


@inner
def as_half(x: Scalar) -> Scalar:
    """The bits of the nearest bfloat16; of two as near, of the even one."""
    bits = np.float32(x).view(np.uint32)
    even = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
    half = np.uint16(np.uint32(bits + np.uint32(0x7FFF) + even) >> np.uint32(16))
    return half if x == x else np.uint16(0x7FC0)  # what is no number stays none
