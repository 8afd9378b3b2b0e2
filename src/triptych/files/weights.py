"""The weights of a model folder: one safetensors file, or several behind an index."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from torch import Tensor

from triptych.errors import ModelFileError
from triptych.files.tensors import open_tensors

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})


def refuse_pickle(folder: Path) -> None:
    """Raises ModelFileError where the weights are only there as a pickle, with the remedy.

    A pickle can run any code when it is opened, so none is ever opened.
    """
    pickles = [folder] if folder.is_file() else sorted(folder.glob("*"))
    pickles = [path for path in pickles if path.suffix in PICKLES]
    if not pickles or (folder / WEIGHTS).exists() or (folder / INDEX).exists():
        return
    home = folder.parent if folder.is_file() else folder
    raise ModelFileError(
        f"{pickles[0]} is a pickle, which can run code when it is opened, and is not read here; "
        "if you trust it, convert it once where transformers is installed: python -c "
        f"\"import transformers as t; d = '{home}'; c = t.AutoConfig.from_pretrained(d); "
        'getattr(t, c.architectures[0]).from_pretrained(d).save_pretrained(d)"'
    )


@contextmanager
def open_weights(folder: Path) -> Iterator[Mapping[str, Tensor]]:
    """Name -> tensor over all weight files of a folder, memory-mapped; to be asked for while open.

    Raises ModelFileError for a file that is missing or damaged.
    """
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        with open_tensors(folder / WEIGHTS) as tensors:
            yield tensors
        return
    places = _read_index(folder / INDEX)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(open_tensors(folder / name)) for name in set(places.values())
        }
        for tensor, name in places.items():
            if tensor not in files[name]:
                raise ModelFileError(f"{folder / name} has no {tensor}, which {INDEX} lists there")
        yield _Sharded({tensor: files[name] for tensor, name in places.items()})


class _Sharded(Mapping[str, Tensor]):
    def __init__(self, homes: Mapping[str, Mapping[str, Tensor]]) -> None:
        self.homes = homes

    def __getitem__(self, name: str) -> Tensor:
        return self.homes[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.homes)

    def __len__(self) -> int:
        return len(self.homes)


def _read_index(path: Path) -> dict[str, str]:
    """Tensor -> file name."""
    try:
        places = dict(json.loads(path.read_bytes())["weight_map"])
        strange = [name for name in places.values() if Path(name).name != name]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(
            f"{path} is damaged: it has no table of tensors; restore it from a copy"
        ) from error
    if strange:
        raise ModelFileError(f"{path} names {strange[0]!r}, which lies outside its folder")
    return places
