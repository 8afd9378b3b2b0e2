"""Byte dropout: shares, scale, repeatability."""

import math

import pytest
import torch

from triptych.core.dropout import Dropout, drop_threshold, keep_mask

N = 2_000_000


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.9])
def test_the_share_kept_is_binomial_in_each_byte_of_a_draw(probability):
    torch.manual_seed(0)
    threshold = drop_threshold(probability)
    mask = keep_mask(torch.empty(N), threshold)
    keep = 1 - threshold / 256
    assert abs(keep - (1 - probability)) <= 1 / 512
    deviation = math.sqrt(keep * (1 - keep) / N)
    assert abs(mask.double().mean() - keep) < 4.5 * deviation
    for lane in range(8):  # eight elements share a 64-bit draw
        assert abs(mask[lane::8].double().mean() - keep) < 4.5 * deviation * math.sqrt(8)


def test_neighbours_are_independent():
    torch.manual_seed(0)
    kept = keep_mask(torch.empty(N), 128).double() - 0.5
    for distance in (1, 2, 4, 7, 8, 9, 64):
        agreement = (kept[:-distance] * kept[distance:]).mean() * 4
        assert abs(agreement) < 4.5 / math.sqrt(N), distance


def test_the_mask_has_the_tensor_s_shape_at_any_size():
    for shape in [(), (1,), (7,), (8,), (3, 5), (2, 3, 11), (0, 4)]:
        assert keep_mask(torch.empty(shape), 20).shape == shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("threshold", [0, 1, 26, 127, 128, 129, 255])
def test_the_mask_is_a_comparison_of_bytes(threshold, dtype):
    torch.manual_seed(1)
    mask = keep_mask(torch.empty(3, 1001, dtype=dtype), threshold)
    torch.manual_seed(1)
    words = torch.empty(376, dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[:3003] >= threshold
    assert mask.dtype == dtype
    assert torch.equal(mask.flatten(), kept.to(dtype))


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_the_scale_uses_the_rounded_probability(probability):
    torch.manual_seed(0)
    out = Dropout(probability)(torch.ones(10_000))
    kept = 256 / (256 - round(probability * 256))
    assert set(out.tolist()) == {0.0, torch.tensor(kept).item()}
    # Share kept times scale is one, exactly and not about: 1/(1−p) of p asked for would miss.
    assert (256 - drop_threshold(probability)) / 256 * kept == pytest.approx(1, abs=1e-15)


def test_the_expectation_is_the_input():
    torch.manual_seed(0)
    module, p = Dropout(0.3), drop_threshold(0.3) / 256
    deviation = math.sqrt(p / (1 - p) / N)
    assert abs(module(torch.ones(N)).double().mean() - 1) < 4.5 * deviation


def test_the_same_generator_state_gives_the_same_mask():
    module, x = Dropout(0.3), torch.randn(1000)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, second = module(x), module(x)
    torch.set_rng_state(state)
    assert torch.equal(module(x), first)
    assert torch.equal(module(x), second)
    assert not torch.equal(first, second)


def test_gradients_pass_where_values_did():
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    out = Dropout(0.4)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_evaluation_and_zero_are_the_identity():
    x = torch.randn(10)
    assert Dropout(0.4).eval()(x) is x
    state = torch.get_rng_state()
    assert Dropout(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), state)  # and draw nothing


@pytest.mark.parametrize("probability", [0.998, 0.999, 1 - 1e-12])
def test_the_largest_probabilities_still_keep_something(probability):
    torch.manual_seed(0)
    out = Dropout(probability)(torch.ones(100_000))
    assert out.isfinite().all()
    assert out.max() == 256


@pytest.mark.parametrize("probability", [-0.1, 1.0, 1.5, math.nan])
def test_what_is_no_probability_is_refused(probability):
    with pytest.raises(ValueError, match="dropout must be in"):
        Dropout(probability)


def test_bf16_stays_bf16():
    out = Dropout(0.3)(torch.ones(100, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
