"""Packed products against torch's own, and against the formula of their integers."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.models.gpt import ACTIVATIONS
from triptych.runtime import int8, packed
from triptych.runtime.int8 import has_int8, int8_linear, quantize_rows, quantize_weight
from triptych.runtime.packed import Precision

ROWS = [(1, 24), (8, 24), (3, 5, 24), (2, 1, 24), (40, 24), (2, 128, 24), (3, 90, 24), (300, 24)]
DEEPCOPIED = partial(F.gelu, approximate="tanh")  # equal to one in ACTIVATIONS, and another object


def given(rows: tuple[int, ...] = (3, 5, 24), n_outputs: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of very different sizes, one of them all zeros."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(rows, generator=generator)
    x *= 10 ** torch.randn(rows[:-1], generator=generator)[..., None]
    x.view(-1, 24)[-1] = 0
    weight = torch.randn(n_outputs, 24, generator=generator)
    return x, weight, torch.randn(n_outputs, generator=generator)


@pytest.fixture(params=["onednn", "plain"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With oneDNN where there is one, and without."""
    if request.param == "plain":
        monkeypatch.setattr(packed, "has_onednn", lambda: False)
        monkeypatch.setattr(int8, "has_int8", lambda: False)
    elif not packed.has_onednn():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(packed, "SMALL", 0)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS.values(), DEEPCOPIED])
@pytest.mark.parametrize("with_bias", [True, False])
@torch.inference_mode()
def test_float32(activation: Callable[[Tensor], Tensor] | None, with_bias: bool) -> None:
    x, weight, bias = given()
    expected = F.linear(x, weight, bias if with_bias else None)
    expected = expected if activation is None else activation(expected)
    product = packed.packed(weight, bias if with_bias else None, "fp32", activation)
    torch.testing.assert_close(product(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@torch.inference_mode()
def test_a_view_is_the_weight_that_it_shows(precision: Precision) -> None:
    """As of a mapped file that holds it transposed, beside others."""
    x, weight, bias = given()
    stored = torch.cat([torch.randn(24, 5), weight.T, torch.randn(24, 3)], dim=1)
    view = stored[:, 5:12].T
    assert not view.is_contiguous()
    expected = packed.packed(weight, bias, precision)(x)
    assert torch.equal(packed.packed(view, bias, precision)(x), expected)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("precision", "bound"), [("bf16", 0.01), ("int8", 0.02)])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("activation", [None, ACTIVATIONS["gelu_tanh"]])
@torch.inference_mode()
def test_smaller_weights_stay_near(
    precision: Precision,
    bound: float,
    rows: tuple[int, ...],
    activation: Callable[[Tensor], Tensor] | None,
) -> None:
    """Stated bound, of the norm of each row before the activation: 1 % in bf16, 2 % in int8."""
    x, weight, bias = given(rows, 50)
    linear = F.linear(x, weight, bias)
    expected = linear if activation is None else activation(linear)
    found = packed.packed(weight, bias, precision, activation)(x)
    assert found.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    error = (found.float() - expected).norm(dim=-1)
    assert (error <= bound * linear.norm(dim=-1)).all()


def integer_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The slow twin: integers as torch multiplies them, and float64 around."""
    w, scale = quantize_weight(weight)
    largest = x.double().abs().amax(dim=-1, keepdim=True).clamp(min=1e-30)
    integers = (x / largest.float() * 127).round().long()
    return integers @ w.long().T * (scale.double() * largest / 127) + bias


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("rows", ROWS)
@torch.inference_mode()
def test_int8_is_its_formula(rows: tuple[int, ...]) -> None:
    x, weight, bias = given(rows)
    found = int8_linear(weight, bias)(x)
    expected = integer_linear(x, weight, bias).float()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(x.abs().max()))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("rows", ROWS)
@torch.inference_mode()
def test_any_number_of_rows(rows: tuple[int, ...]) -> None:
    x, weight, bias = given(rows)
    found = packed.packed(weight, bias, "fp32")(x)
    torch.testing.assert_close(found, F.linear(x, weight, bias), rtol=1e-5, atol=1e-4)


@torch.inference_mode()
def test_few_numbers_of_rows_reach_the_library() -> None:
    seen = []

    def product(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x + 1

    pieces = packed.InPieces(product)
    for n in range(1, 2400):
        x = torch.randn(n, 3)
        assert torch.equal(pieces(x), x + 1)
    assert set(seen) == {*range(1, 17), 32, 64, 128, 256, 512, 768, 1024}


@pytest.mark.parametrize(("n", "sizes"), [(512, [512]), (300, [256, 64]), (700, [768]), (40, [64]),
                                          (1025, [1024, 32]), (1300, [1024, 256, 32]),
                                          (1500, [1024, 512])])  # fmt: skip
def test_weights_are_laid_out_for_few_pieces(n: int, sizes: list[int]) -> None:
    seen = []
    packed.InPieces(lambda x: seen.append(len(x)) or x)(torch.randn(n, 3))
    assert seen == sizes


@pytest.mark.usefixtures("library")
@torch.inference_mode()
def test_the_largest_numbers_do_not_overflow() -> None:
    """3,072 columns of the largest bytes: 49 million, where 16 bits hold 32,767."""
    ones = torch.ones(2, 3072)
    torch.testing.assert_close(int8_linear(ones, None)(ones), torch.full((2, 2), 3072.0))
    torch.testing.assert_close(int8_linear(-ones, None)(ones), torch.full((2, 2), -3072.0))


@pytest.mark.parametrize("n_inputs", [24, 96, 768])
@torch.inference_mode()
def test_in_int8_a_row_does_not_feel_its_neighbours(n_inputs: int) -> None:
    """Bit for bit: a scale for each row, and sums without rounding."""
    if not has_int8():
        pytest.skip("the processor has no VNNI")
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(9, n_inputs, generator=generator)
    x[4] *= 1000
    product = int8_linear(torch.randn(50, n_inputs, generator=generator), torch.randn(50))
    together = product(x)
    for row in range(len(x)):
        assert torch.equal(product(x[row : row + 1])[0], together[row])


@torch.inference_mode()
def test_what_is_no_number_stays_none() -> None:
    x, weight, bias = given((4, 24))
    x[1, 3] = torch.nan
    found = int8_linear(weight, bias)(x)
    assert found[1].isnan().all()
    assert found[[0, 2, 3]].isfinite().all()


def test_rows_use_the_whole_range() -> None:
    x, _, _ = given((4, 24))
    x[0, 2] = -x[0].abs().max() - 1
    rows, largest = quantize_rows(x)
    assert rows.dtype == torch.uint8
    assert torch.equal(largest[:3, 0], x.abs().amax(dim=1)[:3])
    assert rows.min() == 1  # the largest of row 0, with its sign
    assert (rows[3] == 128).all()  # zeros
    error = (rows.float() - 128) * largest / 127 - x
    assert (error.abs() <= largest / 254 * 1.0001).all()
