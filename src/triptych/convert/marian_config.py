"""config.json of a MarianMTModel <-> EncoderDecoderConfig.

The file is read; the defaults of transformers' own class are never assumed.
"""

from collections.abc import Mapping
from typing import Any

from triptych.errors import ConfigError, ModelFileError
from triptych.models.encoder_decoder import EncoderDecoderConfig

MODEL_TYPE = "marian"
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
    for key, supported in FIXED:
        if config.get(key, supported) not in (supported, None):
            raise _unsupported(place, key, config[key], f"only {_shown(supported)} is")
    if config.get("scale_embedding") is not True:
        raise _unsupported(place, "scale_embedding", config.get("scale_embedding"), "only true is")
    activation = _required(config, "activation_function", place)
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise _unsupported(place, "activation_function", activation, f"{known} are")
    sizes = {ours: _agreed(config, theirs, place) for ours, theirs in SIZES}
    if config.get("decoder_vocab_size") not in (None, sizes["vocab_size"]):
        raise _unsupported(
            place,
            "decoder_vocab_size",
            config["decoder_vocab_size"],
            f"only vocab_size ({sizes['vocab_size']}) is: separate vocabularies are not",
        )
    dropout = config.get("dropout", 0.1)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ModelFileError(f"{place}: dropout is {dropout!r}, not a number in [0, 1)")
    try:
        return EncoderDecoderConfig(
            dropout=float(dropout), activation=ACTIVATIONS[activation], **sizes
        )
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


def _required(config: Mapping[str, Any], key: str, place: str) -> Any:
    if key not in config:
        raise ModelFileError(f"{place} has no key {key!r}, which a Marian model needs")
    return config[key]


def _agreed(config: Mapping[str, Any], keys: tuple[str, ...], place: str) -> int:
    values = [_required(config, key, place) for key in keys]
    for key, value in zip(keys, values, strict=True):
        largest = LARGEST.get(key, 2**31 - 1)
        if type(value) is not int or not 0 <= value <= largest:
            raise ModelFileError(
                f"{place}: {key} is {value!r}, not a whole number from 0 to {largest}"
            )
        if value == 0 and not key.endswith("_id"):
            raise ModelFileError(f"{place}: {key} is 0; a model needs at least 1")
        if value != values[0]:
            raise _unsupported(place, key, value, f"only that of {keys[0]} ({values[0]}) is")
    return int(values[0])


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _unsupported(place: str, key: str, value: object, instead: str) -> ModelFileError:
    return ModelFileError(f"{place}: {key} is {_shown(value)}, not supported; {instead}")
