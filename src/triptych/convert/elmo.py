"""Elmo <-> its model folder, and the files that were published for it.

A folder of ours keeps our names. The published layout (`options.json` and one `.hdf5`) is read:

    char_embed                              one row less: there is none for padding
    CNN/W_cnn_i [1, width, D, filters]      convolutions of TensorFlow, b_cnn_i
    CNN_high_k/W_carry, W_transform [K, K]  stored transposed; "carry" is the gate of the new
    CNN_proj/W_proj [K, P]
    RNN_d/RNN/MultiRNNCell/Cell<l>/LSTMCell/
        W_0 [P + P, 4D]                     input, then hidden; gates in the order i, g, f, o
        B [4D]                              1 is added to the forget gate's when it runs
        W_P_0 [D, P]
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triptych.convert.checks import check_no_other, check_tensor, missing_tensor, required
from triptych.core.initialization import without_memory
from triptych.errors import ConfigError, ModelFileError
from triptych.predecessors.characters import CharacterConfig
from triptych.predecessors.elmo import N_DIRECTIONS, Elmo, ElmoConfig

MODEL_TYPE, KIND = "triptych-elmo", "ELMo"
OPTIONS_FILE = "options.json"
FORGET_BIAS = 1.0
"""What TensorFlow's LSTM adds to the forget gate, beside the stored bias."""
CONVOLUTION = (2, 1, 0)
"""[width, D, filters] -> [filters, D, width]."""

Arrays = Mapping[str, np.ndarray[Any, Any]]


def config_to_json(config: ElmoConfig) -> dict[str, Any]:
    """The fields of the configuration, under their own names."""
    return {"model_type": MODEL_TYPE, "architectures": [KIND], **asdict(config)}


def config_from_json(config: Mapping[str, Any], place: str) -> ElmoConfig:
    """Raises ModelFileError, naming the key, for what is missing, unknown or impossible."""
    try:
        given = {name: required(config, name, place, KIND) for name in ElmoConfig.__annotations__}
        characters = dict(given.pop("characters"))
        characters["filters"] = _filters(characters["filters"])
        return ElmoConfig(characters=CharacterConfig(**characters), **given)
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{place}: {error}; restore it from a copy") from error


def to_tensors(state: Mapping[str, Tensor], config: ElmoConfig) -> dict[str, Tensor]:
    """Our state dict as it is stored."""
    return {name: tensor.detach().cpu() for name, tensor in state.items()}


def from_tensors(
    tensors: Mapping[str, Tensor], config: ElmoConfig, place: str
) -> dict[str, Tensor]:
    """The stored tensors as our state dict, in float32, in memory of its own.

    Raises ModelFileError, with `place` and the tensor's name, for one that is missing, not known,
    of another shape or not finite.
    """
    state = {}
    for name, shape in _shapes(config).items():
        if name not in tensors:
            raise missing_tensor(name, shape, place)
        check_tensor(name, shape, tensors[name], place)
        state[name] = tensors[name].to(torch.float32, copy=True)
    check_no_other(tensors, set(state), place)
    return state


def is_published(folder: Path) -> bool:
    """Whether a folder holds what was published: options and weights, and no config.json."""
    return (
        (folder / OPTIONS_FILE).is_file()
        and any(folder.glob("*.hdf5"))
        and not (folder / "config.json").exists()
    )


def load_published(folder: Path) -> Elmo:
    """The model in `options.json` and the `.hdf5` beside it, without a softmax, in evaluation mode.

    Where there are several such files, the weights are in the one whose name says so. Raises
    ModelFileError for files that are missing, damaged or of another shape, or without h5py.
    """
    options, weights = folder / OPTIONS_FILE, _weights_file(folder)
    try:
        config = config_from_options(json.loads(options.read_bytes()), str(options))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{options} cannot be read ({error}); restore it") from error
    arrays = _read_arrays(weights)
    state = from_published(arrays, config, str(weights))
    with torch.random.fork_rng(devices=[]):
        model = Elmo(config)
    model.load_state_dict(state)
    return model.eval()


