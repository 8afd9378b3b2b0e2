"""Batches for BERT's pretraining: pairs of text, masked anew in every epoch.

    rules = NextSentenceRules(max_seq_len=128)
    source = PretrainingBatches(corpus, tokenizer, rules, MaskingRules(), FixedRows(256), seed=1)
    batch = source.load(next(source))

The second phase of the paper, with longer inputs, is a second source over the same corpus.

    B  examples in a batch     T  positions     N  examples in an epoch
"""

from dataclasses import asdict, dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from triptych.data.batching import IGNORE, Indices, TokenBatches
from triptych.data.document_shards import DocumentShards
from triptych.data.masking import MaskingRules, MaskingTokenizer, TokenMasker
from triptych.data.next_sentence import NextSentencePairs, NextSentenceRules, next_sentence_pairs
from triptych.data.streams import EpochStream
from triptych.errors import ConfigError, DataError

MULTIPLE = 8
"""T is a multiple of it where the longest input allows; few distinct shapes, which kernels like."""


class PretrainingTokenizer(MaskingTokenizer, Protocol):
    """The special tokens of an example, and what masking asks."""

    @property
    def pad_id(self) -> int: ...
    @property
    def cls_id(self) -> int: ...
    @property
    def sep_id(self) -> int: ...


@dataclass(frozen=True)
class PretrainingBatch:
    """B padded examples, [CLS] A [SEP] B [SEP].

    token_ids [B, T] int64, some of them masked; valid [B, T] bool, True = real; segment_ids [B, T]
    int64, 0 for [CLS] A [SEP] and padding, 1 for B [SEP]; labels [B, T] int64, the token that was
    there, IGNORE where nothing is predicted; is_random [B] int64, 0 if B follows A, 1 if it comes
    from another document; indices [B] int64, the place of each example in its epoch.
    """

    token_ids: torch.Tensor
    valid: torch.Tensor
    segment_ids: torch.Tensor
    labels: torch.Tensor
    is_random: torch.Tensor
    indices: torch.Tensor

    def __len__(self) -> int:
        return self.token_ids.size(0)

    @property
    def n_target_tokens(self) -> int:
        """Tokens to predict."""
        return int((self.labels != IGNORE).sum())

    @property
    def n_tokens(self) -> int:
        """What a run's speed counts: real tokens of the inputs."""
        return int(self.valid.sum())

    @property
    def n_targets(self) -> tuple[int, int]:
        """Predictions of the two terms of the loss: masked tokens, and pairs."""
        return self.n_target_tokens, len(self)

    def to(self, device: torch.device | str) -> "PretrainingBatch":
        """The batch on `device`."""
        return PretrainingBatch(
            self.token_ids.to(device, non_blocking=True),
            self.valid.to(device, non_blocking=True),
            self.segment_ids.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.is_random.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
        )


class Choice(NamedTuple):
    """A batch before it is loaded: the examples of an epoch that it holds."""

    epoch: int
    indices: Indices
    pairs: NextSentencePairs


class Grouping(Protocol):
    """Which examples of an epoch go together; a pure function of its fields and the arguments."""

    def epoch(self, lengths: Indices, seed: int, number: int) -> list[Indices]: ...


