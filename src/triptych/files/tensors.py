"""Tensors on disk, as safetensors: no code in the file, and every kind of damage has a name."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from triptych.errors import ModelFileError
from triptych.files.atomic import sync

LARGEST_HEADER = 100_000_000  # bytes; the format's own limit


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors (from any device) and flush them to the disk.

    For a file inside the folder that `write_folder` is filling; OSError passes through.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(stored, path, metadata={"format": "pt", **(metadata or {})})
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
    os.chmod(path, os.stat(path.parent).st_mode & 0o666)  # safetensors leaves 0600
    sync(path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of one file, copied into memory. Raises ModelFileError naming the damage."""
    with open_tensors(path) as file:
        return {name: tensor.clone() for name, tensor in file.items()}


@contextmanager
def open_tensors(path: Path) -> Iterator["TensorFile"]:
    """A memory-mapped view of one file. Raises ModelFileError naming the damage."""
    check_safetensors(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield TensorFile(file)
    except SafetensorError as error:
        raise ModelFileError(f"{path} is damaged: {error}; restore it from a copy") from error


class TensorFile(Mapping[str, Tensor]):
    """Name -> tensor, each mapped when it is asked for; it may outlive the opened file."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.names = list(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        tensor: Tensor = self.file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def check_safetensors(path: Path) -> None:
    """Compare what the header promises with the file's size.

    Raises ModelFileError: missing, empty, cut short, too long, or a header that makes no sense.
    """
    if not path.is_file():
        raise ModelFileError(f"{path} is missing")
    size = path.stat().st_size
    if size == 0:
        raise ModelFileError(f"{path} is empty; restore it from a copy")
    with path.open("rb") as file:
        n_header = int.from_bytes(file.read(8), "little")
        if size < 8 or n_header > min(size - 8, LARGEST_HEADER):
            claim = f"its header claims {n_header} bytes" if size >= 8 else "no header fits"
            raise ModelFileError(
                f"{path} is cut short or not a safetensors file: {claim}, the file has {size}"
            )
        header = file.read(n_header)
    expected = 8 + n_header + _data_bytes(path, header)
    if size < expected:
        raise ModelFileError(f"{path} is cut short: {size} of {expected} bytes; restore it")
    if size > expected:
        raise ModelFileError(f"{path} has {size - expected} bytes after its last tensor")


def _data_bytes(path: Path, header: bytes) -> int:
    try:
        entries = json.loads(header)
        return max(
            (entry["data_offsets"][1] for name, entry in entries.items() if name[:2] != "__"),
            default=0,
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelFileError(
            f"{path} is damaged: its header is not a table of tensors; restore it from a copy"
        ) from error


def total_bytes(tensors: Mapping[str, Tensor]) -> int:
    """What these tensors take on disk, without the header."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def not_finite(tensor: Tensor) -> int:
    """How many elements are NaN or infinite."""
    if torch.isfinite(tensor.sum(dtype=torch.float32)):  # by one pass and without a copy
        return 0
    return int((~torch.isfinite(tensor)).sum())
