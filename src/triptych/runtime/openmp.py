"""The OpenMP of torch, which runs its loops on several threads: whether it can be asked."""

import ctypes
from functools import cache
from pathlib import Path

import torch

PARALLEL, BARRIER = "GOMP_parallel", "GOMP_barrier"
THREAD, THREADS = "omp_get_thread_num", "omp_get_num_threads"
NEEDED = (PARALLEL, BARRIER, THREAD, THREADS)


@cache
def openmp() -> ctypes.CDLL:
    """A name is looked for in torch's library and then in all that it is linked to."""
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))


@cache
def has_team() -> bool:
    """Whether torch's threads can be given a loop of ours: on Linux they can."""
    try:
        return all(hasattr(openmp(), name) for name in NEEDED)
    except OSError:
        return False
