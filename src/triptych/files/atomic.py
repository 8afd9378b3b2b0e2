"""Files and folders that appear whole or not at all, whatever happens meanwhile.

A folder is filled beside its place under the name `.NAME.new-PID-…`, every file is flushed to
the disk, the manifest comes last, then one rename puts it there. An older folder is exchanged
in the same system call where the kernel can; elsewhere it steps aside to `.NAME.old-…` for the
moment between two renames, where `complete_folder` still finds it.
"""

import ctypes
import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from triptych.errors import DiskFullError, MachineError, UsageError
from triptych.files.manifest import MANIFEST, own_files, write_manifest
from triptych.files.sizes import human_bytes

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def write_folder(
    folder: Path | str, fill: Callable[[Path], None], *, needs: int | None = None
) -> None:
    """Put at `folder` what `fill(new_folder)` writes, with a manifest; all of it or nothing.

    What was there is replaced only if it was written by this function: a file that is not in
    its manifest is never deleted. `needs`, in bytes, is checked against the free space before
    anything is written.

    Raises UsageError for a folder that holds something else, DiskFullError where there is no
    room, MachineError where writing is refused; then what was there is still there, untouched.
    """
    folder = Path(os.path.abspath(folder))
    with told_plainly(folder, needs):
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        _check_replaceable(folder)
        if needs is not None:
            _check_room(folder, needs)
        new = folder.with_name(f".{folder.name}.new-{os.getpid()}-{secrets.token_hex(4)}")
        new.mkdir()
        try:
            fill(new)
            write_manifest(new)
            _settle(new)
            _put_in_place(new, folder)
        except BaseException as error:
            written = sum(path.stat().st_size for path in new.rglob("*") if path.is_file())
            shutil.rmtree(new, ignore_errors=True)
            if _is_no_room(error):
                raise _no_room(folder, needs or written, error, at_least=not needs) from error
            raise
        sync(folder.parent)


def write_file(path: Path | str, content: bytes | str) -> None:
    """Put one file in its place, whole or not at all; what a killed writer of it left is deleted.

    Raises DiskFullError or MachineError; then what was there is still there.
    """
    data = content.encode() if isinstance(content, str) else content
    write_stream(path, lambda file: file.write(data), needs=len(data))


def write_stream(
    path: Path | str, fill: Callable[[BinaryIO], object], *, needs: int | None = None
) -> None:
    """As `write_file`, with what `fill(file)` writes: for a file that memory should not hold."""

    def write(new: Path) -> None:
        with new.open("xb") as file:
            fill(file)

    _replace_file(Path(path), write, needs)


def fill_file(path: Path | str, fill: Callable[[Path], None], *, needs: int) -> None:
    """As `write_stream`, for a writer that wants a path: `fill(new_path)`.

    `needs`, in bytes, is checked against the free space before anything is written.
    """
    path = Path(os.path.abspath(path))

    def write(new: Path) -> None:
        _check_room(path, needs)
        fill(new)

    _replace_file(path, write, needs)


