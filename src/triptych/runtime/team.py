"""Compiled loops on the threads that torch itself uses.

numba has threads of its own, but two teams on the same cores wait for each other: the threads of
one go on looking for work for milliseconds after it has none. So a loop is compiled as a plain
function, and torch's OpenMP calls it in each of its threads (by `GOMP_parallel`, which is what a
compiler makes of a parallel loop).

A kernel takes a row of int64 numbers, sizes and addresses; it makes arrays of these (`address`) and
does its `share` of the work. What is compiled is kept on disk (`runtime/kept.py`), beside the
source or in the user's cache folder.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from threading import Timer
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import binding, ir
from numba import types
from numba.core.extending import intrinsic
from torch import Tensor

from triptych.files.notices import notice
from triptych.runtime.kept import KeptLoop
from triptych.runtime.openmp import BARRIER, PARALLEL, THREAD, THREADS, openmp

Arrays = Any
"""numba's view of memory, inside a kernel."""
Scalar = Any
"""A number of numpy's types, inside a kernel."""
SUMS = {"reassoc", "contract", "nsz"}
"""Sums in any order: without it a loop over floats does not become vector instructions."""
SILENCE = 1.0
"""Seconds of compiling that need no word."""
COMPILING = (
    "compiling loops for this processor, which takes some seconds and is kept for the next time"
)
_thread = types.ExternalFunction("triptych_thread", types.int32())
_threads = types.ExternalFunction("triptych_threads", types.int32())
_barrier = types.ExternalFunction("triptych_barrier", types.void())


class Kernel:
    """A compiled loop, to be called with its numbers: all threads run it, and then it returns.

    One that others `run` has no barrier of its own and no early end.
    """

    def __init__(self, loop: Callable[[Any], None]) -> None:
        self.loop = loop

    @cached_property
    def at(self) -> int:
        """Where the machine code is; compiled, or read from disk, when it is first wanted."""
        _introduce_openmp()
        said = Timer(SILENCE, notice, [COMPILING], {"key": COMPILING})
        said.start()
        try:
            self.compiled = _compiled(self.loop)
        finally:
            said.cancel()
        assert self.compiled.address is not None
        return self.compiled.address

    def __deepcopy__(self, _held: Any) -> "Kernel":
        """There is one, whatever is copied that uses it."""
        return self

    def __call__(self, *numbers: int) -> None:
        data = (ctypes.c_int64 * len(numbers))(*numbers)
        _parallel()(self.at, ctypes.addressof(data), torch.get_num_threads(), 0)


def scratch_for(numbers: tuple[int, ...]) -> Tensor:
    """Room for all threads of a kernel whose first number is the bytes that each of them needs."""
    return torch.empty(torch.get_num_threads() * numbers[0], dtype=torch.uint8, device="cpu")


@cache
def _parallel() -> Any:
    """Runs a function, with a pointer that it is given, in so many threads."""
    run = getattr(openmp(), PARALLEL)
    run.argtypes, run.restype = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_uint] * 2], None
    return run


@cache
def _introduce_openmp() -> None:
    """Compiled code refers to functions of OpenMP by name, so that it can be kept on disk."""
    for symbol, name in (("thread", THREAD), ("threads", THREADS), ("barrier", BARRIER)):
        function = ctypes.cast(getattr(openmp(), name), ctypes.c_void_p)
        binding.add_symbol(f"triptych_{symbol}", function.value)


def _compiled(loop: Callable[[Any], None]) -> KeptLoop:
    signature = (types.CPointer(types.int64),), types.void
    compiled = KeptLoop(loop, signature, {}, {"error_model": "numpy", "fastmath": False})
    with suppress(RuntimeError):  # no folder that can be written: compiled in each process
        compiled.enable_caching()
    compiled.compile()
    return compiled


def inner(function: Callable[..., Any], *, sums: bool = True) -> Any:
    """A function for use in kernels."""
    return numba.njit(error_model="numpy", fastmath=SUMS if sums else False)(function)


def _pointer(_typing: Any, number: Any) -> Any:

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(number), generate


address: Any = intrinsic(_pointer)
"""A number as a pointer, which `numba.carray` makes an array of."""


@inner
def floats(start: int, offset: int, shape: tuple[int, ...]) -> Arrays:
    """float32 at an address, so many numbers further on."""
    return numba.carray(address(start + 4 * offset), shape, np.float32)


@inner
def thread_number() -> Scalar:
    """From 0, below `torch.get_num_threads()`."""
    return np.int64(_thread())


@inner
def threads() -> Scalar:
    """How many run this kernel."""
    return np.int64(_threads())


@inner
def share(n: int) -> tuple[int, int]:
    """From where to where of n pieces of work this thread does."""
    part, parts = thread_number(), threads()
    return part * n // parts, (part + 1) * n // parts


@inner
def wait_for_all() -> None:
    """Until every thread has come here: what they wrote before can be read after."""
    _barrier()


def _call(_typing: Any, _function: Any, _data: Any) -> Any:

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        numbers = ir.IntType(64).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [numbers]).as_pointer()
        builder.call(builder.inttoptr(given[0], kind), [builder.inttoptr(given[1], numbers)])
        return _context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


run: Any = intrinsic(_call)
"""A kernel inside another, whose threads all come to it: where its code is, and its numbers."""
