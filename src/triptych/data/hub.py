"""Data sets on the Hugging Face Hub, which need the extra `hub`."""

import re
from typing import Any

from triptych.data.text import PathLike
from triptych.errors import DataError, UsageError

_PREFIX = "hub:"


def is_hub_name(name: PathLike) -> bool:
    """Whether `name` is meant for the Hub rather than for a file."""
    return str(name).startswith(_PREFIX)


def open_hub(name: str, n_columns: int, form: str, example: str) -> tuple[Any, list[str]]:
    """The rows and the columns of `hub:NAME[:CONFIG]:SPLIT:COLUMN…`.

    A split may be a slice, `train[10:20]`. Raises UsageError for a name of another form (`form` and
    `example` say which), DataError for a data set that cannot be had.
    """
    parts = re.split(r":(?![^\[]*\])", name.removeprefix(_PREFIX))
    n_parts = len(parts) - n_columns
    if not is_hub_name(name) or n_parts not in (2, 3) or not all(parts):
        raise UsageError(f"{name!r} does not name a data set; write {form}, for instance {example}")
    config = parts[1] if n_parts == 3 else None
    return _load(parts[0], config, parts[n_parts - 1]), parts[n_parts:]


def _load(name: str, config: str | None, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UsageError(
            f"data set {name} needs the package datasets; install it with "
            f"pip install 'triptych[hub]'"
        ) from error
    try:
        return datasets.load_dataset(name, config, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"data set {name} (configuration {config}, split {split}) cannot be had: {reason}"
        ) from error
