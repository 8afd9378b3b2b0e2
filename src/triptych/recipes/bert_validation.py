"""What a pretraining run of an encoder measures at each validation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from triptych.core.loss import IGNORE
from triptych.data.pretraining_batches import PretrainingBatch
from triptych.models.heads import BertWithHeads
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.objectives import PretrainingObjective
from triptych.training.task import Validation

N_SAMPLES = 5


class BertValidation:
    """Both losses and both accuracies over all validation documents, and the same samples."""

    def __init__(
        self,
        batches: Callable[[], Iterable[PretrainingBatch]],
        tokenizer: WordPiece,
        device: torch.device,
    ) -> None:
        """`batches` gives the same batches at each call."""
        self.batches, self.tokenizer, self.device = batches, tokenizer, device

    def __call__(self, model: nn.Module) -> Validation:
        """Measure a model that is in evaluation mode."""
        assert isinstance(model, BertWithHeads)
        objective = PretrainingObjective()
        sums = torch.zeros(4, dtype=torch.float64)  # nll of both, right answers of both
        counts = torch.zeros(2, dtype=torch.float64)
        samples: list[str] = []
        for batch in self.batches():
            batch = batch.to(self.device)
            words, following = objective(model, batch)
            guesses, kinds = predictions(model, batch)
            right = (guesses == batch.labels[batch.labels != IGNORE]).sum()
            right_kinds = (kinds == batch.is_random).sum()
            sums += torch.stack([words.nll, following.nll, right, right_kinds]).double().cpu()
            counts += torch.tensor(batch.n_targets, dtype=torch.float64)
            samples = samples or self._samples(batch, guesses, kinds)
        masked_nll, next_nll = (sums[:2] / counts).tolist()
        masked_accuracy, next_accuracy = (sums[2:] / counts).tolist()
        metrics = {
            "loss": masked_nll + next_nll,
            "masked_nll": masked_nll,
            "next_nll": next_nll,
            "masked_accuracy": masked_accuracy,
            "next_accuracy": next_accuracy,
        }
        return Validation(metrics, samples)

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


def predictions(model: BertWithHeads, batch: PretrainingBatch) -> tuple[Tensor, Tensor]:
    """The most probable word at each masked position [N], and kind of second part [B]."""
    hidden = model(batch.token_ids, batch.valid, batch.segment_ids)
    logits = model.word_logits(hidden[batch.labels != IGNORE])
    kinds: Tensor = model.heads["next_sentence"](model.heads["pooler"](hidden))
    return logits.argmax(dim=-1), kinds.argmax(dim=-1)
