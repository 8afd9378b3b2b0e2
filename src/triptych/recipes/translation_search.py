"""The searches and forced scores of a `Translator`, batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from triptych.data.batching import collate_pairs
from triptych.decoding.beam import beam_search
from triptych.decoding.candidates import TokenRoles
from triptych.decoding.forced import as_hypotheses, forced_log_probs
from triptych.decoding.greedy import greedy_search
from triptych.decoding.hypotheses import Hypothesis
from triptych.models.encoder_decoder import EncoderDecoderConfig
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation_pieces import Piece


class TranslationDecoder(Protocol):
    """What translates and scores: an `EncoderDecoder`, or its fast twin."""

    def __call__(self, source_ids: Tensor, source_valid: Tensor, target_ids: Tensor) -> Tensor:
        """[B, S], [B, S], [B, T] -> hidden [B, T, E]."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden [..., E] -> [..., V]."""
        ...

    def start_decoding(self, source_ids: Tensor, source_valid: Tensor) -> Any: ...

    def next_logits(self, token_ids: Tensor, cache: Any) -> Tensor:
        """token_ids [R, 1] -> [R, V]."""
        ...


class Searcher:
    """What a decoder finds, or gives to what is there already."""

    def __init__(
        self,
        decoder: TranslationDecoder,
        config: EncoderDecoderConfig,
        roles: TokenRoles,
        device: torch.device,
    ) -> None:
        self.decoder, self.config, self.roles, self.device = decoder, config, roles, device

    @torch.inference_mode()
    def search(self, pieces: Sequence[Piece], options: TranslateOptions) -> list[list[Hypothesis]]:
        """The best hypotheses of each piece, all in one batch."""
        c = self.config
        pairs = [(piece.source_ids, piece.source_ids[-1:]) for piece in pieces]
        batch = collate_pairs(pairs, c.pad_id, c.start_id).to(self.device)
        cache = self.decoder.start_decoding(batch.source_ids, batch.source_valid)
        limits = [piece.limit for piece in pieces]
        prefixes = [piece.prefix_ids for piece in pieces]
        if options.beam_size == 1 and options.patience == 1:
            greedy = greedy_search(
                self.decoder.next_logits,
                cache,
                self.roles,
                limits,
                penalty=(options.length_penalty, options.alpha),
                prefixes=prefixes,
                device=self.device,
            )
            return [[hypothesis] for hypothesis in greedy]
        return beam_search(
            self.decoder.next_logits,
            cache,
            self.roles,
            limits,
            options=options.beam_options(),
            prefixes=prefixes,
            device=self.device,
        )

    @torch.inference_mode()
    def forced(
        self, pairs: Mapping[int, tuple[list[int], list[int]]], options: TranslateOptions
    ) -> Iterator[tuple[int, Hypothesis]]:
        """The score of each pair with its number, batch by batch, longest first."""
        c, penalty = self.config, (options.length_penalty, options.alpha)
        order = sorted(pairs, key=lambda i: -max(map(len, pairs[i])))
        while order:
            n_rows = max(1, options.batch_tokens // max(map(len, pairs[order[0]])))
            some, order = order[:n_rows], order[n_rows:]
            rows = [pairs[i] for i in some]
            batch = collate_pairs(rows, c.pad_id, c.start_id).to(self.device)
            hidden = self.decoder(batch.source_ids, batch.source_valid, batch.target_in)
            log_probs = forced_log_probs(
                hidden, self.decoder.logits, batch.target_out, self.roles.outside_ids
            )
            targets = [target for _, target in rows]
            yield from zip(some, as_hypotheses(log_probs, targets, c.eos_id, penalty), strict=True)
