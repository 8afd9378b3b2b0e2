"""config.json is read, never guessed; what is not supported is named with key and value."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.convert.marian_config import config_from_json, config_to_json, generation_to_json
from triptych.errors import ModelFileError
from triptych.models.encoder_decoder import EncoderDecoderConfig

CONFIG = EncoderDecoderConfig(
    vocab_size=50, d_model=12, n_heads=3, activation="silu", dropout=0.3, max_seq_len=77,
    pad_id=49, eos_id=7, start_id=48,
)  # fmt: skip


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
def test_a_configuration_comes_back_equal(activation):
    config = replace(CONFIG, activation=activation)
    assert config_from_json(json.loads(json.dumps(config_to_json(config))), "here") == config


def test_what_other_libraries_need_is_there():
    written = config_to_json(CONFIG)
    assert written["model_type"] == "marian"
    assert written["activation_function"] == "swish"
    assert written["scale_embedding"] is True
    assert written["bad_words_ids"] == [[49]]
    assert written["forced_eos_token_id"] == 7
    assert generation_to_json(CONFIG)["max_length"] == 77


def test_a_published_configuration_is_read(data_dir: Path):
    path = data_dir / "tokenizers" / "marian-fr-en" / "config.json"
    assert config_from_json(json.loads(path.read_text()), str(path)) == EncoderDecoderConfig(
        vocab_size=53017, d_model=1024, d_ff=4096, n_heads=16, pad_id=53016, eos_id=43311,
        start_id=53016,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("normalize_before", True, "normalize_before is true, not supported; only false is"),
        ("normalize_embedding", True, "normalize_embedding is true"),
        ("add_final_layer_norm", True, "add_final_layer_norm is true"),
        ("static_position_embeddings", False, "static_position_embeddings is false"),
        ("share_encoder_decoder_embeddings", False, "share_encoder_decoder_embeddings is false"),
        ("tie_word_embeddings", False, "tie_word_embeddings is false"),
        ("scale_embedding", False, "scale_embedding is false, not supported; only true is"),
        ("scale_embedding", None, "scale_embedding is None"),
        ("quantization_config", {"bits": 4}, "quantization_config is {'bits': 4}"),
        ("decoder_vocab_size", 51, r"decoder_vocab_size is 51, .* separate vocabularies"),
        ("decoder_ffn_dim", 9, r"decoder_ffn_dim is 9, .* only that of encoder_ffn_dim \(2048\)"),
        ("decoder_attention_heads", 4, "decoder_attention_heads is 4"),
        ("activation_function", "gelu_new", "activation_function is 'gelu_new'"),
        ("d_model", 13, r"here: d_model \(13\) must be a multiple of n_heads"),
        ("d_model", "12", "d_model is '12', not a whole number"),
        ("d_model", 0, "d_model is 0; a model needs at least 1"),
        ("encoder_layers", 10**12, "encoder_layers is 1000000000000, not a whole number"),
        ("max_position_embeddings", 10**9, "is 1000000000, not a whole number from 0 to 1000000"),
        ("encoder_layers", True, "encoder_layers is True"),
        ("eos_token_id", [0, 1], r"eos_token_id is \[0, 1\]"),
        ("pad_token_id", 50, "here: pad_id is 50, outside the vocabulary of 50"),
        ("dropout", "0.1", "dropout is '0.1', not a number"),
    ],
)
def test_what_is_not_supported_is_named(key, value, expected):
    config = config_to_json(CONFIG) | {key: value}
    if value is None:
        del config[key]
    with pytest.raises(
        ModelFileError, match=f"here.*{expected}" if "here" not in expected else expected
    ):
        config_from_json(config, "here")


@pytest.mark.parametrize(
    "key",
    ["vocab_size", "d_model", "encoder_layers", "decoder_ffn_dim", "activation_function",
     "max_position_embeddings", "pad_token_id", "eos_token_id", "decoder_start_token_id"],
)  # fmt: skip
def test_no_default_is_assumed_for_what_shapes_the_model(key):
    config = config_to_json(CONFIG)
    del config[key]
    with pytest.raises(ModelFileError, match=f"here has no key '{key}'"):
        config_from_json(config, "here")
