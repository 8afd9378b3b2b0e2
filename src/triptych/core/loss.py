"""Cross-entropy against a smoothed target: the formula, then its twin in chunks.

Shapes: N predicted positions, E model width, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core.products import product

IGNORE = -100
"""The label of a position that nobody predicts."""

CHUNK_ELEMENTS = 1_000_000
"""Logits held at once: 4 MB in float32, which stays in a CPU's last cache; more where E asks."""


def chunk_rows(weight: Tensor) -> int:
    """Positions of a chunk, for weight [V, E]: `CHUNK_ELEMENTS` of logits, but at least E rows.

    Each chunk adds [V, E] to the weight's gradient; with fewer rows than E that costs more than
    all its logits do.
    """
    n_classes, width = weight.shape
    return max(CHUNK_ELEMENTS // n_classes, width)


class LossSum(NamedTuple):
    """Sums over the positions that are predicted; divide by `n_tokens` for means."""

    smoothed: Tensor
    """Σ of what training minimizes, nats."""
    nll: Tensor
    """Σ −log p(target), unsmoothed, nats; carries no gradient."""
    n_tokens: int


def smoothed_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    smoothing: float = 0.0,
    banned: int | None = None,
) -> LossSum:
    """Σ_n −(1−ε) log p(y_n) − ε/V′ Σ_c log p(c), over the V′ classes that may be predicted.

    Szegedy et al. 2016, equation 7, as in Vaswani et al. 2017, §5.4 and in torch's own
    `label_smoothing`, with V′ = V less the `banned` class (padding), whose probability
    is exactly zero. hidden [N, E], weight [V, E], bias [V], targets [N].
    """
    logits = F.linear(hidden, weight, bias).float()
    if banned is not None:
        logits = torch.cat([logits[:, :banned], logits[:, banned + 1 :]], dim=1)
        targets = targets - (targets > banned).long()
    log_p = logits.log_softmax(dim=-1)  # [N, V']
    nll = -log_p.gather(1, targets[:, None]).sum()
    uniform = -log_p.mean(dim=-1).sum()
    return LossSum((1 - smoothing) * nll + smoothing * uniform, nll.detach(), len(targets))


def chunked_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    smoothing: float = 0.0,
    banned: int | None = None,
) -> LossSum:
    """The same sums and gradients, without ever holding [N, V] logits.

    The gradient of a chunk is formed while its logits are still in the cache, so the
    backward pass only scales it. Under autocast the products run in its precision and
    the sums in float32.
    """
    dtype = autocast_dtype(hidden)
    if not torch.is_grad_enabled():  # which the function's own `needs_input_grad` leaves out
        hidden, weight, bias = hidden.detach(), weight.detach(), bias.detach()
    smoothed, nll = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, smoothing, banned, dtype
    )
    return LossSum(smoothed, nll, len(targets))


def autocast_dtype(like: Tensor) -> torch.dtype:
    """The precision that products have here: autocast's when it is on, else the tensor's own."""
    device = like.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else like.dtype


