"""Metrics for TensorBoard, an extra: the same rows as `metrics.jsonl`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from triptych.errors import UsageError


def tensorboard_rows(folder: Path) -> Callable[[Mapping[str, Any]], None]:
    """A function that adds each row's numbers to event files in `folder`.

    Raises UsageError where the extra is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # an extra, and slow to import
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs the extra: pip install 'triptych[tensorboard]'"
        ) from error
    writer = SummaryWriter(str(folder))

    def add(row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if isinstance(value, (int, float)) and name != "update":
                group = "valid" if name.startswith("valid_") else "train"
                writer.add_scalar(f"{group}/{name.removeprefix('valid_')}", value, row["update"])
        writer.flush()

    return add
