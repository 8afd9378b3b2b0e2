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
    """The text as it was given, with the words in place of its masks."""
    words: tuple[str, ...]
    """What stands at each mask, as the vocabulary spells it; of a candidate, all its pieces as
    one."""
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
        raise UsageError(f"top_k is {top_k}; choose 1 or more")
    if "masked_words" not in model.heads:
        raise ModelFileError(
            "this model has no head for masked words; use one that was pretrained with it, such "
            "as BertForPreTraining or BertForMaskedLM"
        )
    pieces, spans = tokenizer.encode_with_spans(text)
    masks = [span for i, span in zip(pieces, spans, strict=True) if i == tokenizer.mask_id]
    if not masks:
        raise DataError(f"there is no [MASK] in {text[:80]!r}; write [MASK] where a word is wanted")
    if candidates is None:
        found = _search(model, _whole(tokenizer, pieces, model), top_k, tokenizer)
        return [
            _filling(text, masks, tokenizer.tokens(token_ids), score, token_ids)
            for token_ids, score in found
        ]
    if len(masks) > 1:
        raise DataError(f"candidates are for one [MASK], and {text[:80]!r} has {len(masks)}")
    ranked = _ranked(model, tokenizer, pieces, _candidate_ids(tokenizer, candidates))[:top_k]
    return [
        _filling(text, masks, [tokenizer.decode(token_ids)], score, token_ids)
        for token_ids, score in ranked
    ]


def _candidate_ids(tokenizer: WordPiece, candidates: Sequence[str]) -> list[list[int]]:
    """The pieces of each candidate. Raises DataError for one that is no words of the vocabulary."""
    encoded = tokenizer.encode(candidates)
    for candidate, ids in zip(candidates, encoded, strict=True):
        special = [i for i in ids if i in tokenizer.special_ids]
        if special or not ids:
            what = tokenizer.tokens(special[:1])[0] if special else "nothing"
            raise DataError(
                f"the candidate {candidate!r} gives {what} in this vocabulary, which has no "
                "probability; give words that it can spell"
            )
    return encoded


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
    model: BertWithHeads, tokenizer: WordPiece, pieces: list[int], candidates: list[list[int]]
) -> list[tuple[tuple[int, ...], float]]:
    """Every candidate at the one mask, with as many masks as it has pieces, best first."""
    place = pieces.index(tokenizer.mask_id)
    found = []
    for ids in candidates:
        masked = [*pieces[:place], *[tokenizer.mask_id] * len(ids), *pieces[place + 1 :]]
        token_ids = _whole(tokenizer, masked, model)
        score = 0.0
        for i, token_id in enumerate(ids, start=place + 1):
            log_p = _log_probabilities(model, torch.tensor([token_ids]), i, tokenizer)
            score += float(log_p[0, token_id])
            token_ids[i] = token_id
        found.append((tuple(ids), score))
    return sorted(found, key=lambda filling: -filling[1])


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
    text: str,
    masks: list[tuple[int, int]],
    words: list[str],
    score: float,
    token_ids: tuple[int, ...],
) -> Filling:
    """With a word in place of each mask of the text, which stand at (start, end)."""
    filled, done = "", 0
    for (start, end), word in zip(masks, words, strict=True):
        filled += text[done:start]
        continues = word.startswith("##") and len(word) > 2
        filled = filled.rstrip() + word[2:] if continues else filled + word
        done = end
    return Filling(filled + text[done:], tuple(words), score, token_ids)