def _normalizers(
    logits: Tensor, targets: Tensor, banned: int | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The targets' logits [n], e^(logits − top) [n, V] in the logits' place, their sum [n, 1]
    and log Σ e^logits [n], for logits [n, V]."""
    at_target = logits.gather(1, targets[:, None])[:, 0]
    if banned is not None:
        logits[:, banned] = float("-inf")
    top = logits.amax(dim=-1, keepdim=True)
    exps = logits.sub_(top).exp_()
    z = exps.sum(dim=-1, keepdim=True)
    return at_target, exps, z, (top + z.log())[:, 0]


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        banned: int | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        h, w = hidden.detach().to(dtype), weight.detach().to(dtype)
        allowed = torch.ones(len(weight), device=weight.device)
        if banned is not None:
            allowed[banned] = 0
        share = smoothing / float(allowed.sum())  # of each class in the smoothed target
        gradients = _Gradients(hidden, weight, bias) if any(ctx.needs_input_grad[:3]) else None
        smoothed = torch.zeros((), dtype=torch.float64, device=hidden.device)
        nll = torch.zeros((), dtype=torch.float64, device=hidden.device)

        with torch.autocast(hidden.device.type, enabled=False):
            if smoothing:
                w_uniform = share * (allowed @ weight.detach())  # [E]
                bias_uniform = share * (allowed @ bias.detach())
            n_rows = chunk_rows(weight)
            for start in range(0, len(h), n_rows):
                part = slice(start, start + n_rows)
                rows, b = h[part], bias.detach().to(dtype)
                logits = product(rows, w.T, b, again=len(rows) == n_rows).float()  # [n, V]
                at_target, exps, z, log_z = _normalizers(logits, targets[part], banned)
                part_nll = (log_z - at_target).sum()
                nll += part_nll
                smoothed += (1 - smoothing) * part_nll + smoothing * log_z.sum()
                if smoothing:
                    smoothed -= (hidden.detach()[part].float() @ w_uniform + bias_uniform).sum()
                if gradients is not None:
                    gradients.add_softmax(part, exps, z, rows, w)
            if gradients is not None:
                gradients.subtract_target(hidden, weight, targets, smoothing, share * allowed)
                ctx.save_for_backward(gradients.hidden, gradients.weight, gradients.bias)
        ctx.mark_non_differentiable(nll)
        return smoothed.float(), nll.float()

    @staticmethod
    def backward(ctx: Any, d_smoothed: Tensor, d_nll: Tensor) -> tuple[Any, ...]:
        # Scaled in place: the graph is walked once, and [V, E] is the largest tensor here.
        d_hidden, d_weight, d_bias = (
            gradient.mul_(d_smoothed) if needed else None
            for gradient, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
        )
        return d_hidden, d_weight, d_bias, *(None,) * 4


class _Gradients:
    """Of the smoothed sum: softmax less smoothed target, times what each was multiplied by."""

    def __init__(self, hidden: Tensor, weight: Tensor, bias: Tensor) -> None:
        self.hidden, self.bias = torch.empty_like(hidden), torch.zeros_like(bias)
        self.weight = torch.empty_like(weight)
        self.is_empty = True
        self.bias_is_learned = bias.requires_grad

    def add_softmax(self, part: slice, exps: Tensor, z: Tensor, h: Tensor, w: Tensor) -> None:
        """Softmax = exps / z: dividing [n, E] instead of [n, V] saves a pass."""
        if self.bias_is_learned:
            self.bias += torch.mv(exps.T, z[:, 0].reciprocal())
        exps, is_whole = exps.to(w.dtype), len(exps) == chunk_rows(w)
        self.hidden[part] = product(exps, w, again=is_whole) / z
        scaled = (h / z).to(w.dtype)
        n_rows = max(1, CHUNK_ELEMENTS // w.size(1))
        for start in range(0, len(w), n_rows):  # [V, E] is the largest tensor here: no second one
            rows = slice(start, start + n_rows)
            added = product(exps[:, rows].T, scaled, again=is_whole)
            if self.is_empty:
                self.weight[rows].copy_(added)
            else:
                self.weight[rows] += added
        self.is_empty = False

    def subtract_target(
        self, hidden: Tensor, weight: Tensor, targets: Tensor, smoothing: float, uniform: Tensor
    ) -> None:
        """Of the smoothed target: 1 − ε on the label, `uniform` [V] (ε / V′) on every class."""
        full = hidden.detach().float()
        if self.is_empty:  # not one target
            self.weight.zero_()
        self.hidden -= (1 - smoothing) * weight.detach()[targets]
        self.weight.index_add_(0, targets, full, alpha=smoothing - 1.0)
        self.bias -= (1 - smoothing) * targets.bincount(minlength=len(self.bias))
        if smoothing:
            self.hidden -= uniform @ weight.detach()
            self.weight -= uniform[:, None] * full.sum(dim=0)
            self.bias -= len(targets) * uniform