def config_from_options(options: Mapping[str, Any], place: str) -> ElmoConfig:
    """The published options as our configuration. Raises ModelFileError."""
    try:
        lstm, cnn = options["lstm"], options["char_cnn"]
        return ElmoConfig(
            characters=CharacterConfig(
                max_characters=cnn["max_characters_per_token"],
                d_character=cnn["embedding"]["dim"],
                filters=_filters(cnn["filters"]),
                n_highway=cnn.get("n_highway") or 0,
                activation=cnn["activation"],
            ),
            d_cell=lstm["dim"],
            d_projection=lstm["projection_dim"],
            n_layers=lstm["n_layers"],
            cell_clip=lstm["cell_clip"],
            projection_clip=lstm["proj_clip"],
            residuals=lstm["use_skip_connections"],
        )
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{place}: {type(error).__name__} {error}; these are not the options of an ELMo model"
        ) from error


def from_published(arrays: Arrays, config: ElmoConfig, place: str) -> dict[str, Tensor]:
    """The published arrays as our state dict. Raises ModelFileError as `from_tensors`."""
    state, shapes = {}, _shapes(config)
    for name, array in _published(arrays, config, place):
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        check_tensor(name, shapes[name], tensor, place)
        state[name] = tensor
    return state


def _published(
    arrays: Arrays, config: ElmoConfig, place: str
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Our name and the array, turned as ours is."""

    def get(name: str) -> np.ndarray[Any, Any]:
        if name not in arrays:
            raise ModelFileError(f"{place} has no {name}, which an {KIND} file needs")
        return arrays[name]

    embedding = get("char_embed")
    yield "characters.embedding.weight", np.pad(embedding, ((1, 0), (0, 0)))
    for i in range(len(config.characters.filters)):
        yield f"characters.filters.{i}.weight", get(f"CNN/W_cnn_{i}")[0].transpose(CONVOLUTION)
        yield f"characters.filters.{i}.bias", get(f"CNN/b_cnn_{i}")
    for i in range(config.characters.n_highway):
        for ours, theirs in (("gate", "carry"), ("transform", "transform")):
            name = f"characters.highways.{i}.{ours}"
            yield f"{name}.weight", get(f"CNN_high_{i}/W_{theirs}").T
            yield f"{name}.bias", get(f"CNN_high_{i}/b_{theirs}")
    yield "characters.projection.weight", get("CNN_proj/W_proj").T
    yield "characters.projection.bias", get("CNN_proj/b_proj")
    for d in range(N_DIRECTIONS):
        for layer in range(config.n_layers):
            cell = f"RNN_{d}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            both, bias = _in_our_order(get(f"{cell}/W_0")), _in_our_order(get(f"{cell}/B")).copy()
            bias[config.d_cell : 2 * config.d_cell] += FORGET_BIAS
            lstm = f"directions.{d}.{layer}"
            yield f"{lstm}.w_input", both[: config.d_projection].T
            yield f"{lstm}.w_hidden", both[config.d_projection :].T
            yield f"{lstm}.bias", bias
            yield f"{lstm}.w_projection", get(f"{cell}/W_P_0").T


def _in_our_order(gates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """[..., 4D]: i, g, f, o -> i, f, g, o."""
    i, g, f, o = np.split(gates, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


def _filters(filters: Any) -> tuple[tuple[int, int], ...]:
    return tuple((int(width), int(count)) for width, count in filters)


def _shapes(config: ElmoConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of a model of this shape; nothing is computed."""
    with without_memory():
        return {name: tuple(t.shape) for name, t in Elmo(config).state_dict().items()}


def _weights_file(folder: Path) -> Path:
    files = sorted(folder.glob("*.hdf5"))
    named = [path for path in files if "weights" in path.name]
    if len(files) != 1 and len(named) != 1:
        raise ModelFileError(
            f"{folder} has {len(files)} .hdf5 files, and it is not plain which one holds the "
            "weights; leave one, or name it ..._weights.hdf5"
        )
    return (named or files)[0]


def _read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Every array of an HDF5 file by its path within."""
    try:
        import h5py
    except ImportError as error:
        raise ModelFileError(
            f"{path} is an HDF5 file, which h5py reads; pip install 'triptych[elmo]'"
        ) from error
    arrays: dict[str, np.ndarray[Any, Any]] = {}

    def keep(name: str, found: object) -> None:
        if isinstance(found, h5py.Dataset):
            arrays[name] = found[()]

    try:
        with h5py.File(path) as file:
            file.visititems(keep)
    except OSError as error:
        raise ModelFileError(f"{path} is no whole HDF5 file ({error}); restore it") from error
    return arrays
