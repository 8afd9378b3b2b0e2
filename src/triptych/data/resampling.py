"""A parallel corpus that is cut into subwords anew for every epoch.

BPE-dropout (Provilkov et al. 2020) shows a model many spellings of one word. The cuts of
an epoch depend on (seed, epoch) alone, so a stopped run finds the same ones again.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from triptych.data.batching import Indices, PairBatch, TokenBatches, collate_pairs
from triptych.data.streams import EpochStream
from triptych.errors import DataError
from triptych.tokenizers.bpe import JointBpe

Ids = npt.NDArray[np.int32]


class ResampledPairs(EpochStream[Indices]):
    """Batches of pairs encoded with dropped merges; the text and one epoch stay in memory.

    A pair with a side of more than `max_tokens` is left out, as from `PairShards`; a text that
    only dropout makes longer than that is encoded without it in that epoch.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        tokenizer: JointBpe,
        dropout: float,
        batch_tokens: int,
        start_id: int,
        seed: int,
        max_tokens: int,
    ) -> None:
        sides = [tokenizer.encode_source([pair[side] for pair in pairs]) for side in (0, 1)]
        longest = [max(map(len, both)) for both in zip(*sides, strict=True)]
        pairs = [pair for pair, n in zip(pairs, longest, strict=True) if n <= max_tokens]
        if not pairs:
            raise DataError(f"the corpus holds no pairs of at most {max_tokens} tokens a side")
        self.sources = [source for source, _ in pairs]
        self.targets = [target for _, target in pairs]
        self.max_tokens = max_tokens
        self.tokenizer, self.dropout, self.seed = tokenizer, dropout, seed
        self.batch_tokens, self.start_id = batch_tokens, start_id
        identity = {
            "seed": seed,
            "dropout": dropout,
            "batch_tokens": batch_tokens,
            "n_pairs": len(pairs),
        }
        super().__init__(self._sample_epoch, identity)

    def load(self, indices: Indices) -> PairBatch:
        """The padded batch of these pairs, as they are cut in the present epoch."""
        pairs = [(self._source_ids[i], self._target_ids[i]) for i in indices]
        return collate_pairs(pairs, self.tokenizer.pad_id, self.start_id, indices)

    def _sample_epoch(self, epoch: int) -> list[Indices]:
        """Cut every text anew; the batches of what comes out."""
        seed = self.seed + 1_000_003 * epoch
        self._source_ids = self._sample(self.sources, 2 * seed)
        self._target_ids = self._sample(self.targets, 2 * seed + 1)
        sides = (self._source_ids, self._target_ids)
        lengths = np.array([[len(ids) for ids in side] for side in sides]).T
        return TokenBatches(lengths, self.batch_tokens, self.seed).epoch(epoch)

    def _sample(self, texts: list[str], seed: int) -> list[Ids]:
        """Ids of each text, cut at random but never into more than `max_tokens`."""
        sampled = self.tokenizer.sample_encode(texts, self.dropout, seed)
        for i, ids in enumerate(sampled):
            if len(ids) > self.max_tokens:
                sampled[i] = self.tokenizer.encode_source([texts[i]])[0]
        return [np.array(ids, dtype=np.int32) for ids in sampled]
