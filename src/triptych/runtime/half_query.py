"""One head of one query with keys and values in bfloat16, of which a step reads half the bytes.

Queries, weights and sums are in float32; a bfloat16 becomes one on its way, so that only the
rounding of keys and values is lost. Their rows are whole chunks: D is a multiple of `WIDTHS`.

Shapes: S key positions, D head width.
"""

from triptych.runtime.dots import CHUNK, HALF, dots, weighted_sum
from triptych.runtime.row_loops import weigh
from triptych.runtime.team import floats, inner

WIDTHS = CHUNK // 2
HALF_WAY = WIDTHS // 2
dot_1, dot_4 = dots(HALF, 1, 1), dots(HALF, 1, 4)
sum_1, sum_2 = weighted_sum(HALF, 1), weighted_sum(HALF, 2)


@inner
def pair_up(x_at: int, y_at: int, width: int) -> None:
    """x [D] -> y [D] in the order of `dots.py:HALF`: of a chunk those at even places first."""
    x, y = floats(x_at, 0, (width,)), floats(y_at, 0, (width,))
    for start in range(0, width, WIDTHS):
        for i in range(HALF_WAY):
            y[start + i] = x[start + 2 * i]
            y[start + HALF_WAY + i] = x[start + 2 * i + 1]


@inner
def pair_back(x_at: int, y_at: int, width: int) -> None:
    """What `pair_up` does, undone."""
    x, y = floats(x_at, 0, (width,)), floats(y_at, 0, (width,))
    for start in range(0, width, WIDTHS):
        for i in range(HALF_WAY):
            y[start + 2 * i] = x[start + i]
            y[start + 2 * i + 1] = x[start + HALF_WAY + i]


@inner
def attend_halves(
    q_at: int,
    k_at: int,
    v_at: int,
    mask_at: int,
    n_keys: int,
    width: int,
    scores_at: int,
    y_at: int,
) -> None:
    """As `one_query.py:attend`: q [D] in float32, k and v [S, D] in bfloat16 -> y [D] in float32;
    behind the scores is room for D numbers more."""
    row, pairs_at, s, done = 2 * width, scores_at + 4 * n_keys, 0, 0  # bytes of a row
    pair_up(q_at, pairs_at, width)
    while s + 4 <= n_keys:
        dot_4(k_at + row * s, row, pairs_at, 0, row // CHUNK, scores_at + 4 * s, 0)
        s += 4
    while s < n_keys:
        dot_1(k_at + row * s, row, pairs_at, 0, row // CHUNK, scores_at + 4 * s, 0)
        s += 1
    weigh(scores_at, mask_at, n_keys)
    while done + 2 * CHUNK <= row:
        sum_2(scores_at, v_at + done, row, n_keys, pairs_at + 2 * done)
        done += 2 * CHUNK
    while done < row:
        sum_1(scores_at, v_at + done, row, n_keys, pairs_at + 2 * done)
        done += CHUNK
    pair_back(pairs_at, y_at, width)
