"""config.json of transformers' GPT2LMHeadModel <-> GptConfig.

The file is read; the defaults of transformers' own class are never assumed.
"""

from collections.abc import Mapping
from typing import Any

from triptych.convert.checks import (
    LARGEST_SIZE,
    check_fixed,
    norm_eps,
    probability,
    required,
    unsupported,
    whole_number,
)
from triptych.errors import ConfigError, ModelFileError
from triptych.models.gpt import GptConfig

MODEL_TYPE, KIND = "gpt2", "GPT-2"
ARCHITECTURES = ("GPT2LMHeadModel", "GPT2Model")
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
FOREIGN_ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu", "silu": "silu"}

SIZES = (
    ("vocab_size", "vocab_size"),
    ("d_model", "n_embd"),
    ("n_heads", "n_head"),
    ("n_layers", "n_layer"),
    ("max_seq_len", "n_positions"),
)
DROPOUTS = (
    ("dropout", "resid_pdrop"),
    ("attention_dropout", "attn_pdrop"),
    ("embedding_dropout", "embd_pdrop"),
)
# Above these a file is damaged or hostile; a size within them costs no memory by itself.
LARGEST = {"n_layer": 1000, "n_positions": 1_000_000}
# Keys that change the computation: the one value understood. Absent means that value.
FIXED: tuple[tuple[str, object], ...] = (
    ("scale_attn_weights", True),
    ("scale_attn_by_inverse_layer_idx", False),
    ("add_cross_attention", False),
    ("tie_word_embeddings", True),
    ("quantization_config", None),
)


def config_from_json(config: Mapping[str, Any], place: str) -> GptConfig:
    """Raises ModelFileError, naming key and value, for what is missing or not supported."""
    check_fixed(config, FIXED, place)
    _check_architecture(config, place)
    activation = required(config, "activation_function", place, KIND)
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise unsupported(place, "activation_function", activation, f"{known} are")
    sizes = {ours: _size(config, theirs, place) for ours, theirs in SIZES}
    dropouts = {ours: probability(config, theirs, place) for ours, theirs in DROPOUTS}
    d_ff = 4 * sizes["d_model"]
    if config.get("n_inner") is not None:
        d_ff = _size(config, "n_inner", place)
    try:
        return GptConfig(
            d_ff=d_ff,
            activation=ACTIVATIONS[activation],
            norm_eps=norm_eps(config, "layer_norm_epsilon", place, KIND),
            eos_id=_eos_id(config, sizes["vocab_size"], place),
            dropout=dropouts["dropout"],
            attention_dropout=dropouts["attention_dropout"],
            embedding_dropout=dropouts["embedding_dropout"],
            **sizes,
        )
    except ConfigError as error:
        raise ModelFileError(f"{place}: {error}") from error


def config_to_json(config: GptConfig) -> dict[str, Any]:
    """The keys that transformers reads, and n_ctx, which other converters look for."""
    return {
        "model_type": MODEL_TYPE,
        "architectures": [ARCHITECTURES[0]],
        **{theirs: getattr(config, ours) for ours, theirs in SIZES},
        "n_ctx": config.max_seq_len,
        "n_inner": None if config.d_ff == 4 * config.d_model else config.d_ff,
        "activation_function": FOREIGN_ACTIVATIONS[config.activation],
        **{theirs: getattr(config, ours) for ours, theirs in DROPOUTS},
        "layer_norm_epsilon": config.norm_eps,
        "initializer_range": 0.02,
        **{key: value for key, value in FIXED if value is not None},
        "bos_token_id": config.eos_id,
        "eos_token_id": config.eos_id,
        "use_cache": True,
    }


def generation_to_json(config: GptConfig) -> dict[str, Any]:
    """What transformers' generate needs to know: a text begins and ends with one token."""
    if config.eos_id is None:
        return {}
    return dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), config.eos_id)


def _size(config: Mapping[str, Any], key: str, place: str) -> int:
    value = required(config, key, place, KIND)
    return whole_number(key, value, place, LARGEST.get(key, LARGEST_SIZE))


def _check_architecture(config: Mapping[str, Any], place: str) -> None:
    names = config.get("architectures") or [ARCHITECTURES[0]]
    name = names[0] if isinstance(names, list) else names
    if name not in ARCHITECTURES:
        raise unsupported(place, "architectures", name, f"{', '.join(ARCHITECTURES)} are")


def _eos_id(config: Mapping[str, Any], vocab_size: int, place: str) -> int | None:
    """The first where there are several. One beyond the vocabulary ends nothing: models with a
    small vocabulary often carry the number of GPT-2's own."""
    value = config.get("eos_token_id")
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None:
        return None
    eos_id = whole_number("eos_token_id", value, place)
    return eos_id if eos_id < vocab_size else None
