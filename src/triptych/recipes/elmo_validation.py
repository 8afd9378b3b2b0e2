"""What a training run of ELMo measures at each validation."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

from triptych.data.word_batches import WordBatch
from triptych.predecessors.elmo import Elmo
from triptych.tokenizers.words import Words
from triptych.training.bidirectional import BidirectionalObjective, predictions
from triptych.training.objectives import output_projection
from triptych.training.task import Validation

N_SAMPLES = 3


class ElmoValidation:
    """Both directions over the whole vocabulary and the whole validation text.

    `loss` is the sum of both means, in nats a word; `perplexity` that of half of it, the mean of
    both directions, as Peters et al. 2018 print it.
    """

    def __init__(
        self, batches: Callable[[], Iterable[WordBatch]], words: Words, device: torch.device
    ) -> None:
        """`batches` gives the same batches at each call."""
        self.batches, self.words, self.device = batches, words, device
        self.objective = BidirectionalObjective()

    def __call__(self, model: nn.Module) -> Validation:
        """Measure a model that is in evaluation mode."""
        assert isinstance(model, Elmo)
        nll = torch.zeros(2, dtype=torch.float64)
        n_predictions = 0
        samples: list[str] = []
        for batch in self.batches():
            batch = batch.to(self.device)
            nll += torch.stack([term.nll for term in self.objective(model, batch)]).double().cpu()
            n_predictions += batch.n_tokens
            samples = samples or self._samples(model, batch)
        forward, backward = (nll / n_predictions).tolist()
        loss = forward + backward
        metrics = {
            "loss": loss,
            "perplexity": math.exp(min(loss / 2, 700.0)),
            "forward_nll": forward,
            "backward_nll": backward,
        }
        return Validation(metrics, samples)

    def _samples(self, model: Elmo, batch: WordBatch) -> list[str]:
        """The first sentences, and the likeliest word at each place from either side."""
        lines: list[str] = []
        weight, bias = output_projection(model)
        for row in range(min(N_SAMPLES, len(batch))):
            length = int(batch.valid[row].sum())
            one = slice(row, row + 1), slice(0, length)
            hidden = model(batch.character_ids[one], batch.valid[one])
            for name, (states, targets) in zip(
                ("from the left", "from the right"),
                predictions(hidden, batch.targets[one]),
                strict=True,
            ):
                if not lines or name == "from the left":
                    lines.append(f"- text: {self._text(targets.tolist())}")
                guesses = (states @ weight.T + bias).argmax(dim=1)
                lines.append(f"  {name}: {self._text(guesses.tolist())}")
        return lines

    def _text(self, ids: list[int]) -> str:
        return repr(" ".join(self.words.tokens(ids)))
