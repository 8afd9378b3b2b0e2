"""Time and private memory of the steps of a benchmark.

Private memory is `Anonymous` of /proc/self/smaps_rollup, sampled ten times a second: what the
process holds itself. Pages of mapped files, which the kernel may drop at any time, are apart; they
are in VmHWM, printed beside it. Linux only.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

LIMIT = 2e9
"""Bytes of private memory that no step may exceed."""


class MemoryWatch:
    """The largest private memory of this process while the block runs, in bytes."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, kilobytes("smaps_rollup", "Anonymous") * 1024)
            if self._done.wait(0.1):
                return


def kilobytes(file: str, key: str) -> int:
    for line in Path("/proc/self", file).read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise SystemExit(f"/proc/self/{file} has no {key}")


def step(name: str, work: Callable[[], object]) -> float:
    """Run and report one step; its peak of private memory in bytes."""
    begin = time.perf_counter()
    with MemoryWatch() as watch:
        said = work()
    seconds = time.perf_counter() - begin
    resident = kilobytes("status", "VmHWM") * 1024
    print(
        f"{name:28} {seconds:9.1f} s   private {watch.peak / 1e6:8.0f} MB   "
        f"resident so far {resident / 1e6:8.0f} MB   {said}",
        flush=True,
    )
    return watch.peak


def conclude(peaks: list[float]) -> None:
    """Say whether every step stayed under the limit; exit status 1 if not."""
    verdict = "under" if max(peaks) < LIMIT else "OVER"
    print(f"peak private memory {max(peaks) / 1e6:,.0f} MB: {verdict} {LIMIT / 1e6:,.0f} MB")
    if max(peaks) >= LIMIT:
        raise SystemExit(1)
