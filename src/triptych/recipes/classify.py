"""Labels and values of texts, and tags of words, from a fine-tuned encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triptych.data.word_inputs import word_inputs
from triptych.errors import ModelFileError, UsageError
from triptych.models.heads import BertWithHeads
from triptych.recipes.encoding import EncoderInput, Trunk, head_outputs
from triptych.recipes.fast_twin import FastTwin
from triptych.tokenizers.wordpiece import WordPiece

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Classification:
    """The most probable label of a text or pair."""

    label: str
    probability: float
    probabilities: dict[str, float]
    """Of every label, in the model's order."""


def classify_inputs(
    twin: FastTwin[Trunk], inputs: Sequence[EncoderInput], batch_tokens: int
) -> list[Classification]:
    """One for each input. Raises ModelFileError for a model without labels for texts."""
    model: BertWithHeads = twin.module
    labels = model.config.labels
    if not _reads_texts(model) or len(labels) < 2:
        instead = (
            "it gives values instead" if gives_values(model)
            else "fine-tune one with triptych finetune classification"
        )  # fmt: skip
        raise ModelFileError(f"this model has no labels for texts; {instead}")

    found = []
    for row in head_outputs(
        twin,
        inputs,
        batch_tokens,
        lambda hidden, _: model.classify(hidden).float().softmax(dim=-1),
    ):
        best = int(row.argmax())
        shares = dict(zip(labels, row.tolist(), strict=True))
        found.append(Classification(labels[best], float(row[best]), shares))
    return found


def value_inputs(
    twin: FastTwin[Trunk], inputs: Sequence[EncoderInput], batch_tokens: int
) -> Values:
    """The value of each input [N]. Raises ModelFileError for a model without such a head."""
    model: BertWithHeads = twin.module
    if not gives_values(model):
        raise ModelFileError(
            "this model gives no values; fine-tune one with triptych finetune regression"
        )
    rows = head_outputs(twin, inputs, batch_tokens, lambda hidden, _: model.classify(hidden))
    return np.array([row[0] for row in rows], dtype=np.float32)


def tag_words(
    twin: FastTwin[Trunk],
    tokenizer: WordPiece,
    sentences: Sequence[Sequence[str]],
    max_seq_len: int,
    batch_tokens: int,
) -> list[list[str]]:
    """The tag of each word of each sentence. Raises ModelFileError for a model without tags."""
    model: BertWithHeads = twin.module
    if "classifier" not in model.heads or "pooler" in model.heads:
        raise ModelFileError(
            "this model has no tags for words; fine-tune one with triptych finetune tagging"
        )
    if any(isinstance(words, str) for words in sentences):
        raise UsageError("a list of words is needed for each sentence, not one text: use split()")
    parts = word_inputs(sentences, tokenizer, max_seq_len)
    inputs = [EncoderInput(part.token_ids, [0] * len(part.token_ids)) for part in parts]
    rows = head_outputs(twin, inputs, batch_tokens, lambda hidden, _: model.classify(hidden))
    tags: list[list[str]] = [[] for _ in sentences]
    for row, part in zip(rows, parts, strict=True):
        best = row[part.first_pieces].argmax(axis=-1)
        tags[part.sentence] += [model.config.labels[i] for i in best]
    return tags


def gives_values(model: BertWithHeads) -> bool:
    """Whether it is a regression of texts or pairs."""
    return _reads_texts(model) and len(model.config.labels) == 1


def _reads_texts(model: BertWithHeads) -> bool:
    return "classifier" in model.heads and "pooler" in model.heads
