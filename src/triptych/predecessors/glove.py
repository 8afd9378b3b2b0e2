"""GloVe: global vectors for word representation — Pennington, Socher and Manning 2014.

Letters of shapes: V words, E width of a vector, C cells (pairs of words that occur together).

Stanford's program, the authors' own, is followed in what the paper leaves open: biases are learned
as vectors are, the first values are uniform in ±1/2E, AdaGrad's sums begin at 1 (or lower, where
asked) and are of η times the gradient, and the factor 2 of the gradient is left out. It is not
followed where a step would overshoot: that program is reported to give NaN on small texts and wide
vectors (its issues 14 and 183); here a step never goes further than to the bottom of its own cell's
parabola.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from triptych.errors import DivergedError
from triptych.predecessors.settings import GloveSettings

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int32]

WORDS, CONTEXTS = 0, 1
"""The two sides of a cell: w and w̃ of the paper."""
VALUES, SQUARES = 0, 1
"""What is learned, and AdaGrad's sums of squared steps."""


class Cells(NamedTuple):
    """Pairs of words with X, how much each occurs near the other; each pair once, [C]."""

    rows: Ids
    columns: Ids
    counts: Doubles


def weight(counts: Doubles, x_max: float = 100.0, alpha: float = 0.75) -> Doubles:
    """f(x) = (x / x_max)^α below x_max, else 1 — equation 9."""
    weights: Doubles = np.minimum(counts / x_max, 1.0) ** alpha
    return weights


def cost(state: Floats, cells: Cells, settings: GloveSettings) -> float:
    """J = Σ f(X_ij) (w_i · w̃_j + b_i + b̃_j − log X_ij)² — equation 8.

    X is symmetric, so that each cell off the diagonal stands for two. State: [2, V, 2, E + 1].
    """
    total = 0.0
    for i, j in ((cells.rows, cells.columns), (cells.columns, cells.rows)):
        w, c = state[WORDS, i, VALUES].astype(float), state[CONTEXTS, j, VALUES].astype(float)
        error = (w[:, :-1] * c[:, :-1]).sum(axis=1) + w[:, -1] + c[:, -1] - np.log(cells.counts)
        once = np.ones(len(i)) if i is cells.rows else (i != j).astype(float)
        total += float((once * weight(cells.counts, settings.x_max, settings.alpha)) @ error**2)
    return total


def start(n_words: int, settings: GloveSettings) -> Floats:
    """The first state, [2, V, 2, E + 1]: for each side and word its vector and bias, and sums."""
    d_model = settings.d_model
    state = np.empty((2, n_words, 2, d_model + 1), dtype=np.float32)
    state[:, :, SQUARES] = settings.initial_accumulator
    values = np.random.default_rng([settings.seed, 0]).random(
        (2, n_words, d_model + 1), dtype=np.float32
    )
    state[:, :, VALUES] = (values - 0.5) / d_model
    return state


def descend(
    state: Floats,
    rows: Ids,
    columns: Ids,
    weights: Floats,
    logs: Floats,
    rate: np.float32,
    least: np.float32,
) -> float:
    """A step of AdaGrad for each cell, one after another, in `state`; the cost before the steps.

    `least` is the root of what AdaGrad's sums began at, below which none of them is.

    Written for a compiler (`compiled_descent`), and readable and tested without one.
    """
    width, one = state.shape[3] - 1, np.float32(1)
    total = 0.0
    for cell in range(len(rows)):
        for turn in range(2):
            i = rows[cell] if turn == 0 else columns[cell]
            j = columns[cell] if turn == 0 else rows[cell]
            if turn == 1 and i == j:
                continue
            w, w_sums = state[0, i, 0], state[0, i, 1]
            c, c_sums = state[1, j, 0], state[1, j, 1]
            error = w[width] + c[width] - logs[cell]
            lengths = np.float32(2)
            for k in range(width):
                error += w[k] * c[k]
                lengths += w[k] * w[k] + c[k] * c[k]
            total += weights[cell] * error * error
            step = rate * weights[cell]  # of η · gradient, for an error of 1
            if step * lengths > least:  # step times an upper bound of the share is above 1
                share = one / np.sqrt(w_sums[width]) + one / np.sqrt(c_sums[width])
                for k in range(width):
                    share += c[k] * c[k] / np.sqrt(w_sums[k]) + w[k] * w[k] / np.sqrt(c_sums[k])
                if step * share > one:  # the error would change its sign
                    step = one / share
            step = step * error
            for k in range(width):
                w_step, c_step = step * c[k], step * w[k]
                w[k] -= w_step / np.sqrt(w_sums[k])
                c[k] -= c_step / np.sqrt(c_sums[k])
                w_sums[k] += w_step * w_step
                c_sums[k] += c_step * c_step
            w[width] -= step / np.sqrt(w_sums[width])
            c[width] -= step / np.sqrt(c_sums[width])
            w_sums[width] += step * step
            c_sums[width] += step * step
    return total


def compiled_descent() -> Callable[..., float]:
    """`descend` as machine code that runs beside other threads; takes a second or two.

    Sums may be taken in another order and a division by zero gives infinity: without either the
    loops are not made into vector instructions, and are several times slower.
    """
    import numba

    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    compiled: Callable[..., float] = numba.njit(**options)(descend)
    return compiled


def train_glove(
    read: Callable[[int], Iterable[Cells]],
    n_words: int,
    settings: GloveSettings,
    on_cells: Callable[[int, float], Any] = lambda done, cost: None,
) -> tuple[Floats, list[float]]:
    """Vectors w + w̃ [V, E], and of each epoch the mean cost of a cell, X's both halves counted.

    `read(epoch)` gives all cells, in blocks. `on_cells` hears how many were done, in all epochs,
    and the mean cost in this one. Raises DivergedError for a cost that is no number.
    """
    state, descent = start(n_words, settings), compiled_descent()
    rate, least = np.float32(settings.learning_rate), np.float32(settings.initial_accumulator**0.5)
    costs, done = [], 0
    with ThreadPoolExecutor(settings.workers) as pool:
        for epoch in range(settings.epochs):
            total, n_halves = 0.0, 0
            for cells in read(epoch):
                parts = _parts(cells, settings)
                total += sum(pool.map(lambda part: descent(state, *part, rate, least), parts))
                n_halves += 2 * len(cells.rows) - int((cells.rows == cells.columns).sum())
                if not np.isfinite(total):
                    raise DivergedError(
                        f"the cost is {total} in epoch {epoch + 1}; lower the learning_rate of "
                        f"{settings.learning_rate}"
                    )
                done += len(cells.rows)
                on_cells(done, total / n_halves)
            costs.append(total / n_halves)
    vectors: Floats = state[WORDS, :, VALUES, :-1] + state[CONTEXTS, :, VALUES, :-1]
    return vectors, costs


def _parts(cells: Cells, settings: GloveSettings) -> list[tuple[Any, ...]]:
    """What `descend` needs of some cells, for each worker its share."""
    weights = weight(cells.counts, settings.x_max, settings.alpha).astype(np.float32)
    logs = np.log(cells.counts).astype(np.float32)
    arrays = (cells.rows, cells.columns, weights, logs)
    return list(zip(*(np.array_split(a, settings.workers) for a in arrays), strict=True))
