"""Our encoder and its heads against transformers' Bert classes with random weights.

Every tensor crosses the table of `convert/bert.py`. Both libraries sum in another order, so
numbers agree to 1e-5.
"""

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from triptych.convert.bert import from_bert, to_bert, with_stored_heads
from triptych.convert.bert_config import HEADS, config_from_json, config_to_json
from triptych.core.attention import attention
from triptych.models.heads import BertWithHeads
from triptych.models.presets import BERT_PRESETS, bert_preset
from triptych.training.objectives import PretrainingObjective

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

VOCABULARY, PAD = 60, 0
N_LABELS = {"BertForSequenceClassification": 3, "BertForTokenClassification": 5}
CLASSES = list(HEADS)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        yield


class Both(NamedTuple):
    ours: BertWithHeads
    theirs: Any


class Inputs(NamedTuple):
    token_ids: Tensor
    valid: Tensor
    segment_ids: Tensor

    @property
    def theirs(self) -> dict[str, Tensor]:
        return {
            "input_ids": self.token_ids,
            "attention_mask": self.valid.long(),
            "token_type_ids": self.segment_ids,
        }


def random_bert(name: str, activation: str = "gelu", seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=40, hidden_act=activation, max_position_embeddings=20,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=PAD,
        num_labels=N_LABELS.get(name, 2), attn_implementation="eager",
    )  # fmt: skip
    model = getattr(transformers, name)(config).eval()
    for parameter in model.parameters():  # biases and norms matter too
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def as_ours(theirs: Any, folder: Path) -> BertWithHeads:
    """Saved by them, read by us from the files."""
    theirs.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    config = config_from_json(json.loads((folder / "config.json").read_text()), "config.json")
    config = with_stored_heads(config, tensors)
    ours = BertWithHeads(config).eval()
    ours.load_state_dict(from_bert(tensors, config, "theirs"))
    return ours


@pytest.fixture(params=CLASSES)
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Both:
    theirs = random_bert(
        request.param, ["gelu", "gelu_new", "relu"][CLASSES.index(request.param) % 3]
    )
    return Both(as_ours(theirs, tmp_path), theirs)


