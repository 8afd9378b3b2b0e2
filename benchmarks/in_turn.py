"""Time two or more ways of doing the same work in turn: A B A B …, so that noise hits all alike."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of each round, one list a contestant."""

    seconds: Mapping[str, list[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> tuple[float, float, float]:
        """How many times faster `name` is than `other`: median, lowest and highest of the pairs."""
        pairs = zip(self.seconds[other], self.seconds[name], strict=True)
        ratios = sorted(theirs / ours for theirs, ours in pairs)
        return statistics.median(ratios), ratios[0], ratios[-1]

    def told(self, name: str, other: str) -> str:
        """That ratio in words."""
        median, low, high = self.ratio(name, other)
        return f"ours {median:.2f} times (pairs from {low:.2f} to {high:.2f})"


def time_in_turn(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    warmup: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Run each contestant once a round, in order, after `warmup` untimed rounds.

    With `time.process_time` as the clock, what other processes take does not count; for one thread.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warmup + rounds):
        for name, work in contestants.items():
            began = clock()
            work()
            if number >= warmup:
                seconds[name].append(clock() - began)
    return Timing(seconds)


def machine() -> dict[str, object]:
    """What a figure depends on besides the code."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.processor(),
    )  # fmt: skip
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def write_json(path: Path | None, result: Mapping[str, object]) -> None:
    """Write a result where it was asked for."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
