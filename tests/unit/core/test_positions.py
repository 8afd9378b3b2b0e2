"""The table against the printed formula, in python's own floats."""

import math

import pytest
import torch

from triptych.core.positions import (
    LearnedPositions,
    SinusoidalPositions,
    count_positions,
    sinusoidal_table,
)


@pytest.mark.parametrize("d_model", [2, 7, 128, 512])
def test_the_table_is_the_printed_formula(d_model):
    n_positions = 1024 if d_model < 512 else 300
    table = sinusoidal_table(n_positions, d_model)
    assert table.dtype == torch.float32
    expected = torch.tensor(
        [
            [
                (math.sin if j % 2 == 0 else math.cos)(pos / 10000 ** ((j - j % 2) / d_model))
                for j in range(d_model)
            ]
            for pos in range(n_positions)
        ],
        dtype=torch.float64,
    )
    # float32 holds the float64 value to half a unit in the last place, far positions too.
    assert (table.double() - expected).abs().max() <= 2**-25


def test_a_late_start_gives_the_same_rows():
    positions = SinusoidalPositions(50, 8)
    assert torch.equal(positions(7, 5), positions(0, 50)[7:12])
    assert torch.equal(positions(0, 50), sinusoidal_table(50, 8))


def test_waves_are_no_weights():
    positions = SinusoidalPositions(50, 8)
    assert not positions.state_dict()
    assert not list(positions.parameters())


def test_learned_positions_are_weights():
    torch.manual_seed(0)
    positions = LearnedPositions(400, 64)
    assert torch.equal(positions(3, 4), positions.weight[3:7])
    assert positions.weight.requires_grad
    assert positions.weight.std().item() == pytest.approx(0.02, rel=0.03)
    places = torch.tensor([[0, 399, 0], [7, 7, 8]])
    assert torch.equal(positions.at(places), positions.weight[places])


def test_padding_takes_no_position():
    valid = torch.tensor([[0, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0], [0] * 6]).bool()
    positions = count_positions(valid)
    assert positions[0][valid[0]].tolist() == [0, 1, 2]
    assert positions[1][valid[1]].tolist() == [0, 1, 2]
    assert ((positions >= 0) & (positions <= 2)).all()  # padding's too: it is looked up
