"""Everything beside the weights that a run needs to go on as if it had never stopped."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triptych.errors import ModelFileError
from triptych.files.tensors import load_tensors, save_tensors
from triptych.training.distributed import Processes

STATE_FILE = "training.json"
TENSOR_FILE = "training.safetensors"


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
    """Write both files into a folder that is being filled."""
    tensors = {f"random.{name}": state for name, state in random_states.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            tensors[f"optimizer.{index}.{slot}"] = value
    numbers = {"counters": asdict(counters), "source": dict(source)}
    save_tensors(folder / TENSOR_FILE, tensors)
    (folder / STATE_FILE).write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


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
    tensors = load_tensors(folder / TENSOR_FILE)
    random_states: dict[str, Tensor] = {}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "random":
            random_states[rest] = value
        else:
            index, slot = rest.split(".")
            slots.setdefault(int(index), {})[slot] = value
    state = optimizer.state_dict()
    n_parameters = sum(len(group["params"]) for group in state["param_groups"])
    if slots and set(slots) != set(range(n_parameters)):
        raise ModelFileError(
            f"{folder / TENSOR_FILE} holds {len(slots)} optimizer states for {n_parameters} "
            "parameters; it belongs to another model"
        )
    optimizer.load_state_dict({**state, "state": slots})
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
