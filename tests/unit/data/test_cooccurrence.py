"""Counts of neighbors: exactly those of the definition, whatever the memory."""

import resource
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from triptych.data import cooccurrence as module
from triptych.data.cooccurrence import Cooccurrences, count_cooccurrences
from triptych.data.words import WordCorpus, build_word_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> WordCorpus:
    random = np.random.default_rng(5)
    lengths = [0, 1, 2, *random.integers(0, 60, 20), 400]  # one line is longer than any block
    text = [" ".join(f"w{i % 50}" for i in random.zipf(1.3, n)) for n in lengths]
    (tmp_path / "t.txt").write_text("\n".join(text) + "\n")
    return build_word_corpus(tmp_path / "t.txt", tmp_path, min_count=2)


def by_definition(corpus: WordCorpus, window: int) -> dict[tuple[int, int], Fraction]:
    """X_ij = Σ 1 / |p − q|, both ways, from all pairs of places; kept for i ≤ j."""
    counts: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for line in corpus.lines():
        for p, i in enumerate(line.tolist()):
            for q, j in enumerate(line.tolist()):
                if p != q and abs(p - q) <= window and i <= j:
                    counts[i, j] += Fraction(1, abs(p - q))
    return counts


def found(cells: Cooccurrences) -> list[tuple[int, int, float]]:
    return [tuple(cell) for block in cells.read((1,), 100) for cell in block.tolist()]


@pytest.mark.parametrize("window", [1, 2, 10, 20])
@pytest.mark.parametrize("pairs", [200, 2000, 10_000_000])
def test_counts_are_exact(
    corpus: WordCorpus, tmp_path: Path, window: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEWEST_PAIRS", 200)
    monkeypatch.setattr(module, "MOST_RUNS", 4)
    counted = count_cooccurrences(corpus, tmp_path, window, pairs * module.BYTES_A_PAIR)
    expected = by_definition(corpus, window)
    cells = found(counted)
    assert len(cells) == counted.n_cells == len(expected)
    assert {(i, j): x for i, j, x in cells} == {pair: float(x) for pair, x in expected.items()}
    assert (counted.n_runs > 1) == (pairs * 2 < window * corpus.n_words)
    assert {path.name for path in tmp_path.glob("*.bin")} == {"ids.bin", "cells.bin"}


def test_order_is_random_and_repeats(corpus: WordCorpus, tmp_path: Path) -> None:
    def order(seed: int) -> list[tuple[int, int, float]]:
        return found(count_cooccurrences(corpus, tmp_path, 5, 1e6, seed))

    first = order(1)
    assert first == order(1)
    other = order(2)
    assert first != other
    assert sorted(first) == sorted(other)
    half = len(first) // 2
    small = [i + j for i, j, _ in first[:half]], [i + j for i, j, _ in first[half:]]
    assert abs(np.mean(small[0]) - np.mean(small[1])) < 8  # sorted, it would be about 40


def test_few_files_are_open_at_once_however_little_memory(
    corpus: WordCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BINS", 3)
    held: list[int] = []

    def fromfile(file: object, **options: Any) -> np.ndarray:
        cells = original(file, **options)
        if isinstance(file, Path):  # a bin, read whole
            held.append(len(cells))
        return cells

    original = np.fromfile
    monkeypatch.setattr(module.np, "fromfile", fromfile)
    expected = by_definition(corpus, 5)
    least = len(expected) * 2 * module.CELL.itemsize / 20  # 20 bins, so three levels of them
    cells = found(count_cooccurrences(corpus, tmp_path, 5, least))
    assert {(i, j): x for i, j, x in cells} == {pair: float(x) for pair, x in expected.items()}
    assert len(cells) == len(expected)
    assert len(held) > 20
    assert max(held) < len(expected) / 6
    assert cells != sorted(cells)
    assert {path.name for path in tmp_path.glob("*.bin")} == {"ids.bin", "cells.bin"}


def test_files_fit_the_limit_of_open_ones(
    corpus: WordCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        counted = count_cooccurrences(corpus, tmp_path, 5, len(by_definition(corpus, 5)) / 10)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert counted.n_cells == len(by_definition(corpus, 5))


def test_blocks_come_in_another_order_in_each_epoch(corpus: WordCorpus, tmp_path: Path) -> None:
    cells = count_cooccurrences(corpus, tmp_path, 5)

    def blocks(epoch: int) -> Iterator[list[tuple[int, int, float]]]:
        return (block.tolist() for block in cells.read((1, epoch), 50))

    first, second = list(blocks(1)), list(blocks(2))
    assert first != second
    assert sorted(first) == sorted(second)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every array that grows with the text is as large as the room, and no larger."""
    text = " ".join(f"w{i}" for i in np.random.default_rng(1).integers(0, 300, 20_000))
    (tmp_path / "t.txt").write_text(text + "\n")
    corpus = build_word_corpus(tmp_path / "t.txt", tmp_path, min_count=1)
    lengths: list[int] = []

    def watch(pairs: np.ndarray, sums: np.ndarray) -> np.ndarray:
        lengths.append(len(pairs))
        return original(pairs, sums)

    original = module._sum
    monkeypatch.setattr(module, "_sum", watch)
    room = 5000
    counted = count_cooccurrences(corpus, tmp_path, 10, room * module.BYTES_A_PAIR)
    assert counted.n_runs > 30
    assert max(lengths) <= room
