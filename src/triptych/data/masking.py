"""Which tokens a masked language model must guess, and what it sees in their place.

Devlin et al. 2018, §3.1, task 1: 15 % of the tokens are chosen; of these 80 % are replaced by
[MASK], 10 % by a random token, and 10 % stay. Special tokens are never chosen and never drawn as a
replacement. Whole-word masking (their release of May 2019) chooses words in place of tokens.

    B  examples in a batch     T  positions     V  vocabulary

The choice is made anew in every epoch and depends on (seed, epoch, index of the example) and the
example itself: on no batch, padding, or process.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from triptych.data.batching import IGNORE, Indices
from triptych.data.counter_random import below, random_bits, uniform
from triptych.errors import ConfigError, DataError

_ORDER, _KIND, _REPLACEMENT = range(3)
"""What a number is drawn for."""

_POSITION_BITS = 16

Mask = npt.NDArray[np.bool_]


class MaskingTokenizer(Protocol):
    """What masking asks of a tokenizer; `is_continuation` [V]: pieces that do not begin a word."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def mask_id(self) -> int: ...
    @property
    def special_ids(self) -> frozenset[int]: ...
    @property
    def is_continuation(self) -> npt.NDArray[np.bool_]: ...


@dataclass(frozen=True)
class MaskingRules:
    """How many tokens are chosen, and how.

    Of n tokens that are not special max(1, round(n × `mask_prob`)) are chosen, at most
    `max_predictions`. With `whole_words` these are all pieces of some words, as many as do not
    exceed that number; where not even one word fits, the first drawn that `max_predictions` allows.
    """

    mask_prob: float = 0.15
    max_predictions: int | None = None
    whole_words: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.mask_prob <= 1:
            raise ConfigError(f"mask_prob = {self.mask_prob} must be above 0 and at most 1")
        if self.max_predictions is not None and self.max_predictions < 1:
            raise ConfigError(
                f"max_predictions = {self.max_predictions} leaves nothing to predict; it must be "
                f"at least 1, or None for no limit"
            )


class TokenMasker:
    """Masks batches of token ids.

    Raises DataError for a tokenizer whose vocabulary is nothing but special tokens.
    """

    def __init__(self, tokenizer: MaskingTokenizer, rules: MaskingRules, seed: int) -> None:
        self.rules, self.seed, self.mask_id = rules, seed, tokenizer.mask_id
        self.is_special = np.zeros(tokenizer.vocab_size, dtype=bool)  # [V]
        self.is_special[list(tokenizer.special_ids)] = True
        self.is_continuation = tokenizer.is_continuation
        self.replacements = np.flatnonzero(~self.is_special)
        if not len(self.replacements):
            raise DataError(
                f"all {tokenizer.vocab_size} tokens of the vocabulary are special; train a "
                f"tokenizer that has words"
            )

    def __call__(
        self, token_ids: Indices, valid: Mask, indices: Indices, epoch: int
    ) -> tuple[Indices, Indices]:
        """What the model sees and what it must say, both [B, T]; labels are IGNORE elsewhere.

        `token_ids` and `valid` [B, T]: the examples and where they are real; `indices` [B]: which
        examples of the epoch they are.
        """
        maskable = valid & ~self.is_special[token_ids]
        keys = (self.seed, epoch, indices[:, None], np.arange(token_ids.shape[1]))
        chosen = self._choose(token_ids, maskable, keys)
        row, position = np.nonzero(chosen)
        keys = (self.seed, epoch, indices[row], position)
        kind = uniform(*keys, _KIND)
        drawn = self.replacements[below(len(self.replacements), *keys, _REPLACEMENT)]
        kept = token_ids[row, position]
        seen = token_ids.copy()
        seen[row, position] = np.where(kind < 0.8, self.mask_id, np.where(kind < 0.9, drawn, kept))
        return seen, np.where(chosen, token_ids, IGNORE)

    def _choose(self, token_ids: Indices, maskable: Mask, keys: tuple[Any, ...]) -> Mask:
        """The positions to predict [B, T]."""
        n_maskable = maskable.sum(axis=1)
        wanted = np.maximum(1, np.rint(n_maskable * self.rules.mask_prob).astype(np.int64))
        if self.rules.max_predictions is not None:
            wanted = np.minimum(wanted, self.rules.max_predictions)
        if self.rules.whole_words:
            return self._choose_words(token_ids, maskable, wanted, keys)
        # The wanted number of smallest draws; the position in the low bits makes each unique.
        draws = random_bits(*keys, _ORDER) << np.uint64(_POSITION_BITS)
        draws |= np.arange(draws.shape[1], dtype=np.uint64)
        draws[~maskable] = np.iinfo(np.uint64).max
        last = np.minimum(wanted, n_maskable) - 1
        border = np.take_along_axis(np.sort(draws, axis=1), last[:, None], axis=1)
        return maskable & (draws <= border)

    def _choose_words(
        self, token_ids: Indices, maskable: Mask, wanted: Indices, keys: tuple[Any, ...]
    ) -> Mask:
        """The positions of whole words to predict [B, T].

        Words are taken in random order; one that would exceed the wanted number is passed over.
        """
        after_word = np.zeros_like(maskable)
        after_word[:, 1:] = maskable[:, :-1]
        begins = maskable & ~(after_word & self.is_continuation[token_ids])
        word = np.cumsum(begins).reshape(begins.shape) - 1  # numbered through the batch
        n_pieces = np.bincount(word[maskable], minlength=int(begins.sum()))
        order = np.lexsort((random_bits(*keys, _ORDER)[begins], np.nonzero(begins)[0]))
        pieces, most = n_pieces[order].tolist(), self.rules.max_predictions or token_ids.shape[1]
        is_chosen = np.zeros(len(order) + 1, dtype=bool)  # the last for what precedes all words
        first = 0
        for n_words, limit in zip(begins.sum(axis=1).tolist(), wanted.tolist(), strict=True):
            row = range(first, first + n_words)
            taken = _fill(pieces, row, limit) or [i for i in row if pieces[i] <= most][:1]
            is_chosen[order[taken]] = True
            first += n_words
        chosen: Mask = maskable & is_chosen[word]
        return chosen


def _fill(sizes: list[int], places: Iterable[int], limit: int) -> list[int]:
    """The places, taken in turn, whose sizes fit into what is left of `limit`."""
    taken = []
    for place in places:
        if sizes[place] <= limit:
            taken.append(place)
            limit -= sizes[place]
            if not limit:
                break
    return taken
