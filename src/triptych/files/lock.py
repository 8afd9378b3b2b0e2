"""One writer a run folder."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

from triptych.errors import LockedError
from triptych.files.atomic import told_plainly
from triptych.files.notices import notice

LOCK_FILE = "lock"
_held: set[int] = set()


class FolderLock:
    """Holds a folder for this process: `with FolderLock(run): …`.

    The lock belongs to the process and not to the file: one that was killed holds nothing.
    The file `lock` names the holder (process id and machine) for whoever comes second.
    Raises LockedError if another holds it.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.handle: int | None = None

    def acquire(self) -> None:
        path = self.folder / LOCK_FILE
        with told_plainly(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
            os.close(handle)
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                notice(f"{self.folder} lies on a disk without locks; run one process there only")
                return
            raise LockedError(
                f"{self.folder} is in use by {holder or 'another process'}; wait until it ends, "
                "stop it, or name another folder"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self.handle = handle
        _held.add(handle)

    def release(self) -> None:
        if self.handle is not None:
            os.ftruncate(self.handle, 0)
            _held.discard(self.handle)
            os.close(self.handle)
            self.handle = None

    def __enter__(self) -> "FolderLock":
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _forget_in_child() -> None:
    """A forked worker that outlives its killed parent must not keep the folder locked."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
