"""Compiled loops on disk: numba's cache, which here knows all that they are made of."""

import hashlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.runtime import rtsys


@cache
def sources() -> str:
    """A digest of every file of this folder."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class _Kept(FunctionCache):  # type: ignore[misc]
    """numba looks at a loop's own file alone, and loops call functions of other files."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return *super()._index_key(sig, codegen), sources()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Without numba's first look at all that it could compile: half a second, and code that is
        compiled already needs none of it."""
        rtsys.initialize(target_context)
        try:
            return self._load_overload(sig, target_context)
        except Exception:  # whatever a damaged file brings: it is made anew
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # a full disk: compiled in each process
            super().save_overload(sig, data)


class KeptLoop(CFunc):
    """A C function whose machine code may be kept on disk."""

    def enable_caching(self) -> None:
        self._cache = _Kept(self.__wrapped__)
