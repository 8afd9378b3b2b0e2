"""Beam search over a batch of sentences.

Each step, 2K candidates a sentence are ranked. Those among the first K that end the
sentence become hypotheses; the first K that do not end it go on. A sentence stops

1. when it has finished patience · K hypotheses (Kasai et al. 2022; 1 is the usual
   rule, "first come, first served"), or
2. when no beam can still enter its n best. The bound is exact: a log-probability only
   falls, so the best beam's, divided by the penalty at the length limit, is the most
   that any continuation can score. Stopping by it changes no result, or
3. at its length limit.

Stopped sentences leave the batch. What is ranked are 2K numbers a beam, in float64 and on
the CPU; the model's device sees only ids and row numbers.

Shapes: B sentences still searched, K beams, M candidates of a beam, T tokens so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from triptych.decoding.candidates import Cache, NextLogits, RowCache, TokenRoles, best_next
from triptych.decoding.hypotheses import Hypothesis, best_first
from triptych.decoding.penalties import PenaltyName, length_penalty
from triptych.decoding.stopping import AtLimit, Course, finished_quota
from triptych.errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class BeamOptions:
    """How to search."""

    beam_size: int = 4
    """Beams of a sentence [K]."""
    n_best: int = 1
    """Hypotheses returned for a sentence, at most K."""
    length_penalty: PenaltyName = "length"
    """By which a log-probability is divided: gnmt, length or none."""
    alpha: float = 1.0
    """Exponent of the length penalty."""
    patience: float = 1.0
    """Hypotheses that end a search, as a multiple of K; may be infinite."""
    at_limit: AtLimit = "eos"
    """At the length limit: end the sentence, or leave it and mark it unfinished."""

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise UsageError(f"beam_size is {self.beam_size}; it must be at least 1")
        if not 1 <= self.n_best <= self.beam_size:
            raise UsageError(
                f"n_best is {self.n_best}; it must be from 1 to the beam size, {self.beam_size}"
            )
        length_penalty(self.length_penalty, 1.0, self.alpha)
        finished_quota(self.beam_size, self.n_best, self.patience)


@torch.inference_mode()
def beam_search(
    next_logits: NextLogits[Cache],
    cache: Cache,
    roles: TokenRoles,
    limits: Sequence[int],
    *,
    options: BeamOptions | None = None,
    prefixes: Sequence[Sequence[int]] | None = None,
    device: torch.device | None = None,
) -> list[list[Hypothesis]]:
    """The n best hypotheses of each row, best first, no two alike.

    `next_logits` (token_ids [R, 1], cache) -> [R, V] is called once a step, first with one
    row a sentence, then with one a beam; `cache.select` puts the rows in order between
    the calls. There are len(limits) sentences, and sentence b gets at most limits[b]
    tokens, end-of-sentence included. Equal scores go to the better beam, then to the
    lower id. Raises `UsageError` for limits or prefixes that cannot be kept.
    """
    options = options if options is not None else BeamOptions()
    beams = _Beams(Course(limits, prefixes, roles.eos_id, options.at_limit), roles, options)
    while len(beams.rows):
        logits = next_logits(torch.as_tensor(beams.last, device=device), cache)
        log_probs, token_ids = best_next(logits, 2 * options.beam_size, roles, beams.forced())
        n_beams = beams.n_beams  # of the rows that were computed; those that go on may have more
        _move(cache, len(logits), beams.advance(log_probs, token_ids), n_beams, device)
    return [best_first(found, options.n_best) for found in beams.found]


def _move(
    cache: RowCache, n_rows: int, origins: Ints, n_beams: int, device: torch.device | None
) -> None:
    """Put the cache's rows in the order in which the beams go on; `n_beams` as they were."""
    stay = np.arange(n_rows)
    if len(origins) == 0 or np.array_equal(origins, stay):
        return
    within = len(origins) == n_rows and np.array_equal(origins // n_beams, stay // n_beams)
    move = cache.reorder if within else cache.select
    move(torch.as_tensor(origins, device=device))


class _Beams:
    """The state of a search: what is alive, and what has been found."""

    def __init__(self, course: Course, roles: TokenRoles, options: BeamOptions) -> None:
        n_rows = len(course.limits)
        self.course, self.roles, self.options = course, roles, options
        self.quota = finished_quota(options.beam_size, options.n_best, options.patience)
        self.found: list[list[Hypothesis]] = [[] for _ in range(n_rows)]
        self.step = 0
        self.rows = np.arange(n_rows)  # [B] which sentences are still searched
        self.log_probs = np.zeros((n_rows, 1))  # [B, K]; -inf where there is no beam
        self.token_ids = np.zeros((n_rows, 1, 0), dtype=np.int64)  # [B, K, T]
        self.token_log_probs = np.zeros((n_rows, 1, 0))  # [B, K, T]
        self.n_found = np.zeros(n_rows, dtype=np.int64)  # [B]
        self.best_scores = np.full((n_rows, options.n_best), -np.inf)  # [B, n_best], falling

    @property
    def n_beams(self) -> int:
        """K, or fewer before the beams have parted."""
        return self.log_probs.shape[1]

    @property
    def last(self) -> Ints:
        """What the model reads next: [B · K, 1]."""
        if self.step == 0:
            return np.full((len(self.rows), 1), self.roles.start_id)
        return self.token_ids[:, :, -1].reshape(-1, 1)

    def forced(self) -> Ints | None:
        """The only token each beam may take: [B · K], or None when all are free."""
        forced = self.course.forced_at(self.step, self.rows)
        return None if forced is None else forced.repeat(self.n_beams)

    def advance(self, log_probs: Floats, token_ids: Ints) -> Ints:
        """Take one step with the candidates [B · K, M]; returns which rows it came from.

        The result holds, for each beam that goes on, its row in the batch just computed.
        """
        n_beams, width = self.n_beams, self.options.beam_size
        n_candidates = log_probs.shape[1]
        log_probs = log_probs.reshape(len(self.rows), -1)  # [B, K · M]
        totals = log_probs + self.log_probs.repeat(n_candidates, axis=1)
        best = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * width]
        totals = np.take_along_axis(totals, best, axis=1)  # [B, 2K]
        tokens = np.take_along_axis(token_ids.reshape(len(self.rows), -1), best, axis=1)
        log_probs = np.take_along_axis(log_probs, best, axis=1)
        parents = best // n_candidates

        sentences = np.arange(len(self.rows))[:, None]
        self.step += 1
        self.token_ids = np.concatenate(
            [self.token_ids[sentences, parents], tokens[:, :, None]], axis=2
        )
        self.token_log_probs = np.concatenate(
            [self.token_log_probs[sentences, parents], log_probs[:, :, None]], axis=2
        )
        possible = totals > -np.inf
        ends = possible & (tokens == self.roles.eos_id)
        at_limit = self.course.limits[self.rows] == self.step
        self._collect(totals[:, :width], (ends | (possible & at_limit[:, None]))[:, :width])
        return self._go_on(totals, possible & ~ends, parents + sentences * n_beams)

    def _collect(self, totals: Floats, ends: NDArray[np.bool_]) -> None:
        """Make hypotheses of the candidates [B, K] that end here."""
        if not ends.any():
            return
        penalty = self._penalty(self.step)
        scores = np.where(ends, totals / penalty, -np.inf)
        self.n_found += ends.sum(axis=1)
        merged = np.concatenate([self.best_scores, scores], axis=1)
        self.best_scores = -np.sort(-merged, axis=1)[:, : self.options.n_best]
        for sentence, beam in np.argwhere(ends).tolist():
            token_ids = tuple(self.token_ids[sentence, beam].tolist())
            self.found[self.rows[sentence]].append(
                Hypothesis(
                    token_ids=token_ids,
                    score=float(scores[sentence, beam]),
                    log_prob=float(totals[sentence, beam]),
                    token_log_probs=tuple(self.token_log_probs[sentence, beam].tolist()),
                    finished=token_ids[-1] == self.roles.eos_id,
                )
            )

    def _go_on(self, totals: Floats, lives: NDArray[np.bool_], origins: Ints) -> Ints:
        """Keep the first K candidates that live, of the sentences that do not stop."""
        n_beams = min(self.options.beam_size, max(1, int(lives.sum(axis=1).max())))
        beams = np.argsort(~lives, axis=1, kind="stable")[:, :n_beams]
        totals = np.where(lives, totals, -np.inf)
        totals = np.take_along_axis(totals, beams, axis=1)  # [B, K], falling

        limits = self.course.limits[self.rows]
        attainable = totals[:, 0] / self._penalty(limits)
        stops = self.n_found >= self.quota
        stops |= (attainable < self.best_scores[:, -1]) | (attainable == -np.inf)
        stops |= limits == self.step
        going = np.flatnonzero(~stops)
        self.rows, self.log_probs = self.rows[going], totals[going]
        self.n_found, self.best_scores = self.n_found[going], self.best_scores[going]
        beams, sentences = beams[going], going[:, None]
        self.token_ids = self.token_ids[sentences, beams]
        self.token_log_probs = self.token_log_probs[sentences, beams]
        return origins[sentences, beams].reshape(-1)

    def _penalty(self, lengths: Ints | int) -> Floats:
        return length_penalty(self.options.length_penalty, lengths, self.options.alpha)
