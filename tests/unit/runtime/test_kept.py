"""Compiled loops on disk: read by the next process, made anew when any of their files changes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import carray
from numba.core.caching import FunctionCache

from triptych.runtime.openmp import has_team

if not has_team():
    pytest.skip("torch's threads cannot be asked here", allow_module_level=True)

from triptych.runtime import kept, team

LOOP = """
import sys
import numpy as np
import torch
from numba import carray
from triptych.runtime import kept, team

if len(sys.argv) > 1:
    kept.sources = lambda: sys.argv[1]

@team.Kernel
def loop(data):
    carray(team.address(data[0]), 1, np.float32)[0] = np.sqrt(np.float32(9))

y = torch.zeros(1)
loop(y.data_ptr())
print(y.item(), loop.compiled.cache_hits, "numba.np.linalg" in sys.modules)
"""


def test_the_next_process_reads_it(tmp_path: Path) -> None:
    """And numba has not looked for all that it can compile."""
    script = tmp_path / "script.py"
    script.write_text(LOOP)

    def run(*words: str) -> list[str]:
        command = [sys.executable, str(script), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    assert run() == ["3.0", "0", "True"]
    assert run() == ["3.0", "1", "False"]
    assert run("other sources")[:2] == ["3.0", "0"]
    assert run("other sources")[:2] == ["3.0", "1"]
    assert run() == ["3.0", "1", "False"]
    for file in tmp_path.rglob("*.nb[ic]"):  # cut short, and empty
        file.write_bytes(file.read_bytes()[:100] if file.suffix == ".nbc" else b"")
        assert run()[0] == "3.0"


def test_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FunctionCache, "save_overload", full)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    found = torch.zeros(1)

    def loop(data):  # type: ignore[no-untyped-def]
        carray(team.address(data[0]), 1, np.float32)[0] = 4

    team.Kernel(loop)(found.data_ptr())
    assert found.item() == 4


def test_the_digest_is_of_every_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("one.py", "other.py"):
        (tmp_path / name).write_text("a = 1")
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "one.py"))
    before = kept.sources.__wrapped__()
    (tmp_path / "other.py").write_text("a = 2")
    assert kept.sources.__wrapped__() != before
