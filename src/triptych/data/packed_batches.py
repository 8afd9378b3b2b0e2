"""Batches for language models: rows packed from the documents of a corpus.

rules = PackingRules(max_seq_len=1024, attend_across=False)
source = PackedBatches(corpus, rules, batch_size=8, seed=1)
batch = source.load(next(source))

B  rows in a batch     T  positions     R  rows of an epoch
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt
import torch

from triptych.data.batching import IGNORE, Indices
from triptych.data.counter_random import below
from triptych.data.packing import PackingRules, Ranges, pack_documents, pack_windows
from triptych.data.streams import EpochStream
from triptych.data.token_shards import TokenShards
from triptych.errors import ConfigError

PADDING = -1
"""The document of a position that holds none."""


@dataclass(frozen=True)
class PackedBatch:
    """B rows of T positions.

    token_ids [B, T] int64, what the model sees; targets [B, T] int64, the token that follows each,
    IGNORE where the row is padded; positions [B, T] int64, the place of each in its row or in its
    document; document_ids [B, T] int64, a position may see those of its own number: one for each
    document of a row, from 0, or 0 throughout where attention crosses documents, and -1 where
    padded; indices [B] int64, where in the corpus the first target of each row is.
    """

    token_ids: torch.Tensor
    targets: torch.Tensor
    positions: torch.Tensor
    document_ids: torch.Tensor
    indices: torch.Tensor

    def __len__(self) -> int:
        return self.token_ids.size(0)

    @property
    def valid(self) -> torch.Tensor:
        """Where there is a token, not padding [B, T] bool."""
        return self.targets != IGNORE

    @property
    def n_tokens(self) -> int:
        """What a run's speed counts: tokens that are predicted."""
        return int(self.valid.sum())

    @property
    def n_targets(self) -> tuple[int]:
        """Predictions of the one term of the loss."""
        return (self.n_tokens,)

    def to(self, device: torch.device | str) -> "PackedBatch":
        """The batch on `device`."""
        return PackedBatch(
            self.token_ids.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.positions.to(device, non_blocking=True),
            self.document_ids.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
        )


class Choice(NamedTuple):
    """A batch before it is loaded: the ranges of its rows (see `Ranges`)."""

    begins: Indices
    ends: Indices
    row_offsets: Indices


class _Epoch(Sequence[Choice]):
    """The batches of an epoch, each made when it is asked for: a corpus has millions of rows."""

    def __init__(self, ranges: Ranges, order: Indices, batch_size: int) -> None:
        self.ranges, self.order, self.batch_size = ranges, order, batch_size

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    @overload
    def __getitem__(self, index: int) -> Choice: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Choice]: ...
    def __getitem__(self, index: int | slice) -> Choice | Sequence[Choice]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        begins, ends, offsets = self.ranges
        spans = [np.arange(offsets[row], offsets[row + 1]) for row in rows]
        pieces = np.concatenate(spans)
        row_offsets = np.concatenate([[0], np.cumsum([len(span) for span in spans])])
        return Choice(begins[pieces], ends[pieces], row_offsets.astype(np.int64))


class PackedBatches(EpochStream[Choice]):
    """The batches of one epoch after another, without end; resumable at any batch.

    Each token of the corpus is a target exactly once an epoch. Rows come in random order, all of
    one width; the last batch of an epoch may have fewer. The order depends on the corpus, the
    rules, the batch size, the seed and the number of the epoch alone.
    """

    def __init__(
        self, corpus: TokenShards, rules: PackingRules, batch_size: int, seed: int
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size {batch_size} must be at least 1")
        self.corpus, self.rules, self.batch_size, self.seed = corpus, rules, batch_size, seed
        identity = {
            "seed": seed,
            **asdict(rules),
            "batch_size": batch_size,
            "corpus": corpus.content_hash,
        }
        super().__init__(self.epoch_choices, identity)

    def epoch_choices(self, number: int) -> Sequence[Choice]:
        """The batches of epoch `number`, to be loaded."""
        generator = np.random.default_rng([self.seed, number])
        length, n_tokens = self.rules.max_seq_len, len(self.corpus.tokens)
        if self.rules.whole_documents:
            order = generator.permutation(len(self.corpus))
            ranges = pack_documents(self.corpus.document_offsets, length, order)
        else:
            offset = int(below(min(length, n_tokens), self.seed, number)[0])
            ranges = pack_windows(n_tokens, length, offset)
        rows = generator.permutation(len(ranges.row_offsets) - 1)
        return _Epoch(ranges, rows, self.batch_size)

    def load(self, choice: Choice) -> PackedBatch:
        """The rows with their targets, and what of a row belongs together."""
        lengths = choice.ends - choice.begins  # [P]
        before = np.concatenate([[0], lengths.cumsum()])  # tokens before each range
        row_lengths = np.diff(before[choice.row_offsets])
        position = np.arange(self.rules.max_seq_len)  # [T]
        valid = position < row_lengths[:, None]  # [B, T]
        place = np.arange(before[-1]) + np.repeat(choice.begins - before[:-1], lengths)
        targets = np.full(valid.shape, IGNORE, dtype=np.int64)
        targets[valid] = self.corpus.tokens[place]
        token_ids = np.full(valid.shape, self.corpus.eos_id, dtype=np.int64)
        token_ids[valid] = np.where(place > 0, self.corpus.tokens[place - 1], self.corpus.eos_id)
        begins = self._begins_document(place)
        begins[before[:-1]] = True  # in its row, what is before a range is another document
        starts = np.zeros(valid.shape, dtype=bool)
        starts[valid] = begins
        document_ids, positions = self._relations(starts)
        document_ids[~valid] = PADDING
        first = choice.begins[choice.row_offsets[:-1]]
        arrays = (token_ids, targets, positions, document_ids, first)
        return PackedBatch(*(torch.from_numpy(array) for array in arrays))

    def _begins_document(self, place: Indices) -> npt.NDArray[np.bool_]:
        """For each place in the corpus whether a document begins there."""
        offsets = self.corpus.document_offsets
        return np.equal(offsets[np.searchsorted(offsets, place)], place)

    def _relations(self, starts: npt.NDArray[np.bool_]) -> tuple[Indices, Indices]:
        """Documents and positions [B, T] by the rules, where a document starts wherever it says."""
        position = np.broadcast_to(np.arange(starts.shape[1]), starts.shape)
        documents = starts.cumsum(axis=1) - 1
        if self.rules.attend_across:
            documents = np.zeros_like(documents)
        if not self.rules.reset_positions:
            return documents, position.copy()
        return documents, position - np.maximum.accumulate(np.where(starts, position, 0), axis=1)
