"""Greedy search: the most probable token at every step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from triptych.decoding.candidates import Cache, NextLogits, TokenRoles, best_next
from triptych.decoding.hypotheses import Hypothesis
from triptych.decoding.penalties import PenaltyName, length_penalty
from triptych.decoding.stopping import AtLimit, Course


@dataclass
class _Text:
    token_ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)


@torch.inference_mode()
def greedy_search(
    next_logits: NextLogits[Cache],
    cache: Cache,
    roles: TokenRoles,
    limits: Sequence[int],
    *,
    penalty: tuple[PenaltyName, float] = ("length", 1.0),
    prefixes: Sequence[Sequence[int]] | None = None,
    at_limit: AtLimit = "eos",
    device: torch.device | None = None,
) -> list[Hypothesis]:
    """One hypothesis a row; the same as beam search with one beam, and less work.

    `next_logits` (token_ids [B, 1], cache) -> [B, V] is called once a step with the rows
    that are not finished; `cache.select` drops the others. There are len(limits) rows,
    and row b gets at most limits[b] tokens, end-of-sentence included. Equal logits go to
    the lower id. Raises `UsageError` for limits or prefixes that cannot be kept.
    """
    course = Course(limits, prefixes, roles.eos_id, at_limit)
    texts = [_Text() for _ in limits]
    rows = np.arange(len(limits))  # those still unfinished
    last = np.full(len(rows), roles.start_id)
    step = 0
    while len(rows):
        logits = next_logits(torch.as_tensor(last[:, None], device=device), cache)
        log_probs, token_ids = best_next(logits, 1, roles, course.forced_at(step, rows))
        last = token_ids[:, 0]
        for row, token_id, log_prob in zip(
            rows.tolist(), last.tolist(), log_probs[:, 0].tolist(), strict=True
        ):
            texts[row].token_ids.append(token_id)
            texts[row].log_probs.append(log_prob)
        step += 1
        going = np.flatnonzero((last != roles.eos_id) & (course.limits[rows] > step))
        if 0 < len(going) < len(rows):
            cache.select(torch.as_tensor(going, device=device))
        rows, last = rows[going], last[going]
    return [_hypothesis(text, roles.eos_id, penalty) for text in texts]


def _hypothesis(text: _Text, eos_id: int, penalty: tuple[PenaltyName, float]) -> Hypothesis:
    log_prob = sum(text.log_probs)
    return Hypothesis(
        token_ids=tuple(text.token_ids),
        score=log_prob / float(length_penalty(penalty[0], len(text.token_ids), penalty[1])),
        log_prob=log_prob,
        token_log_probs=tuple(text.log_probs),
        finished=text.token_ids[-1] == eos_id,
    )
