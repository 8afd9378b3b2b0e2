"""e^x, σ and tanh inside compiled loops, which do several side by side: numpy's, one by one, would
keep a loop from that.
"""

import numpy as np

from triptych.runtime.team import Scalar, inner

LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
"""ln 2 as a number of few digits, so that its multiples are exact, and the rest."""
MOST = np.float32(87.0)
"""e to more than ±88 is no float32: below −87 it is zero here, above 87 it stays."""


@inner
def exp(x: Scalar) -> Scalar:
    """e^x to seven digits, as operations that a loop can do side by side: 2^n · e^r, where
    |r| ≤ ½ ln 2, and a polynomial for e^r (Cody and Waite 1980, with the coefficients of Cephes).
    """
    given, x = x, min(max(x, -MOST), MOST)
    n = np.floor(x * LOG2_E + np.float32(0.5))
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    found = np.float32((p * r * r + r + np.float32(1)) * power)
    found = np.float32(0) if given < -MOST else found
    return found if given == given else given  # what is no number stays none


@inner
def sigmoid(x: Scalar) -> Scalar:
    return np.float32(1) / (np.float32(1) + exp(-x))


@inner
def tanh(x: Scalar) -> Scalar:
    return np.float32(1) - np.float32(2) / (np.float32(1) + exp(x + x))
