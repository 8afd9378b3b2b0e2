"""Forced scoring: what a model gives to a text that is already there.

Shapes: B sentences, T target positions, E model width, V vocabulary, N real positions.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from triptych.core.loss import IGNORE
from triptych.decoding.hypotheses import Hypothesis
from triptych.decoding.penalties import PenaltyName, length_penalty

CHUNK = 1024
"""Positions whose logits are held at once: 200 MB in float32 at V = 50,000."""


@torch.inference_mode()
def forced_log_probs(
    hidden: Tensor,
    logits: Callable[[Tensor], Tensor],
    target_out: Tensor,
    outside_ids: Sequence[int] = (),
) -> Tensor:
    """log p of each target token given those before it: [B, T] float32, 0 where ignored.

    hidden [B, T, E] is the model's output with all targets before it as input; `logits`
    [N, E] -> [N, V] is called on some positions at a time; target_out [B, T] holds IGNORE
    where nothing is to be scored. `outside_ids` are removed before the softmax, as in a
    search: so the score of a translation is the score of the search that found it.
    """
    real = target_out != IGNORE
    states, targets = hidden[real], target_out[real]  # [N, E], [N]
    found = torch.empty(len(targets), device=hidden.device)
    for start in range(0, len(targets), CHUNK):
        part = slice(start, start + CHUNK)
        scores = logits(states[part]).float()
        scores[:, list(outside_ids)] = -torch.inf
        found[part] = scores.log_softmax(-1).gather(1, targets[part, None])[:, 0]
    result = torch.zeros(target_out.shape, device=hidden.device)
    result[real] = found
    return result


@torch.inference_mode()
def forced_is_likeliest(
    hidden: Tensor,
    logits: Callable[[Tensor], Tensor],
    target_out: Tensor,
    outside_ids: Sequence[int] = (),
) -> Tensor:
    """Whether each target token is the one greedy decoding would take: [B, T] bool.

    As `forced_log_probs`; False where ignored. Equal logits go to the lower id. A target among
    `outside_ids`, which nothing may be, is never the likeliest.
    """
    real = target_out != IGNORE
    states, targets = hidden[real], target_out[real]  # [N, E], [N]
    found = torch.zeros(len(targets), dtype=torch.bool, device=hidden.device)
    barred = torch.tensor(list(outside_ids), dtype=torch.long, device=hidden.device)
    for start in range(0, len(targets), CHUNK):
        part = slice(start, start + CHUNK)
        scores = logits(states[part])
        scores[:, barred] = -torch.inf
        found[part] = scores.argmax(dim=-1) == targets[part]  # of equal ones, argmax is the first
    found &= ~torch.isin(targets, barred)
    result = torch.zeros(target_out.shape, dtype=torch.bool, device=hidden.device)
    result[real] = found
    return result


def as_hypotheses(
    log_probs: Tensor,
    targets: Sequence[Sequence[int]],
    eos_id: int,
    penalty: tuple[PenaltyName, float] = ("length", 1.0),
) -> list[Hypothesis]:
    """The targets with their scores, as a search would have returned them.

    log_probs [B, T] are those of `forced_log_probs`, targets the B lists of ids.
    """
    found = []
    for row, token_ids in zip(log_probs.tolist(), targets, strict=True):
        token_log_probs = tuple(row[: len(token_ids)])
        log_prob = sum(token_log_probs)
        found.append(
            Hypothesis(
                token_ids=tuple(token_ids),
                score=log_prob / float(length_penalty(penalty[0], len(token_ids), penalty[1])),
                log_prob=log_prob,
                token_log_probs=token_log_probs,
                finished=bool(token_ids) and token_ids[-1] == eos_id,
            )
        )
    return found
