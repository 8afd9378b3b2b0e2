"""Batches of whole sentences, each word as its characters, for ELMo.

B  sentences in a batch     T  words with the marks of a sentence     C  characters of a word
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from triptych.data.batching import IGNORE, Indices, TokenBatches
from triptych.data.sentences import split_sentences
from triptych.data.streams import EpochStream
from triptych.data.text_parts import TextPart
from triptych.data.token_shards import TokenShards
from triptych.tokenizers.words import LONGEST_WORD, Words, sentence_characters, split_with_spans

ONE_A_LINE = "lines"


@dataclass(frozen=True)
class WordBatch:
    """B sentences. character_ids [B, T, C] int64, 0 where padded; valid [B, T] bool, True = real;
    targets [B, T] int64, each word's id in the vocabulary, IGNORE where padded; indices [B] int64,
    the place of each sentence in the corpus."""

    character_ids: torch.Tensor
    valid: torch.Tensor
    targets: torch.Tensor
    indices: torch.Tensor

    def __len__(self) -> int:
        return self.valid.size(0)

    @property
    def n_tokens(self) -> int:
        """What a run's speed counts: words, with one mark a sentence."""
        return int(self.valid[:, 1:].sum())

    @property
    def n_targets(self) -> tuple[int, int]:
        """Predictions from the left, and from the right."""
        return self.n_tokens, self.n_tokens

    def to(self, device: torch.device | str) -> "WordBatch":
        """The batch on `device`."""
        return WordBatch(
            self.character_ids.to(device, non_blocking=True),
            self.valid.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
        )


class WordBatches(EpochStream[Indices]):
    """Batches of like lengths, one epoch after another without end; resumable at any batch.

    The order depends on the corpus, the budget, the seed and the number of the epoch alone.
    """

    def __init__(
        self, corpus: TokenShards, words: Words, vocab_size: int, max_words: int, seed: int
    ) -> None:
        """`corpus`: a document a sentence, in the ids of `words`, of which the first `vocab_size`
        are predicted; `max_words`: padded words of a batch. Raises DataError for a sentence that
        is longer."""
        self.corpus, self.words, self.vocab_size = corpus, words, vocab_size
        lengths = np.diff(corpus.document_offsets) + 1  # an end mark is there; one to begin is not
        self.batches = TokenBatches(np.stack([lengths, lengths], axis=1), max_words, seed)
        self.seed = seed
        identity = {
            "seed": seed,
            "max_words": max_words,
            "vocab_size": vocab_size,
            "corpus": corpus.content_hash,
        }
        super().__init__(self.batches.epoch, identity)

    def load(self, choice: Indices) -> WordBatch:
        """The sentences of these numbers."""
        lengths = self.batches.lengths[choice, 0]
        valid = np.arange(lengths.max()) < lengths[:, None]
        offsets = self.corpus.document_offsets
        ids = np.concatenate(
            [
                part
                for i in choice
                for part in ([self.words.bos_id], self.corpus.tokens[offsets[i] : offsets[i + 1]])
            ]
        ).astype(np.int64)
        distinct, numbers = np.unique(ids, return_inverse=True)
        characters = np.zeros((*valid.shape, LONGEST_WORD), dtype=np.int64)
        characters[valid] = self._characters(distinct)[numbers]
        targets = np.full(valid.shape, IGNORE, dtype=np.int64)
        targets[valid] = np.where(ids < self.vocab_size, ids, self.words.unk_id)
        arrays = (characters, valid, targets, np.asarray(choice, dtype=np.int64))
        return WordBatch(*(torch.from_numpy(array) for array in arrays))

    def _characters(self, ids: Indices) -> Indices:
        """[len(ids), C] of some words or marks of a sentence."""
        rows = sentence_characters(self.words.tokens(ids.tolist()))
        begin, words, end = rows[0], rows[1:-1], rows[-1]
        words[ids == self.words.bos_id], words[ids == self.words.eos_id] = begin, end
        return words


def sentence_parts(parts: Iterable[TextPart], language: str, longest: int) -> Iterator[TextPart]:
    """Each sentence as a document; what has more than `longest` words is cut after so many, and
    white space alone is none.

    `language` names the rules of splitting, or is "lines": nothing is split.
    """
    for part in parts:
        whole = [part.text] if language == ONE_A_LINE else split_sentences(part.text, language)
        for sentence in whole:
            if len(sentence) <= longest:  # characters, so surely not more words
                yield TextPart(sentence, True)
                continue
            starts = [start for start, _ in split_with_spans(sentence)[1][::longest]]
            for start, end in pairwise([*starts, len(sentence)]):
                yield TextPart(sentence[start:end], True)
