"""Arrays by layer, from one pass or from a decoding in steps."""

import numpy as np
import pytest
import torch

from triptych.errors import UsageError
from triptych.inspection.attention_maps import attention_maps
from triptych.inspection.record import Tape, record
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = EncoderDecoderConfig(
        vocab_size=23, d_model=12, d_ff=16, n_heads=3, n_encoder_layers=1, n_decoder_layers=2,
        pad_id=22, eos_id=0, start_id=22,
    )  # fmt: skip
    return EncoderDecoder(config).eval()


SOURCE = torch.tensor([[3, 4, 5, 6, 0], [7, 8, 0, 22, 22]])
VALID = SOURCE != 22
TARGET = torch.tensor([[22, 1, 2, 9], [22, 3, 4, 5]])


def test_layers_heads_and_kinds(model):
    with record(model) as tape:
        model(SOURCE, VALID, TARGET)
    cross = attention_maps(tape, "decoder.*.cross_attention")
    assert cross.shape == (2, 2, 3, 4, 5)
    assert cross.dtype == np.float32
    assert cross[1, :, :, :, 3:].max() == 0  # padding is not attended to
    for layer in range(2):
        expected = tape.weights[f"decoder.{layer}.cross_attention"][0]
        np.testing.assert_array_equal(cross[:, layer], expected)
    assert attention_maps(tape, "encoder.*.self_attention").shape == (2, 1, 3, 5, 5)
    assert attention_maps(tape, "encoder.0.self_attention").shape == (2, 1, 3, 5, 5)


@torch.no_grad()
def test_a_decoding_in_steps_is_put_together(model):
    with record(model) as whole:
        model(SOURCE, VALID, TARGET)
    with record(model) as steps:
        cache = model.start_decoding(SOURCE, VALID)
        for new in TARGET.split([2, 1, 1], dim=1):
            model.next_logits(new, cache)
    for where in ("decoder.*.cross_attention", "decoder.*.self_attention"):
        np.testing.assert_allclose(
            attention_maps(steps, where), attention_maps(whole, where), atol=1e-6
        )


def test_more_than_ten_layers_come_in_order():
    tape = Tape({f"blocks.{i}.a": [torch.full((1, 1, 1, 1), float(i))] for i in (10, 2, 0)})
    assert attention_maps(tape, "blocks.*.a").ravel().tolist() == [0, 2, 10]


def test_two_passes_on_one_tape_are_refused(model):
    with record(model) as tape:
        model(SOURCE, VALID, TARGET)
        model(SOURCE, VALID, TARGET)
    with pytest.raises(UsageError, match="recorded 2 times"):
        attention_maps(tape, "decoder.*.cross_attention")


def test_unknown_places_are_named(model):
    with record(model) as tape:
        model(SOURCE, VALID, TARGET)
    with pytest.raises(UsageError, match=r"'blocks.*'.*the tape has decoder\.\*\.cross_attention"):
        attention_maps(tape, "blocks.*.attention")
    with pytest.raises(UsageError, match="nothing at all"):
        attention_maps(Tape(), "decoder.*.cross_attention")
