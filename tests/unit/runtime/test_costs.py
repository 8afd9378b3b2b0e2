"""Formulas of parameters and operations, against what torch counts."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from triptych.data.batching import IGNORE, PairBatch
from triptych.data.packed_batches import PackedBatch
from triptych.data.pretraining_batches import PretrainingBatch
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import (
    BERT_PRESETS,
    GPT_PRESETS,
    TRANSLATION_PRESETS,
    bert_preset,
    gpt_preset,
    translation_preset,
)
from triptych.recipes.train_bert import HEADS, pretraining_flops
from triptych.recipes.train_gpt import language_model_flops
from triptych.recipes.train_translation import training_flops
from triptych.runtime.costs import Config, row_flops, shape_of

V, B, T = 96, 3, 24
PRESETS = [
    *(("gpt", name) for name in GPT_PRESETS),
    *(("bert", name) for name in BERT_PRESETS),
    *(("translation", name) for name in TRANSLATION_PRESETS),
]


def preset(family: str, name: str, vocab_size: int = V) -> Config:
    if family == "gpt":
        return gpt_preset(name, vocab_size)
    if family == "bert":
        return bert_preset(name, vocab_size, 0)
    return translation_preset(name, vocab_size, vocab_size - 1, 0)


def model_of(family: str, config: Config) -> nn.Module:
    if family == "gpt":
        return Gpt(config)  # type: ignore[arg-type]
    if family == "bert":
        return BertWithHeads(BertWithHeadsConfig(trunk=config, heads=HEADS))  # type: ignore[arg-type]
    return EncoderDecoder(config)  # type: ignore[arg-type]


@pytest.mark.parametrize(("family", "name"), PRESETS)
def test_parameters_are_those_of_the_module(family: str, name: str) -> None:
    config = preset(family, name)
    with torch.device("meta"):
        model = model_of(family, config)
    shape = shape_of(config, T)
    assert shape.n_parameters == sum(p.numel() for p in model.parameters())
    blocks = [p for key, p in model.named_parameters() if "blocks." in key or "coder." in key]
    assert shape.in_blocks == sum(p.numel() for p in blocks)
    norms = [p for key, p in model.named_parameters() if "residual_" in key]
    assert shape.products == shape.in_blocks - sum(p.numel() for p in norms)


@pytest.mark.parametrize("family", ["gpt", "bert", "translation"])
def test_operations_are_those_that_torch_counts(family: str) -> None:
    """Its counter takes a masked attention as a full one; the rest is the same to the last."""
    config = replace(preset(family, "nano"), dropout=0.0)
    with torch.device("meta"):
        model = model_of(family, config)
        ids = torch.zeros(B, T, dtype=torch.long)
        valid = torch.ones(B, T, dtype=torch.bool)
        arguments = {"gpt": (ids,), "bert": (ids, valid), "translation": (ids, valid, ids)}[family]
        shape = shape_of(config, T)
        with FlopCounterMode(display=False) as counter:
            hidden = model(*arguments)
            n = shape.n_predicted
            weight, _ = model.output_projection  # type: ignore[misc]
            chosen = hidden[:, :n].flatten(0, 1)
            if family == "bert":
                chosen = model.heads["masked_words"](chosen)  # type: ignore[index]
            (chosen @ weight.T).sum().backward()
    pairs = sum(a.pairs * s.n_layers for s in shape.stacks for a in s.attentions)
    full = sum(a.n_queries * a.n_keys * s.n_layers for s in shape.stacks for a in s.attentions)
    counted = counter.get_total_flops() - B * 12 * shape.width * (full - pairs)
    assert B * row_flops(shape) == counted


@pytest.mark.parametrize("family", ["gpt", "bert", "translation"])
def test_operations_are_those_of_the_progress_line(family: str) -> None:
    """Of full rows; a translation's source and target are equally long."""
    config = preset(family, "nano")
    with torch.device("meta"):
        model: Any = model_of(family, config)
    ids, n_masked = torch.zeros(B, T, dtype=torch.long), shape_of(config, T).n_predicted
    valid, rows = torch.ones(B, T, dtype=torch.bool), torch.arange(B)
    if family == "gpt":
        counted = language_model_flops(model, PackedBatch(ids, ids, ids, ids, rows))
    elif family == "bert":
        labels = torch.full((B, T), IGNORE)
        labels[:, :n_masked] = 5
        counted = pretraining_flops(model, PretrainingBatch(ids, valid, ids, labels, rows, rows))
    else:
        counted = training_flops(model, PairBatch(ids, valid, ids, ids, rows))
    assert B * row_flops(shape_of(config, T)) == counted
