"""What is minimized: functions of (model, batch), one a training task."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.loss import IGNORE, LossSum, chunked_cross_entropy
from triptych.core.regularized_dropout import chunked_regularized_dropout_loss


class TranslationBatch(Protocol):
    """Source ids and validity [B, S]; decoder input and labels [B, T], IGNORE where padded."""

    @property
    def source_ids(self) -> Tensor: ...
    @property
    def source_valid(self) -> Tensor: ...
    @property
    def target_in(self) -> Tensor: ...
    @property
    def target_out(self) -> Tensor: ...


class TranslationObjective:
    """Label-smoothed cross-entropy of the next target token (formula: `core/loss.py`).

    `pad_id` is never predicted. Only real positions are projected to the vocabulary.
    """

    def __init__(self, pad_id: int, smoothing: float) -> None:
        self.pad_id, self.smoothing = pad_id, smoothing

    def __call__(self, model: nn.Module, batch: TranslationBatch) -> tuple[LossSum]:
        hidden: Tensor = model(batch.source_ids, batch.source_valid, batch.target_in)
        real = batch.target_out != IGNORE
        weight, bias = output_projection(model)
        labels = batch.target_out[real]
        loss = chunked_cross_entropy(
            hidden[real], weight, bias, labels, self.smoothing, self.pad_id
        )
        return (loss,)


class RegularizedDropoutObjective:
    """R-Drop (Liang et al. 2021): each batch twice, with two draws of dropout that must agree.

    α = 0 is `TranslationObjective` over two passes (formula: `core/regularized_dropout.py`).
    """

    def __init__(self, pad_id: int, smoothing: float, alpha: float) -> None:
        self.pad_id, self.smoothing, self.alpha = pad_id, smoothing, alpha

    def __call__(self, model: nn.Module, batch: TranslationBatch) -> tuple[LossSum]:
        source_ids, source_valid, target_in = (
            torch.cat([rows, rows])
            for rows in (batch.source_ids, batch.source_valid, batch.target_in)
        )
        hidden: Tensor = model(source_ids, source_valid, target_in)
        real = batch.target_out != IGNORE
        both = torch.stack([passed[real] for passed in hidden.chunk(2)])  # [2, N, E]
        weight, bias = output_projection(model)
        labels = batch.target_out[real]
        loss = chunked_regularized_dropout_loss(
            both, weight, bias, labels, self.alpha, self.smoothing, self.pad_id
        )
        return (loss,)


class PretrainingBatch(Protocol):
    """Ids, validity, segments and labels [B, T], IGNORE where unmasked; which is random [B]."""

    @property
    def token_ids(self) -> Tensor: ...
    @property
    def valid(self) -> Tensor: ...
    @property
    def segment_ids(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def is_random(self) -> Tensor: ...


class PretrainingObjective:
    """Masked words plus next sentence — Devlin et al. 2018, §3.1: the sum of the two means.

    Only the masked positions go through the head and are projected to the vocabulary.
    """

    terms = ("masked_nll", "next_nll")

    def __call__(self, model: nn.Module, batch: PretrainingBatch) -> tuple[LossSum, LossSum]:
        return self.losses(model, self.hidden(model, batch), batch)

    def hidden(self, model: nn.Module, batch: PretrainingBatch) -> Tensor:
        """The last layer [B, T, E]."""
        hidden: Tensor = model(batch.token_ids, batch.valid, batch.segment_ids)
        return hidden

    def losses(
        self, model: nn.Module, hidden: Tensor, batch: PretrainingBatch
    ) -> tuple[LossSum, LossSum]:
        """Both terms, from hidden [B, T, E]."""
        heads: Any = model.heads
        masked = batch.labels != IGNORE
        weight, bias = output_projection(model)
        words = chunked_cross_entropy(
            heads["masked_words"](hidden[masked]), weight, bias, batch.labels[masked]
        )
        logits = heads["next_sentence"](heads["pooler"](hidden)).float()
        next_sum = F.cross_entropy(logits, batch.is_random, reduction="sum")
        return words, LossSum(next_sum, next_sum.detach(), len(logits))


class LanguageModelBatch(Protocol):
    """Ids, the token after each (IGNORE where padded), places and documents, all [B, T]."""

    @property
    def token_ids(self) -> Tensor: ...
    @property
    def targets(self) -> Tensor: ...
    @property
    def positions(self) -> Tensor: ...
    @property
    def document_ids(self) -> Tensor: ...


class LanguageModelObjective:
    """Cross-entropy of the next token — Radford et al. 2018, equation 1.

    The full logits [B, T, V] never exist at once (`core/loss.py`). With `attend_across` False a
    token sees its own document alone; with `reset_positions` its place is that in its document.
    """

    def __init__(self, *, attend_across: bool = True, reset_positions: bool = False) -> None:
        self.attend_across, self.reset_positions = attend_across, reset_positions

    def __call__(self, model: nn.Module, batch: LanguageModelBatch) -> tuple[LossSum]:
        return (self.loss(model, self.hidden(model, batch), batch),)

    def hidden(self, model: nn.Module, batch: LanguageModelBatch) -> Tensor:
        """The last layer [B, T, E]."""
        hidden: Tensor = model(
            batch.token_ids,
            positions=batch.positions if self.reset_positions else None,
            document_ids=None if self.attend_across else batch.document_ids,
        )
        return hidden

    def loss(self, model: nn.Module, hidden: Tensor, batch: LanguageModelBatch) -> LossSum:
        """Σ −log p over the real positions of hidden [B, T, E]."""
        real = batch.targets != IGNORE
        weight, bias = output_projection(model)
        return chunked_cross_entropy(hidden[real], weight, bias, batch.targets[real])


class LabelledBatch(Protocol):
    """Ids, validity and segments [B, T]; labels as the loss of the task takes them."""

    @property
    def token_ids(self) -> Tensor: ...
    @property
    def valid(self) -> Tensor: ...
    @property
    def segment_ids(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...


class HeadObjective:
    """The loss of what a head reads off an encoder — Devlin et al. 2018, §3.2."""

    def __init__(
        self,
        output: Callable[[Any, Tensor, Tensor], Tensor],
        loss: Callable[[Tensor, Tensor], LossSum],
    ) -> None:
        """`output(model, hidden [B, T, E], valid [B, T])`; `loss(output, labels)`."""
        self.output, self.loss = output, loss

    def __call__(self, model: nn.Module, batch: LabelledBatch) -> tuple[LossSum]:
        return (self.loss(self.read(model, batch), batch.labels),)

    def read(self, model: nn.Module, batch: LabelledBatch) -> Tensor:
        """The head's output for a batch, in float32."""
        hidden: Tensor = model(batch.token_ids, batch.valid, batch.segment_ids)
        return self.output(model, hidden, batch.valid).float()


def label_loss(logits: Tensor, labels: Tensor) -> LossSum:
    """Σ −log p(label). logits [..., K], labels [...], IGNORE where nothing is predicted."""
    labelled = labels != IGNORE
    nll = F.cross_entropy(logits[labelled], labels[labelled], reduction="sum")
    return LossSum(nll, nll.detach(), int(labelled.sum()))


def value_loss(values: Tensor, targets: Tensor) -> LossSum:
    """Σ (value − target)². values [B], targets [B]."""
    squares = F.mse_loss(values, targets, reduction="sum")
    return LossSum(squares, squares.detach(), len(targets))


def span_loss(logits: Tensor, ends: Tensor) -> LossSum:
    """Σ −log p(first) − log p(last), each over the positions of an input (§4.2).

    logits [B, T, 2], ends [B, 2].
    """
    nll = F.cross_entropy(logits, ends, reduction="sum")  # classes are on axis 1, as T is
    return LossSum(nll, nll.detach(), ends.numel())


def output_projection(model: Any) -> tuple[Tensor, Tensor]:
    """The last product's weight [V, E] and bias [V], which every family offers."""
    weight, bias = model.output_projection
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return weight, bias
