"""Fill in the blanks: what stands at each `[MASK]`, several of them scored together.

With masks m_1 … m_k the score of a filling is log p(m_1 | text) + log p(m_2 | text, m_1) + …: each
is predicted with those before it filled in and those after it masked. The best fillings are found
by keeping the best few at each mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.models.heads import BertWithHeads
from triptych.tokenizers.wordpiece import WordPiece

BEAMS = 4
"""Fillings kept at each mask, as a multiple of those asked for."""


@dataclass(frozen=True)
class Filling:
    """One way to fill the masks of a text."""

    text: str
    """The text with the masks filled in, as the vocabulary spells it."""
    words: tuple[str, ...]
    """What stands at each mask; of a candidate, all its pieces as one."""
    log_probability: float
    """Jointly of all masks, nats."""
    token_ids: tuple[int, ...]
    """What stands at each mask, as ids."""


def fill_masks(
    model: BertWithHeads,
    tokenizer: WordPiece,
    text: str,
    top_k: int,
    candidates: Sequence[str] | None,
) -> list[Filling]:
    """As `Encoder.fill`."""
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}; ask for at least 1")
    if "masked_words" not in model.heads:
        raise ModelFileError(
            "this model has no head for masked words; use one that was pretrained with it, such "
            "as BertForPreTraining or BertForMaskedLM"
        )
    pieces = tokenizer.encode([text])[0]
    n_masks = pieces.count(tokenizer.mask_id)
    if n_masks == 0:
        raise DataError(f"there is no [MASK] in {text[:80]!r}; write [MASK] where a word is wanted")
    if candidates is None:
        found = _search(model, _whole(tokenizer, pieces, model), top_k, tokenizer)
        return [_filling(tokenizer, pieces, token_ids, score) for token_ids, score in found]
    if n_masks > 1:
        raise DataError(f"candidates are for one [MASK], and {text[:80]!r} has {n_masks}")
    return _ranked(model, tokenizer, pieces, candidates)[:top_k]


def _whole(tokenizer: WordPiece, pieces: list[int], model: BertWithHeads) -> list[int]:
    """The input of the pieces. Raises DataError where it is too long."""
    token_ids, _ = tokenizer.with_specials(pieces)
    longest = model.config.trunk.max_seq_len
    if len(token_ids) > longest:
        raise DataError(
            f"the text has {len(token_ids):,} tokens, more than the model's {longest:,}"
        )
    return token_ids


def _search(
    model: BertWithHeads, token_ids: list[int], top_k: int, tokenizer: WordPiece
) -> list[tuple[tuple[int, ...], float]]:
    """The best fillings of all masks and their joint log-probabilities, best first."""
    masks = [i for i, token_id in enumerate(token_ids) if token_id == tokenizer.mask_id]
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    for number, place in enumerate(masks):
        rows = torch.tensor([token_ids for _ in beams])
        for row, (filled, _) in enumerate(beams):
            rows[row, masks[:number]] = torch.tensor(filled, dtype=torch.int64)
        log_p = _log_probabilities(model, rows, place, tokenizer)  # [beams, V]
        keep = top_k if number + 1 == len(masks) else BEAMS * top_k
        values, ids = log_p.topk(min(keep, log_p.size(1)), dim=1)
        longer = [
            ((*filled, int(token_id)), score + float(value))
            for (filled, score), row, best in zip(beams, ids, values, strict=True)
            for token_id, value in zip(row, best, strict=True)
            if value > float("-inf")
        ]
        beams = sorted(longer, key=lambda beam: (-beam[1], beam[0]))[:keep]
    return beams


def _ranked(
    model: BertWithHeads, tokenizer: WordPiece, pieces: list[int], candidates: Sequence[str]
) -> list[Filling]:
    """Every candidate at the one mask, with as many masks as it has pieces."""
    place = pieces.index(tokenizer.mask_id)
    found = []
    for candidate, ids in zip(candidates, tokenizer.encode(candidates), strict=True):
        if not ids or tokenizer.special_ids & set(ids):
            raise DataError(
                f"the candidate {candidate!r} has no pieces in this vocabulary; leave it out"
            )
        masked = [*pieces[:place], *[tokenizer.mask_id] * len(ids), *pieces[place + 1 :]]
        token_ids = _whole(tokenizer, masked, model)
        score = 0.0
        for i, token_id in enumerate(ids, start=place + 1):
            log_p = _log_probabilities(model, torch.tensor([token_ids]), i, tokenizer)
            score += float(log_p[0, token_id])
            token_ids[i] = token_id
        text = tokenizer.decode(token_ids)
        found.append(Filling(text, (tokenizer.decode(ids),), score, tuple(ids)))
    return sorted(found, key=lambda filling: -filling.log_probability)


@torch.inference_mode()
def _log_probabilities(
    model: BertWithHeads, rows: Tensor, place: int, tokenizer: WordPiece
) -> Tensor:
    """rows [B, T] -> log p of every entry at `place` [B, V], special tokens left out."""
    rows = rows.to(next(model.parameters()).device)
    hidden = model(rows, torch.ones_like(rows, dtype=torch.bool))
    logits = model.word_logits(hidden[:, place]).float()
    logits[:, sorted(tokenizer.special_ids)] = float("-inf")
    logits[:, tokenizer.vocab_size :] = float("-inf")
    return logits.log_softmax(dim=-1).cpu()


def _filling(
    tokenizer: WordPiece, pieces: list[int], token_ids: tuple[int, ...], score: float
) -> Filling:
    left = iter(token_ids)
    filled = [next(left) if i == tokenizer.mask_id else i for i in pieces]
    words = tuple(tokenizer.tokens(token_ids))
    return Filling(tokenizer.decode(filled), words, score, token_ids)
