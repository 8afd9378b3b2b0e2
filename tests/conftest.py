"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # runs are compared bit for bit: same threads

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; a test that asks for it skips where there is none."""
    folder = Path(os.environ.get("TRIPTYCH_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set TRIPTYCH_DATA)")
    return folder
