"""Token batches: pairs of like lengths together, padded to the longest of the batch.

Shape letters: B pairs in a batch, S source positions, T target positions, N pairs in the corpus.

A batch costs `B × max(S, T)` tokens, the padded tokens of its longer side, and never more than the
budget. Vaswani et al. 2017, §5.1, batch by approximate length in the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from triptych.data.streams import EpochStream
from triptych.errors import DataError, UsageError

IGNORE = -100
"""The label of a position that has none; torch's cross-entropy leaves it out."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairBatch:
    """B padded pairs.

    source_ids [B, S] int64; source_valid [B, S] bool, True = real; target_in [B, T] int64, the
    start token and then the target without its last token; target_out [B, T] int64, the target,
    IGNORE where padded; indices [B] int64, the place of each pair in the corpus.
    """

    source_ids: torch.Tensor
    source_valid: torch.Tensor
    target_in: torch.Tensor
    target_out: torch.Tensor
    indices: torch.Tensor

    def __len__(self) -> int:
        return self.source_ids.size(0)

    @property
    def n_target_tokens(self) -> int:
        """Target tokens that are not padding, each one prediction."""
        return int((self.target_out != IGNORE).sum())

    @property
    def n_tokens(self) -> int:
        """What a run's speed counts: target tokens."""
        return self.n_target_tokens

    @property
    def n_targets(self) -> tuple[int]:
        """Predictions of the one term of the loss."""
        return (self.n_target_tokens,)

    def to(self, device: torch.device | str) -> "PairBatch":
        """The batch on `device`."""
        return PairBatch(
            self.source_ids.to(device, non_blocking=True),
            self.source_valid.to(device, non_blocking=True),
            self.target_in.to(device, non_blocking=True),
            self.target_out.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
        )


def collate_pairs(
    pairs: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    pad_id: int,
    start_id: int,
    indices: npt.ArrayLike | None = None,
    multiple: int = 1,
) -> PairBatch:
    """Pad pairs of (source ids, target ids), each ending in the end token, into one batch.

    S and T are the longest lengths, rounded up to a multiple of `multiple` (few distinct shapes
    keep a compiled model from compiling anew). `indices` are by default 0 to B - 1. Raises
    DataError for an empty batch or an empty sentence.
    """
    if not pairs:
        raise DataError("a batch needs at least one pair")
    sources = [np.asarray(source, dtype=np.int64) for source, _ in pairs]
    targets = [np.asarray(target, dtype=np.int64) for _, target in pairs]
    source_ids, source_valid = _pad(sources, pad_id, multiple)
    target_ids, target_valid = _pad(targets, pad_id, multiple)
    target_in = np.full_like(target_ids, pad_id)
    target_in[:, 1:] = np.where(target_valid[:, 1:], target_ids[:, :-1], pad_id)
    target_in[:, 0] = start_id
    places = np.arange(len(pairs)) if indices is None else np.array(indices, dtype=np.int64)
    return PairBatch(
        torch.from_numpy(source_ids),
        torch.from_numpy(source_valid),
        torch.from_numpy(target_in),
        torch.from_numpy(np.where(target_valid, target_ids, IGNORE)),
        torch.from_numpy(places),
    )


