"""GloVe against the paper's equations, by torch's autograd and by brute force."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch

from triptych.errors import DivergedError
from triptych.predecessors import glove
from triptych.predecessors.glove import Cells, GloveSettings

V, E = 7, 5
SETTINGS = GloveSettings(d_model=E, x_max=10.0)


def some_cells(n_words: int = V, seed: int = 0, largest: float = 200.0) -> Cells:
    """Every pair once, diagonal included, in random order."""
    random = np.random.default_rng(seed)
    rows, columns = np.triu_indices(n_words)
    order = random.permutation(len(rows))
    counts = random.random(len(rows)) * largest + 0.05
    return Cells(rows[order].astype(np.int32), columns[order].astype(np.int32), counts)


def halves(cells: Cells) -> list[tuple[int, int, float]]:
    """X in the order in which its cells are met: a pair, and at once the same turned round."""
    met = []
    for i, j, x in zip(*(array.tolist() for array in cells), strict=True):
        met += [(i, j, x)] if i == j else [(i, j, x), (j, i, x)]
    return met


def equation_8(values: torch.Tensor, i: int, j: int, x: float) -> torch.Tensor:
    """f(X_ij) (w_i · w̃_j + b_i + b̃_j − log X_ij)², from values [2, V, E + 1]."""
    w, c = values[0, i], values[1, j]
    f = min(x / SETTINGS.x_max, 1) ** SETTINGS.alpha
    return f * (w[:-1] @ c[:-1] + w[-1] + c[-1] - np.log(x)) ** 2


def arrays(cells: Cells) -> tuple[np.ndarray, ...]:
    weights = glove.weight(cells.counts, SETTINGS.x_max, SETTINGS.alpha)
    return cells.rows, cells.columns, weights.astype("f4"), np.log(cells.counts).astype("f4")


def settings(seed: int, first: float = 1.0) -> GloveSettings:
    return GloveSettings(d_model=E, seed=seed, initial_accumulator=first)


def test_weight_is_equation_9() -> None:
    found = glove.weight(np.array([1.0, 50.0, 100.0, 5000.0]))
    np.testing.assert_allclose(found, [0.01**0.75, 0.5**0.75, 1, 1])


def test_cost_is_equation_8_over_both_halves() -> None:
    state, cells = glove.start(V, settings(3)), some_cells()
    values = torch.from_numpy(state[:, :, 0].astype(float))
    expected = sum(float(equation_8(values, i, j, x)) for i, j, x in halves(cells))
    assert glove.cost(state, cells, SETTINGS) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("first", "rate"), [(1.0, 0.05), (0.01, 0.005)])
def test_steps_are_adagrad_on_autograd_gradients(first: float, rate: float) -> None:
    """In float64, a cell at a time: η·gradient over the root of the sum so far, its first value
    included."""
    state, cells = glove.start(V, settings(3, first)), some_cells()
    values = torch.from_numpy(state[:, :, 0].astype(float)).requires_grad_()
    sums = torch.full_like(values, first)
    total = 0.0
    for _ in range(3):
        for i, j, x in halves(cells):
            cost = equation_8(values, i, j, x)
            (gradient,) = torch.autograd.grad(cost / 2, values)  # the authors leave out the 2
            total += cost.item()
            with torch.no_grad():
                values -= rate * gradient / sums.sqrt()
                sums += (rate * gradient) ** 2
    numbers = np.float32(rate), np.float32(first**0.5)
    found = sum(glove.descend(state, *arrays(cells), *numbers) for _ in range(3))
    assert found == pytest.approx(total, rel=1e-4)
    np.testing.assert_allclose(state[:, :, 0], values.detach().numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(state[:, :, 1], sums.numpy(), rtol=1e-4)


def test_compiled_equals_plain() -> None:
    compiled = glove.compiled_descent()
    one = glove.start(V, settings(5))
    one[:, :, 0] *= 40  # so that some steps are held back as well
    other = one.copy()
    for _ in range(4):
        plain = glove.descend(one, *arrays(some_cells()), np.float32(0.5), np.float32(1))
        fast = compiled(other, *arrays(some_cells()), np.float32(0.5), np.float32(1))
        assert fast == pytest.approx(plain, rel=1e-4)
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("first", [1.0, 0.01])
@pytest.mark.parametrize("size", [0.3, 3.0, 30.0])
def test_no_step_goes_beyond_the_bottom_of_its_parabola(size: float, first: float) -> None:
    """To first order: what remains is the product of two steps, which is small."""
    state = glove.start(2, GloveSettings(d_model=50, initial_accumulator=first))
    random = np.random.default_rng(4)
    state[:, :, 0] = random.normal(size=(2, 2, 51)) * size
    cells = Cells(np.array([0], "i4"), np.array([0], "i4"), np.array([500.0]))
    before = glove.cost(state, cells, GloveSettings())
    one = (cells.rows, cells.columns, np.ones(1, "f4"), np.log(cells.counts).astype("f4"))
    glove.descend(state, *one, np.float32(0.05), np.float32(first**0.5))
    assert glove.cost(state, cells, GloveSettings()) < before


def train(n_words: int, cells: Cells, settings: GloveSettings) -> tuple[np.ndarray, list[float]]:
    def read(epoch: int) -> Iterator[Cells]:
        middle = len(cells.rows) // 2
        yield Cells(*(array[:middle] for array in cells))
        yield Cells(*(array[middle:] for array in cells))

    return glove.train_glove(read, n_words, settings)


@pytest.mark.parametrize(("n_words", "d_model", "largest"),
                         [(33, 300, 1e5), (5, 1000, 1e9), (2, 2, 1.0)])  # fmt: skip
def test_small_corpora_give_numbers(n_words: int, d_model: int, largest: float) -> None:
    """Few words and wide vectors, where the authors' program gives NaN; a high rate as well."""
    for rate, first in ((0.05, 1.0), (1.0, 1.0), (0.05, 1e-4)):
        settings = GloveSettings(
            d_model=d_model, epochs=60, learning_rate=rate, initial_accumulator=first
        )
        vectors, costs = train(n_words, some_cells(n_words, 1, largest), settings)
        assert np.isfinite(vectors).all()
        assert costs[-1] < costs[0]


