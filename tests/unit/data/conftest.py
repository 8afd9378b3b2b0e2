"""A toy corpus of documents, and a tokenizer whose texts are its ids."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from triptych.data.document_shards import DocumentShards

Documents = Sequence[Sequence[Sequence[int]]]


class NumberTokenizer:
    """ "17 9" has the ids 17 and 9; 0 to 4 are special, and multiples of 3 continue a word."""

    pad_id, unk_id, cls_id, sep_id, mask_id = range(5)
    special_ids = frozenset(range(5))

    def __init__(self, vocab_size: int = 200) -> None:
        self.vocab_size = vocab_size
        self.is_continuation = np.arange(vocab_size) % 3 == 0
        self.is_continuation[:5] = False
        self.calls: list[int] = []

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        self.calls.append(len(texts))
        return [[int(number) for number in text.split()] for text in texts]


@pytest.fixture
def tokenizer() -> NumberTokenizer:
    return NumberTokenizer()


@pytest.fixture(scope="session")
def numbers_corpus(tmp_path_factory) -> Callable[[Documents], DocumentShards]:
    """Builds shards of documents given as lists of sentences given as ids."""

    def build(documents: Documents, folder: Path | None = None) -> DocumentShards:
        texts = [[" ".join(map(str, sentence)) for sentence in text] for text in documents]
        folder = folder or tmp_path_factory.mktemp("corpus") / "shards"
        return DocumentShards.build(texts, NumberTokenizer(), folder)

    return build


@pytest.fixture(scope="session")
def random_documents() -> Callable[..., list[list[list[int]]]]:
    """Documents of random sentences; most are short, a few have a hundred sentences."""

    def draw(n_documents: int, seed: int = 0, mean_tokens: float = 18) -> list[list[list[int]]]:
        generator = np.random.default_rng(seed)
        n_sentences = np.where(
            generator.random(n_documents) < 0.1,
            generator.integers(50, 150, n_documents),
            1 + generator.geometric(0.15, n_documents),
        )
        return [
            [
                generator.integers(5, 200, 1 + generator.geometric(1 / mean_tokens)).tolist()
                for _ in range(n)
            ]
            for n in n_sentences
        ]

    return draw


@pytest.fixture(scope="session")
def corpus(numbers_corpus, random_documents) -> DocumentShards:
    """Some 1,000 documents, 15,000 sentences, 300,000 tokens."""
    return numbers_corpus(random_documents(1000))
