"""The object that a BERT or sentence-transformers folder is loaded as: embed, compare, fill in."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from triptych.checkpoint import ModelFolder
from triptych.convert.sentence_transformers import Pooling, read_pooling
from triptych.errors import UsageError
from triptych.models.bert import Bert
from triptych.models.heads import BertWithHeads
from triptych.models.pooling import normalized, pool
from triptych.recipes.answer import AnswerRules, FoundAnswer, find_answers
from triptych.recipes.classify import Classification, classify_inputs, tag_words, value_inputs
from triptych.recipes.encoding import (
    EncoderBatch,
    EncoderInput,
    OnEmpty,
    OnTooLong,
    Trunk,
    encode,
    encoder_inputs,
    pair_inputs,
    pair_number,
    text_number,
)
from triptych.recipes.fast_twin import FastTwin
from triptych.recipes.fill import Filling, fill_masks
from triptych.recipes.model_kinds import encoder_parts
from triptych.recipes.word_vectors import PiecePooling, word_vectors
from triptych.tokenizers.wordpiece import WordPiece

Vectors = npt.NDArray[np.float32]
BATCH_TOKENS = {"cpu": 1024, "cuda": 32_768}
"""Padded tokens of a batch: speed and memory only. A small one stays in a CPU's caches."""


class Encoder:
    """An encoder with its tokenizer and heads.

    `module` is the plain torch module (`triptych.Bert`), `model` the same with its heads. Nothing
    that is returned depends on which texts are given together. The fast twin of the trunk is made
    at the first call that needs it; it keeps a copy of the projections to queries, keys and values.
    """

    def __init__(
        self,
        model: BertWithHeads,
        tokenizer: WordPiece,
        pooling: Pooling | None = None,
        *,
        device: torch.device | str | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        """`pooling` is how `embed` makes a text's vector if a call does not say otherwise."""
        moved = model if device is None else model.to(device)
        self.twin = FastTwin[Trunk](moved, precision)
        self.tokenizer = tokenizer
        self.pooling = pooling if pooling is not None else Pooling()
        self.answer_rules = AnswerRules()

    @classmethod
    def from_folder(
        cls,
        folder: ModelFolder,
        path: Path,
        device: torch.device | str | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> "Encoder":
        """With the pooling of a sentence-transformers folder where `path` is one, else the mean."""
        model, tokenizer = encoder_parts(folder)
        encoder = cls(model, tokenizer, read_pooling(path), device=device, precision=precision)
        encoder.answer_rules = AnswerRules.from_json(folder.extras, str(path))
        return encoder

    @property
    def model(self) -> BertWithHeads:
        """The trunk and its heads."""
        model: BertWithHeads = self.twin.module
        return model

    @property
    def module(self) -> Bert:
        """The trunk."""
        return self.model.bert

    @property
    def batch_tokens(self) -> int:
        """Padded tokens of a batch where a call does not say: by the device."""
        return BATCH_TOKENS[self.module.norm.weight.device.type]

    @property
    def max_seq_len(self) -> int:
        """Most tokens of an input, special ones included."""
        limits = (self.module.config.max_seq_len, self.tokenizer.model_max_length)
        return min(*limits, self.pooling.max_seq_len or limits[0])

    def embed(
        self,
        texts: Sequence[str],
        *,
        pooling: str | None = None,
        normalize: bool | None = None,
        batch_tokens: int | None = None,
        on_too_long: OnTooLong = "cut",
        on_empty: OnEmpty = "keep",
        place: Callable[[int], str] = text_number,
    ) -> Vectors:
        """One vector a text, float32 [N, E], in order.

        `pooling` (cls, mean, max) and `normalize` (L2) are as the folder says if not given. Texts
        longer than `max_seq_len` are cut, which is said once, or refused with what `place` calls
        them; those without tokens have a vector too, of the special ones, or are refused. Raises
        DataError, ConfigError for an unknown pooling.
        """
        mode = self.pooling.mode if pooling is None else Pooling(mode=pooling).mode
        unit = self.pooling.normalize if normalize is None else normalize
        inputs = encoder_inputs(
            texts, self.tokenizer, self.max_seq_len, on_too_long, place, on_empty
        )

        def read(hidden: Tensor, batch: EncoderBatch) -> Tensor:
            pooled = pool(hidden, batch.valid, mode)
            return normalized(pooled) if unit else pooled

        vectors = np.empty((len(inputs), self.module.config.d_model), dtype=np.float32)
        for rows, values in encode(self.twin, inputs, batch_tokens or self.batch_tokens, read):
            vectors[rows] = values.cpu().numpy()
        return vectors

    def similarity(
        self,
        first: Sequence[str],
        second: Sequence[str],
        *,
        place: Callable[[int], str] = pair_number,
    ) -> Vectors:
        """The cosine of each text of `first` with that of `second` at the same place [N].

        Raises UsageError for lists of different lengths, DataError for a text without tokens, with
        what `place` calls its pair.
        """
        if len(first) != len(second):
            raise UsageError(f"{len(first)} texts beside {len(second)}; give pairs")

        def name(row: int) -> str:
            which, pair = divmod(row, len(first))
            return f"{place(pair)}: the {('first', 'second')[which]} text"

        both = self.embed([*first, *second], normalize=True, on_empty="refuse", place=name)
        cosines: Vectors = np.einsum("ne,ne->n", both[: len(first)], both[len(first) :])
        return cosines

    def fill(
        self, text: str, *, top_k: int = 5, candidates: Sequence[str] | None = None
    ) -> list[Filling]:
        """What the `[MASK]`s of a text may be, the most probable first.

        Several masks are filled together and scored jointly, from left to right. `candidates`:
        words or phrases to rank at the place of the text's one `[MASK]`, each of as many pieces as
        it takes. Raises DataError for a text without a mask or too long and for a candidate that
        the vocabulary cannot spell, UsageError for a top_k below 1, ModelFileError for a model
        without the head of masked words.
        """
        return fill_masks(self.model, self.tokenizer, text, top_k, candidates)

    def word_vectors(
        self,
        sentences: Sequence[str],
        word: str,
        *,
        layer: int = -1,
        pieces: PiecePooling = "mean",
    ) -> Vectors:
        """The vector of a word in each of its sentences, float32 [N, E].

        `layer` counts from 0, the embeddings, to the last block, or from the end with -1; `pieces`
        says how the vectors of a word's pieces become one. Raises DataError for a sentence that
        does not hold the word, UsageError for a layer that is not there.
        """
        return word_vectors(self.model, self.tokenizer, sentences, word, layer, pieces)

    def classify(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        batch_tokens: int | None = None,
    ) -> list[Classification]:
        """The label of each text, or of each text with its pair, and all probabilities.

        Raises ModelFileError for a model that was not fine-tuned for it; UsageError where there
        are not as many pairs as texts.
        """
        return classify_inputs(
            self.twin, self._inputs(texts, pairs), batch_tokens or self.batch_tokens
        )

    def values(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        batch_tokens: int | None = None,
    ) -> Vectors:
        """The value of each text or pair, float32 [N], from a regression; raises as `classify`."""
        return value_inputs(
            self.twin, self._inputs(texts, pairs), batch_tokens or self.batch_tokens
        )

    def tag(
        self, sentences: Sequence[Sequence[str]], *, batch_tokens: int | None = None
    ) -> list[list[str]]:
        """One tag a word. A sentence longer than `max_seq_len` goes through in parts.

        Raises ModelFileError for a model that was not fine-tuned for it.
        """
        return tag_words(
            self.twin,
            self.tokenizer,
            sentences,
            self.max_seq_len,
            batch_tokens or self.batch_tokens,
        )

    def answer(self, question: str, context: str, *, n_best: int = 1) -> list[FoundAnswer]:
        """The stretches of the context that answer best, the best first.

        An empty one says that there is no answer; only a model that was taught so gives it. Raises
        ModelFileError for a model that was not fine-tuned for it, DataError for an empty context.
        """
        (found,) = find_answers(
            self.twin,
            self.tokenizer,
            [(question, context)],
            self.max_seq_len,
            self.answer_rules,
            self.batch_tokens,
        )
        return found[:n_best]

    def _inputs(self, texts: Sequence[str], pairs: Sequence[str] | None) -> list[EncoderInput]:
        return pair_inputs(texts, pairs, self.tokenizer, self.max_seq_len)