def test_the_cost_falls_and_counts_are_met() -> None:
    heard: list[tuple[int, float]] = []
    cells = some_cells()
    _, costs = glove.train_glove(
        lambda epoch: [cells], V, GloveSettings(d_model=20, epochs=300, x_max=10),
        lambda done, cost: heard.append((done, cost)),
    )  # fmt: skip
    assert all(after < before for before, after in pairwise(costs[:20]))
    assert costs[-1] < 1e-3 * costs[0]
    assert heard[-1] == (300 * len(cells.rows), costs[-1])


def test_one_worker_repeats_bit_for_bit() -> None:
    settings = GloveSettings(d_model=8, epochs=4)
    first, again = (train(V, some_cells(), settings)[0] for _ in range(2))
    assert np.array_equal(first, again)
    other = train(V, some_cells(), GloveSettings(d_model=8, epochs=4, seed=2))[0]
    assert not np.array_equal(first, other)


def test_several_workers_reach_the_same_cost() -> None:
    cells = some_cells(60)
    one, three = (
        train(60, cells, GloveSettings(d_model=20, epochs=20, workers=n))[1] for n in (1, 3)
    )
    assert three[-1] == pytest.approx(one[-1], rel=0.3)


def test_a_cost_that_is_no_number_stops() -> None:
    cells = Cells(np.array([0], "i4"), np.array([1], "i4"), np.array([np.inf]))
    with pytest.raises(DivergedError, match="epoch 1"):
        glove.train_glove(lambda epoch: [cells], 2, GloveSettings(d_model=3))
