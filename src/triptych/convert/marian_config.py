"""config.json of a MarianMTModel <-> EncoderDecoderConfig.

The file is read; the defaults of transformers' own class are never assumed.
"""

from collections.abc import Mapping
from typing import Any

from triptych.convert.checks import (
    LARGEST_SIZE,
    check_fixed,
    probability,
    required,
    unsupported,
    whole_number,
)
from triptych.errors import ConfigError, ModelFileError
from triptych.models.encoder_decoder import EncoderDecoderConfig

MODEL_TYPE, KIND = "marian", "Marian"
ACTIVATIONS = {"relu": "relu", "swish": "silu", "silu": "silu", "gelu": "gelu"}

# Ours, and the keys that must all be there and say the same.
SIZES = (
    ("vocab_size", ("vocab_size",)),
    ("d_model", ("d_model",)),
    ("d_ff", ("encoder_ffn_dim", "decoder_ffn_dim")),
    ("n_heads", ("encoder_attention_heads", "decoder_attention_heads")),
    ("n_encoder_layers", ("encoder_layers",)),
    ("n_decoder_layers", ("decoder_layers",)),
    ("max_seq_len", ("max_position_embeddings",)),
    ("pad_id", ("pad_token_id",)),
    ("eos_id", ("eos_token_id",)),
    ("start_id", ("decoder_start_token_id",)),
)
# Above these a file is damaged or hostile; a size within them costs no memory by itself.
LARGEST = {"encoder_layers": 1000, "decoder_layers": 1000, "max_position_embeddings": 1_000_000}
# Keys that change the computation: the one value understood. Absent means that value.
FIXED = (
    ("is_encoder_decoder", True),
    ("normalize_before", False),
    ("normalize_embedding", False),
    ("add_final_layer_norm", False),
    ("add_bias_logits", False),
    ("static_position_embeddings", True),
    ("share_encoder_decoder_embeddings", True),
    ("tie_word_embeddings", True),
    ("quantization_config", None),
)


def config_from_json(config: Mapping[str, Any], place: str) -> EncoderDecoderConfig:
    """Raises ModelFileError, naming key and value, for what is missing or not supported."""
    check_fixed(config, FIXED, place)
    if config.get("scale_embedding") is not True:
        raise unsupported(place, "scale_embedding", config.get("scale_embedding"), "only true is")
    activation = required(config, "activation_function", place, KIND)
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise unsupported(place, "activation_function", activation, f"{known} are")
    sizes = {ours: _agreed(config, theirs, place) for ours, theirs in SIZES}
    if config.get("decoder_vocab_size") not in (None, sizes["vocab_size"]):
        raise unsupported(
            place,
            "decoder_vocab_size",
            config["decoder_vocab_size"],
            f"only vocab_size ({sizes['vocab_size']}) is: separate vocabularies are not",
        )
    dropout = probability(config, "dropout", place)
    try:
        return EncoderDecoderConfig(dropout=dropout, activation=ACTIVATIONS[activation], **sizes)
    except ConfigError as error:
        raise ModelFileError(f"{place}: {error}") from error


def config_to_json(config: EncoderDecoderConfig) -> dict[str, Any]:
    """The keys that transformers and CTranslate2's converter read."""
    activation = {"silu": "swish"}.get(config.activation, config.activation)
    sizes = {key: getattr(config, ours) for ours, theirs in SIZES for key in theirs}
    fixed = {key: value for key, value in FIXED if value is not None}
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["MarianMTModel"],
        **sizes,
        **fixed,
        "decoder_vocab_size": config.vocab_size,
        "activation_function": activation,
        "scale_embedding": True,
        "dropout": config.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "init_std": 0.02,
        "use_cache": True,
        "num_hidden_layers": config.n_encoder_layers,
        "forced_eos_token_id": config.eos_id,
        "bad_words_ids": [[config.pad_id]],
    }


def generation_to_json(config: EncoderDecoderConfig) -> dict[str, Any]:
    """What transformers' generate needs to know of any of our models."""
    return {
        "pad_token_id": config.pad_id,
        "eos_token_id": config.eos_id,
        "decoder_start_token_id": config.start_id,
        "forced_eos_token_id": config.eos_id,
        "bad_words_ids": [[config.pad_id]],
        "max_length": min(512, config.max_seq_len),
        "num_beams": 4,
    }


def _agreed(config: Mapping[str, Any], keys: tuple[str, ...], place: str) -> int:
    values = [required(config, key, place, KIND) for key in keys]
    for key, value in zip(keys, values, strict=True):
        whole_number(key, value, place, LARGEST.get(key, LARGEST_SIZE))
        if value != values[0]:
            raise unsupported(place, key, value, f"only that of {keys[0]} ({values[0]}) is")
    return int(values[0])
