"""Pieces that threads take from one another: each block of outputs has one owner."""

import pytest
import torch
from numba import carray

from triptych.runtime.openmp import has_team

if not has_team():
    pytest.skip("torch's threads cannot be asked here", allow_module_level=True)

import numpy as np

from triptych.runtime.pieces import NONE_LEFT, PIECES, take, taken_from, untaken
from triptych.runtime.team import Kernel, address, thread_number

pytestmark = pytest.mark.usefixtures("threads")
BLOCKS = [0, 1, 2, 7, 16, 24, 100, 1571]


@Kernel
def take_and_tell(data):  # type: ignore[no-untyped-def]
    """How often each block was taken, and after it how often it was in what was taken; the first
    of `n_idle` threads take nothing."""
    taken_at, counts_at, n_blocks, n_idle = carray(data, 4)
    counts = carray(address(counts_at), (2, n_blocks), np.int64)
    if thread_number() >= n_idle:
        first, last, turn = take(taken_at, 0, n_blocks)
        while turn != NONE_LEFT:
            for block in range(first, last):
                counts[0, block] += 1
            first, last, turn = take(taken_at, turn, n_blocks)
    first, last, piece = taken_from(taken_at, 0, n_blocks)
    while piece != NONE_LEFT:
        for block in range(first, last):
            counts[1, block] += 1
        first, last, piece = taken_from(taken_at, piece, n_blocks)


def counts_of(n_blocks: int, n_idle: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    taken, counts = untaken(), torch.zeros(2, n_blocks, dtype=torch.int64)
    take_and_tell(taken.data_ptr(), counts.data_ptr(), n_blocks, n_idle)
    return taken, counts


@pytest.mark.parametrize("n_blocks", BLOCKS)
def test_each_block_is_taken_once_and_known_by_who_took_it(n_blocks: int) -> None:
    for _ in range(20):  # as threads happen to come
        taken, counts = counts_of(n_blocks)
        assert (counts == 1).all()
        assert int(taken.max()) <= torch.get_num_threads()


@pytest.mark.parametrize("n_blocks", BLOCKS)
def test_what_a_thread_does_not_come_to_others_take(n_blocks: int) -> None:
    n_threads = torch.get_num_threads()
    _, counts = counts_of(n_blocks, n_idle=n_threads - 1)
    assert (counts == 1).all()


def test_many_products_have_pieces_of_their_own() -> None:
    assert untaken(5).shape == (5, PIECES * torch.get_num_threads())
    assert not untaken(5).any()