@dataclass(frozen=True)
class FixedRows:
    """Batches of a fixed number of examples, as the paper has them, in random order.

    The examples are shared out evenly: no batch has more than `batch_size`, nor two fewer than
    another one. So that little is padded, `pool` consecutive batches, a random part of the epoch,
    divide their examples by length; with 1 the examples of a batch are independent draws.
    """

    batch_size: int = 256
    pool: int = 16

    def __post_init__(self) -> None:
        if min(self.batch_size, self.pool) < 1:
            raise ConfigError(
                f"batch_size {self.batch_size} and pool {self.pool} must be at least 1"
            )

    def epoch(self, lengths: Indices, seed: int, number: int) -> list[Indices]:
        """The batches of epoch `number`, each the indices of its examples."""
        generator = np.random.default_rng([seed, number])
        order = generator.permutation(len(lengths))
        n_batches = -(-len(order) // self.batch_size)
        cuts = np.arange(n_batches + 1) * len(order) // max(n_batches, 1)
        batches: list[Indices] = []
        for first in range(0, n_batches, self.pool):
            borders = cuts[first : first + self.pool + 1]
            pool = order[borders[0] : borders[-1]]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            parts = np.split(pool, borders[1:-1] - borders[0])
            batches += [parts[i] for i in generator.permutation(len(parts))]
        return batches


@dataclass(frozen=True)
class TokenBudget:
    """Batches of like lengths of at most `batch_tokens` padded tokens: see `TokenBatches`."""

    batch_tokens: int = 256 * 128

    def epoch(self, lengths: Indices, seed: int, number: int) -> list[Indices]:
        """The batches of epoch `number`, each the indices of its examples."""
        both = np.stack([lengths, lengths], axis=1)  # as if a pair had two sides of one length
        return TokenBatches(both, self.batch_tokens, seed, MULTIPLE, MULTIPLE).epoch(number)


class PretrainingBatches(EpochStream[Choice]):
    """The batches of one epoch after another, without end; resumable at any batch.

    Pairs and masks are drawn anew in each epoch and depend on the corpus, the rules, the seed and
    the number of the epoch alone. Raises DataError for a tokenizer that is not the corpus's.
    """

    def __init__(
        self,
        corpus: DocumentShards,
        tokenizer: PretrainingTokenizer,
        pairing: NextSentenceRules,
        masking: MaskingRules,
        grouping: Grouping,
        seed: int,
    ) -> None:
        if tokenizer.vocab_size != corpus.manifest["vocab_size"]:
            raise DataError(
                f"{corpus.folder} was tokenised with a vocabulary of "
                f"{corpus.manifest['vocab_size']:,} entries, this tokenizer has "
                f"{tokenizer.vocab_size:,}; tokenise the corpus anew"
            )
        self.corpus, self.tokenizer, self.seed = corpus, tokenizer, seed
        self.pairing, self.grouping = pairing, grouping
        self.mask = TokenMasker(tokenizer, masking, seed)
        identity = {
            "seed": seed,
            **asdict(pairing),
            **asdict(masking),
            "grouping": repr(grouping),
            "corpus": corpus.content_hash,
        }
        super().__init__(self.epoch_choices, identity)

    def epoch_choices(self, number: int) -> list[Choice]:
        """The batches of epoch `number`, to be loaded; each example of the epoch is in one."""
        pairs = next_sentence_pairs(self.corpus, self.pairing, self.seed, number)
        batches = self.grouping.epoch(pairs.lengths, self.seed, number)
        return [Choice(number, indices, pairs[indices]) for indices in batches]

    def load(self, choice: Choice) -> PretrainingBatch:
        """The padded and masked batch."""
        token_ids, valid, segment_ids = self._lay_out(choice.pairs)
        seen, labels = self.mask(token_ids, valid, choice.indices, choice.epoch)
        arrays = (
            seen,
            valid,
            segment_ids,
            labels,
            choice.pairs.is_random.astype(np.int64),
            choice.indices,
        )
        return PretrainingBatch(*(torch.from_numpy(array) for array in arrays))

    def _lay_out(self, pairs: NextSentencePairs) -> tuple[Indices, npt.NDArray[np.bool_], Indices]:
        """Token ids before masking, where they are real, and segments, all [B, T]."""
        lengths = pairs.lengths[:, None]  # [B, 1]
        longest = -(-int(lengths.max()) // MULTIPLE) * MULTIPLE
        position = np.arange(min(longest, self.pairing.max_seq_len))  # [T]
        a_begin, a_end, b_begin, _ = (column[:, None] for column in pairs.ranges.T)
        first_sep = 1 + a_end - a_begin
        in_b = position > first_sep
        place = position + np.where(in_b, b_begin - first_sep - 1, a_begin - 1)  # in the corpus
        is_text = (position > 0) & (position != first_sep) & (position < lengths - 1)
        tokenizer = self.tokenizer
        token_ids = np.full(place.shape, tokenizer.pad_id, dtype=np.int64)
        token_ids[is_text] = self.corpus.tokens[place[is_text]]
        token_ids[:, 0] = tokenizer.cls_id
        token_ids[(position == first_sep) | (position == lengths - 1)] = tokenizer.sep_id
        valid = position < lengths
        return token_ids, valid, (in_b & valid).astype(np.int64)
