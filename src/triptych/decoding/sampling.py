"""Drawing the next token: what changes the scores, what cuts them off, and the draw itself.

Each function takes logits [B, V] and returns new ones; a token that may not be drawn has -inf.
They act in the order of this file, which is that of transformers: the penalties and the bias on
the model's own scores, then the temperature, then the cuts.

Shapes: B texts, V vocabulary.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from triptych.decoding.candidates import top_tokens
from triptych.errors import UsageError

COOLEST = 1e-30
"""Temperatures below are taken for it, as float32 knows no number that is much smaller."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is drawn. By default from the distribution of the model itself."""

    temperature: float = 1.0
    """Divides the scores; below 1 favors what is likely, and 0 always takes the likeliest."""
    top_k: int | None = None
    """Only so many of the likeliest tokens may be drawn."""
    top_p: float = 1.0
    """Only the likeliest tokens that make up this probability together may be drawn."""
    min_p: float = 0.0
    """Only tokens at least this times as probable as the likeliest may be drawn."""
    repetition_penalty: float = 1.0
    """Above 1 makes every token of the prompt and of the text so far less likely."""
    presence_penalty: float = 0.0
    """Taken from the score of every token of the text so far, the prompt not counted."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the scores of these ids; -inf forbids one."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise UsageError(
                f"temperature is {self.temperature}; it must be 0 (always the likeliest) or more"
            )
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top_k is {self.top_k}; it must be at least 1")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p}; it must be above 0 and at most 1 (all)")
        if not 0 <= self.min_p <= 1:
            raise UsageError(f"min_p is {self.min_p}; it must be from 0 (all) to 1")
        if not 0 < self.repetition_penalty < math.inf:
            raise UsageError(
                f"repetition_penalty is {self.repetition_penalty}; it must be above 0 (1 is none)"
            )
        if not math.isfinite(self.presence_penalty):
            raise UsageError(f"presence_penalty is {self.presence_penalty}; it must be a number")
        for token_id, bias in self.logit_bias.items():
            if token_id < 0 or not bias < math.inf:
                raise UsageError(
                    f"logit_bias gives {bias} to id {token_id}; ids count from 0, and a bias is "
                    "a number or -inf"
                )

    @property
    def likeliest(self) -> int | None:
        """How many of the model's highest scores decide a draw; None: any may."""
        changes = self.repetition_penalty != 1 or self.presence_penalty != 0 or self.logit_bias
        if changes:
            return None
        return 1 if self.temperature == 0 else self.top_k


# -- what changes the scores --------------------------------------------------------------------


