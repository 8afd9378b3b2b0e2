"""All blocks of a step as one loop, against the same blocks one after the other."""

import copy
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.models.gpt import ACTIVATIONS, Gpt, GptConfig
from triptych.runtime.gpt import FastGpt
from triptych.runtime.openmp import has_team
from triptych.runtime.packed import Precision

if not has_team():
    pytest.skip("torch's threads cannot be asked here", allow_module_level=True)

from triptych.runtime import half_rows, int8_rows, panel_rows, panels, steps
from triptych.runtime.few_rows import FewRows
from triptych.runtime.whole_step import MOST

if not steps.has_rows():
    pytest.skip("there is no loop for a few rows here", allow_module_level=True)

CONFIG = GptConfig(
    vocab_size=50, d_model=64, d_ff=192, n_heads=2, n_layers=3, max_seq_len=90, norm_eps=1e-3
)
BOUNDS = {"fp32": 1e-5, "bf16": 0.02, "int8": 0.04}
"""Of what differs, as a share of the norm: sums in another order, which rounding may tip over."""


pytestmark = pytest.mark.usefixtures("threads")


@pytest.fixture(
    params=["fp32", "bf16 rows", "bf16 lines", "bf16 tiles", "int8 lines", "int8 tiles"]
)
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kind of weights, where the processor has it."""
    precision, _, way = request.param.partition(" ")
    if way == "rows":
        monkeypatch.setattr(steps, "has_halves", lambda: False)
    elif precision == "bf16" and not half_rows.has_halves():
        pytest.skip("the processor multiplies no bfloat16")
    if precision == "int8" and not int8_rows.has_bytes():
        pytest.skip("the processor has no VNNI")
    if way == "lines":
        monkeypatch.setattr(panel_rows, "tiles", lambda kind: None)
    elif way == "tiles" and panel_rows.tiles(panels.BYTES) is None:
        pytest.skip("the processor has no AMX")
    return precision


def twins(precision: Precision, activation: str = "gelu_tanh") -> tuple[FastGpt, FastGpt]:
    """One that has the loop, and one that goes block by block."""
    torch.manual_seed(0)
    model = Gpt(replace(CONFIG, activation=activation)).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    whole, by_blocks = FastGpt(model, precision), FastGpt(model, precision)
    assert whole.step is not None
    by_blocks.step = None
    return whole, by_blocks


def assert_alike(found: Tensor, expected: Tensor, precision: str) -> None:
    assert found.isfinite().all()
    assert (found - expected).norm() <= BOUNDS[precision] * expected.norm()


@pytest.mark.parametrize("n_rows", [1, 3, 4, 7, MOST + 1])
@torch.inference_mode()
def test_the_loop_is_the_blocks(precision: Precision, n_rows: int) -> None:
    """Ragged texts, through more positions than there was room for; and what stays in the cache."""
    whole, by_blocks = twins(precision)
    ids = torch.randint(0, 50, (n_rows, 80), generator=torch.Generator().manual_seed(1))
    valid = torch.ones(n_rows, 4, dtype=torch.bool)
    valid[1::2, :3] = False
    ours, theirs = whole.new_cache(n_rows, 8), by_blocks.new_cache(n_rows, 8)
    assert_alike(
        whole.next_logits(ids[:, :4], ours, valid),
        by_blocks.next_logits(ids[:, :4], theirs, valid),
        precision,
    )
    for new in ids[:, 4:].split(1, dim=1):
        found = whole.next_logits(new, ours)
        assert_alike(found, by_blocks.next_logits(new, theirs), precision)
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        a, b = one.self_attention, other.self_attention
        assert a.length == b.length == 80
        for found, expected in ((a.k, b.k), (a.v, b.v)):
            assert found is not None
            assert expected is not None
            assert_alike(found[:, :, :80], expected[:, :, :80], precision)


@torch.inference_mode()
def test_hidden_states_and_logits_are_of_one_step(precision: Precision) -> None:
    """To the bit: texts do not depend on whether a shortlist was asked for."""
    whole, _ = twins(precision)
    ids, cache = some_ids(3, 5), whole.new_cache(3, 6)
    whole(ids[:, :4], cache=cache)
    logits = whole.next_logits(ids[:, 4:], copy.deepcopy(cache))
    hidden = whole(ids[:, 4:], cache=cache)
    rows = steps.rows_of(whole.head.product)  # so small a head goes by a library
    assert rows is not None
    assert torch.equal(rows(hidden[:, 0]), logits)
    assert_alike(whole.head(hidden[:, 0]), logits, precision)


@torch.inference_mode()
def test_a_past_may_move_between_steps(precision: Precision) -> None:
    """Where it was is remembered from one step to the next, and not when it is elsewhere."""
    whole, by_blocks = twins(precision)
    ids = some_ids(3, 30)
    ours, theirs, third = (whole.new_cache(3, 8) for _ in range(3))
    for twin, cache in ((whole, ours), (by_blocks, theirs), (whole, third)):
        twin(ids[:, :4], cache=cache)
    for number in range(4, 30):
        new = ids[: ours.n_rows, number : number + 1]
        found = whole.next_logits(new, ours)
        assert_alike(found, by_blocks.next_logits(new, theirs), precision)
        if number == 9:  # another text in between
            whole.next_logits(ids[:, 4:5], third)
        if number in (12, 20):
            for cache in (ours, theirs):
                cache.select(torch.arange(cache.n_rows).flip(0)[1:])
        if number == 25:  # one layer alone, as nobody should
            held = ours.layers[1].self_attention
            assert held.k is not None
            held.k = held.k.clone()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.inference_mode()
def test_each_activation(activation: str) -> None:
    whole, by_blocks = twins("fp32", activation)
    ids = torch.randint(0, 50, (2, 9), generator=torch.Generator().manual_seed(2))
    ours, theirs = whole.new_cache(2, 9), by_blocks.new_cache(2, 9)
    for new in ids.split([3, 1, 1, 1, 1, 1, 1], dim=1):
        found = whole.next_logits(new, ours)
        assert_alike(found, by_blocks.next_logits(new, theirs), "fp32")


@torch.inference_mode()
def test_a_number_that_is_none_is_not_hidden(precision: Precision) -> None:
    whole, _ = twins(precision)
    ids, cache = torch.tensor([[3, 4], [5, 6]]), whole.new_cache(2, 4)
    whole.next_logits(ids, cache)
    whole.gpt.token_embedding.weight.data[7] = torch.nan
    found = whole(torch.tensor([[7], [8]]), cache=cache)
    assert found[0].isnan().all()
    assert not found[1].isnan().any()


def test_which_steps_it_takes(precision: Precision) -> None:
    """One new position of a few rows that have a past."""
    whole, most = twins(precision)[0], MOST
    step = whole.step
    assert step is not None
    if precision == "fp32" or isinstance(step.products[0][0], FewRows):
        most = steps.most_rows(precision)
    for n_past, n_rows, n_new, taken in (
        (0, 1, 1, False), (2, 1, 2, False), (2, 1, 1, True), (2, most, 1, True),
        (2, most + 1, 1, False),
    ):  # fmt: skip
        cache = whole.new_cache(n_rows, 4)
        if n_past:
            whole(torch.zeros(n_rows, n_past, dtype=torch.long), cache=cache)
        assert step.takes(torch.zeros(n_rows, n_new, 64), cache) == taken


@pytest.mark.parametrize("widths", [{"d_model": 40}, {"d_ff": 100}])
def test_other_widths_go_block_by_block(widths: dict[str, int]) -> None:
    model = Gpt(replace(CONFIG, **widths)).eval()
    assert FastGpt(model, "int8").step is None


def test_a_head_that_is_filled_up_is_no_part_of_it() -> None:
    """Its rows would be wider than the scores."""
    assert FastGpt(Gpt(replace(CONFIG, vocab_size=3)).eval()).step is None


def some_ids(*shape: int) -> Tensor:
    return torch.randint(0, 50, shape, generator=torch.Generator().manual_seed(3))


@torch.inference_mode()
def test_copies_have_the_loop_too(precision: Precision) -> None:
    """Of a module, and of a twin that has been used: with addresses of their own."""
    whole, _ = twins(precision)
    ids, cache = some_ids(2, 5), whole.new_cache(2, 6)
    whole.next_logits(ids[:, :4], cache)
    expected = whole.next_logits(ids[:, 4:], copy.deepcopy(cache))
    others = FastGpt(copy.deepcopy(whole.gpt), precision), copy.deepcopy(whole)
    assert whole.step is not None
    for product in (whole.step.head, *chain(*whole.step.products)):
        product.w.zero_()  # who reads it will be seen
    for other in others:
        assert other.step is not None
        assert torch.equal(other.next_logits(ids[:, 4:], copy.deepcopy(cache)), expected)


@torch.inference_mode()
def test_weights_may_move() -> None:
    """As those that processes come to share do, after the loop had their addresses."""
    whole, by_blocks = twins("fp32")
    ids, ours, theirs = some_ids(2, 6), whole.new_cache(2, 6), by_blocks.new_cache(2, 6)
    for number, new in enumerate(ids.split([4, 1, 1], dim=1)):
        if number == 2:
            whole.gpt.share_memory()
        found = whole.next_logits(new, ours)
        assert_alike(found, by_blocks.next_logits(new, theirs), "fp32")


@torch.inference_mode()
def test_a_past_of_more_layers_with_a_hole_is_not_taken() -> None:
    whole, _ = twins("fp32")
    model = Gpt(replace(CONFIG, n_layers=CONFIG.n_layers + 1)).eval()
    cache = model.new_cache(2, 4)
    model(some_ids(2, 3), cache=cache)
    assert whole.step is not None
    assert not whole.step.takes(torch.zeros(2, 1, 64), cache)
    cache.layers[1].self_attention.k = cache.layers[1].self_attention.v = None
    assert not whole.step.takes(torch.zeros(2, 1, 64), cache)


@pytest.mark.parametrize("other", ["bf16", "narrower", "fewer blocks"])
@torch.inference_mode()
def test_the_past_of_another_model_is_left_to_the_blocks(other: str) -> None:
    """Which convert it, or say what does not fit."""
    whole, by_blocks = twins("fp32")
    changed = {"narrower": {"d_model": 32}, "fewer blocks": {"n_layers": 1}}.get(other, {})
    model = Gpt(replace(CONFIG, **changed)).eval()
    ids = some_ids(2, 4)
    cache = model.new_cache(2, 4)
    (model.bfloat16() if other == "bf16" else model)(ids[:, :3], cache=cache)
    assert whole.step is not None
    assert not whole.step.takes(torch.zeros(2, 1, 64), cache)
    if other == "bf16":
        expected = by_blocks(ids[:, 3:], cache=copy.deepcopy(cache))
        assert torch.equal(whole(ids[:, 3:], cache=cache), expected)
    else:
        with pytest.raises((RuntimeError, IndexError)):
            whole(ids[:, 3:], cache=cache)


@torch.inference_mode()
def test_what_is_kept_in_bfloat16(precision: Precision) -> None:
    """Keys and values of weights that are, where the processor multiplies it."""
    whole, _ = twins(precision)
    cache = whole.new_cache(1, 4)
    for ids in (some_ids(1, 3), some_ids(1, 1)):
        whole(ids, cache=cache)
        held = cache.layers[0].self_attention.k
        assert held is not None
        is_half = precision == "bf16" and steps.has_halves()
        assert held.dtype == (torch.bfloat16 if is_half else torch.float32)


@torch.inference_mode()
def test_a_past_in_float32_goes_on_so(precision: Precision) -> None:
    """One that the module itself made, whatever the twin keeps: by the blocks."""
    whole, _ = twins(precision)
    ids, cache = some_ids(2, 6), whole.gpt.new_cache(2, 4)  # which has to grow
    whole.gpt(ids[:, :3], cache=cache)
    for new in ids[:, 3:].split([1, 2], dim=1):  # a step, and more positions than one
        found = whole(new, cache=cache)
    assert_alike(found, whole.gpt(ids)[:, 4:], precision)
    assert cache.layers[0].self_attention.k.dtype == torch.float32


def test_blocks_that_differ_go_one_by_one() -> None:
    def slower(block: Any) -> None:
        block.residual_1.norm.eps = 10.0

    def other(block: Any) -> None:
        block.feed_forward.activation = F.relu

    def unknown(block: Any) -> None:
        block.feed_forward.activation = torch.tanh

    for change, which in ((slower, 1), (other, 2), (unknown, slice(None))):
        model = Gpt(CONFIG).eval()
        blocks = list(model.blocks)[which] if isinstance(which, slice) else [model.blocks[which]]
        for block in blocks:
            change(block)
        fast = FastGpt(model)
        assert fast.step is None
        with torch.inference_mode():
            torch.testing.assert_close(fast(some_ids(2, 5)), model(some_ids(2, 5)))


@torch.inference_mode()
def test_with_another_default_device_and_without_rows(precision: Precision) -> None:
    whole, _ = twins(precision)
    ids, cache = some_ids(2, 5), whole.new_cache(2, 6)
    whole.next_logits(ids[:, :4], cache)
    expected = whole(ids[:, 4:], cache=copy.deepcopy(cache))
    other, _ = twins(precision)  # whose loop has been told nothing yet
    for twin in (whole, other):
        own = copy.deepcopy(cache)
        with torch.device("meta"):
            assert torch.equal(twin(ids[:, 4:], cache=own), expected)
    cache.select(torch.zeros(0, dtype=torch.long))
    assert whole(ids[:0, 4:], cache=cache).shape == (0, 1, 64)