def check_writable(path: Path | str) -> None:
    """For a file that long work will fill: make its folder, and see that a file can be put there.

    Raises MachineError.
    """
    path = Path(os.path.abspath(path))
    with told_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def _replace_file(path: Path, fill: Callable[[Path], None], needs: int | None) -> None:
    path = Path(os.path.abspath(path))
    with told_plainly(path, needs):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in _beside(path, "new"):
            if not _alive(left):
                left.unlink(missing_ok=True)
        new = path.with_name(f".{path.name}.new-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            fill(new)
            sync(new)
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        sync(path.parent)


def complete_folder(folder: Path | str) -> Path:
    """Where the last complete version of `folder` lies: there, or aside if a writer was killed.

    It changes nothing on the disk. A folder that is nowhere is returned as it was given.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.exists():
        for aside in _beside(folder, "old"):
            if (aside / MANIFEST).is_file():
                return aside
    return folder


def clear_leftovers(folder: Path) -> None:
    """Bring back a folder that a killed writer left aside, and delete its unfinished work.

    Only for the one who may write: the holder of the run folder's lock, or `write_folder`.
    """
    folder = Path(os.path.abspath(folder))
    complete = complete_folder(folder)
    if complete != folder:
        os.rename(complete, folder)
        sync(folder.parent)
    for kind in ("new", "old"):
        for left in _beside(folder, kind):
            if not _alive(left):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` for what does not fit in memory, deleted in the end; those that
    killed processes left are deleted now."""
    path = Path(os.path.abspath(path))
    for left in _beside(path, "work"):
        if not _alive(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = path.with_name(f".{path.name}.work-{os.getpid()}-{secrets.token_hex(4)}")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Flush a file or a folder's list of names to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def told_plainly(path: Path, needs: int | None = None) -> Iterator[None]:
    """Turn what the system refuses while writing `path` into one sentence."""
    try:
        yield
    except OSError as error:
        if _is_no_room(error):
            raise _no_room(path, needs or 0, error, at_least=False) from error
        reason = error.strerror or str(error)
        raise MachineError(f"cannot write {path}: {reason}; choose another place") from error


def _is_no_room(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in NO_ROOM


def _no_room(path: Path, needs: int, error: BaseException, *, at_least: bool) -> DiskFullError:
    amount = ("more than " if at_least else "") + human_bytes(needs)
    free = human_bytes(shutil.disk_usage(path.parent).free)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        limit = "a file there passes the size limit set for this process (ulimit -f)"
        remedy = "raise the limit"
    elif isinstance(error, OSError) and error.errno == errno.EDQUOT:
        limit, remedy = "the disk quota is used up", "free some of it"
    else:
        limit, remedy = f"{free} are free", "free some space or choose another disk"
    return DiskFullError(
        f"no room for {path}: it needs {amount}, but {limit}; {remedy}; "
        "what was there before is untouched"
    )


def _check_room(folder: Path, needs: int) -> None:
    if shutil.disk_usage(folder.parent).free < needs:
        full = OSError(errno.ENOSPC, "too little free space")
        raise _no_room(folder, needs, full, at_least=False)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder to write to")
    foreign = sorted(set(os.listdir(folder)) - own_files(folder))
    if foreign:
        raise UsageError(
            f"{folder} holds {foreign[0]!r}, which was not written with it and would be lost; "
            "move it away or name another folder"
        )


def _settle(folder: Path) -> None:
    """Give every file the permissions that the umask allows, and flush it all to the disk."""
    for root, _, names in os.walk(folder, topdown=False):
        allowed = os.stat(root).st_mode & 0o666  # mkdir asked the umask
        for name in names:
            os.chmod(os.path.join(root, name), allowed)
            sync(Path(root, name))
        sync(Path(root))


def _put_in_place(new: Path, folder: Path) -> None:
    if not folder.exists():
        os.rename(new, folder)
    elif exchange(new, folder):
        sync(folder.parent)
        shutil.rmtree(new, ignore_errors=True)  # the older version now has this name
    else:
        aside = folder.with_name(new.name.replace(".new-", ".old-"))
        os.rename(folder, aside)
        try:
            os.rename(new, folder)
        except BaseException:
            os.rename(aside, folder)
            raise
        sync(folder.parent)
        shutil.rmtree(aside, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system cannot (then nothing has changed)."""
    with suppress(OSError, AttributeError):
        swap = ctypes.CDLL(None, use_errno=True).renameat2
        names = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
        return bool(swap(*names, _RENAME_EXCHANGE) == 0)
    return False


def _beside(folder: Path, kind: str) -> list[Path]:
    """What writers of `folder` left beside it, newest first."""
    pattern = re.compile(re.escape(f".{folder.name}.{kind}-") + r"\d+-[0-9a-f]{8}")
    try:
        names = [name for name in os.listdir(folder.parent) if pattern.fullmatch(name)]
    except OSError:
        return []
    found = [folder.with_name(name) for name in names]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _alive(left: Path) -> bool:
    """Whether the process that wrote this name still runs (another one, not this)."""
    process = int(left.name.rsplit("-", 2)[-2])
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as another user
    return True
