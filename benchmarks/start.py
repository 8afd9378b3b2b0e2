"""Start-up and memory: of the command line, and of a 124 M model, against CTranslate2.

    python benchmarks/start.py [--rounds 5] [--json FILE]

Seconds by the clock of whole processes, the files read before (warm): `triptych --help`,
`import triptych`, and `triptych generate` until its first token has been printed and the process
has ended. Private memory (`Anonymous` of /proc/self/smaps_rollup, sampled ten times a second) of a
process of its own, above what it has once it has imported its library: while the model is loaded,
and while 32 tokens are generated. Pages of mapped files are not private: the kernel may drop them.
Random weights of GPT-2's shape. Linux only. Needs GPT-2's tokenizer from the data.
"""

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from apart import Apart, Maker
from gpt_contestants import Task, ctranslate2_, triptych_, write_weights
from in_turn import machine, write_json
from memory_watch import MemoryWatch, kilobytes
from peers import PRECISIONS, default_data, for_ctranslate2, has

TRIPTYCH = [str(Path(sys.executable).parent / "triptych")]


def seconds_of(command: list[str], rounds: int) -> list[float]:
    """Of whole processes, by the clock, after one that is not counted."""
    found = []
    for _ in range(1 + rounds):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - began)
    return found[1:]


def commands(folder: Path) -> dict[str, list[str]]:
    first = [*TRIPTYCH, "generate", str(folder), "--prompt", "Once upon a time", "--quiet"]
    first += ["--max-new-tokens", "1", "--temperature", "0", "--precision"]
    return {
        "triptych --help": [*TRIPTYCH, "--help"],
        "import triptych": [sys.executable, "-c", "import triptych"],
        **{f"first token, {precision}": [*first, precision] for precision in PRECISIONS},
    }


def memory_measure(task: Task, library: str, make: Maker) -> Callable[[], dict[str, float]]:
    """For a process of its own: bytes above those after the import."""

    def measure() -> dict[str, float]:
        if library == "triptych":
            import triptych.recipes.load  # noqa: F401
        else:
            import ctranslate2  # noqa: F401
            from transformers import AutoTokenizer  # noqa: F401
        gc.collect()
        before = kilobytes("smaps_rollup", "Anonymous") * 1024
        with MemoryWatch() as loading:
            generate = make()
        with MemoryWatch() as generating:
            generate(1)
        return {"loading": loading.peak - before, "generating": generating.peak - before}

    return measure


def memory_rows(task: Task) -> dict[str, dict[str, float]]:
    makers = {f"triptych {p}": ("triptych", partial(triptych_, task, p)) for p in PRECISIONS}
    if has("ctranslate2"):
        for_ctranslate2(task.folder)  # now, and not while it is measured
        for precision in ("fp32", "int8"):
            make = partial(ctranslate2_, task, precision)
            makers[f"CTranslate2 {precision}"] = ("ctranslate2", make)
    apart = {name: partial(memory_measure, task, *given) for name, given in makers.items()}
    with Apart(apart, task.threads) as engines:
        return {name: engines.call(name).result for name in apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--preset", default="gpt2")
    parser.add_argument("--data", type=Path, default=default_data())
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as place:
        task = Task(Path(place), 32, 32, torch.get_num_threads())
        write_weights(task.folder, arguments.preset, arguments.data / "tokenizers" / "gpt2")
        times = {}
        for name, command in commands(task.folder).items():
            times[name] = seconds_of(command, arguments.rounds)
            low, high = min(times[name]), max(times[name])
            median = statistics.median(times[name])
            print(f"{name:20} {median:6.2f} s (from {low:.2f} to {high:.2f})", flush=True)
        size = (task.folder / "model.safetensors").stat().st_size
        print(f"private memory in MB above the import; the file has {size / 1e6:,.0f} MB")
        memory = memory_rows(task)
        for name, found in memory.items():
            loading, generating = found["loading"] / 1e6, found["generating"] / 1e6
            print(f"{name:20} {loading:6,.0f} while loading, {generating:6,.0f} while generating")
    result = {
        "benchmark": "start",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "seconds": times,
        "weights_bytes": size,
        "private_bytes": memory,
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