def _pad(
    sentences: list[npt.NDArray[np.int64]], pad_id: int, multiple: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Ids [B, L] and where they are real [B, L]."""
    lengths = np.array([sentence.size for sentence in sentences])
    if lengths.min() == 0:
        row = int(lengths.argmin())
        raise DataError(f"pair {row} of the batch has an empty side; remove it from the corpus")
    longest = -(-int(lengths.max()) // multiple) * multiple
    valid = np.arange(longest) < lengths[:, None]
    padded = np.full((len(sentences), longest), pad_id, dtype=np.int64)
    padded[valid] = np.concatenate(sentences)
    return padded, valid


class TokenBatches:
    """Which pairs go together, epoch by epoch; a pure function of (lengths, options, epoch).

    Within an epoch every pair occurs once, pairs of like lengths share a batch, and the batches
    come in random order. Pairs of equal lengths, and the cuts between batches, are drawn anew each
    epoch, so the company of a pair changes.

    `lengths` [N, 2]: source and target tokens of each pair. `max_tokens`: the budget, padded tokens
    of the longer side, B × max(S, T). `multiple` as in `collate_pairs`, counted in the budget.
    `rows_multiple`: B is a multiple of it wherever the budget allows (tensor cores like 8).

    Raises DataError for a sentence that is empty or longer than the budget.
    """

    def __init__(
        self,
        lengths: npt.ArrayLike,
        max_tokens: int,
        seed: int = 0,
        multiple: int = 1,
        rows_multiple: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.max_tokens = max_tokens
        self.seed = seed
        self.multiple = multiple
        self.rows_multiple = rows_multiple
        if self.lengths.ndim != 2 or self.lengths.shape[1] != 2 or len(self.lengths) == 0:
            raise DataError(f"lengths have the shape {self.lengths.shape}; needed is [N, 2], N > 0")
        if min(max_tokens, multiple, rows_multiple) < 1:
            raise UsageError(
                f"max_tokens {max_tokens}, multiple {multiple} and rows_multiple {rows_multiple} "
                f"must be positive"
            )
        self._check_lengths()

    def epoch(self, number: int) -> list[Indices]:
        """The batches of epoch `number`, each the int64 indices of its pairs."""
        generator = np.random.default_rng([self.seed, number])
        longest, key = self._sort_key()
        order = generator.permutation(len(key))  # so that ties fall in random order
        order = order[np.argsort(key[order], kind="stable")]
        cuts = self._cut(longest[order], first=float(generator.uniform(0.5, 1.0)))
        batches = np.split(order, cuts[1:-1])
        return [batches[i] for i in generator.permutation(len(batches))]

    def padding(self, batches: Sequence[Indices]) -> float:
        """The share of padding over both sides: 1 - real / (padded source + padded target)."""
        real = padded = 0
        for batch in batches:
            rows = self.lengths[batch]
            longest = -(-rows.max(axis=0) // self.multiple) * self.multiple
            real += int(rows.sum())
            padded += len(batch) * int(longest.sum())
        return 1 - real / padded

    def _check_lengths(self) -> None:
        shortest = self.lengths.min(axis=1)
        if shortest.min() < 1:
            raise DataError(f"pair {shortest.argmin()} has an empty side; remove it")
        longest = self.lengths.max(axis=1)
        rounded = -(-int(longest.max()) // self.multiple) * self.multiple
        if rounded > self.max_tokens:
            raise DataError(
                f"pair {longest.argmax()} has {longest.max():,} tokens on a side, more than a "
                f"batch may hold ({self.max_tokens:,}); raise max_tokens or leave the pair out"
            )

    def _sort_key(self) -> tuple[Indices, Indices]:
        """For each pair its longer side, rounded, and a key that sorts by it and then by balance.

        Balance (source minus target) runs up and down in turn, so that it does not jump where the
        longer side grows by one: a batch across that border stays even.
        """
        source, target = self.lengths[:, 0].astype(np.int64), self.lengths[:, 1].astype(np.int64)
        longest = -(-np.maximum(source, target) // self.multiple) * self.multiple
        balance = source - target
        reach = int(np.abs(balance).max())
        rising = longest // self.multiple % 2 == 0
        return longest, longest * (2 * reach + 1) + reach + np.where(rising, balance, -balance)

    def _cut(self, longest: Indices, first: float) -> list[int]:
        """Where batches begin and end: greedily as many rows as the budget holds.

        `longest` [N] never falls, so the cost of a batch is its rows times its last entry. The
        first batch takes only the share `first`, which moves every later cut.
        """
        cuts, begin, share = [0], 0, first
        while begin < len(longest):
            window = longest[begin : begin + self.max_tokens // int(longest[begin])]
            cost = np.arange(1, len(window) + 1) * window
            rows = int(np.searchsorted(cost, self.max_tokens, side="right"))
            rows = max(1, int(rows * share))
            if rows > self.rows_multiple and begin + rows < len(longest):
                rows -= rows % self.rows_multiple
            begin, share = begin + rows, 1.0
            cuts.append(begin)
        return cuts


class BatchStream(EpochStream[Indices]):
    """The batches of one epoch after another, without end; resumable at any batch."""

    def __init__(self, batches: TokenBatches, epoch: int = 0, position: int = 0) -> None:
        identity = {
            "seed": batches.seed,
            "max_tokens": batches.max_tokens,
            "multiple": batches.multiple,
            "rows_multiple": batches.rows_multiple,
            "n_pairs": len(batches.lengths),
            "n_tokens": int(batches.lengths.sum(dtype=np.int64)),
        }
        super().__init__(batches.epoch, identity, epoch, position)


def by_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Numbers of texts, longest first: those of a batch times its longest keep to the budget.

    One that is longer than the budget is a batch by itself.
    """
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    while order:
        n_rows = max(1, budget // max(1, lengths[order[0]]))
        yield order[:n_rows]
        order = order[n_rows:]
