"""config.json of transformers' Bert models <-> BertWithHeadsConfig.

The file is read; the defaults of transformers' own class are never assumed.
"""

from collections.abc import Mapping
from typing import Any

from triptych.convert.checks import (
    check_fixed,
    norm_eps,
    probability,
    required,
    unsupported,
    whole_number,
)
from triptych.errors import ConfigError, ModelFileError
from triptych.models.bert import BertConfig
from triptych.models.heads import BertWithHeadsConfig

MODEL_TYPE, KIND = "bert", "BERT"
ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu", "silu": "silu"}
FOREIGN_ACTIVATIONS = {ours: theirs for theirs, ours in ACTIVATIONS.items()} | {
    "gelu_tanh": "gelu_new"
}
SYNONYMS = {"gelu_pytorch_tanh": "gelu_tanh", "swish": "silu"}

HEADS = {  # transformers' class -> our heads
    "BertModel": ("pooler",),
    "BertForPreTraining": ("pooler", "masked_words", "next_sentence"),
    "BertForMaskedLM": ("masked_words",),
    "BertForNextSentencePrediction": ("pooler", "next_sentence"),
    "BertForSequenceClassification": ("pooler", "classifier"),
    "BertForTokenClassification": ("classifier",),
    "BertForQuestionAnswering": ("spans",),
}
ARCHITECTURES = {heads: name for name, heads in HEADS.items()} | {(): "BertModel"}

SIZES = (
    ("vocab_size", "vocab_size"),
    ("d_model", "hidden_size"),
    ("d_ff", "intermediate_size"),
    ("n_heads", "num_attention_heads"),
    ("n_layers", "num_hidden_layers"),
    ("max_seq_len", "max_position_embeddings"),
    ("n_segments", "type_vocab_size"),
)
LARGEST = {"num_hidden_layers": 1000, "max_position_embeddings": 1_000_000}
FIXED: tuple[tuple[str, object], ...] = (
    ("position_embedding_type", "absolute"),
    ("is_decoder", False),
    ("add_cross_attention", False),
    ("tie_word_embeddings", True),
    ("quantization_config", None),
)


def config_from_json(config: Mapping[str, Any], place: str) -> BertWithHeadsConfig:
    """Raises ModelFileError, naming key and value, for what is missing or not supported."""
    check_fixed(config, FIXED, place)
    activation = required(config, "hidden_act", place, KIND)
    activation = SYNONYMS.get(activation, ACTIVATIONS.get(activation))
    if activation is None:
        known = ", ".join((*ACTIVATIONS, *SYNONYMS))
        raise unsupported(place, "hidden_act", config["hidden_act"], f"{known} are")
    sizes = {
        ours: whole_number(
            theirs, required(config, theirs, place, KIND), place, LARGEST.get(theirs, 2**31 - 1)
        )
        for ours, theirs in SIZES
    }
    heads = _heads(config, place)
    try:
        trunk = BertConfig(
            pad_id=whole_number("pad_token_id", config.get("pad_token_id", 0), place),
            dropout=probability(config, "hidden_dropout_prob", place),
            attention_dropout=probability(config, "attention_probs_dropout_prob", place),
            activation=activation,
            norm_eps=norm_eps(config, "layer_norm_eps", place, KIND),
            **sizes,
        )
        kind, reads_texts = config.get("problem_type"), {"classifier", "pooler"} <= {*heads}
        if reads_texts and kind == "multi_label_classification":  # a sigmoid each; ours: a softmax
            raise unsupported(place, "problem_type", kind, "one label a text and regression are")
        labels = _labels(config, place) if "classifier" in heads else ()
        return BertWithHeadsConfig(trunk=trunk, heads=heads, labels=labels)
    except ConfigError as error:
        raise ModelFileError(f"{place}: {error}") from error


def config_to_json(config: BertWithHeadsConfig) -> dict[str, Any]:
    """The keys that transformers reads."""
    trunk = config.trunk
    written: dict[str, Any] = {
        "model_type": MODEL_TYPE,
        "architectures": [architecture(config)],
        **{theirs: getattr(trunk, ours) for ours, theirs in SIZES},
        **{key: value for key, value in FIXED if value is not None},
        "hidden_act": FOREIGN_ACTIVATIONS[trunk.activation],
        "hidden_dropout_prob": trunk.dropout,
        "attention_probs_dropout_prob": trunk.attention_dropout,
        "layer_norm_eps": trunk.norm_eps,
        "initializer_range": 0.02,
        "pad_token_id": trunk.pad_id,
    }
    if config.labels:
        written["id2label"] = {str(i): label for i, label in enumerate(config.labels)}
        written["label2id"] = {label: i for i, label in enumerate(config.labels)}
        if len(config.labels) == 1:
            written["problem_type"] = "regression"
    return written


def generation_to_json(config: BertWithHeadsConfig) -> dict[str, Any]:
    """Nothing: an encoder generates no text."""
    return {}


def architecture(config: BertWithHeadsConfig) -> str:
    """The class of transformers with these heads. Raises ModelFileError where there is none."""
    if config.heads not in ARCHITECTURES:
        raise ModelFileError(
            f"no class of transformers has the heads {', '.join(config.heads)} together; "
            f"there are {'; '.join(', '.join(heads) for heads in ARCHITECTURES if heads)}"
        )
    return ARCHITECTURES[config.heads]


def _heads(config: Mapping[str, Any], place: str) -> tuple[str, ...]:
    names = config.get("architectures") or ["BertModel"]
    name = names[0] if isinstance(names, list) else names
    if name not in HEADS:
        raise unsupported(place, "architectures", name, f"{', '.join(HEADS)} are")
    return HEADS[name]


def _labels(config: Mapping[str, Any], place: str) -> tuple[str, ...]:
    """id2label in the order of its numbers; without one, two labels as transformers assumes."""
    table = config.get("id2label")
    if table is None:
        n_labels = whole_number("num_labels", config.get("num_labels", 2), place)
        return tuple(f"LABEL_{i}" for i in range(n_labels))
    numbers = [str(i) for i in range(len(table))] if isinstance(table, Mapping) else []
    if not numbers or set(table) != set(numbers):
        raise ModelFileError(f"{place}: id2label is {table!r}; it must number labels from 0")
    return tuple(str(table[number]) for number in numbers)
