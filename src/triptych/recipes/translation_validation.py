"""What a translation run measures at each validation."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from triptych.data.batching import TokenBatches, collate_pairs
from triptych.data.pairs import SentencePair
from triptych.errors import DataError
from triptych.evaluation.bleu import bleu, chrf
from triptych.evaluation.papers_scale import papers_bleu
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.recipes.translator import Translator
from triptych.tokenizers.base import TranslationTokenizer
from triptych.training.objectives import TranslationObjective
from triptych.training.task import Validation

N_SAMPLES = 5


class TranslationValidation:
    """Loss, unsmoothed perplexity, BLEU, chrF, and the same samples each time.

    With a `language` that the Moses tokenizer knows, BLEU on the papers' scale too.

    The translations are greedy ones: they cost a fifth of a beam's and rank models alike.
    """

    def __init__(
        self,
        pairs: Sequence[SentencePair],
        tokenizer: TranslationTokenizer,
        language: str | None,
        device: torch.device,
        smoothing: float,
        max_seq_len: int,
    ) -> None:
        """Raises DataError for a pair that is longer than the model's `max_seq_len` tokens."""
        self.sources = [source for source, _ in pairs]
        self.references = [target for _, target in pairs]
        self.tokenizer, self.language, self.device = tokenizer, language, device
        self.smoothing = smoothing
        source_ids = tokenizer.encode_source(self.sources)
        target_ids = tokenizer.encode_target(self.references)
        self.ids = list(zip(source_ids, target_ids, strict=True))
        lengths = np.array([(len(s), len(t)) for s, t in self.ids])
        longest = int(lengths.max(axis=1).argmax())
        if lengths[longest].max() > max_seq_len:
            raise DataError(
                f"{pairs[longest].place}: the validation pair has {lengths[longest].max():,} "
                f"tokens on a side, more than this model's limit of {max_seq_len:,}; split it or "
                "leave it out"
            )
        self.batches = TokenBatches(lengths, max(4096, int(lengths.max()))).epoch(0)

    def __call__(self, model: nn.Module) -> Validation:
        """Measure a model that is in evaluation mode."""
        assert isinstance(model, EncoderDecoder)
        translator = Translator(model, self.tokenizer)
        hypotheses = [t.text for t in translator.translate(self.sources, beam_size=1)]
        metrics = {
            **self._loss(model),
            "bleu": bleu(hypotheses, self.references).bleu,
            "chrf": chrf(hypotheses, self.references).chrf,
        }
        if self.language is not None:
            papers = papers_bleu(hypotheses, self.references, self.language)
            metrics["papers_bleu"] = papers.bleu
        return Validation(metrics, self._samples(hypotheses))

    def _loss(self, model: EncoderDecoder) -> dict[str, float]:
        c = model.config
        objective = TranslationObjective(c.pad_id, self.smoothing)
        smoothed = nll = 0.0
        n_tokens = 0
        for indices in self.batches:
            pairs = [self.ids[i] for i in indices]
            batch = collate_pairs(pairs, c.pad_id, c.start_id).to(self.device)
            (loss,) = objective(model, batch)
            smoothed += float(loss.smoothed)
            nll += float(loss.nll)
            n_tokens += loss.n_tokens
        mean = nll / n_tokens
        return {"loss": smoothed / n_tokens, "nll": mean, "perplexity": math.exp(min(mean, 700))}

    def _samples(self, hypotheses: Sequence[str]) -> list[str]:
        step = max(1, len(self.sources) // N_SAMPLES)
        lines = []
        for i in range(0, len(self.sources), step)[:N_SAMPLES]:
            lines += [
                f"- source: {self.sources[i]}",
                f"  reference: {self.references[i]}",
                f"  output: {hypotheses[i]}",
            ]
        return lines
