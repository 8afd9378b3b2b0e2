"""The vector of a word in its sentence, at any layer — Devlin et al. 2018, §5.3."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from triptych.data.occurrences import word_span
from triptych.errors import DataError, UsageError
from triptych.models.heads import BertWithHeads
from triptych.tokenizers.wordpiece import WordPiece

PiecePooling = Literal["mean", "first", "last"]


def word_vectors(
    model: BertWithHeads,
    tokenizer: WordPiece,
    sentences: Sequence[str],
    word: str,
    layer: int,
    pieces: PiecePooling,
) -> npt.NDArray[np.float32]:
    """As `Encoder.word_vectors`: float32 [N, E]."""
    found = layered_word_vectors(model, tokenizer, sentences, word, [layer], pieces)
    vectors: npt.NDArray[np.float32] = found[0]
    return vectors


def layered_word_vectors(
    model: BertWithHeads,
    tokenizer: WordPiece,
    sentences: Sequence[str],
    word: str,
    layers: Sequence[int],
    pieces: PiecePooling = "mean",
) -> npt.NDArray[np.float32]:
    """As `word_vectors`, at several layers from one pass: float32 [layers, N, E]."""
    n_layers = model.config.trunk.n_layers
    for layer in layers:
        if not -n_layers - 1 <= layer <= n_layers:
            raise UsageError(
                f"layer {layer} is not there; 0 is the embeddings and {n_layers} the last block"
            )
    if pieces not in ("mean", "first", "last"):
        raise UsageError(f"pieces is {pieces!r}; choose mean, first or last")
    shape = len(layers), len(sentences), model.config.trunk.d_model
    vectors = np.empty(shape, dtype=np.float32)
    for number, sentence in enumerate(sentences):
        token_ids, places = _find(model, tokenizer, sentence, word, number)
        states = _layers(model, token_ids, layers)[:, places]  # [layers, pieces, E]
        chosen = {"mean": states.mean(dim=1), "first": states[:, 0], "last": states[:, -1]}[pieces]
        vectors[:, number] = chosen.float().cpu().numpy()
    return vectors


def _find(
    model: BertWithHeads, tokenizer: WordPiece, sentence: str, word: str, number: int
) -> tuple[list[int], list[int]]:
    """The sentence's ids, and which of them are the word's."""
    span = word_span(sentence, word) if word.strip() else None
    if span is None:
        raise DataError(f"sentence {number + 1} does not hold the word {word!r}: {sentence[:80]!r}")
    ids, spans = tokenizer.encode_with_spans(sentence)
    token_ids, _ = tokenizer.with_specials(ids)
    places = [i + 1 for i, (start, end) in enumerate(spans) if start < span[1] and end > span[0]]
    if not places:
        raise DataError(f"sentence {number + 1}: no token stands for {word!r}")
    if len(token_ids) > model.config.trunk.max_seq_len:
        raise DataError(
            f"sentence {number + 1} has {len(token_ids):,} tokens, more than the model's "
            f"{model.config.trunk.max_seq_len:,}; shorten it"
        )
    return token_ids, places


@torch.inference_mode()
def _layers(model: BertWithHeads, token_ids: list[int], layers: Sequence[int]) -> Tensor:
    """[layers, T, E] after some layers."""
    ids = torch.tensor([token_ids], device=next(model.parameters()).device)
    states = model.bert.layers(ids, torch.ones_like(ids, dtype=torch.bool))
    return torch.stack([states[layer][0] for layer in layers])
