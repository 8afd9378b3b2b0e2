"""What was freed leaves the process."""

import sys
from pathlib import Path

import pytest
import torch

from triptych.runtime.freed import give_back, one_by_one


def anonymous() -> int:
    """Bytes of memory that belong to this process alone."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous"))


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")
def test_freed_memory_goes_back() -> None:
    """Small pieces, which the C library keeps below a last one that is still used."""
    give_back()
    before = anonymous()
    pieces = [torch.ones(20_000) for _ in range(2_000)]  # 160 MB
    last = torch.ones(20_000)
    assert anonymous() - before > 150e6
    del pieces
    give_back()
    assert anonymous() - before < 40e6
    assert last.sum() == 20_000


def test_each_is_made_in_its_turn() -> None:
    assert one_by_one(lambda n: n * n, range(4)) == [0, 1, 4, 9]
