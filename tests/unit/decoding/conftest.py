"""A model small enough to enumerate: its next token depends on the sentence and the whole past."""

import itertools
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

EOS, START, V = 0, 3, 4


class FakeCache:
    """Remembers which sentence each row is, and all tokens it was given."""

    def __init__(self, n_rows: int) -> None:
        self.sentences = torch.arange(n_rows)
        self.past = torch.zeros(n_rows, 0, dtype=torch.long)
        self.batch_sizes: list[int] = []

    def select(self, rows: Tensor) -> None:
        self.sentences, self.past = self.sentences[rows], self.past[rows]

    def reorder(self, rows: Tensor) -> None:
        assert torch.equal(self.sentences[rows], self.sentences)
        self.select(rows)


class FakeModel:
    """Logits drawn from a table by (sentence, past): no structure a search could exploit."""

    def __init__(self, seed: int, sharpness: float = 2.0, eos_bonus: float = 0.0) -> None:
        self.seed, self.sharpness, self.eos_bonus = seed, sharpness, eos_bonus
        self.table: dict[tuple[int, ...], Tensor] = {}

    def logits(self, sentence: int, past: tuple[int, ...]) -> Tensor:
        key = (sentence, *past)
        if key not in self.table:
            number = self.seed
            for value in key:
                number = (number * 31 + value + 7) % 2_147_483_647
            generator = torch.Generator().manual_seed(number)
            self.table[key] = torch.randn(V, generator=generator) * self.sharpness
            self.table[key][EOS] += self.eos_bonus
        return self.table[key].clone()

    def next_logits(self, token_ids: Tensor, cache: FakeCache) -> Tensor:
        cache.past = torch.cat([cache.past, token_ids], dim=1)
        cache.batch_sizes.append(len(token_ids))
        pasts = [tuple(row[1:]) for row in cache.past.tolist()]
        assert all(row[0] == START for row in cache.past.tolist())
        return torch.stack(
            [
                self.logits(sentence, past)
                for sentence, past in zip(cache.sentences.tolist(), pasts, strict=True)
            ]
        )

    def log_prob(self, sentence: int, token_ids: tuple[int, ...]) -> float:
        """Of a whole text, with the start token outside the distribution."""
        total = 0.0
        for t, token_id in enumerate(token_ids):
            logits = self.logits(sentence, token_ids[:t]).double()
            logits[START] = -torch.inf
            total += float(logits.log_softmax(-1)[token_id])
        return total

    def all_texts(self, limit: int) -> Iterator[tuple[int, ...]]:
        """Every text of at most `limit` tokens that ends, over the tokens that may be chosen."""
        for length in range(limit):
            for words in itertools.product([1, 2], repeat=length):
                yield (*words, EOS)


@pytest.fixture
def fake_model() -> Callable[..., FakeModel]:
    return FakeModel


@pytest.fixture
def fake_cache() -> Callable[[int], FakeCache]:
    return FakeCache
