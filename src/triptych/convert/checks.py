"""What every foreign format is asked before it is believed: keys, sizes, names, shapes, values."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from triptych.errors import ModelFileError
from triptych.files.tensors import not_finite

LARGEST_SIZE = 2**31 - 1


def required(config: Mapping[str, Any], key: str, place: str, kind: str) -> Any:
    """The value of a key that must be there. `kind`: whose folder it is, for the message."""
    if key not in config:
        raise ModelFileError(f"{place} has no key {key!r}, which a {kind} model needs")
    return config[key]


def whole_number(key: str, value: object, place: str, largest: int = LARGEST_SIZE) -> int:
    """The value; raises ModelFileError unless it is one, not negative, and no size of zero."""
    if type(value) is not int or not 0 <= value <= largest:
        raise ModelFileError(f"{place}: {key} is {value!r}, not a whole number from 0 to {largest}")
    if value == 0 and not key.endswith("_id"):
        raise ModelFileError(f"{place}: {key} is 0; a model needs at least 1")
    return value


def probability(config: Mapping[str, Any], key: str, place: str, default: float = 0.1) -> float:
    """A dropout; `default` where the key is not there."""
    value = config.get(key, default)
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise ModelFileError(f"{place}: {key} is {value!r}, not a number in [0, 1)")
    return float(value)


def norm_eps(config: Mapping[str, Any], key: str, place: str, kind: str) -> float:
    """What a LayerNorm adds to the variance."""
    value = required(config, key, place, kind)
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise ModelFileError(f"{place}: {key} is {value!r}, not a number in (0, 1)")
    return float(value)


def check_fixed(
    config: Mapping[str, Any], fixed: Collection[tuple[str, object]], place: str
) -> None:
    """Keys that change the computation must have the one value understood, or be absent."""
    for key, supported in fixed:
        if config.get(key, supported) not in (supported, None):
            raise unsupported(place, key, config[key], f"only {shown(supported)} is")


def check_tensor(name: str, shape: tuple[int, ...], found: Tensor, place: str) -> None:
    """Raises ModelFileError for a tensor of another shape or kind, or with a value not finite."""
    if tuple(found.shape) != shape:
        raise ModelFileError(
            f"{place}: {name} should be {shape} by its config.json, but is {tuple(found.shape)}"
        )
    if not found.is_floating_point():
        raise ModelFileError(f"{place}: {name} is {found.dtype}, not floating point")
    if n_bad := not_finite(found):
        raise ModelFileError(f"{place}: {name} has {n_bad} values that are not finite numbers")


def missing_tensor(name: str, shape: tuple[int, ...], place: str) -> ModelFileError:
    """The error for a tensor that is not there."""
    return ModelFileError(f"{place} has no tensor {name}; its config.json asks for one of {shape}")


def check_no_other(tensors: Mapping[str, Tensor], known: Collection[str], place: str) -> None:
    """Raises ModelFileError for a tensor that a model of this configuration has no use for."""
    extra = sorted(set(tensors) - set(known))
    if extra:
        shape = tuple(tensors[extra[0]].shape)
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ModelFileError(
            f"{place} has a tensor {extra[0]} of {shape}{more}, for which a model of its "
            "config.json has no use"
        )


def shown(value: object) -> str:
    """As JSON spells it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def unsupported(place: str, key: str, value: object, instead: str) -> ModelFileError:
    """The error for a value of a key that would change the computation."""
    return ModelFileError(f"{place}: {key} is {shown(value)}, not supported; {instead}")
