"""What a training run of a generator measures at each validation."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

from triptych.data.packed_batches import PackedBatch
from triptych.decoding.forced import forced_is_likeliest
from triptych.decoding.generate import Bounds, Request, generate
from triptych.decoding.sampling import Sampling
from triptych.models.gpt import Gpt
from triptych.tokenizers.base import GeneratorTokenizer
from triptych.training.objectives import LanguageModelObjective
from triptych.training.task import Validation

N_SAMPLES, N_PROMPT, N_NEW = 3, 16, 40


class GptValidation:
    """Loss, perplexity and bits per byte over the whole validation text, and continuations.

    Each token is predicted once, from what stands before it in its row; so the first ones of a row
    are predicted from less than the model could see (`evaluate perplexity` slides its window).
    """

    def __init__(
        self,
        batches: Callable[[], Iterable[PackedBatch]],
        n_bytes: int,
        objective: LanguageModelObjective,
        tokenizer: GeneratorTokenizer,
        device: torch.device,
    ) -> None:
        """`batches` gives the same batches at each call; `n_bytes` is the size of their text."""
        self.batches, self.n_bytes, self.objective = batches, n_bytes, objective
        self.tokenizer, self.device = tokenizer, device

    def __call__(self, model: nn.Module) -> Validation:
        """Measure a model that is in evaluation mode."""
        assert isinstance(model, Gpt)
        nll, n_right = (torch.zeros((), dtype=torch.float64, device=self.device) for _ in "ab")
        n_tokens = 0
        samples: list[str] = []
        for batch in self.batches():
            n_tokens += batch.n_tokens
            batch = batch.to(self.device)
            hidden = self.objective.hidden(model, batch)
            nll += self.objective.loss(model, hidden, batch).nll
            n_right += forced_is_likeliest(hidden, model.project, batch.targets).sum()
            samples = samples or self._samples(model, batch)
        mean = nll.item() / n_tokens
        metrics = {
            "loss": mean,
            "perplexity": math.exp(min(mean, 700.0)),
            "bits_per_byte": nll.item() / math.log(2) / self.n_bytes,
            "accuracy": n_right.item() / n_tokens,
        }
        return Validation(metrics, samples)

    def _samples(self, model: Gpt, batch: PackedBatch) -> list[str]:
        """The beginnings of the first rows, and what the model finds most probable after them."""
        lengths = batch.valid[:N_SAMPLES].sum(dim=1).clamp(max=N_PROMPT).tolist()
        prompts = [
            tuple(row[:n].tolist()) for row, n in zip(batch.token_ids, lengths, strict=False)
        ]
        found = generate(
            model,
            [Request(prompt, N_NEW) for prompt in prompts],
            Sampling(temperature=0),
            Bounds(self.tokenizer.eos_id, self.tokenizer.vocab_size, model.config.max_seq_len),
            device=self.device,
        )
        lines: list[str] = []
        for prompt, text in zip(prompts, found, strict=True):
            lines += [
                f"- text: {self.tokenizer.decode(list(prompt))!r}",
                f"  goes on: {self.tokenizer.decode(list(text.token_ids))!r}",
            ]
        return lines
