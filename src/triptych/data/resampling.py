"""A parallel corpus that is cut into subwords anew for every epoch.

BPE-dropout (Provilkov et al. 2020) shows a model many spellings of one word. The cuts of
an epoch depend on (seed, epoch) alone, so a stopped run finds the same ones again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.data.batching import Indices, PairBatch, TokenBatches, collate_pairs
from triptych.errors import DataError
from triptych.tokenizers.bpe import JointBpe

Ids = npt.NDArray[np.int32]


class ResampledPairs:
    """Batches of pairs encoded with dropped merges; the text and one epoch stay in memory.

    A pair that grows beyond `max_tokens` a side is encoded without dropout in that epoch.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        tokenizer: JointBpe,
        dropout: float,
        batch_tokens: int,
        start_id: int,
        seed: int,
    ) -> None:
        if not pairs:
            raise DataError("the corpus holds no pairs")
        self.sources = [source for source, _ in pairs]
        self.targets = [target for _, target in pairs]
        self.tokenizer, self.dropout, self.seed = tokenizer, dropout, seed
        self.batch_tokens, self.start_id = batch_tokens, start_id
        self._move_to(0, 0)

    def __next__(self) -> Indices:
        if self.position == len(self._batches):
            self._move_to(self.epoch + 1, 0)
        self.position += 1
        return self._batches[self.position - 1]

    def load(self, indices: Indices) -> PairBatch:
        """The padded batch of these pairs, as they are cut in the present epoch."""
        pairs = [(self._source_ids[i], self._target_ids[i]) for i in indices]
        return collate_pairs(pairs, self.tokenizer.pad_id, self.start_id, indices)

    def state(self) -> dict[str, Any]:
        """Where the stream is, and what its order depends on."""
        return {"epoch": self.epoch, "position": self.position, **self._identity()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises DataError where the corpus or options differ."""
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise DataError(
                    f"the saved data position belongs to {name} {state.get(name)}, this run has "
                    f"{name} {value}; use the same data and options, or start a fresh run"
                )
        self._move_to(state["epoch"], state["position"])

    def _identity(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "dropout": self.dropout,
            "batch_tokens": self.batch_tokens,
            "n_pairs": len(self.sources),
        }

    def _move_to(self, epoch: int, position: int) -> None:
        self.epoch, self.position = epoch, position
        seed = self.seed + 1_000_003 * epoch
        self._source_ids = self._sample(self.sources, 2 * seed)
        self._target_ids = self._sample(self.targets, 2 * seed + 1)
        sides = (self._source_ids, self._target_ids)
        lengths = np.array([[len(ids) for ids in side] for side in sides]).T
        self._batches = TokenBatches(lengths, self.batch_tokens, self.seed).epoch(epoch)

    def _sample(self, texts: list[str], seed: int) -> list[Ids]:
        """Ids of each text, cut at random but never longer than a batch may be."""
        sampled = self.tokenizer.sample_encode(texts, self.dropout, seed)
        for i, ids in enumerate(sampled):
            if len(ids) > self.batch_tokens:
                sampled[i] = self.tokenizer.encode_source([texts[i]])[0]
        return [np.array(ids, dtype=np.int32) for ids in sampled]
