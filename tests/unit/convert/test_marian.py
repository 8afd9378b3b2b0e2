"""The table between our names and Marian's: bit for bit both ways, every damage by name."""

import pytest
import torch

from triptych.convert.marian import (
    COPIES,
    POSITIONS,
    SHARED,
    from_marian,
    halves_order,
    table,
    to_marian,
)
from triptych.core.positions import sinusoidal_table
from triptych.errors import ModelFileError
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig

CONFIG = EncoderDecoderConfig(
    vocab_size=11,
    d_model=6,
    d_ff=10,
    n_heads=3,
    n_encoder_layers=2,
    n_decoder_layers=1,
    pad_id=10,
    eos_id=0,
    start_id=10,
)


@pytest.fixture
def state():
    torch.manual_seed(0)
    return {
        name: torch.randn_like(tensor)
        for name, tensor in EncoderDecoder(CONFIG).state_dict().items()
    }


def test_every_tensor_of_the_model_is_in_the_table_once(state):
    ours, theirs = [[getattr(e, side) for e in table(CONFIG)] for side in ("ours", "theirs")]
    assert sorted(ours) == sorted(state)
    assert len(set(theirs)) == len(theirs)


def test_there_and_back_is_bit_for_bit(state):
    back = from_marian(to_marian(state, CONFIG), CONFIG, "here")
    assert set(back) == set(state)
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name
    theirs = to_marian(state, CONFIG)
    again = to_marian(from_marian(theirs, CONFIG, "here"), CONFIG)
    assert all(torch.equal(again[name], theirs[name]) for name in theirs)


def test_width_is_reordered_and_heads_are_not(state):
    assert halves_order(6).tolist() == [0, 2, 4, 1, 3, 5]
    theirs = to_marian(state, CONFIG)
    q, out = "model.decoder.layers.0.encoder_attn.q_proj", "model.decoder.layers.0.fc2"
    ours = state["decoder.0.cross_attention.w_q.weight"]
    assert torch.equal(theirs[f"{q}.weight"], ours[:, [0, 2, 4, 1, 3, 5]])
    assert torch.equal(theirs[f"{q}.bias"], state["decoder.0.cross_attention.w_q.bias"])
    ours = state["decoder.0.feed_forward.w_down.weight"]
    assert torch.equal(theirs[f"{out}.weight"], ours[[0, 2, 4, 1, 3, 5]])
    assert theirs["final_logits_bias"].shape == (1, 11)
    table_in_halves = sinusoidal_table(5, 6)[:, halves_order(6)]
    angles = torch.arange(5)[:, None] / 10_000 ** (torch.arange(3) / 3)
    torch.testing.assert_close(table_in_halves, torch.cat([angles.sin(), angles.cos()], dim=1))


def test_half_precision_becomes_float32_and_memory_is_its_own(state):
    theirs = {name: tensor.half() for name, tensor in to_marian(state, CONFIG).items()}
    loaded = from_marian(theirs, CONFIG, "here")
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32}
    theirs = to_marian(state, CONFIG)
    loaded = from_marian(theirs, CONFIG, "here")
    expected = {name: tensor.clone() for name, tensor in loaded.items()}
    for tensor in theirs.values():
        tensor.zero_()
    assert all(torch.equal(loaded[name], expected[name]) for name in loaded)


def test_copies_and_position_tables_are_accepted_when_they_agree(state):
    theirs = to_marian(state, CONFIG)
    expected = from_marian(theirs, CONFIG, "here")
    full = theirs | {name: theirs[SHARED].clone() for name in (*COPIES, "lm_head.weight")}
    full |= {name: sinusoidal_table(9, 6)[:, halves_order(6)] for name in POSITIONS}
    half = {name: tensor.bfloat16() for name, tensor in full.items()}
    only_copy = {("lm_head.weight" if k == SHARED else k): v for k, v in theirs.items()}
    no_bias = {k: v for k, v in full.items() if k != "final_logits_bias"}
    for tensors in (full, only_copy):
        loaded = from_marian(tensors, CONFIG, "here")
        assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    from_marian(half, CONFIG, "here")
    assert not from_marian(no_bias, CONFIG, "here")["final_logits_bias"].any()


FC1 = "model.encoder.layers.1.fc1.weight"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.pop(FC1), rf"here has no tensor {FC1}; .* asks for one of \(10, 6\)"),
        (lambda t: t.pop(SHARED), rf"here has no tensor {SHARED}; .*\(11, 6\)"),
        (
            lambda t: t.update({FC1: t[FC1].T}),
            rf"here: {FC1} should be \(10, 6\) by its config.json, but is \(6, 10\)",
        ),
        (lambda t: t.update(extra=torch.zeros(2)), r"here has a tensor extra of \(2,\), for"),
        (
            lambda t: t.update({"model.encoder.layers.2.fc1.weight": torch.zeros(2), "z": t[FC1]}),
            r"tensor model.encoder.layers.2.fc1.weight of \(2,\) and 1 more",
        ),
        (lambda t: t[FC1][0].fill_(float("nan")), rf"{FC1} has 6 values that are not finite"),
        (lambda t: t[FC1][0, 0].fill_(float("inf")), rf"{FC1} has 1 values that are not finite"),
        (lambda t: t.update({FC1: t[FC1].int()}), rf"{FC1} is torch.int32, not floating point"),
        (
            lambda t: t.update({COPIES[1]: t[SHARED] + 1}),
            r"model.decoder.embed_tokens.weight differs from model.shared.weight",
        ),
        (
            lambda t: t.update({POSITIONS[0]: sinusoidal_table(9, 6)}),
            r"embed_positions.weight is not the sinusoidal table",
        ),
        (lambda t: t.update({POSITIONS[0]: torch.zeros(9, 8)}), "is not the sinusoidal table"),
    ],
)
def test_what_does_not_fit_is_named_with_its_shapes(state, change, expected):
    theirs = to_marian(state, CONFIG)
    change(theirs)
    with pytest.raises(ModelFileError, match=expected):
        from_marian(theirs, CONFIG, "here")
