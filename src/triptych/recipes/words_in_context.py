"""A word in its sentence by any model — static vectors, ELMo, BERT: one vector a layer.

model = word_model("runs/elmo/best")
vectors = model.vectors(read_occurrences("bank.txt", "bank"))    # [layers, N, E]

Shapes: N occurrences, E width of a vector.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from triptych.data.occurrences import Occurrence
from triptych.data.words import words_around
from triptych.errors import DataError, ModelFileError
from triptych.files.atomic import write_stream
from triptych.files.notices import notice
from triptych.predecessors.vectors import WordVectors
from triptych.recipes.encoder import Encoder
from triptych.recipes.encoding import EncoderInput, padded_batches
from triptych.recipes.load import load
from triptych.recipes.word_encoder import WordEncoder
from triptych.tokenizers.words import split_with_spans

Vectors = npt.NDArray[np.float32]
LAST = 4
"""Blocks whose mean is one more layer of an encoder, as Loureiro et al. 2021 take them."""


class WordModel(Protocol):
    """What tells a word's vectors."""

    @property
    def kind(self) -> str:
        """static, elmo or bert."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, the lowest first."""
        ...

    def vectors(self, occurrences: Sequence[Occurrence]) -> Vectors:
        """float32 [layers, N, E]; an occurrence's depend on its own sentence alone.

        Raises DataError, with its place, for an occurrence that has none.
        """
        ...


class EncoderWords:
    """BERT: the embeddings "0", each block, and the mean of the last four where there are as many.

    The vector of a word is the mean of its pieces'. Of a sentence longer than the model's limit a
    stretch around the word is read, which is said once.
    """

    kind = "bert"

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        n_blocks = encoder.module.config.n_layers
        self.layers = tuple(str(layer) for layer in range(n_blocks + 1))
        if n_blocks >= LAST:
            self.layers += (f"mean of last {LAST}",)

    @torch.inference_mode()
    def vectors(self, occurrences: Sequence[Occurrence]) -> Vectors:
        """As `WordModel.vectors`."""
        read = [self._input(occurrence) for occurrence in occurrences]
        bert = self.encoder.module
        device, pad_id = bert.norm.weight.device, bert.config.pad_id
        found = np.empty((len(self.layers), len(read), bert.config.d_model), dtype=np.float32)
        inputs = [given for given, _ in read]
        for batch in padded_batches(inputs, self.encoder.batch_tokens, pad_id):
            states = bert.layers(batch.token_ids.to(device), batch.valid.to(device))
            for place, row in enumerate(batch.rows):
                start, end = read[row][1]
                own = torch.stack([state[place, start:end].float().mean(dim=0) for state in states])
                found[:, row] = self._with_mean(own).cpu().numpy()
        return found

    def _with_mean(self, blocks: Tensor) -> Tensor:
        if len(blocks) == len(self.layers):
            return blocks
        return torch.cat([blocks, blocks[-LAST:].mean(dim=0, keepdim=True)])

    def _input(self, occurrence: Occurrence) -> tuple[EncoderInput, tuple[int, int]]:
        """The sentence's ids with the special ones, and the range of the word's among them."""
        tokenizer = self.encoder.tokenizer
        ids, spans = tokenizer.encode_with_spans(occurrence.text)
        own = [i for i, s in enumerate(spans) if s[0] < occurrence.end and s[1] > occurrence.start]
        if not own:
            raise DataError(
                f"{occurrence.place}: no token stands for "
                f"{occurrence.text[occurrence.start : occurrence.end]!r}"
            )
        start, end = own[0], own[-1] + 1
        room = self.encoder.module.config.max_seq_len - 2
        if end - start > room:
            raise DataError(f"{occurrence.place}: the word has {end - start:,} tokens, too many")
        if len(ids) > room:
            notice(
                f"{occurrence.place} has {len(ids):,} tokens, and the model reads {room:,}: of it, "
                "and of others as long, a stretch around the word is read",
                key="a stretch around the word",
            )
        before = min(max(0, (start + end - room) // 2), max(0, len(ids) - room))
        given = EncoderInput(*tokenizer.with_specials(ids[before : before + room]))
        return given, (start - before + 1, end - before + 1)


class ElmoWords:
    """ELMo: the words' own vectors "0", each layer of LSTMs, and the mean of all."""

    kind = "elmo"

    def __init__(self, encoder: WordEncoder) -> None:
        self.encoder = encoder
        self.layers = (*(str(layer) for layer in range(encoder.n_layers)), "mean of all")

    def vectors(self, occurrences: Sequence[Occurrence]) -> Vectors:
        """As `WordModel.vectors`."""
        for occurrence in occurrences:
            inside = occurrence.text[occurrence.start : occurrence.end]
            if not split_with_spans(inside)[0]:
                raise DataError(f"{occurrence.place}: there is no word in {inside!r}")
        found = self.encoder.span_vectors(
            [occurrence.text for occurrence in occurrences],
            [(occurrence.start, occurrence.end) for occurrence in occurrences],
        )
        return np.concatenate([found, found.mean(axis=0, keepdims=True)])


class StaticWords:
    """Static vectors: "word", the word's own, the same in every sentence; "context", the mean of
    the other words of its sentence that have one (its own where none has).

    What a word is, `data/words.py` says, as for the text that ours are trained on.
    """

    kind = "static"
    layers = ("word", "context")

    def __init__(self, static: WordVectors) -> None:
        self.static = static

    def vectors(self, occurrences: Sequence[Occurrence]) -> Vectors:
        """As `WordModel.vectors`."""
        return np.stack([self._two(occurrence) for occurrence in occurrences], axis=1)

    def _two(self, occurrence: Occurrence) -> Vectors:
        start, end = occurrence.start, occurrence.end
        try:
            own = self.static.vector(occurrence.text[start:end])
        except DataError as error:
            raise DataError(f"{occurrence.place}: {error}") from error
        others = [self.static.find(other) for other in words_around(occurrence.text, start, end)]
        known = [row for row in others if row is not None]
        return np.stack([own, self.static.vectors[known].mean(axis=0) if known else own])


def word_model(name_or_path: Path | str, *, device: str = "auto") -> WordModel:
    """The model in a folder or on the Hub. Raises ModelFileError for one that has no vectors of
    words, and as `load`."""
    model = load(name_or_path, device=device)
    if isinstance(model, Encoder):
        return EncoderWords(model)
    if isinstance(model, WordEncoder):
        return ElmoWords(model)
    if isinstance(model, WordVectors):
        return StaticWords(model)
    raise ModelFileError(
        f"{name_or_path} gives no vectors of words in a sentence; this needs an encoder (BERT), "
        "ELMo or static vectors"
    )


def save_layers(path: Path, model: WordModel, occurrences: Sequence[Occurrence]) -> None:
    """Write `vectors` [layers, N, E] and `layers`, their names, as one .npz file of NumPy."""
    vectors, layers = model.vectors(occurrences), np.array(model.layers)
    write_stream(path, lambda file: np.savez(file, vectors=vectors, layers=layers))
