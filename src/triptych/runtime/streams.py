"""Batches side by side on a CPU: one thread each, in place of all threads in one batch.

Where products are fast (bf16), what is left of a batch is dozens of small operations, and threads
that share each of them wait for each other more than they work. Two batches on two cores, each on a
thread of its own, took half of the time of one batch on both (`benchmarks/encode.py`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_streams(work: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """`map(work, given)`, in order, by as many streams as torch has threads.

    No more than two a stream are taken from `given` ahead of what was asked for. `work` begins
    without the modes of the thread that asks, such as inference.
    """
    n_streams = torch.get_num_threads()
    if n_streams == 1:
        yield from map(work, given)
        return
    waiting: deque[Future[Made]] = deque()
    with _streams(n_streams) as pool:
        for one in given:
            waiting.append(pool.submit(work, one))
            if len(waiting) == 2 * n_streams:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _streams(n: int) -> ThreadPoolExecutor:
    """Threads in which torch uses one thread."""
    pool, all_there = ThreadPoolExecutor(n), Barrier(n)
    list(pool.map(_use_one_thread, [all_there] * n))
    torch.set_num_threads(n)  # what they chose holds for them, and was noted for new threads too
    return pool


def _use_one_thread(all_there: Barrier) -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # the choice of a thread is settled when it is first asked for
    all_there.wait()  # so that no stream does this for two
