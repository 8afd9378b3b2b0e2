"""R-Drop: two passes with different dropout must agree; the formula, then its chunked twin.

Shapes: 2 passes, N predicted positions, E model width, V vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core import loss
from triptych.core.loss import LossSum, autocast_dtype, smoothed_cross_entropy


def regularized_dropout_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    alpha: float,
    smoothing: float = 0.0,
    banned: int | None = None,
) -> LossSum:
    """½ Σ_n [CE_1 + CE_2] + α/4 Σ_n [KL(p_1 ‖ p_2) + KL(p_2 ‖ p_1)]  — Liang et al. 2021, eq. 4.

    Half of the printed sum, so that α = 0 is the mean of two ordinary losses and learning
    rates stay what they were. hidden [2, N, E] from two passes over the same positions,
    weight [V, E], bias [V], targets [N]; CE and `banned` as in `smoothed_cross_entropy`.
    """
    first = smoothed_cross_entropy(hidden[0], weight, bias, targets, smoothing, banned)
    second = smoothed_cross_entropy(hidden[1], weight, bias, targets, smoothing, banned)
    log_p = _log_probabilities(F.linear(hidden, weight, bias).float(), banned)
    # KL both ways in one: Σ_c (p_1 − p_2)(log p_1 − log p_2)
    divergence = (log_p[0].exp() - log_p[1].exp()) * _difference(log_p, banned)
    smoothed = (first.smoothed + second.smoothed) / 2 + alpha / 4 * divergence.sum()
    return LossSum(smoothed, (first.nll + second.nll) / 2, len(targets))


def chunked_regularized_dropout_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    alpha: float,
    smoothing: float = 0.0,
    banned: int | None = None,
) -> LossSum:
    """The same sums and gradients, without ever holding [2, N, V] logits."""
    smoothed, nll = _ChunkedRegularizedDropout.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, alpha, smoothing, banned, autocast_dtype(hidden)
    )
    return LossSum(smoothed, nll, len(targets))


def _log_probabilities(logits: Tensor, banned: int | None) -> Tensor:
    if banned is not None:
        logits[..., banned] = float("-inf")
    return logits.log_softmax(dim=-1)


def _difference(log_p: Tensor, banned: int | None) -> Tensor:
    """log p_1 − log p_2 [N, V]; nothing for a class that neither may predict."""
    difference = log_p[0] - log_p[1]
    if banned is not None:
        difference[:, banned] = 0
    return difference


def _divergence(
    log_p: Tensor, banned: int | None, alpha: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Σ KL both ways, and the logits' gradient [2n, V] less that of the target: of ½ CE, p / 2;
    of α/4 (p − q)(log p − log q), the rest. log_p [2, n, V] is overwritten."""
    apart, p = _difference(log_p, banned), log_p.exp_()
    d_logits = torch.empty_like(p, dtype=dtype)
    total = p.new_zeros((), dtype=torch.float64)
    for own, sign in ((0, 1), (1, -1)):
        kl = sign * torch.linalg.vecdot(p[own], apart)[:, None]  # [n, 1]
        total += kl.sum()
        scale = torch.add(0.5 + alpha / 4 * (1 - kl), apart, alpha=sign * alpha / 4)
        d_logits[own] = scale.mul_(p[own]).sub_(p[1 - own], alpha=alpha / 4)
    return total, d_logits.flatten(0, 1)


class _ChunkedRegularizedDropout(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        alpha: float,
        smoothing: float,
        banned: int | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        h, w = hidden.detach().to(dtype), weight.detach().to(dtype)
        allowed = torch.ones(len(weight), device=weight.device)
        if banned is not None:
            allowed[banned] = 0
        share = smoothing / float(allowed.sum())  # of each class in the smoothed target
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        smoothed = torch.zeros((), dtype=torch.float64, device=hidden.device)
        nll = torch.zeros((), dtype=torch.float64, device=hidden.device)

        with torch.autocast(hidden.device.type, enabled=False):
            w_uniform = share * (allowed @ weight.detach())  # [E]
            bias_uniform = share * (allowed @ bias)
            n_rows = max(1, loss.CHUNK_ELEMENTS // (2 * len(weight)))
            for start in range(0, len(targets), n_rows):
                part = slice(start, start + n_rows)
                rows = h[:, part].flatten(0, 1)  # [2n, E], the first pass above the second
                logits = torch.addmm(bias.to(dtype), rows, w.T).float().view(2, -1, len(w))
                at_labels = logits.gather(-1, targets[part].expand(2, -1)[..., None]).double()
                log_p = _log_probabilities(logits, banned)  # [2, n, V]
                part_nll = -log_p.gather(-1, targets[part].expand(2, -1)[..., None]).sum()
                at_uniform = (hidden.detach()[:, part].float() @ w_uniform + bias_uniform).sum()
                log_z = at_labels.sum() + part_nll  # Σ log Σ_c e^z, since log p = z − log Σ e^z
                kl, d_logits = _divergence(log_p, banned, alpha, dtype)
                nll += part_nll / 2
                smoothed += ((1 - smoothing) * part_nll + smoothing * log_z - at_uniform) / 2
                smoothed += alpha / 4 * kl
                d_hidden[:, part] = (d_logits @ w).view(2, -1, w.size(1)).to(d_hidden.dtype)
                d_weight += d_logits.T @ rows
            # Less half the smoothed target: 1 − ε on the label, ε / V′ on every class.
            full = hidden.detach().float().sum(dim=0)
            d_hidden -= (w_uniform + (1 - smoothing) * weight.detach()[targets]) / 2
            d_weight.index_add_(0, targets, full, alpha=(smoothing - 1.0) / 2)
            d_weight -= allowed[:, None] * (share / 2 * full.sum(dim=0))
        ctx.save_for_backward(d_hidden, d_weight)
        ctx.mark_non_differentiable(nll)
        return smoothed.float(), nll.float()

    @staticmethod
    def backward(ctx: Any, d_smoothed: Tensor, d_nll: Tensor) -> tuple[Any, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        return d_hidden.mul_(d_smoothed), d_weight.mul_(d_smoothed), *(None,) * 6
