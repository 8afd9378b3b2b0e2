"""What the texts of a batch hold so far, as far as the scores of the next token depend on it.

Shapes: B texts, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from triptych.decoding.sampling import (
    Sampling,
    logit_bias,
    presence_penalty,
    repetition_penalty,
)
from triptych.errors import UsageError


class History:
    """Which tokens each text holds already, for the penalties that ask; and the bias.

    Raises `UsageError` for a bias that names an id outside the vocabulary or forbids every token.
    """

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        vocab_size: int,
        device: torch.device | None,
    ) -> None:
        self.sampling = sampling
        self.seen: Tensor | None = None  # [B, V], the prompt's as well
        self.drawn: Tensor | None = None  # [B, V]
        self.bias: Tensor | None = None  # [V]
        shape = len(prompts), vocab_size
        if sampling.repetition_penalty != 1:
            self.seen = torch.zeros(shape, dtype=torch.bool, device=device)
            for row, prompt in enumerate(prompts):
                self.seen[row, list(prompt)] = True
        if sampling.presence_penalty != 0:
            self.drawn = torch.zeros(shape, dtype=torch.bool, device=device)
        if sampling.logit_bias:
            self.bias = _bias(sampling, vocab_size).to(device)

    def change(self, logits: Tensor) -> Tensor:
        """logits [B, V] with the penalties and the bias."""
        if self.seen is not None:
            logits = repetition_penalty(logits, self.seen, self.sampling.repetition_penalty)
        if self.drawn is not None:
            logits = presence_penalty(logits, self.drawn, self.sampling.presence_penalty)
        return logits if self.bias is None else logit_bias(logits, self.bias)

    def add(self, chosen: Tensor) -> None:
        """The tokens [B] that the texts have now got."""
        for held in (self.seen, self.drawn):
            if held is not None:
                held.scatter_(1, chosen[:, None], True)

    def select(self, rows: Tensor) -> None:
        """Keep these rows."""
        self.seen = None if self.seen is None else self.seen[rows]
        self.drawn = None if self.drawn is None else self.drawn[rows]


def _bias(sampling: Sampling, vocab_size: int) -> Tensor:
    outside = [token_id for token_id in sampling.logit_bias if token_id >= vocab_size]
    if outside:
        raise UsageError(
            f"logit_bias names id {outside[0]}, outside the vocabulary of {vocab_size:,}"
        )
    bias = torch.zeros(vocab_size)
    for token_id, value in sampling.logit_bias.items():
        bias[token_id] = value
    if bool((bias == -torch.inf).all()):
        raise UsageError("logit_bias forbids every token; leave one at least")
    return bias
