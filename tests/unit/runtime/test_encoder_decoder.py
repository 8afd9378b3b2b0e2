"""The fast twin of `EncoderDecoder` against the module: whole texts, steps, moved rows, beams."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from triptych.decoding.beam import BeamOptions, beam_search
from triptych.decoding.candidates import TokenRoles
from triptych.errors import DataError
from triptych.models.encoder_decoder import ACTIVATIONS, EncoderDecoder, EncoderDecoderConfig
from triptych.runtime.encoder_decoder import FastEncoderDecoder
from triptych.runtime.packed import Precision

CONFIG = EncoderDecoderConfig(
    vocab_size=60,
    d_model=32,
    d_ff=72,
    n_heads=4,
    n_encoder_layers=2,
    n_decoder_layers=3,
    max_seq_len=24,
    pad_id=0,
    eos_id=1,
    start_id=2,
)
BOUNDS = {"fp32": 1e-5, "bf16": 0.03, "int8": 0.05}
"""Stated: the error of hidden states and logits, as a share of their norm."""
EACH_PRECISION = pytest.mark.parametrize("precision", BOUNDS)
LENGTHS = [6, 1, 9, 6]


pytestmark = pytest.mark.usefixtures("products")


def made(activation: str = "relu") -> EncoderDecoder:
    """Random weights, far from uniform, with biases and norms that do something."""
    torch.manual_seed(0)
    model = EncoderDecoder(replace(CONFIG, activation=activation)).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    model.final_logits_bias += torch.randn(60)
    return model


def some_ids(*shape: int) -> Tensor:
    return torch.randint(3, 60, shape, generator=torch.Generator().manual_seed(1))


def sources(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Ids and where they are real."""
    valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return some_ids(*valid.shape).masked_fill(~valid, CONFIG.pad_id), valid


def assert_near(found: Tensor, expected: Tensor, precision: str) -> None:
    assert found.dtype == torch.float32
    assert (found - expected).norm() <= BOUNDS[precision] * expected.norm()


@EACH_PRECISION
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("lengths", [LENGTHS, [7, 7]])
@torch.inference_mode()
def test_whole_texts(precision: Precision, activation: str, lengths: list[int]) -> None:
    model, (ids, valid) = made(activation), sources(lengths)
    fast, target = FastEncoderDecoder(model, precision), some_ids(len(lengths), 8)
    hidden = model(ids, valid, target)
    assert_near(fast(ids, valid, target), hidden, precision)
    assert_near(fast.logits(fast(ids, valid, target)), model.logits(hidden), precision)


@EACH_PRECISION
@torch.inference_mode()
def test_steps_with_a_cache(precision: Precision) -> None:
    model, given = made(), sources(LENGTHS)
    fast = FastEncoderDecoder(model, precision)
    slow_cache, fast_cache = model.start_decoding(*given), fast.start_decoding(*given)
    for ids in some_ids(4, 5).split(1, dim=1):
        expected = model.next_logits(ids, slow_cache)
        assert_near(fast.next_logits(ids, fast_cache), expected, precision)


MOVES = {
    "each row four times": [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3],
    "some sentences leave": [0, 3],
    "another order": [3, 1, 0, 2],
    "twice, in another order": [3, 3, 0, 0],
    "not as many of each": [0, 0, 1, 3, 3, 3],
    "as many of each, but apart": [2, 0, 2, 0],
}


@pytest.mark.parametrize("then", [None, [0, 1]], ids=["once", "and again"])
@pytest.mark.parametrize("rows", MOVES.values(), ids=list(MOVES))
@torch.inference_mode()
def test_rows_may_move(rows: list[int], then: list[int] | None) -> None:
    """Any selection does what it does to the module's own cache, step by step."""
    model, given = made(), sources(LENGTHS)
    fast = FastEncoderDecoder(model)
    slow_cache, fast_cache = model.start_decoding(*given), fast.start_decoding(*given)
    model.next_logits(some_ids(4, 1), slow_cache), fast.next_logits(some_ids(4, 1), fast_cache)
    for chosen in [rows] if then is None else [rows, then]:
        slow_cache.select(torch.tensor(chosen)), fast_cache.select(torch.tensor(chosen))
        new = some_ids(len(chosen), 1)
        expected = model.next_logits(new, slow_cache)
        assert_near(fast.next_logits(new, fast_cache), expected, "fp32")


@torch.inference_mode()
def test_beams_share_their_source() -> None:
    """Repeating and reordering rows copies nothing of it; sentences that end leave it."""
    fast = FastEncoderDecoder(made())
    cache = fast.start_decoding(*sources(LENGTHS))
    held = cache.source.held[0][0]
    fast.next_logits(some_ids(4, 1), cache)
    cache.select(torch.arange(4).repeat_interleave(3))
    fast.next_logits(some_ids(12, 1), cache)
    cache.reorder(torch.tensor([1, 0, 2, 3, 3, 3, 6, 8, 7, 9, 10, 11]))
    assert cache.source.held[0][0] is held
    cache.select(torch.tensor([0, 1, 9, 10]))
    assert len(cache.source.held[0][0]) == 2


@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_same_translations(beam_size: int) -> None:
    model, (ids, valid) = made(), sources([6, 1, 9, 6, 12])
    found = []
    for decoder in (model, FastEncoderDecoder(model)):
        found.append(
            beam_search(
                decoder.next_logits,  # type: ignore[attr-defined]
                decoder.start_decoding(ids, valid),  # type: ignore[attr-defined]
                TokenRoles(CONFIG.start_id, CONFIG.eos_id, (CONFIG.pad_id,)),
                [9, 4, 12, 9, 15],
                options=BeamOptions(beam_size=beam_size, n_best=beam_size),
            )
        )
    for slow, fast in zip(*found, strict=True):
        assert [h.token_ids for h in fast] == [h.token_ids for h in slow]
        assert [h.score for h in fast] == pytest.approx([h.score for h in slow], abs=1e-5)


@EACH_PRECISION
@torch.inference_mode()
def test_neighbours_and_padding_change_nothing(precision: Precision) -> None:
    """To rounding in float32; in the others what rounding may tip over one step of the scale."""
    fast, (ids, valid) = FastEncoderDecoder(made(), precision), sources(LENGTHS)
    target = some_ids(4, 5)
    together = fast(ids, valid, target)
    for row, length in enumerate(LENGTHS):
        alone = fast(ids[row, None, :length], valid[row, None, :length], target[row, None])
        bound = {"fp32": 1e-5, "bf16": 0.01, "int8": 0.01}[precision]
        assert (alone[0] - together[row]).norm() <= bound * together[row].norm()


@torch.inference_mode()
def test_the_future_is_hidden() -> None:
    fast, given, target = FastEncoderDecoder(made()), sources([5]), some_ids(1, 9)
    changed = target.clone()
    changed[0, 6] = 62 - changed[0, 6]
    before, after = fast(*given, target)[0], fast(*given, changed)[0]
    assert torch.equal(before[:6], after[:6])
    assert not torch.equal(before[6], after[6])


def test_a_text_beyond_the_limit() -> None:
    fast, given = FastEncoderDecoder(made()), sources([5])
    with pytest.raises(DataError, match="25 tokens is longer than this model's limit of 24"):
        fast(*given, some_ids(1, 25))
