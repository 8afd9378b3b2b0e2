"""The best next tokens of each row, with their log-probabilities.

A search wants a few of V tokens, so the vocabulary is never sorted: it is read for
the maxima of its blocks, then for the sum of the softmax, which is taken in place.

Shapes: R rows (sentences times beams), V vocabulary, M candidates of a row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triptych.errors import ModelFileError, UsageError

BLOCK = 64
"""Tokens whose maximum is taken before any is looked at singly."""
PIECE = 2048
"""Tokens whose exponentials are summed at a time. The same for any number of rows: a row's sum is
taken in the same order whatever stands beside it."""
FREE = -1
"""In place of a forced token: the row may choose."""


class RowCache(Protocol):
    """What a search asks of a model's memory of the tokens so far."""

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder batch rows; rows is [R'] int64."""
        ...

    def reorder(self, rows: Tensor) -> None:
        """As `select`, for R rows that each follow a row of the same sentence."""
        ...


Cache = TypeVar("Cache", bound=RowCache)
NextLogits = Callable[[Tensor, Cache], Tensor]
"""token_ids [R, 1], cache -> logits [R, V], a new tensor that the search may overwrite."""


@dataclass(frozen=True)
class TokenRoles:
    """The ids a search treats specially.

    `outside_ids` are no part of the model's distribution (padding): their logits are
    removed before the softmax. `banned_ids` are never chosen, but the probability the
    model gives them is not shared out among the others, so a ban steers the search
    and changes no score.
    """

    start_id: int
    eos_id: int
    outside_ids: tuple[int, ...] = ()
    banned_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.eos_id in self.outside_ids + self.banned_ids:
            raise UsageError(f"the end-of-sentence id {self.eos_id} is banned: no text could end")


def best_next(
    logits: Tensor, n_candidates: int, roles: TokenRoles, forced: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log-probabilities and ids of the best tokens of each row, each [R, M], best first.

    logits [R, V] are overwritten. M is n_candidates or V, if that is less. Equal logits
    go to the lower id. `forced` [R] names the only token a row may take, or FREE. A
    token that may not be chosen has log-probability -inf. Computed in float32.

    Raises `ModelFileError` when a score is not a number.
    """
    logits = logits.float()
    logits[:, list(roles.outside_ids)] = -torch.inf
    wanted = None
    if forced is not None:
        forced_ids = torch.as_tensor(forced, device=logits.device)
        wanted = logits.gather(1, forced_ids.clamp_min(0)[:, None])
    banned = logits[:, list(roles.banned_ids)]  # a copy
    logits[:, list(roles.banned_ids)] = -torch.inf
    values, token_ids = top_tokens(logits, min(n_candidates, logits.size(1)))
    logits[:, list(roles.banned_ids)] = banned

    highest = torch.cat([values[:, :1], banned], dim=1).amax(1, keepdim=True)
    log_sum = _sum_of_exponentials(logits, highest).log_() + highest
    if forced is not None and wanted is not None:
        is_forced = (forced_ids != FREE)[:, None]
        values = torch.where(is_forced, -torch.inf, values)
        values[:, :1] = torch.where(is_forced, wanted, values[:, :1])
        token_ids[:, :1] = torch.where(is_forced, forced_ids[:, None], token_ids[:, :1])
    log_probs = (values - log_sum).cpu().numpy().astype(np.float64)
    if np.isnan(log_probs).any():
        raise ModelFileError(
            "the model's score of the next token is not a number (NaN): "
            "its weights are damaged or its training diverged; use another checkpoint"
        )
    return log_probs, token_ids.cpu().numpy()


def _sum_of_exponentials(logits: Tensor, highest: Tensor) -> Tensor:
    """Σ exp(logit - highest): logits [R, V], highest [R, 1] -> [R, 1]."""
    if logits.device.type != "cpu":
        return logits.sub_(highest).exp_().sum(1, keepdim=True)
    # In pieces that stay in a core's cache through all three operations.
    pieces = torch.split(logits, PIECE, dim=1)
    sums = [(piece - highest).exp_().sum(1, keepdim=True) for piece in pieces]
    return torch.cat(sums, dim=1).sum(1, keepdim=True)


def top_tokens(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and ids of the k highest logits [R, V] -> each [R, k]; ties to the lower id.

    The k highest tokens lie in the k blocks with the highest maxima (and in the rest
    after the last full block), so only those are looked at.
    """
    is_simple = logits.is_cpu and logits.dtype == torch.float32 and logits.size(1) > 0
    if k == 1 and is_simple:  # numpy takes a tenth of torch's time
        best = torch.from_numpy(logits.detach().numpy().argmax(axis=1))[:, None]
        return logits.gather(1, best), best
    n_blocks = logits.size(1) // BLOCK
    if n_blocks < 4 * k:
        return stable_top(logits, k)
    blocks = logits[:, : n_blocks * BLOCK].view(-1, n_blocks, BLOCK)
    # Ascending, so that the order of what is gathered is the order of ids.
    best = stable_top(blocks.amax(2), k)[1].sort(dim=1).values[:, :, None]  # [R, k, 1]
    inside = blocks.gather(1, best.expand(-1, -1, BLOCK)).flatten(1)
    ids = (best * BLOCK + torch.arange(BLOCK, device=logits.device)).flatten(1)
    rest = torch.arange(n_blocks * BLOCK, logits.size(1), device=logits.device)
    values, places = stable_top(torch.cat([inside, logits[:, n_blocks * BLOCK :]], dim=1), k)
    return values, torch.cat([ids, rest.expand(len(ids), -1)], dim=1).gather(1, places)


def stable_top(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """As `values.topk(k)` along the last axis of [R, N], but ties go to the lower index.

    The order of ties at -inf is open: nothing that may not be chosen is ever chosen.
    """
    top, places = values.topk(min(k + 1, values.size(1)))
    ties = (top[:, 1:] == top[:, :-1]) & (top[:, 1:] > -torch.inf)
    if ties.any():  # rare, and sorting everything is slow
        top, places = values.sort(dim=1, descending=True, stable=True)
    return top[:, :k], places[:, :k]
