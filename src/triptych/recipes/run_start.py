"""How every training run begins: one process at a time, and only as the run that is there."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from torch import nn

from triptych.config import difference, load_toml, to_toml
from triptych.errors import ConfigError, UsageError
from triptych.files.atomic import write_file
from triptych.files.lock import FolderLock
from triptych.recipes.run_curves import Panels, draw_curves
from triptych.training.distributed import Processes, join_processes
from triptych.training.run_folder import Row
from triptych.training.tensorboard import tensorboard_rows

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Ended = TypeVar("Ended")
"""How a training tells that it ended."""
M = TypeVar("M", bound=nn.Module)

PREPARED = ("tokenizer", "data", "valid")
"""What a start makes in the run's folder before anything is trained."""


def start_run(
    out: Path,
    device: str,
    fresh: bool,
    prepare: Callable[[], None],
    train: Callable[[Processes], Ended],
) -> Ended:
    """`prepare` in the first process, under the folder's lock, then `train` in all of them.

    `fresh` moves a run that is there aside. Raises ConfigError if the run in `out` has another
    configuration, LockedError while another process trains there.
    """
    processes = join_processes(device)
    if not processes.is_first:
        processes.wait()
        return train(processes)
    if fresh:
        _move_aside(out)
    with FolderLock(out):
        prepare()
        processes.wait()
        return train(processes)


def check_same_run(run: "DataclassInstance", out: Path) -> None:
    """Write `run.toml`, or compare with the one that is there. Raises ConfigError.

    Where nothing is trained yet, what a failed start prepared is removed.
    """
    path = out / "run.toml"
    if path.exists():
        different = difference(load_toml(type(run), path), run)
        if not different:
            return
        if any(out.glob("checkpoints/step-*")) or any(out.glob("seed-*/checkpoints/step-*")):
            raise ConfigError(
                f"{out} holds a run with another configuration ({'; '.join(different)}); choose "
                "another --out, or --fresh to start anew beside it"
            )
        for prepared in PREPARED:
            shutil.rmtree(out / prepared, ignore_errors=True)
    write_file(path, to_toml(run))


class Texts(Protocol):
    """What a run reads."""

    @property
    def text(self) -> tuple[str, ...]: ...
    @property
    def valid_text(self) -> tuple[str, ...]: ...


Report = dict[str, object]


def build_texts(
    out: Path, texts: Texts, build: Callable[[tuple[str, ...], str], Report | None]
) -> None:
    """`build(files, name)` makes the folder `name` in `out` of what is to learn from, and then of
    what is for validation; what it reports goes into `corpus.json`.

    At once, as a start that is stopped before the second does not read the first again. None means
    that it was there.
    """
    path = out / "corpus.json"
    for key, files, name in (
        ("text", texts.text, "data"),
        ("valid_text", texts.valid_text, "valid"),
    ):
        report = build(files, name)
        if report is not None:
            reports = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            write_file(path, json.dumps({**reports, key: report}, indent=1))


class Vocabulary(Protocol):
    """What tells its entries."""

    @property
    def vocab_size(self) -> int: ...
    def tokens(self, token_ids: Sequence[int]) -> list[str]: ...


def entries(tokenizer: Vocabulary) -> list[str]:
    """The tokens of a vocabulary, by their ids."""
    return tokenizer.tokens(range(tokenizer.vocab_size))


def check_same_vocabulary(
    model: Path, tokenizer: str, read: Callable[[Path], Sequence[object]]
) -> None:
    """Raise UsageError where `--from MODEL --tokenizer FOLDER` name two vocabularies.

    `read` gives a folder's entries by their ids.
    """
    own, other = read(model), read(Path(tokenizer))
    if own != other:
        raise UsageError(
            f"--tokenizer {tokenizer} has another vocabulary ({len(other):,} entries) than "
            f"the model in {model} ({len(own):,} entries), for which its ids would mean "
            "other tokens; leave out --tokenizer to go on with the model's own, or --from to "
            "train a new model"
        )


def reconfigured(model: M, config: object) -> M:
    """The same weights in a model of another configuration, such as another dropout."""
    if config == model.config:
        return model
    other = type(model)(config)
    other.load_state_dict(model.state_dict())
    return other


def row_listener(out: Path, panels: Panels, tensorboard: bool) -> Callable[[Row], None]:
    """Draws `curves.png` at each validation; hands every row to TensorBoard if it is wanted."""
    add = tensorboard_rows(out / "tensorboard") if tensorboard else None

    def listen(row: Row) -> None:
        if add is not None:
            add(row)
        if "valid_loss" in row:
            draw_curves(out, panels)

    return listen


def _move_aside(out: Path) -> None:
    """Rename a run that is there to the first free name `out.1`, `out.2` …"""
    if out.exists():
        number = 1
        while out.with_name(f"{out.name}.{number}").exists():
            number += 1
        with FolderLock(out):
            os.rename(out, out.with_name(f"{out.name}.{number}"))
