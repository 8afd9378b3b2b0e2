"""How often words stand near each other — Pennington et al. 2014, §4.2 — in bounded memory.

X_ij = Σ 1 / |p − q| over all places p of word i and q ≠ p of word j in one line, at most `window`
words apart. X is symmetric; each pair of words is kept once, with i ≤ j.

Pairs are gathered as integers (the pair, then the distance), sorted when the memory is full, summed
and written as a run; the runs are merged a range of pairs at a time, and what comes out is put in
random order by way of bins, at most `MOST_BINS` at once. Sums are of integers (lcm(1 … window) /
distance), so they are exact: the same whatever the memory, in which order the runs are merged does
not matter.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from triptych.data.words import LINE_END, WordCorpus

Longs = npt.NDArray[np.int64]

BITS = 5
"""Of a distance, so that a window is at most 31 wide; those left hold the pair."""
BYTES_A_PAIR = 48
"""At the moment of summing: the key, the pair, its weight, where sums begin, the sums."""
FEWEST_PAIRS = 1 << 12
MOST_RUNS = 128
"""So many are made one before there are more, for each is an open file."""
MOST_BINS = 64
"""Written at once; with the runs that are read, fewer than the 256 files that some systems allow.
Where the memory asks for more, each bin is divided again."""

CELL = np.dtype([("row", "<i4"), ("column", "<i4"), ("count", "<f8")])
RUN = np.dtype([("pair", "<i8"), ("sum", "<i8")])


@dataclass(frozen=True)
class Cooccurrences:
    """The cells of X with i ≤ j that are not 0, in random order, on the disk."""

    path: Path
    n_cells: int
    n_runs: int
    """Sorted parts that were written, because the memory was full or to make one of several."""

    def read(self, seed: tuple[int, ...], size: int = 1 << 20) -> Iterator[npt.NDArray[np.void]]:
        """All cells, `size` at once, the blocks in the order of this seed."""
        n_blocks = -(-self.n_cells // size)
        with self.path.open("rb") as file:
            for block in np.random.default_rng(seed).permutation(n_blocks):
                file.seek(int(block) * size * CELL.itemsize)
                yield np.fromfile(file, dtype=CELL, count=size)


def count_cooccurrences(
    corpus: WordCorpus, folder: Path, window: int = 10, memory: float = 1e9, seed: int = 1
) -> Cooccurrences:
    """Count X of a corpus into `folder`, in about `memory` bytes beside the words themselves."""
    runs = _Runs(corpus, folder, window, max(FEWEST_PAIRS, int(memory / BYTES_A_PAIR)))
    runs.gather()
    path = folder / "cells.bin"
    most = sum(run.stat().st_size // RUN.itemsize for run in runs.paths)
    with path.open("wb") as whole:
        random = np.random.default_rng([seed, 1])
        n_cells = _shuffle(_cells(runs, _block(memory)), most, whole, "bin", memory, random)
    for run in runs.paths:
        run.unlink()
    return Cooccurrences(path, n_cells, runs.n_runs)


class _Runs:
    """Sorted runs of (pair, sum) on the disk."""

    def __init__(self, corpus: WordCorpus, folder: Path, window: int, room: int) -> None:
        self.corpus, self.folder, self.window, self.room = corpus, folder, window, room
        self.scale = math.lcm(*range(1, window + 1))
        """Sums are in this part of one neighbor."""
        self.keys = np.empty(room, dtype=np.int64)
        self.n_keys = self.n_runs = 0
        self.paths: list[Path] = []

    def gather(self) -> None:
        """Every pair of the corpus into runs."""
        n_words = len(self.corpus.words)
        ids, lines = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        line = 0
        for block in self.corpus.blocks(max(1, self.room // (2 * self.window))):
            ends = block == LINE_END
            new_lines = line + np.cumsum(ends)
            line = int(new_lines[-1])
            n_before = len(ids)
            ids = np.concatenate([ids, block[~ends]])
            lines = np.concatenate([lines, new_lines[~ends]])
            if self.n_keys + (len(ids) - n_before) * self.window > self.room:
                self._spill()
            for distance in range(1, min(self.window, len(ids) - 1) + 1):
                begin = max(n_before, distance)  # pairs whose later word is new
                one, other = ids[begin - distance : len(ids) - distance], ids[begin:]
                together = lines[begin - distance : len(ids) - distance] == lines[begin:]
                one, other = one[together], other[together]
                pairs = np.minimum(one, other) * n_words + np.maximum(one, other)
                self.keys[self.n_keys : self.n_keys + len(pairs)] = (pairs << BITS) | distance
                self.n_keys += len(pairs)
            ids, lines = ids[-self.window :], lines[-self.window :]
        self._spill()
        self.keys = self.keys[:0].copy()

    def _spill(self) -> None:
        if not self.n_keys:
            return
        keys = self.keys[: self.n_keys]
        keys.sort()
        shares = np.array([0, *(self.scale // d for d in range(1, self.window + 1))])
        run = _sum(keys >> BITS, shares[keys & ((1 << BITS) - 1)])
        run.tofile(self._new_run())
        self.n_keys = 0
        if len(self.paths) == MOST_RUNS:
            self._make_one()

    def _make_one(self) -> None:
        old, self.paths = self.paths, []
        with self._new_run().open("wb") as file:
            for run in _merged(old, self.room // 4):
                run.tofile(file)
        for path in old:
            path.unlink()

    def _new_run(self) -> Path:
        path = self.folder / f"run-{self.n_runs:05d}.bin"
        self.paths.append(path)
        self.n_runs += 1
        return path


def _merged(paths: list[Path], size: int) -> Iterator[npt.NDArray[np.void]]:
    """Several runs as one, summed, at most `size` pairs at once but for one of each run."""
    count = max(1, size // max(1, len(paths)))
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in paths]
        heads = [np.fromfile(file, dtype=RUN, count=count) for file in files]
        while left := [n for n, head in enumerate(heads) if len(head)]:
            last = min(heads[n]["pair"][-1] for n in left)  # all pairs up to it are in the heads
            taken = []
            for n in left:
                end = int(np.searchsorted(heads[n]["pair"], last, side="right"))
                taken.append(heads[n][:end])
                heads[n] = heads[n][end:]
                if not len(heads[n]):
                    heads[n] = np.fromfile(files[n], dtype=RUN, count=count)
            together = np.concatenate(taken)
            order = np.argsort(together["pair"], kind="stable")
            yield _sum(together["pair"][order], together["sum"][order])


def _sum(pairs: Longs, sums: Longs) -> npt.NDArray[np.void]:
    """One row for each pair of a sorted array."""
    begins = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
    run = np.empty(len(begins), dtype=RUN)
    run["pair"], run["sum"] = pairs[begins], np.add.reduceat(sums, begins)
    return run


def _cells(runs: _Runs, size: int) -> Iterator[npt.NDArray[np.void]]:
    """The merged runs as cells, about `size` at once."""
    for run in _merged(runs.paths, size):
        cells = np.empty(len(run), dtype=CELL)
        cells["row"], cells["column"] = np.divmod(run["pair"], len(runs.corpus.words))
        cells["count"] = run["sum"] / runs.scale
        cells["count"][cells["row"] == cells["column"]] *= 2  # from either place
        yield cells


def _shuffle(
    blocks: Iterator[npt.NDArray[np.void]],
    most: int,
    whole: BinaryIO,
    name: str,
    memory: float,
    random: np.random.Generator,
) -> int:
    """Append at most `most` cells in random order to the open file `whole`: each into a bin by
    chance, then each bin shuffled, by way of bins of its own where it is too large.

    `name` begins the bins' names, which lie beside `whole`. Gives the number of cells.
    """
    wanted = math.ceil(most * 2 * CELL.itemsize / memory) or 1
    n_bins = min(wanted, MOST_BINS)
    bins = [Path(whole.name).with_name(f"{name}-{n:05d}.bin") for n in range(n_bins)]
    n_cells = 0
    with ExitStack() as stack:
        files = [stack.enter_context(each.open("wb")) for each in bins]
        for cells in blocks:
            chosen = random.integers(n_bins, size=len(cells))
            for n, file in enumerate(files):
                cells[chosen == n].tofile(file)
            n_cells += len(cells)
    for each in bins:
        if wanted > n_bins:
            size = each.stat().st_size // CELL.itemsize
            _shuffle(_read(each, _block(memory)), size, whole, each.stem, memory, random)
        else:
            cells = np.fromfile(each, dtype=CELL)
            cells[random.permutation(len(cells))].tofile(whole)
        each.unlink()
    return n_cells


def _read(path: Path, size: int) -> Iterator[npt.NDArray[np.void]]:
    with path.open("rb") as file:
        while len(cells := np.fromfile(file, dtype=CELL, count=size)):
            yield cells


def _block(memory: float) -> int:
    """Pairs that are held at once while they are put into bins."""
    return max(FEWEST_PAIRS, int(memory / (4 * BYTES_A_PAIR)))
