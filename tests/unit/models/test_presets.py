"""The papers' tables, and the number of parameters by a formula of our own."""

import pytest
import torch

from triptych.errors import ConfigError
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.models.presets import (
    GPT_PRESETS,
    TRANSLATION_PRESETS,
    gpt_preset,
    translation_preset,
)

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


GPT_2 = {  # E, heads, layers, context, parameters with 50,257 entries; the first four are ours
    "nano": (128, 4, 4, 256, 7_259_008),
    "tiny": (256, 4, 4, 256, 16_090_880),
    "mini": (384, 6, 6, 256, 30_044_544),
    "small": (512, 8, 8, 512, 51_213_824),
    "gpt2": (768, 12, 12, 1024, 124_439_808),
    "gpt2-medium": (1024, 16, 24, 1024, 354_823_168),
    "gpt2-large": (1280, 20, 36, 1024, 774_030_080),
    "gpt2-xl": (1600, 25, 48, 1024, 1_557_611_200),
}


def n_gpt_parameters(v, e, n, t):
    """Counted from the figure: tokens, positions, blocks of 4E within, the last norm."""
    block = 4 * (e * e + e) + 8 * e * e + 5 * e + 2 * 2 * e
    return v * e + t * e + n * block + 2 * e


def test_all_gpt_presets_are_here():
    assert set(GPT_2) == set(GPT_PRESETS)


@pytest.mark.parametrize("name", GPT_2)
def test_the_table_of_gpt_2(name):
    """No weight is allocated: the largest would take 6 GB."""
    e, heads, n, context, count = GPT_2[name]
    config = gpt_preset(name, 50_257, eos_id=50_256)
    with torch.device("meta"):
        model = Gpt(config)
    assert sum(p.numel() for p in model.parameters()) == count
    assert count == n_gpt_parameters(50_257, e, n, context)
    shape = (config.d_model, config.d_ff, config.n_heads, config.n_layers, config.max_seq_len)
    assert shape == (e, 4 * e, heads, n, context)
    assert (config.activation, config.norm_eps, config.eos_id) == ("gelu_tanh", 1e-5, 50_256)
    assert config.dropout == config.attention_dropout == config.embedding_dropout == 0.1


def test_a_vocabulary_may_have_no_end():
    assert gpt_preset("nano", 65).eos_id is None


def test_an_unknown_gpt_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match="no preset 'gpt3'; there are nano, tiny, mini, small, g"):
        gpt_preset("gpt3", 100)
