"""Contestants of a benchmark, each in a process of its own.

Libraries keep threads that wait, and memory that others then lack: in one process a call of one
slows down the next one's (docs/log.md). Here one process works while the others sleep.
"""

import multiprocessing
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple

from in_turn import Timing

Work = Callable[..., Any]
Maker = Callable[[], Work]
"""Makes what is timed: a function of a module with its arguments (`functools.partial`), which a
process that begins anew can find."""


class Call(NamedTuple):
    """One call of a contestant."""

    seconds: float
    cpu_seconds: float
    result: Any


class Apart:
    """`with Apart({name: maker}) as contestants`: each is made in its process and may be called."""

    def __init__(self, makers: Mapping[str, Maker], threads: int | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes: dict[str, Connection] = {}
        self.processes = []
        for name, maker in makers.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, maker, threads), daemon=True)
            process.start()
            theirs.close()
            self.pipes[name] = ours
            self.processes.append(process)
            _answer(ours, name)  # one after the other, as each takes all cores while it is made

    def __enter__(self) -> "Apart":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for pipe in self.pipes.values():
            pipe.close()
        for process in self.processes:
            process.join(5)
            process.kill()

    def call(self, name: str, *given: Any) -> Call:
        """Run a contestant once on what is given; what it raised is raised here."""
        self.pipes[name].send(given)
        found: Call = _answer(self.pipes[name], name)
        return found

    def time_in_turn(
        self,
        rounds: int,
        warmup: int,
        *given: Any,
        only: Sequence[str] | None = None,
        cpu_time: bool = False,
    ) -> Timing:
        """As `in_turn.time_in_turn`: each, or each of `only`, once a round on what is given."""
        seconds: dict[str, list[float]] = {name: [] for name in only or self.pipes}
        for number in range(warmup + rounds):
            for name in seconds:
                call = self.call(name, *given)
                if number >= warmup:
                    seconds[name].append(call.cpu_seconds if cpu_time else call.seconds)
        return Timing(seconds)


def _serve(pipe: Connection, maker: Maker, threads: int | None) -> None:
    """The contestant's side: make it, then run it whenever that is asked for."""
    try:
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        work = maker()
        pipe.send(None)
        while True:
            given = pipe.recv()
            began, cpu_began = time.perf_counter(), time.process_time()
            result = work(*given)
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
            pipe.send(Call(seconds, cpu_seconds, result))
    except EOFError:
        return  # the benchmark has ended
    except Exception:
        pipe.send(RuntimeError(traceback.format_exc()))


def _answer(pipe: Connection, name: str) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise RuntimeError(f"the process of {name} ended; was there memory enough?") from None
    if isinstance(answer, Exception):
        raise RuntimeError(f"{name} failed") from answer
    return answer


@contextmanager
def busy(n_programs: int) -> Iterator[None]:
    """Beside so many programs that do nothing but compute, a core each."""
    command = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(command) for _ in range(n_programs)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
