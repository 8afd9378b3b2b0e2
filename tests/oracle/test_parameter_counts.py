"""As many parameters as transformers' MarianMTModel of the same shape."""

import pytest
import torch

from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.presets import TRANSLATION_PRESETS, translation_preset

transformers = pytest.importorskip("transformers")


def theirs(config):
    shape = transformers.MarianConfig(
        vocab_size=config.vocab_size,
        d_model=config.d_model,
        encoder_layers=config.n_encoder_layers,
        decoder_layers=config.n_decoder_layers,
        encoder_attention_heads=config.n_heads,
        decoder_attention_heads=config.n_heads,
        encoder_ffn_dim=config.d_ff,
        decoder_ffn_dim=config.d_ff,
        activation_function=config.activation,
        max_position_embeddings=config.max_seq_len,
        pad_token_id=config.pad_id,
        eos_token_id=config.eos_id,
        decoder_start_token_id=config.start_id,
        share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model = transformers.MarianMTModel(shape)
        model.tie_weights()
    # Their table of waves is a parameter that never trains; ours is none.
    return {name: p for name, p in model.named_parameters() if "embed_positions" not in name}


@pytest.mark.parametrize("vocab_size", [9_960, 37_000])
@pytest.mark.parametrize("name", TRANSLATION_PRESETS)
def test_presets_have_as_many_parameters_as_marian(name, vocab_size):
    config = translation_preset(name, vocab_size, pad_id=vocab_size - 1, eos_id=0)
    with torch.device("meta"):
        ours = dict(EncoderDecoder(config).named_parameters())
    expected = theirs(config)
    assert sum(p.numel() for p in ours.values()) == sum(p.numel() for p in expected.values())
    assert sorted(tuple(p.shape) for p in ours.values()) == sorted(
        tuple(p.shape) for p in expected.values()
    )
