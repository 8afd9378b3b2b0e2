"""What a search returns."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One candidate text for one row of the batch.

    `token_ids` are the generated tokens and any forced prefix: without the start
    token, with the end-of-sentence token if `finished`. `token_log_probs` are their
    natural-log probabilities under the model, one each, forced tokens included;
    `log_prob` is their sum and `score` that sum divided by the length penalty.
    """

    token_ids: tuple[int, ...]
    score: float
    log_prob: float
    token_log_probs: tuple[float, ...]
    finished: bool


def best_first(hypotheses: Iterable[Hypothesis], n_best: int) -> list[Hypothesis]:
    """The n best by score; equal scores go to the lower token ids, compared in order."""
    return sorted(hypotheses, key=lambda h: (-h.score, h.token_ids))[:n_best]
