"""Each length penalty against a table worked out by hand."""

import numpy as np
import pytest

from triptych.decoding.penalties import length_penalty
from triptych.errors import UsageError


@pytest.mark.parametrize(
    ("name", "alpha", "length", "expected"),
    [
        ("gnmt", 1.0, 1, 1.0),  # (5 + 1) / 6
        ("gnmt", 1.0, 7, 2.0),  # 12 / 6
        ("gnmt", 2.0, 13, 9.0),  # (18 / 6)²
        ("gnmt", 0.5, 19, 2.0),  # √(24 / 6)
        ("gnmt", 0.0, 19, 1.0),
        ("length", 1.0, 7, 7.0),
        ("length", 0.5, 16, 4.0),
        ("length", 2.0, 3, 9.0),
        ("none", 1.0, 50, 1.0),
    ],
)
def test_by_hand(name: str, alpha: float, length: int, expected: float) -> None:
    assert float(length_penalty(name, length, alpha)) == pytest.approx(expected)


def test_many_lengths_at_once() -> None:
    assert length_penalty("length", np.array([1, 2, 4]), 2.0).tolist() == [1.0, 4.0, 16.0]
    assert length_penalty("none", np.array([1, 2]), 2.0).tolist() == [1.0, 1.0]


def test_unknown_names_and_negative_exponents_are_refused() -> None:
    with pytest.raises(UsageError, match="'wu' is not known; choose one of gnmt, length, none"):
        length_penalty("wu", 3, 1.0)
    with pytest.raises(UsageError, match=r"alpha is -0\.5"):
        length_penalty("gnmt", 3, -0.5)
