"""Everything beside the weights that a run needs to go on as if it had never stopped."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.errors import ModelFileError
from triptych.files.atomic import told_plainly
from triptych.files.tensors import open_tensors, save_tensors
from triptych.training.distributed import Processes
from triptych.training.holding import as_held, is_shared, own_part, whole_of

STATE_FILE = "training.json"
TENSOR_FILE = "training.safetensors"
PART_FILE = "training-{:05d}-of-{:05d}.safetensors"
"""What each of several processes holds alone, counted from 1."""


@dataclass
class Counters:
    """Where a run stands; plain numbers."""

    update: int = 0
    tokens: int = 0
    """Target tokens predicted so far."""
    seconds: float = 0.0
    """Time spent in training, stops left out."""
    best: float | None = None
    best_update: int = 0
    validated: int = 0
    """The update of the last validation that was finished."""
    without_better: int = 0
    """Validations since the best one."""
    prefix: str = ""
    """What stands before `select` in the name of the metric that `best` is a value of."""
    n_parts: int = 1
    """Pieces that each batch is cut into since memory ran out."""


def write_state(
    folder: Path,
    counters: Counters,
    optimizer: torch.optim.Optimizer,
    random_states: Mapping[str, Tensor],
    source: Mapping[str, Any],
) -> None:
    """Write both files into a folder that is being filled; what processes share is not in them."""
    tensors = {f"random.{name}": state for name, state in random_states.items()}
    tensors |= {name: value for name, value in _slots(optimizer) if not is_shared(value)}
    numbers = {"counters": asdict(counters), "source": dict(source)}
    save_tensors(folder / TENSOR_FILE, tensors)
    (folder / STATE_FILE).write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def write_part(folder: Path, optimizer: torch.optim.Optimizer, processes: Processes) -> None:
    """Write this process's rows of the optimizer's states. Raises DiskFullError, MachineError."""
    own = {name: own_part(value) for name, value in _slots(optimizer) if is_shared(value)}
    path = folder / PART_FILE.format(processes.rank + 1, processes.world_size)
    with told_plainly(path):
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(path, own)


def move_parts(folder: Path, new: Path, processes: Processes) -> None:
    """Bring what every process has written into the folder that is being filled."""
    for rank in range(processes.world_size):
        name = PART_FILE.format(rank + 1, processes.world_size)
        os.replace(folder / name, new / name)


def _slots(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for index, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            yield f"optimizer.{index}.{slot}", value


def _read_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Of both kinds of files, one after another: all together may be more than a process can hold.
    What lay in parts is put together. Raises ModelFileError."""
    with open_tensors(folder / TENSOR_FILE) as file:
        yield from ((name, value.clone()) for name, value in file.items())
    paths = sorted(folder.glob(PART_FILE.replace("{:05d}", "*")))
    if not paths:
        return
    complete = [folder / PART_FILE.format(i + 1, len(paths)) for i in range(len(paths))]
    if paths != complete:
        raise ModelFileError(
            f"{folder} has {len(paths)} parts of a training state, of which the last is "
            f"{paths[-1].name}; delete this checkpoint to go on from the one before"
        )
    with ExitStack() as stack:
        files = [stack.enter_context(open_tensors(path)) for path in paths]
        for name in files[0]:
            yield name, whole_of([file[name] for file in files])


def read_state(
    folder: Path, optimizer: torch.optim.Optimizer
) -> tuple[Counters, dict[str, Tensor], dict[str, Any]]:
    """Restore the optimizer; return counters, random states and the data position.

    Raises ModelFileError where the files are damaged or belong to another model.
    """
    try:
        numbers = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        counters = Counters(**numbers["counters"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{folder / STATE_FILE} cannot be read ({error}); delete this checkpoint to go on "
            "from the one before"
        ) from error
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    random_states: dict[str, Tensor] = {}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _read_tensors(folder):
        kind, rest = name.split(".", 1)
        if kind == "random":
            random_states[rest] = value
            continue
        index, slot = rest.split(".")
        like = parameters[int(index)] if int(index) < len(parameters) else value
        shared = is_shared(like) and value.shape == like.shape
        slots.setdefault(int(index), {})[slot] = as_held(value, like) if shared else value
    if slots and set(slots) != set(range(len(parameters))):
        raise ModelFileError(
            f"{folder / TENSOR_FILE} holds {len(slots)} optimizer states for {len(parameters)} "
            "parameters; it belongs to another model"
        )
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    return counters, random_states, numbers["source"]


def gather_random_states(processes: Processes) -> dict[str, Tensor]:
    """The generators of every process: `cpu.0`, `cuda.0`, `cpu.1` …"""
    states: dict[str, Tensor] = {}
    for kind, state in own_random_states(processes.device).items():
        parts = processes.gather(state)
        states |= {f"{kind}.{rank}": part for rank, part in enumerate(parts)}
    return states


def restore_random_states(states: Mapping[str, Tensor], processes: Processes) -> bool:
    """Put this process's generators back; False where none was saved for it."""
    kinds = own_random_states(processes.device)
    own = {kind: states.get(f"{kind}.{processes.rank}") for kind in kinds}
    found = {kind: state for kind, state in own.items() if state is not None}
    if len(found) < len(kinds):
        return False
    set_own_random_states(found, processes.device)
    return True


def own_random_states(device: torch.device) -> dict[str, Tensor]:
    """This process's generators: the CPU's, and that of its GPU if it has one."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_own_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Put back what `own_random_states` gave."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
