"""The papers' tables, and the number of parameters by a formula of our own."""

import pytest
import torch

from triptych.errors import ConfigError
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.presets import TRANSLATION_PRESETS, translation_preset

TABLE_3 = {  # E, F, heads, layers left and right, P_drop; nano and tiny are not in the paper
    "nano": (128, 256, 4, 2, 0.1),
    "tiny": (128, 256, 4, 4, 0.3),
    "base": (512, 2048, 8, 6, 0.1),
    "big": (1024, 4096, 16, 6, 0.3),
}


def n_parameters(v, e, f, n):
    """Counted from the figure: matrices, biases, gains; the embedding once."""
    attention, norm = 4 * (e * e + e), 2 * e
    feed_forward = e * f + f + f * e + e
    block = attention + feed_forward + 2 * norm
    cross_block = 2 * attention + feed_forward + 3 * norm
    return v * e + n * (block + cross_block)


def counted(name, vocab_size):
    with torch.device("meta"):
        model = EncoderDecoder(translation_preset(name, vocab_size, vocab_size - 1, 0))
    return sum(p.numel() for p in model.parameters())


def test_all_presets_are_here():
    assert set(TABLE_3) == set(TRANSLATION_PRESETS)


@pytest.mark.parametrize("name", TABLE_3)
def test_the_table(name):
    e, f, heads, n, dropout = TABLE_3[name]
    config = translation_preset(name, 100, 99, 3)
    assert (config.d_model, config.d_ff, config.n_heads, config.dropout) == (e, f, heads, dropout)
    assert config.n_encoder_layers == config.n_decoder_layers == n
    assert (config.pad_id, config.start_id, config.eos_id) == (99, 99, 3)
    assert config.activation == "relu"


@pytest.mark.parametrize("vocab_size", [9_960, 37_000])
@pytest.mark.parametrize("name", TABLE_3)
def test_the_count_is_the_formula(name, vocab_size):
    e, f, _, n, _ = TABLE_3[name]
    assert counted(name, vocab_size) == n_parameters(vocab_size, e, f, n)


def test_the_counts_that_are_stated():
    """The paper prints 65 M and 213 M for its vocabulary of "about 37000" entries."""
    assert counted("tiny", 9_960) == 2_599_936
    assert counted("base", 37_000) == 63_082_496
    assert counted("big", 37_000) == 214_245_376


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match="no preset 'huge'; there are nano, tiny, base, big"):
        translation_preset("huge", 100, 99, 0)
