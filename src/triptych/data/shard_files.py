"""The files under `shards`: written whole or not at all, and checked before they are believed.

A build writes into a hidden folder beside the final one, flushes every file to the disk, writes
the manifest last, and renames. So a folder under the final name is complete, whenever the process
was killed; what a killed build left behind is cleared by the next one.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.errors import DataError, DiskFullError, LockedError

MANIFEST = "manifest.json"

Ids = npt.NDArray[np.uint16] | npt.NDArray[np.int32]


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """A private folder that becomes `folder` when the block ends well, and vanishes when not.

    Raises LockedError while another process builds the same folder, DiskFullError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir(exist_ok=True)
    lock = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise LockedError(
            f"another process is building {folder}; wait for it or choose another folder"
        ) from error
    try:
        _clear(partial)
        yield partial
        _sync(partial)
        _move(partial, folder)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"no room left to write {folder} ({error.strerror}); free some or choose another "
                f"disk"
            ) from error
        raise
    finally:
        os.close(lock)


class ArrayWriter:
    """Appends arrays to a file, hashing as it goes."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, array: npt.NDArray[Any]) -> None:
        """Append the array's elements, row by row."""
        data = array.tobytes()
        self._stream.write(data)
        self._hash.update(data)
        self._size += len(data)

    def finish(self) -> dict[str, str | int]:
        """Flush to the disk; the file's entry for the manifest."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return {"size": self._size, "sha256": self._hash.hexdigest()}

    def close(self) -> None:
        """Close the file, finished or not; an error while flushing was told by `finish`."""
        with suppress(OSError):
            self._stream.close()


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, with its own checksum, and flush it to the disk."""
    body = {**manifest, "checksum": _checksum(manifest)}
    with (folder / MANIFEST).open("w", encoding="utf-8") as stream:
        json.dump(body, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())


def read_manifest(folder: Path, expected_format: str) -> dict[str, Any]:
    """The manifest of a corpus. Raises DataError where there is none, or where it is damaged."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        checksum = manifest.pop("checksum")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{folder} holds no tokenised corpus ({MANIFEST} is missing)") from error
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged; remove {folder} and build it again") from error
    if checksum != _checksum(manifest):
        raise DataError(f"{path} was changed; remove {folder} and build it again")
    if manifest.get("format") != expected_format:
        raise DataError(
            f"{path} has the format {manifest.get('format')}, not {expected_format}; build the "
            f"corpus again"
        )
    return dict(manifest)


def verify_files(folder: Path, files: Mapping[str, Mapping[str, Any]], hashes: bool) -> None:
    """Check sizes and, with `hashes`, contents. Raises DataError with the name of a damaged one."""
    for name, entry in files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != entry["size"]:
            found = "is missing" if size is None else f"has {size:,} bytes, not {entry['size']:,}"
            raise DataError(f"{path} {found}; remove {folder} and build it again")
        if hashes:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest != entry["sha256"]:
                raise DataError(
                    f"{path} is damaged (its SHA-256 is not the recorded one); remove {folder} "
                    f"and build it again"
                )


def is_built(
    folder: Path,
    expected_format: str,
    arrays: Collection[str],
    fingerprint: Mapping[str, str] | None,
    replace: bool,
) -> bool:
    """Whether `folder` holds the corpus of this fingerprint already; False: it can be built there.

    No fingerprint fits no corpus. Raises DataError where the folder holds something else, or
    another corpus that is not to be replaced.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not {path.name for path in folder.iterdir()} <= {*arrays, MANIFEST}:
        raise DataError(f"{folder} exists and is no tokenised corpus; choose another folder")
    if replace:
        return False
    found: Mapping[str, str] = read_manifest(folder, expected_format)["fingerprint"]
    if fingerprint is None:
        raise DataError(f"{folder} already holds a tokenised corpus; remove it or replace it")
    names = [name for name in fingerprint if fingerprint[name] != found.get(name)]
    if names:
        raise DataError(
            f"{folder} holds a corpus tokenised from something else (different: "
            f"{', '.join(names)}); remove it, replace it or choose another folder"
        )
    return True


def read_corpus(folder: Path, expected_format: str, verify: bool) -> dict[str, Any]:
    """The manifest of a corpus whose files are whole, with `verify` to the last byte."""
    manifest = read_manifest(folder, expected_format)
    verify_files(folder, manifest["files"], verify)
    return manifest


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """How the ids of a vocabulary are stored: uint16 where it has fewer than 65,536, else int32."""
    return np.dtype("<u2" if vocab_size < 1 << 16 else "<i4")


def flat_ids(texts: Sequence[Sequence[int]], vocab_size: int) -> Ids:
    """The ids of some texts in one row. Raises DataError for one outside the vocabulary."""
    flat = np.fromiter(chain.from_iterable(texts), dtype=np.int64)
    if flat.size and not 0 <= flat.min() <= flat.max() < vocab_size:
        raise DataError(
            f"the tokenizer gave the ids {flat.min()} to {flat.max()}, but its vocabulary has "
            f"{vocab_size} entries; its files do not belong together"
        )
    return flat.astype(token_dtype(vocab_size))


def map_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The file as a read-only array that lives in the page cache."""
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros(0, dtype=dtype).reshape(shape)
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray).reshape(shape)


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _move(partial: Path, folder: Path) -> None:
    """Put the finished folder in place; an old one steps aside first and is removed last."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
