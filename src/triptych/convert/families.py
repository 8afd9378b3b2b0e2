"""The kinds of model folder that are read and written, by the `model_type` of config.json."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from triptych.convert import bert, bert_config, elmo, gpt2, gpt2_config, marian, marian_config
from triptych.errors import ModelFileError
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads
from triptych.predecessors.elmo import Elmo
from triptych.tokenizers.base import Tokenizer
from triptych.tokenizers.loading import (
    load_encoder_tokenizer,
    load_tokenizer,
    load_translation_tokenizer,
)
from triptych.tokenizers.words import Words

Json = Mapping[str, Any]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Family:
    """How one family's folder becomes a model, and a model such a folder."""

    model_type: str
    model: type[nn.Module]
    """Built from its configuration alone; `model.config` gives that back."""
    config_from_json: Callable[[Json, str], Any]
    config_to_json: Callable[[Any], dict[str, Any]]
    generation_to_json: Callable[[Any], dict[str, Any]]
    complete: Callable[[Any, Tensors], Any]
    """The configuration, once the names of the stored tensors are known."""
    from_tensors: Callable[[Tensors, Any, str], dict[str, Tensor]]
    """Our state dict, in its own memory."""
    to_tensors: Callable[[Tensors, Any], dict[str, Tensor]]
    load_tokenizer: Callable[[Path], Tokenizer]
    check_fit: Callable[[Any, Any, str], None]
    """Raises ModelFileError if a tokenizer speaks of other ids than the model."""
    views: Callable[[Tensors, Any, str], dict[str, Tensor]] | None = None
    """As `from_tensors`, without a copy of what needs none; none where everything is reordered."""

    @property
    def from_mapped(self) -> Callable[[Tensors, Any, str], dict[str, Tensor]]:
        """Our state dict, in the memory of what is given as far as that is possible."""
        return self.views or self.from_tensors


def _check_translation(config: Any, tokenizer: Any, place: str) -> None:
    for name in ("vocab_size", "pad_id", "eos_id"):
        _check_equal(name, getattr(config, name), getattr(tokenizer, name), place)


def _check_encoder(config: Any, tokenizer: Any, place: str) -> None:
    _check_equal("pad_id", config.trunk.pad_id, tokenizer.pad_id, place)
    _check_rows(config.trunk.vocab_size, tokenizer, place)


def _check_generator(config: Any, tokenizer: Any, place: str) -> None:
    if config.eos_id is not None:
        _check_equal("eos_id", config.eos_id, tokenizer.eos_id, place)
    _check_rows(config.vocab_size, tokenizer, place)


def _check_words(config: Any, tokenizer: Any, place: str) -> None:
    if config.vocab_size:  # else nothing is predicted, and the words do not matter
        _check_equal("vocab_size", config.vocab_size, tokenizer.vocab_size, place)


def _check_rows(n_rows: int, tokenizer: Any, place: str) -> None:
    """An embedding may have more rows than there are tokens (padded to a round number)."""
    if tokenizer.vocab_size > n_rows:
        _check_equal("vocab_size", n_rows, tokenizer.vocab_size, place)


def _check_equal(name: str, ours: int, its: int, place: str) -> None:
    if ours != its:
        raise ModelFileError(
            f"{place}: the tokenizer does not fit the model: its {name} is {its}, the model's is "
            f"{ours}; use the tokenizer that the model was trained with"
        )


MARIAN = Family(
    model_type=marian_config.MODEL_TYPE,
    model=EncoderDecoder,
    config_from_json=marian_config.config_from_json,
    config_to_json=marian_config.config_to_json,
    generation_to_json=marian_config.generation_to_json,
    complete=lambda config, tensors: config,
    from_tensors=marian.from_marian,
    to_tensors=marian.to_marian,
    load_tokenizer=load_translation_tokenizer,
    check_fit=_check_translation,
)
BERT = Family(
    model_type=bert_config.MODEL_TYPE,
    model=BertWithHeads,
    config_from_json=bert_config.config_from_json,
    config_to_json=bert_config.config_to_json,
    generation_to_json=bert_config.generation_to_json,
    complete=bert.with_stored_heads,
    from_tensors=bert.from_bert,
    to_tensors=bert.to_bert,
    load_tokenizer=load_encoder_tokenizer,
    check_fit=_check_encoder,
)
GPT2 = Family(
    model_type=gpt2_config.MODEL_TYPE,
    model=Gpt,
    config_from_json=gpt2_config.config_from_json,
    config_to_json=gpt2_config.config_to_json,
    generation_to_json=gpt2_config.generation_to_json,
    complete=lambda config, tensors: config,
    from_tensors=gpt2.from_gpt2,
    to_tensors=gpt2.to_gpt2,
    load_tokenizer=load_tokenizer,
    check_fit=_check_generator,
    views=partial(gpt2.from_gpt2, copy=False),
)
ELMO = Family(
    model_type=elmo.MODEL_TYPE,
    model=Elmo,
    config_from_json=elmo.config_from_json,
    config_to_json=elmo.config_to_json,
    generation_to_json=lambda config: {},
    complete=lambda config, tensors: config,
    from_tensors=elmo.from_tensors,
    to_tensors=elmo.to_tensors,
    load_tokenizer=Words.load,
    check_fit=_check_words,
)
FAMILIES = {family.model_type: family for family in (MARIAN, BERT, GPT2, ELMO)}


def family_of(config: Json, place: str) -> Family:
    """By `model_type`. Raises ModelFileError for a kind we do not know."""
    kind = config.get("model_type")
    if kind not in FAMILIES:
        known = ", ".join(repr(name) for name in FAMILIES)
        raise ModelFileError(f"{place}: model_type is {kind!r}; this version reads {known}")
    return FAMILIES[kind]


def family_of_model(model: nn.Module) -> Family:
    """By the class of a model."""
    return next(family for family in FAMILIES.values() if isinstance(model, family.model))
