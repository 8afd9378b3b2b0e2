"""The object that an ELMo folder is loaded as: a vector for each word, at each layer."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from triptych.checkpoint import ModelFolder
from triptych.convert.elmo import load_published
from triptych.data.batching import by_length
from triptych.data.occurrences import word_span
from triptych.errors import DataError, UsageError
from triptych.predecessors.elmo import Elmo
from triptych.recipes.model_kinds import elmo_parts
from triptych.tokenizers.words import Words, sentence_characters, split_with_spans

Vectors = npt.NDArray[np.float32]
BATCH_WORDS = 2048
"""Padded words of a batch: speed and memory only."""


class WordEncoder:
    """ELMo with the words that it predicts. `module` is the plain torch module (`triptych.Elmo`).

    Each sentence begins from zeros, so nothing that is returned depends on which sentences are
    given together. (The released code went on from the state after the sentences before.)
    """

    def __init__(
        self, module: Elmo, tokenizer: Words, *, device: torch.device | str | None = None
    ) -> None:
        self.module = module if device is None else module.to(device)
        self.tokenizer = tokenizer

    @classmethod
    def from_folder(
        cls, folder: ModelFolder, device: torch.device | str | None = None
    ) -> "WordEncoder":
        """From a folder of ours. Raises ModelFileError for a model of another family."""
        return cls(*elmo_parts(folder), device=device)

    @classmethod
    def from_published(
        cls, folder: Path, device: torch.device | str | None = None
    ) -> "WordEncoder":
        """From `options.json` and an `.hdf5` beside it. Raises ModelFileError."""
        return cls(load_published(folder), Words(()), device=device)

    @property
    def n_layers(self) -> int:
        """Layers of vectors: the words' own, and one a layer of LSTMs."""
        return self.module.config.n_layers + 1

    def embed_words(
        self, sentences: Sequence[Sequence[str]], *, batch_words: int = BATCH_WORDS
    ) -> list[Vectors]:
        """For sentences of words, the vectors of each: float32 [layers, T, E], the words' first.

        Raises DataError for a sentence without words.
        """
        found: list[Vectors] = [np.empty(0, dtype=np.float32)] * len(sentences)
        for rows, layers in self._batches(sentences, batch_words):
            for place, row in enumerate(rows):
                n_words = len(sentences[row])
                found[row] = layers[:, place, 1 : n_words + 1].float().cpu().numpy()
        return found

    def word_vectors(self, sentences: Sequence[str], word: str, *, layer: int = -1) -> Vectors:
        """The vector of a word in each of its sentences, float32 [N, E], as `Encoder.word_vectors`.

        `layer` counts from 0, the words' own, or from the end with -1. Raises DataError for a
        sentence that does not hold the word, UsageError for a layer that is not there.
        """
        if not -self.n_layers <= layer < self.n_layers:
            raise UsageError(
                f"layer {layer} is not there; 0 is the words' own and {self.n_layers - 1} the last"
            )
        spans = []
        for number, sentence in enumerate(sentences):
            span = word_span(sentence, word) if word.strip() else None
            if span is None:
                raise DataError(
                    f"sentence {number + 1} does not hold the word {word!r}: {sentence[:80]!r}"
                )
            spans.append(span)
        vectors: Vectors = self.span_vectors(sentences, spans)[layer]
        return vectors

    def span_vectors(self, sentences: Sequence[str], spans: Sequence[tuple[int, int]]) -> Vectors:
        """The mean over the words within (start, end), in characters: float32 [layers, N, E].

        Raises DataError for a span without a word.
        """
        texts, places = [], []
        for number, (sentence, (start, end)) in enumerate(zip(sentences, spans, strict=True)):
            words, word_spans = split_with_spans(sentence)
            inside = [i for i, (a, b) in enumerate(word_spans) if a < end and b > start]
            if not inside:
                raise DataError(f"sentence {number + 1}: no word at {start} to {end}")
            texts.append(words)
            places.append(inside)
        vectors = np.empty(
            (self.n_layers, len(texts), self.module.config.d_model), dtype=np.float32
        )
        for rows, layers in self._batches(texts, BATCH_WORDS):
            for place, row in enumerate(rows):
                own = layers[:, place, [i + 1 for i in places[row]]]  # behind the mark <S>
                vectors[:, row] = own.mean(dim=1).float().cpu().numpy()
        return vectors

    @torch.inference_mode()
    def _batches(
        self, sentences: Sequence[Sequence[str]], batch_words: int
    ) -> Iterator[tuple[list[int], Tensor]]:
        """(numbers of sentences, their layers [layers, B, T, E]), the longest first."""
        for number, words in enumerate(sentences):
            if not words:
                raise DataError(f"sentence {number + 1} has no word; leave it out")
        device = self.module.characters.embedding.weight.device
        n_characters = self.module.config.characters.max_characters
        for rows in by_length([len(words) + 2 for words in sentences], batch_words):
            read = [sentence_characters(sentences[row], n_characters) for row in rows]
            ids, valid = pad_sentences(read)
            layers, _ = self.module.layers(ids.to(device), valid.to(device))
            yield rows, torch.stack(layers)


def pad_sentences(sentences: Sequence[npt.NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    """Sentences [T, C] of characters -> ids [B, T, C], zero where padded, and valid [B, T]."""
    lengths = np.array([len(sentence) for sentence in sentences])
    valid = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros((*valid.shape, sentences[0].shape[1]), dtype=np.int64)
    ids[valid] = np.concatenate(sentences)
    return torch.from_numpy(ids), torch.from_numpy(valid)
