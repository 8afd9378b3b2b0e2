"""What a translation run measures at each validation."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from triptych.data.batching import Indices, PairBatch, TokenBatches, collate_pairs
from triptych.decoding.candidates import TokenRoles
from triptych.decoding.greedy import greedy_search
from triptych.evaluation.bleu import bleu, chrf
from triptych.evaluation.papers_scale import papers_bleu
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.tokenizers.base import TranslationTokenizer
from triptych.training.objectives import TranslationObjective
from triptych.training.trainer import Validation

N_SAMPLES = 5


class TranslationValidation:
    """Loss, unsmoothed perplexity, greedy BLEU on both scales, chrF and fixed samples."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        tokenizer: TranslationTokenizer,
        language: str,
        device: torch.device,
        batch_tokens: int = 4096,
    ) -> None:
        self.pairs, self.tokenizer = pairs, tokenizer
        self.language, self.device = language, device
        source_ids = tokenizer.encode_source([source for source, _ in pairs])
        target_ids = tokenizer.encode_target([target for _, target in pairs])
        self.ids = list(zip(source_ids, target_ids, strict=True))
        lengths = np.array([(len(s), len(t)) for s, t in self.ids])
        self.batches = TokenBatches(lengths, max(batch_tokens, int(lengths.max()))).epoch(0)

    def __call__(self, model: nn.Module) -> Validation:
        assert isinstance(model, EncoderDecoder)
        hypotheses = self._translate(model)
        references = [target for _, target in self.pairs]
        metrics = {
            **self._loss(model),
            "bleu": bleu(hypotheses, references).bleu,
            "chrf": chrf(hypotheses, references).chrf,
            "papers_bleu": papers_bleu(hypotheses, references, self.language).bleu,
        }
        return Validation(metrics, self._samples(hypotheses))

    def _loss(self, model: EncoderDecoder) -> dict[str, float]:
        objective = TranslationObjective(model.config.pad_id, smoothing=0.1)
        smoothed = nll = count = 0.0
        for indices in self.batches:
            loss = objective(model, self._batch(model, indices))
            smoothed += float(loss.smoothed)
            nll += float(loss.nll)
            count += loss.n_tokens
        return {"loss": smoothed / count, "nll": nll / count, "perplexity": np.exp(nll / count)}

    def _translate(self, model: EncoderDecoder) -> list[str]:
        c = model.config
        roles = TokenRoles(c.start_id, c.eos_id, outside_ids=(c.pad_id,))
        texts = [""] * len(self.pairs)
        for indices in self.batches:
            batch = self._batch(model, indices)
            cache = model.start_decoding(batch.source_ids, batch.source_valid)
            limits = [2 * len(self.ids[i][0]) + 10 for i in indices]
            found = greedy_search(model.next_logits, cache, roles, limits, device=self.device)
            for i, hypothesis in zip(indices, found, strict=True):
                texts[i] = self.tokenizer.decode_target(hypothesis.token_ids)
        return texts

    def _batch(self, model: EncoderDecoder, indices: Indices) -> PairBatch:
        pairs = [self.ids[i] for i in indices]
        c = model.config
        return collate_pairs(pairs, c.pad_id, c.start_id, indices).to(self.device)

    def _samples(self, hypotheses: Sequence[str]) -> list[str]:
        step = max(1, len(self.pairs) // N_SAMPLES)
        lines = []
        for i in range(0, len(self.pairs), step)[:N_SAMPLES]:
            source, reference = self.pairs[i]
            lines += [f"- source: {source}", f"  reference: {reference}",
                      f"  output: {hypotheses[i]}"]  # fmt: skip
        return lines
