"""The fast twin of `Gpt` against the module: whole texts, steps, ragged batches, moved rows."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from triptych.decoding.generate import Bounds, Request, generate
from triptych.decoding.sampling import Sampling
from triptych.errors import DataError
from triptych.models.gpt import ACTIVATIONS, Gpt, GptConfig
from triptych.runtime.gpt import FastGpt
from triptych.runtime.packed import Precision

CONFIG = GptConfig(
    vocab_size=50, d_model=32, d_ff=72, n_heads=4, n_layers=3, max_seq_len=24, eos_id=49
)
WHOLE = replace(CONFIG, d_model=64, d_ff=192)
"""Widths for which all blocks of a step are one loop."""
BOUNDS = {"fp32": 1e-5, "bf16": 0.03, "int8": 0.05}
"""Stated: the error of hidden states and logits, as a share of their norm."""
EACH_PRECISION = pytest.mark.parametrize("precision", BOUNDS)


pytestmark = pytest.mark.usefixtures("products")


def made(activation: str = "gelu_tanh", n_heads: int = 4, config: GptConfig = CONFIG) -> Gpt:
    """Random weights, far from uniform, with biases and norms that do something."""
    torch.manual_seed(0)
    model = Gpt(replace(config, activation=activation, n_heads=n_heads)).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def some_ids(*shape: int) -> Tensor:
    return torch.randint(0, 49, shape, generator=torch.Generator().manual_seed(1))


def ragged(lengths: list[int], left: bool) -> tuple[Tensor, Tensor]:
    """Ids and where they are real."""
    width = max(lengths)
    places = torch.arange(width)
    n = torch.tensor(lengths)[:, None]
    valid = places >= width - n if left else places < n
    return some_ids(len(lengths), width).masked_fill(~valid, 7), valid


def assert_near(found: Tensor, expected: Tensor, precision: str) -> None:
    assert found.dtype == torch.float32
    assert (found - expected).norm() <= BOUNDS[precision] * expected.norm()


@EACH_PRECISION
@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.inference_mode()
def test_a_whole_text(precision: Precision, activation: str) -> None:
    model, ids = made(activation), some_ids(3, 11)
    fast, hidden = FastGpt(model, precision), model(ids)
    assert_near(fast(ids), hidden, precision)
    assert_near(fast.project(fast(ids)), model.project(hidden), precision)


@EACH_PRECISION
@pytest.mark.parametrize("config", [CONFIG, WHOLE])
@pytest.mark.parametrize("n_heads", [2, 4])  # 1 / √D is exact for D = 16, and rounded for 8
@pytest.mark.parametrize("steps", [[11], [1] * 6, [5, 1, 1, 4, 1]])
@torch.inference_mode()
def test_steps_with_a_cache(
    precision: Precision, config: GptConfig, n_heads: int, steps: list[int]
) -> None:
    model = made(n_heads=n_heads, config=config)
    fast = FastGpt(model, precision)
    slow_cache, fast_cache = model.new_cache(3, 11), fast.new_cache(3, 11)
    for ids in some_ids(3, sum(steps)).split(steps, dim=1):
        expected = model.next_logits(ids, slow_cache)
        assert_near(fast.next_logits(ids, fast_cache), expected, precision)


@EACH_PRECISION
@pytest.mark.parametrize("config", [CONFIG, WHOLE])
@pytest.mark.parametrize("left", [True, False])
@torch.inference_mode()
def test_ragged_texts(precision: Precision, config: GptConfig, left: bool) -> None:
    model, (ids, valid) = made(config=config), ragged([6, 1, 9, 4], left)
    fast = FastGpt(model, precision)
    assert_near(fast(ids, valid=valid)[valid], model(ids, valid=valid)[valid], precision)
    slow_cache, fast_cache = model.new_cache(4, 9), fast.new_cache(4, 9)
    steps = [(ids, valid), (some_ids(4, 1), None), (some_ids(4, 1), valid[:, 2:3]), (ids, None)]
    for new, real in steps:
        expected = model.next_logits(new, slow_cache, real)
        found = fast.next_logits(new, fast_cache, real)
        rows = torch.ones(4, dtype=torch.bool) if real is None else real.any(dim=1)
        assert_near(found[rows], expected[rows], precision)


@EACH_PRECISION
@torch.inference_mode()
def test_neighbours_and_padding_change_nothing(precision: Precision) -> None:
    """To rounding in float32; in the others what rounding may tip over one step of the scale."""
    fast, (ids, valid) = FastGpt(made(), precision), ragged([6, 1, 9, 4], left=True)
    together = fast.next_logits(ids, fast.new_cache(4, 9), valid)
    for row in range(4):
        alone = ids[row][valid[row]][None]
        found = fast.next_logits(alone, fast.new_cache(1, 9))
        bound = {"fp32": 1e-5, "bf16": 0.01, "int8": 0.01}[precision]
        assert (found[0] - together[row]).norm() <= bound * together[row].norm()


@torch.inference_mode()
def test_in_int8_a_text_does_not_feel_a_large_neighbour() -> None:
    """Bit for bit, as nothing but the neighbour differs."""
    model = made()
    model.token_embedding.weight.data[3] *= 1000
    fast = FastGpt(model, "int8")
    quiet, loud = some_ids(2, 8), some_ids(2, 8)
    quiet[1], loud[1] = 2, 3
    first, second = fast(quiet), fast(loud)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


@pytest.mark.parametrize("config", [CONFIG, WHOLE])
@torch.inference_mode()
def test_rows_may_move(config: GptConfig) -> None:
    model, ids = made(config=config), some_ids(3, 5)
    fast = FastGpt(model)
    slow_cache, fast_cache = model.new_cache(3, 6), fast.new_cache(3, 6)
    model.next_logits(ids, slow_cache), fast.next_logits(ids, fast_cache)
    rows, new = torch.tensor([2, 0, 0, 1]), some_ids(4, 1)
    slow_cache.select(rows), fast_cache.select(rows)
    expected = model.next_logits(new, slow_cache)
    assert_near(fast.next_logits(new, fast_cache), expected, "fp32")


@pytest.mark.parametrize("config", [CONFIG, WHOLE])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_same_texts_are_generated(config: GptConfig, temperature: float) -> None:
    model = made(config=config)
    requests = [
        Request(tuple(some_ids(20)[start : start + n].tolist()), limit=8, seed=n)
        for start, n in enumerate([3, 9, 1, 9, 5])
    ]
    given = requests, Sampling(temperature=temperature), Bounds(49, 50, 24)
    slow, fast = generate(model, *given), generate(FastGpt(model), *given)
    assert [text.token_ids for text in fast] == [text.token_ids for text in slow]
    for ours, theirs in zip(fast, slow, strict=True):
        assert ours.log_probs == pytest.approx(theirs.log_probs, abs=1e-5)


def test_the_future_is_hidden() -> None:
    fast, ids = FastGpt(made()), some_ids(1, 9)
    changed = ids.clone()
    changed[0, 6] = 48 - changed[0, 6]
    before, after = fast(ids)[0], fast(changed)[0]
    assert torch.equal(before[:6], after[:6])
    assert not torch.equal(before[6], after[6])


def test_a_text_beyond_the_context() -> None:
    with pytest.raises(DataError, match="25 tokens is longer than this model's limit of 24"):
        FastGpt(made())(some_ids(1, 25))


def test_a_module_in_bf16_has_a_twin_too() -> None:
    """Norms and sums are in float32 whatever the module's weights are."""
    model, ids = made(), some_ids(2, 7)
    expected = FastGpt(model)(ids)
    assert_near(FastGpt(model.to(torch.bfloat16), "bf16")(ids), expected, "bf16")
