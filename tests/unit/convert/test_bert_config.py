"""config.json of transformers' Bert models is read, never guessed; what is odd is named."""

import json

import pytest
import torch

from triptych.convert.bert import from_bert, table, to_bert, with_stored_heads
from triptych.convert.bert_config import HEADS, config_from_json, config_to_json
from triptych.errors import ModelFileError
from triptych.models.bert import BertConfig
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig

TRUNK = BertConfig(
    vocab_size=50, d_model=12, d_ff=20, n_heads=3, n_layers=2, dropout=0.2, attention_dropout=0.0,
    activation="gelu_tanh", max_seq_len=16, pad_id=3, norm_eps=1e-5,
)  # fmt: skip
LABELS = {"BertForSequenceClassification": ("no", "yes"), "BertForTokenClassification": ("O",)}


def config_of(name: str) -> BertWithHeadsConfig:
    return BertWithHeadsConfig(trunk=TRUNK, heads=HEADS[name], labels=LABELS.get(name, ()))


@pytest.mark.parametrize("name", HEADS)
def test_a_configuration_comes_back_equal(name: str) -> None:
    config = config_of(name)
    written = config_to_json(config)
    assert written["architectures"] == [name]
    assert config_from_json(json.loads(json.dumps(written)), "here") == config


@pytest.mark.parametrize("name", HEADS)
def test_weights_come_back_bit_for_bit(name: str) -> None:
    config = config_of(name)
    state = BertWithHeads(config).state_dict()
    assert {entry.ours for entry in table(config)} == set(state)
    theirs = to_bert(state, config)
    back = from_bert(theirs, with_stored_heads(config, theirs), "here")
    assert all(torch.equal(back[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("hidden_act", "mish", "hidden_act is 'mish', not supported; gelu, "),
        ("hidden_act", None, "has no key 'hidden_act', which a BERT model needs"),
        ("position_embedding_type", "relative_key", "position_embedding_type is 'relative_key'"),
        ("is_decoder", True, "is_decoder is true, not supported; only false is"),
        ("tie_word_embeddings", False, "tie_word_embeddings is false"),
        ("hidden_size", 13, r"d_model \(13\) must be a multiple of n_heads \(3\)"),
        ("num_hidden_layers", 10**9, "num_hidden_layers is 1000000000, not a whole number"),
        ("vocab_size", "50", "vocab_size is '50', not a whole number"),
        ("pad_token_id", 50, "pad_id is 50, outside the vocabulary of 50"),
        ("layer_norm_eps", 0, r"layer_norm_eps is 0, not a number in \(0, 1\)"),
        ("hidden_dropout_prob", 1.5, r"hidden_dropout_prob is 1.5, not a number in \[0, 1\)"),
        ("architectures", ["BertForMultipleChoice"], "architectures is 'BertForMultipleChoice'"),
        ("problem_type", "multi_label_classification", "problem_type is .*, not supported"),
        ("id2label", {"0": "a", "2": "b"}, "id2label is .* must number labels from 0"),
    ],
)
def test_what_is_not_supported_is_named(key: str, value: object, expected: str) -> None:
    config = config_to_json(config_of("BertForSequenceClassification")) | {key: value}
    if value is None:
        del config[key]
    with pytest.raises(ModelFileError, match=f"here.*{expected}"):
        config_from_json(config, "here")


def test_several_labels_at_once_are_a_matter_of_their_head_alone() -> None:
    config = config_to_json(config_of("BertForMaskedLM"))
    config["problem_type"] = "multi_label_classification"  # which transformers passes over there
    assert config_from_json(config, "here") == config_of("BertForMaskedLM")


def stored(name: str = "BertForPreTraining") -> dict[str, torch.Tensor]:
    config = config_of(name)
    return to_bert(BertWithHeads(config).state_dict(), config)


def test_older_spellings_are_read() -> None:
    tensors = stored()
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in tensors.items()
    }
    old["cls.predictions.decoder.bias"] = old.pop("cls.predictions.bias")
    old["cls.predictions.decoder.weight"] = old["bert.embeddings.word_embeddings.weight"]
    old["bert.embeddings.position_ids"] = torch.arange(16)[None]
    config = config_of("BertForPreTraining")
    one, two = (from_bert(given, config, "here") for given in (tensors, old))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_published_weights_have_more_heads_than_their_class() -> None:
    config = with_stored_heads(config_of("BertForMaskedLM"), stored("BertForPreTraining"))
    assert config.heads == HEADS["BertForPreTraining"]


def test_a_bare_encoder_may_lack_the_pooler() -> None:
    tensors = {k: v for k, v in stored("BertModel").items() if not k.startswith("pooler.")}
    config = with_stored_heads(config_of("BertModel"), tensors)
    assert config.heads == ()
    assert from_bert(tensors, config, "here")
    assert config_to_json(config)["architectures"] == ["BertModel"]


def test_a_pooler_that_nothing_reads_is_left_out() -> None:
    tensors = stored("BertForTokenClassification")
    tensors |= {f"bert.{k}": v for k, v in stored("BertModel").items() if k.startswith("pooler.")}
    config = with_stored_heads(config_of("BertForTokenClassification"), tensors)
    assert config.heads == ("classifier",)
    assert from_bert(tensors, config, "here")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.pop("bert.encoder.layer.1.output.dense.bias"),
         r"no tensor bert.encoder.layer.1.output.dense.bias; .* \(12,\)"),
        (lambda t: t.update({"bert.extra": torch.zeros(3)}), "has a tensor bert.extra of"),
        (lambda t: t["cls.predictions.bias"].fill_(float("nan")), "50 values that are not finite"),
        (lambda t: t.update({"cls.predictions.bias": torch.zeros(49)}),
         r"cls.predictions.bias should be \(50,\) .* is \(49,\)"),
        (lambda t: t.update({"cls.predictions.decoder.weight": torch.zeros(50, 12)}),
         "cls.predictions.decoder.weight differs"),
    ],
)  # fmt: skip
def test_damaged_weights_are_named(change, expected: str) -> None:  # type: ignore[no-untyped-def]
    tensors = stored()
    change(tensors)
    with pytest.raises(ModelFileError, match=expected):
        from_bert(tensors, config_of("BertForPreTraining"), "here")
