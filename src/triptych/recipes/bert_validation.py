"""What a pretraining run of an encoder measures at each validation."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from triptych.core.loss import IGNORE
from triptych.data.pretraining_batches import PretrainingBatch
from triptych.models.heads import BertWithHeads
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.objectives import PretrainingObjective
from triptych.training.task import Validation

N_SAMPLES = 5

Inputs = Callable[[], Iterable[tuple[PretrainingBatch, Tensor]]]
"""Gives the same batches at each call, and with each the number of every input's file [B]."""


class BertValidation:
    """Both losses and both accuracies over all validation documents, and the same samples.

    Of a run of two lengths, each length apart; where there are several files, also the accuracy of
    next sentences in each, by the file of the first part: one forward pass gives everything.
    """

    def __init__(
        self,
        inputs: Mapping[str, Inputs],
        now: Callable[[], str],
        files: Sequence[str],
        tokenizer: WordPiece,
        device: torch.device,
    ) -> None:
        """`inputs` by what stands before the metrics of each length; `now` gives that of the
        length in training, which chooses the best model; `files` are their names, if several."""
        self.inputs, self.now, self.files = inputs, now, files
        self.tokenizer, self.device = tokenizer, device

    def __call__(self, model: nn.Module) -> Validation:
        """Measure a model that is in evaluation mode."""
        assert isinstance(model, BertWithHeads)
        metrics: dict[str, float] = {}
        samples: dict[str, list[str]] = {}
        for prefix, batches in self.inputs.items():
            found, samples[prefix] = self._measure(model, batches())
            metrics |= {prefix + name: value for name, value in found.items()}
        return Validation(metrics, samples[self.now()], self.now())

    def _measure(
        self, model: BertWithHeads, batches: Iterable[tuple[PretrainingBatch, Tensor]]
    ) -> tuple[dict[str, float], list[str]]:
        objective = PretrainingObjective()
        sums = torch.zeros(3, dtype=torch.float64)  # nll of both, right words
        n_words = 0
        n_files = max(1, len(self.files))
        right_of, n_of = torch.zeros(2, n_files, dtype=torch.float64)  # next sentences by file
        samples: list[str] = []
        for batch, files in batches:
            batch = batch.to(self.device)
            hidden = objective.hidden(model, batch)
            words, following = objective.losses(model, hidden, batch)
            guesses, kinds = predictions(model, hidden, batch)
            right = (guesses == batch.labels[batch.labels != IGNORE]).sum()
            sums += torch.stack([words.nll, following.nll, right]).double().cpu()
            n_words += words.n_tokens
            right_of += files.bincount((kinds == batch.is_random).double().cpu(), n_files)
            n_of += files.bincount(minlength=n_files)
            samples = samples or self._samples(batch, guesses, kinds)
        masked_nll, next_nll = float(sums[0] / n_words), float(sums[1] / n_of.sum())
        metrics = {
            "loss": masked_nll + next_nll,
            "masked_nll": masked_nll,
            "next_nll": next_nll,
            "masked_accuracy": float(sums[2] / n_words),
            "next_accuracy": float(right_of.sum() / n_of.sum()),
        }
        for name, right, n in zip(self.files, right_of.tolist(), n_of.tolist(), strict=False):
            if n:
                metrics[f"next_accuracy_{name}"] = right / n
        return metrics, samples

    def _samples(self, batch: PretrainingBatch, guesses: Tensor, kinds: Tensor) -> list[str]:
        """The first few inputs: what was masked, what the model says."""
        lines: list[str] = []
        n_guesses = (batch.labels != IGNORE).sum(dim=1).tolist()
        start = 0
        for row, n in list(enumerate(n_guesses))[:N_SAMPLES]:
            labels = batch.labels[row][batch.labels[row] != IGNORE].tolist()
            ids = batch.token_ids[row][batch.valid[row]].tolist()
            said = guesses[start : start + n].tolist()
            start += n
            kind = ("follows", "is random")
            lines += [
                f"- input: {' '.join(self.tokenizer.tokens(ids))}",
                f"  masked: {' '.join(self.tokenizer.tokens(labels))}",
                f"  output: {' '.join(self.tokenizer.tokens(said))}",
                f"  second part: {kind[int(batch.is_random[row])]}",
                f"  output: {kind[int(kinds[row])]}",
            ]
        return lines


def predictions(
    model: BertWithHeads, hidden: Tensor, batch: PretrainingBatch
) -> tuple[Tensor, Tensor]:
    """The most probable word at each masked position [N], and kind of second part [B]."""
    logits = model.word_logits(hidden[batch.labels != IGNORE])
    kinds: Tensor = model.heads["next_sentence"](model.heads["pooler"](hidden))
    return logits.argmax(dim=-1), kinds.argmax(dim=-1)