def inputs() -> Inputs:
    """Ragged, two segments."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([9, 3, 14, 7])
    valid = torch.arange(14) < lengths[:, None]
    ids = torch.randint(1, VOCABULARY, (4, 14), generator=generator).masked_fill(~valid, PAD)
    segments = (torch.arange(14) >= lengths[:, None] // 2).long() * valid
    return Inputs(ids, valid, segments)


def outputs(both: Both, given: Inputs) -> dict[str, tuple[Tensor, Tensor]]:
    """What each head gives, ours beside theirs."""
    ours, name = both.ours, type(both.theirs).__name__
    hidden = ours(*given)
    found = both.theirs(**given.theirs, output_hidden_states=True)
    real = given.valid
    pairs = {"hidden": (hidden[real], found.hidden_states[-1][real])}
    if "pooler" in ours.heads:
        pooled = ours.heads["pooler"](hidden)
        if name == "BertModel":
            pairs["pooled"] = pooled, found.pooler_output
        if name == "BertForPreTraining":
            pairs["next"] = ours.heads["next_sentence"](pooled), found.seq_relationship_logits
        if name == "BertForNextSentencePrediction":
            pairs["next"] = ours.heads["next_sentence"](pooled), found.logits
    if name in ("BertForPreTraining", "BertForMaskedLM"):
        logits = found.prediction_logits if name == "BertForPreTraining" else found.logits
        pairs["words"] = ours.word_logits(hidden[real]), logits[real]
    if name == "BertForSequenceClassification":
        pairs["classes"] = ours.classify(hidden), found.logits
    if name == "BertForTokenClassification":
        pairs["tags"] = ours.classify(hidden)[real], found.logits[real]
    if name == "BertForQuestionAnswering":
        theirs = torch.stack([found.start_logits, found.end_logits], dim=-1)
        pairs["spans"] = ours.heads["spans"](hidden)[real], theirs[real]
    return pairs


def test_every_class_gives_the_same(both: Both) -> None:
    pairs = outputs(both, inputs())
    assert len(pairs) >= 2
    for name, (ours, theirs) in pairs.items():
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5, msg=name)


def test_what_we_write_is_what_they_wrote(both: Both, tmp_path: Path) -> None:
    written = to_bert(both.ours.state_dict(), both.ours.config)
    stored = load_file(tmp_path / "model.safetensors")
    assert set(written) == set(stored)
    for name, tensor in stored.items():
        assert torch.equal(written[name], tensor), name


def test_they_load_what_we_write_without_a_word(both: Both, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "ours"
    folder.mkdir()
    written = to_bert(both.ours.state_dict(), both.ours.config)
    save_file(written, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config_to_json(both.ours.config)))
    again, info = type(both.theirs).from_pretrained(folder, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, (ours, theirs) in outputs(Both(both.ours, again.eval()), inputs()).items():
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5, msg=name)


def test_losses_and_gradients_of_pretraining(tmp_path: Path) -> None:
    theirs = random_bert("BertForPreTraining")
    ours = as_ours(theirs, tmp_path)
    given = inputs()
    labels = given.token_ids.masked_fill(~given.valid, -100)
    labels[:, ::3] = -100
    is_random = torch.tensor([0, 1, 1, 0])

    batch = SimpleNamespace(**given._asdict(), labels=labels, is_random=is_random)
    words, following = PretrainingObjective()(ours, batch)
    loss = words.smoothed / words.n_tokens + following.smoothed / following.n_tokens
    loss.backward()
    expected = theirs(**given.theirs, labels=labels, next_sentence_label=is_random).loss
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    found = {name: p.grad for name, p in ours.named_parameters()}
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    largest = max(float(g.abs().max()) for g in gradients.values())
    state = to_bert({name: g for name, g in found.items() if g is not None}, ours.config)
    assert len(state) == len(gradients)
    for name, gradient in state.items():
        assert float((gradient - gradients[name]).abs().max()) <= 1e-5 * largest, name


def test_dropout_is_in_the_same_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random draws are replaced by a pattern of the shape alone, the same in both libraries."""
    theirs = random_bert("BertModel").train()
    ours = as_ours(theirs, tmp_path).train()
    shapes: list[torch.Size] = []

    def pattern(x: Tensor, *_: Any, **__: Any) -> Tensor:
        shapes.append(x.shape)
        return x * (torch.arange(x.numel()) % 7 > 1).view(x.shape)

    monkeypatch.setattr(torch.nn.functional, "dropout", pattern)
    for module in ("dropout", "attention"):
        monkeypatch.setattr(f"triptych.core.{module}.dropout", pattern)
    for block in ours.bert.blocks:
        block.self_attention.attend = attention
    given = inputs()
    hidden = ours(*given)
    ours_dropped, shapes = shapes, []
    expected = theirs(**given.theirs).last_hidden_state
    assert ours_dropped == shapes
    assert len(shapes) == 1 + 3 * 3  # embeddings; in each layer weights and two sub-layers
    torch.testing.assert_close(hidden[given.valid], expected[given.valid], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BERT_PRESETS)
def test_presets_have_as_many_parameters_as_transformers(name: str) -> None:
    from triptych.models.heads import BertWithHeadsConfig

    trunk = bert_preset(name, 30_522, pad_id=0)
    config = BertWithHeadsConfig(trunk=trunk, heads=HEADS["BertForPreTraining"])
    with torch.device("meta"):
        ours = BertWithHeads(config)
        theirs = transformers.BertForPreTraining(
            transformers.BertConfig.from_dict(config_to_json(config))
        )
        theirs.tie_weights()
    count = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert count[0] == count[1]
    if name == "base":
        assert count[0] == 110_106_428
        with torch.device("meta"):
            bare = BertWithHeads(BertWithHeadsConfig(trunk=trunk))
        assert sum(p.numel() for p in bare.parameters()) == 109_482_240