def repetition_penalty(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """l / θ where l > 0, l · θ where not, for tokens seen  — Keskar et al. 2019, §4.1.

    seen [B, V] is True for the tokens of the prompt and of the text so far. The paper divides in
    either case, which would favor a repeated token whose score is below 0; transformers mended it.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def presence_penalty(logits: Tensor, drawn: Tensor, penalty: float) -> Tensor:
    """l − α for tokens drawn already, however often; drawn [B, V].

    No paper: it is that of OpenAI's interface, which many programs copied.
    """
    return logits - penalty * drawn


def logit_bias(logits: Tensor, bias: Tensor) -> Tensor:
    """l + b, with b [V]; -inf forbids a token. No paper."""
    return logits + bias


def temperature(logits: Tensor, value: float) -> Tensor:
    """l / τ, less the same number for all of a text  — Ackley, Hinton and Sejnowski 1985.

    The highest becomes 0, so that nothing overflows however cold it is: softmax knows no shift.
    """
    return (logits - logits.amax(dim=1, keepdim=True)) / max(value, COOLEST)


# -- what cuts them off -------------------------------------------------------------------------


def top_k(logits: Tensor, k: int) -> Tensor:
    """The k highest  — Fan, Lewis and Dauphin 2018, §5.4. Equal ones go to the lower id."""
    if k >= logits.size(1):
        return logits
    values, token_ids = top_tokens(logits, k)
    return torch.full_like(logits, -torch.inf).scatter_(1, token_ids, values)


def top_p(logits: Tensor, p: float) -> Tensor:
    """The smallest set of the most probable tokens with Σ P ≥ p  — Holtzman et al. 2020, §3.1.

    So a token stays while those before it make up less than p. Equal ones go to the lower id.
    Scores alone are sorted, without their ids: the lowest that stays tells which tokens do.
    """
    if p >= 1:
        return logits
    falling = _falling(logits)
    probabilities = falling.softmax(dim=1)
    before = probabilities.cumsum(dim=1, dtype=torch.float64) - probabilities
    n_kept = (before < p).sum(dim=1, keepdim=True).clamp(min=1)  # [B, 1]; none are of NaN
    lowest = falling.gather(1, n_kept - 1)
    above, alike = logits > lowest, logits == lowest
    n_alike = n_kept - above.sum(dim=1, keepdim=True)
    if bool((alike.sum(dim=1, keepdim=True) > n_alike).any()):
        alike &= alike.cumsum(dim=1) <= n_alike
    return logits.masked_fill(~(above | alike), -torch.inf)


def _falling(logits: Tensor) -> Tensor:
    """Each row sorted, the highest first. On a CPU numpy takes a small part of torch's time."""
    if logits.is_cpu:
        return torch.from_numpy(np.sort(logits.numpy(), axis=1)).flip(1)
    return logits.sort(dim=1, descending=True).values


def min_p(logits: Tensor, share: float) -> Tensor:
    """P ≥ m · max P  — Nguyen et al. 2024, §3; as scores, l ≥ max l + ln m."""
    if share <= 0:
        return logits
    lowest = logits.amax(dim=1, keepdim=True) + math.log(share)
    return logits.masked_fill(logits < lowest, -torch.inf)


# -- the draw -----------------------------------------------------------------------------------


def choose(logits: Tensor, sampling: Sampling, uniforms: Sequence[float]) -> Tensor:
    """The next token of each text [B], of logits [B, V] that penalties and bias have changed.

    `uniforms` are B numbers in [0, 1), which temperature 0 does not look at.
    """
    if sampling.temperature == 0:
        return greedy(logits)
    logits = temperature(logits, sampling.temperature)
    if sampling.top_k is not None:
        logits = top_k(logits, sampling.top_k)
    logits = min_p(top_p(logits, sampling.top_p), sampling.min_p)
    return draw(logits, torch.tensor(uniforms, dtype=torch.float64, device=logits.device))


def greedy(logits: Tensor) -> Tensor:
    """argmax l [B]; equal ones go to the lower id."""
    return top_tokens(logits, 1)[1][:, 0]


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """The lowest id with P(0) + … + P(id) > u  — inversion, Devroye 1986, §III.2.

    uniforms [B] float64 in [0, 1). The same u gives the same id whatever stands beside it in the
    batch and on whatever device, up to the rounding of P.
    """
    sums = logits.softmax(dim=1).cumsum(dim=1, dtype=torch.float64)
    reached = uniforms[:, None] * sums[:, -1:]  # less than the last sum, as u is below 1
    found = torch.searchsorted(sums, reached, right=True)[:, 0]
    return found.clamp(max=logits.size(1) - 1)  # of NaN, which the caller will see


def uniform(*numbers: int) -> float:
    """A number in [0, 1) that is a function of these integers and of nothing else.

    One round of SplitMix64 (Steele, Lea and Flood 2014) an integer, and 53 bits of the last.
    """
    return (random_bits(*numbers) >> 11) * 2.0**-53


def random_bits(*numbers: int) -> int:
    """64 random bits for these integers, of which the low 64 bits count."""
    state = 0
    for number in numbers:
        state = (state + (number + 1) * 0x9E3779B97F4A7C15) & _LOW_64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _LOW_64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _LOW_64
        state ^= state >> 31
    return state


_LOW_64 = 0xFFFFFFFFFFFFFFFF
