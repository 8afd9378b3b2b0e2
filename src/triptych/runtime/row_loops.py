"""What stands between the products of a block, as loops over rows: norms, activations, sums,
softmax.

Shapes: R rows, E columns; `first` and `last` are the columns that a thread has.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch.nn.functional as F

from triptych.models.gpt import ACTIVATIONS
from triptych.runtime.exponential import exp, sigmoid
from triptych.runtime.team import Arrays, Scalar, floats, inner

GELU_TANH, GELU, RELU, SILU = range(4)
NUMBERS: Mapping[Callable[..., Any], int] = {
    ACTIVATIONS["gelu_tanh"]: GELU_TANH,
    F.gelu: GELU,
    F.relu: RELU,
    F.silu: SILU,
}
"""What a loop is told of an activation."""
SLOPE = np.float32(2 * math.sqrt(2 / math.pi))
HALF_ROOT = np.float32(math.sqrt(0.5))
ONE = np.float32(1)


@inner
def copy_row(from_at: int, to_at: int, width: int) -> None:
    x, y = floats(from_at, 0, (width,)), floats(to_at, 0, (width,))
    for i in range(width):
        y[i] = x[i]


@inner
def softmax(scores: Arrays) -> None:
    """In place. A score of minus infinity has no weight."""
    largest, total = scores[0], np.float32(0)
    for s in range(1, len(scores)):
        largest = max(largest, scores[s])
    for s in range(len(scores)):
        scores[s] = exp(scores[s] - largest)
        total += scores[s]
    for s in range(len(scores)):
        scores[s] /= total


@inner
def weigh(scores_at: int, mask_at: int, n_keys: int) -> None:
    """In place, scores [S] plus mask [S], unless its address is 0, as weights."""
    scores = floats(scores_at, 0, (n_keys,))
    if mask_at != 0:
        mask = floats(mask_at, 0, (n_keys,))
        for s in range(n_keys):
            scores[s] += mask[s]
    softmax(scores)


@inner
def norm_row(x: Arrays, weight: Arrays, bias: Arrays, eps: Scalar, y: Arrays) -> None:
    """LayerNorm of x [E] into y [E]."""
    total, squares = np.float32(0), np.float32(0)
    for i in range(len(x)):
        total += x[i]
    mean = total / np.float32(len(x))
    for i in range(len(x)):
        squares += (x[i] - mean) * (x[i] - mean)
    scale = ONE / np.sqrt(squares / np.float32(len(x)) + eps)
    for i in range(len(x)):
        y[i] = (x[i] - mean) * scale * weight[i] + bias[i]


@inner
def norm_rows(x_at: int, norm: Arrays, eps: Scalar, y_at: int, n_rows: int, width: int) -> None:
    """All of x [R, E] -> y [R, E]; norm is where the weight and the bias are."""
    weight, bias = floats(norm[0], 0, (width,)), floats(norm[1], 0, (width,))
    x, y = floats(x_at, 0, (n_rows, width)), floats(y_at, 0, (n_rows, width))
    for row in range(n_rows):
        norm_row(x[row], weight, bias, eps, y[row])


@inner
def add_rows(x_at: int, y_at: int, n_rows: int, width: int, first: int, last: int) -> None:
    """x += y in some columns."""
    x, y = floats(x_at, 0, (n_rows, width)), floats(y_at, 0, (n_rows, width))
    for row in range(n_rows):
        for i in range(first, last):
            x[row, i] += y[row, i]


@inner
def gelu_tanh(x: Scalar) -> Scalar:
    """½ x (1 + tanh u) is x σ(2u)."""
    return x * sigmoid(SLOPE * (x + np.float32(0.044715) * x * x * x))


@inner
def gelu(x: Scalar) -> Scalar:
    """x Φ(x), by a polynomial for the tail of Φ to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26)."""
    size = abs(x) * HALF_ROOT
    t = ONE / (ONE + np.float32(0.3275911) * size)
    p = np.float32(1.061405429)
    p = p * t + np.float32(-1.453152027)
    p = p * t + np.float32(1.421413741)
    p = p * t + np.float32(-0.284496736)
    p = p * t + np.float32(0.254829592)
    tail = np.float32(0.5) * p * t * exp(-size * size)
    return x * (ONE - tail if x > 0 else tail)


@inner
def relu(x: Scalar) -> Scalar:
    return x if x > 0 or x != x else np.float32(0)  # what is no number stays none


@inner
def silu(x: Scalar) -> Scalar:
    return x * sigmoid(x)


@inner
def activate(number: int, x: Arrays) -> None:
    """In place, each number of x."""
    if number == GELU_TANH:
        for i in range(len(x)):
            x[i] = gelu_tanh(x[i])
    elif number == GELU:
        for i in range(len(x)):
            x[i] = gelu(x[i])
    elif number == RELU:
        for i in range(len(x)):
            x[i] = relu(x[i])
    else:
        for i in range(len(x)):
            x[i] = silu(x[i])


@inner
def activate_rows(number: int, x_at: int, n_rows: int, width: int, first: int, last: int) -> None:
    """In place, some columns of x [R, E]."""
    x = floats(x_at, 0, (n_rows, width))
    for row in range(n_rows):
        activate(number, x[row, first:last])
