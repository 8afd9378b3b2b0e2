"""How far a run is: a live line on a terminal, a plain line now and then elsewhere."""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from triptych.core.products import product

PLAIN_SECONDS = 30.0
"""Between two plain lines, where there is no terminal."""
STATUS = Path("/proc/self/status")
"""What Linux tells of this process."""


class ProgressLine:
    """`with ProgressLine("train", total) as line: line.show(update, "loss 3.21 …")`."""

    def __init__(self, name: str, total: int, start: int = 0, quiet: bool = False) -> None:
        console = Console(stderr=True, quiet=quiet)
        self.live = console.is_terminal
        self.quiet = quiet
        self.name, self.total, self.start = name, total, start
        self.began = self.last_plain = time.monotonic()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[text]}"),
            console=console,
            disable=not self.live,
        )
        self.task = self.progress.add_task(name, total=total, completed=start, text="")

    def __enter__(self) -> "ProgressLine":
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def show(self, done: int, text: str) -> None:
        """Update the line; `done` counts from the beginning of the run, stops included."""
        self.progress.update(self.task, completed=done, text=text)
        now = time.monotonic()
        if not self.live and now - self.last_plain >= PLAIN_SECONDS:
            self.last_plain = now
            left = (now - self.began) / max(1, done - self.start) * (self.total - done)
            self.say(f"{self.name} {done:,}/{self.total:,}  {text}  {left / 60:.0f} min left")

    def say(self, text: str) -> None:
        """A line that stays, above the live one."""
        if self.quiet:
            return
        if self.live:
            self.progress.console.print(text, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)


def measure_peak_flops(
    device: torch.device,
    precision: str,
    seconds: float = 0.2,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """FLOP/s of a square matrix product on this machine, now: the limit shares refer to."""
    size = 8192 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.full((size, size), 0.5, device=device, dtype=dtype)
    product(a, a)
    best, began = 0.0, clock()
    while clock() - began < seconds:
        start = clock()
        product(a, a)[0, 0].item()  # waits for a GPU
        best = max(best, 2 * size**3 / (clock() - start))
    return best


def peak_memory(device: torch.device) -> int:
    """Bytes that this process has held at most: resident on a CPU, allocated on a GPU.

    On a GPU since `reset_peak_memory`, elsewhere since the process began.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():  # getrusage would count the process that started this one, too
        lines = STATUS.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    # Without /proc, as on macOS, the unit is a byte.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def reset_peak_memory(device: torch.device) -> None:
    """Forget the peak of a GPU so far; that of a process cannot be forgotten."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
