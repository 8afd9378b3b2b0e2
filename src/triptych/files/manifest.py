"""manifest.json: the size and SHA-256 of every file of a folder, so that damage has a name."""

import hashlib
import json
import os
import time
from pathlib import Path

from triptych.errors import ModelFileError
from triptych.files.notices import notice

MANIFEST = "manifest.json"
UNLISTED = frozenset({MANIFEST, "README.md"})  # a model card may be edited by hand
SETTLED_NS = 1_000_000_000  # a younger file may still change within one tick of its clock
MOST_REMEMBERED = 4096


def write_manifest(folder: Path) -> None:
    """List every file below `folder`, but for the model card."""
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_hash(folder / name)}
        for name in sorted(_names(folder) - UNLISTED)
    }
    text = json.dumps({"format": 1, "files": files}, indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def verify_folder(folder: Path, *, verify: bool = False) -> None:
    """Check a folder against its manifest; a folder without one passes, and that is said once.

    A file whose hash was once checked is not read again until its size, time of change or
    inode differ, unless `verify` is true.

    Raises ModelFileError that names the first file which is missing, cut short, too long,
    changed, or a link that leads out of the folder.
    """
    check_links(folder)
    if not (folder / MANIFEST).exists():
        notice(f"{folder} has no {MANIFEST}, so damage to its files cannot be noticed")
        return
    remembered = {} if verify else _remembered()
    checked = {}
    for name, (n_bytes, expected) in read_manifest(folder).items():
        path = folder / name
        _check_size(path, n_bytes)
        key, fingerprint = str(path.resolve()), _fingerprint(path, expected)
        if remembered.get(key) == fingerprint:
            continue
        found = file_hash(path)
        if found != expected:
            raise ModelFileError(
                f"{path} is damaged: its SHA-256 is {found[:12]}…, its manifest says "
                f"{expected[:12]}…; restore it from a copy"
            )
        if time.time_ns() - path.stat().st_mtime_ns > SETTLED_NS:
            checked[key] = fingerprint
    if checked:
        _remember(checked)


def read_manifest(folder: Path) -> dict[str, tuple[int, str]]:
    """File name -> (bytes, SHA-256). Raises ModelFileError for a manifest that makes no sense."""
    path = folder / MANIFEST
    try:
        files = json.loads(path.read_bytes())["files"]
        listed = {
            str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in files.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(
            f"{path} cannot be read ({type(error).__name__}); restore it from a copy, or delete "
            "it to load the folder unchecked"
        ) from error
    for name in listed:
        if os.path.isabs(name) or ".." in Path(name).parts:
            raise ModelFileError(f"{path} lists {name!r}, which lies outside its folder")
    return listed


def own_files(folder: Path) -> set[str]:
    """First path parts of what was written into a folder with its manifest."""
    if not (folder / MANIFEST).is_file():
        return set()
    return {Path(name).parts[0] for name in read_manifest(folder)} | UNLISTED


def check_links(folder: Path) -> None:
    """Refuse links that lead out of the folder. A Hub cache's links to its own blobs pass."""
    if folder.is_file():
        raise ModelFileError(f"{folder} is a file, but a model is a folder; name the folder")
    if not folder.is_dir():
        raise ModelFileError(f"there is no model folder at {folder}; check its name")
    root = folder.resolve()
    if root.parent.name == "snapshots" and (root.parent.parent / "blobs").is_dir():
        root = root.parent.parent
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise ModelFileError(
                f"{path} is a link to {os.readlink(path)}, outside the folder; "
                "put the file itself there"
            )


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_size(path: Path, expected: int) -> None:
    if not path.is_file():
        raise ModelFileError(f"{path} is missing, but its manifest lists it; restore it")
    found = path.stat().st_size
    if found == expected:
        return
    if found == 0:
        reason = f"is empty, it should have {expected} bytes"
    elif found < expected:
        reason = f"is cut short: {found} of {expected} bytes"
    else:
        reason = f"has {found - expected} bytes too many: {found} instead of {expected}"
    raise ModelFileError(f"{path} {reason}; restore it from a copy")


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


Fingerprint = list[int | str]


def _fingerprint(path: Path, expected: str) -> Fingerprint:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino, expected]


def _memory_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "triptych" / "verified.json"


def _remembered() -> dict[str, Fingerprint]:
    try:
        memory = json.loads(_memory_file().read_bytes())
    except (OSError, ValueError, RuntimeError, RecursionError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _remember(checked: dict[str, Fingerprint]) -> None:
    """Keep what was checked; where that cannot be written, it is only checked again."""
    merged = {key: value for key, value in _remembered().items() if key not in checked} | checked
    newest = dict(list(merged.items())[-MOST_REMEMBERED:])
    try:
        path = _memory_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.write_text(json.dumps(newest), encoding="utf-8")
        os.replace(new, path)
    except (OSError, RuntimeError):
        return
