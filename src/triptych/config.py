"""Frozen dataclass <-> TOML: an unknown key is an error that says what was probably meant.

Fields may be bool, int, float, str, Path, Literal, tuple, list, another dataclass, a table of
one kind of value, or any of these or None. A range is written beside the type:

    dropout: Annotated[float, Range(0, 1)] = 0.1

TOML has no null: None is written as nothing where None is the default, and as "none" elsewhere.
"""

import dataclasses
import difflib
import math
import re
import tomllib
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import tomli_w

from triptych.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")
Keys = tuple[str, ...]
Place = Callable[[Keys], str]
NONE = "none"
POSITIONAL = "positional"
"""`model: Annotated[str, POSITIONAL]` is written without a flag on a command line."""


class Range(NamedTuple):
    """Both ends are allowed; None leaves an end open."""

    minimum: float | None = None
    maximum: float | None = None


def load_toml(cls: type[C], path: Path | str) -> C:
    """Read a file into a configuration.

    Raises ConfigError with file and line: a file that is missing or no TOML, an unknown key,
    a value of the wrong type or out of range.
    """
    return from_dict(cls, *read_toml(path))


def read_toml(path: Path | str) -> tuple[dict[str, Any], Place]:
    """A file's content, unchecked, and a function from keys to "file:line: keys"."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check its name") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        place = f"{path}:{line[1]}" if line else str(path)
        raise ConfigError(f"{place} is not TOML: {error}") from error
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{path} is not TOML that can be used: {error}") from error
    lines = _line_numbers(text)
    return content, lambda keys: _file_line(path, keys, lines)


def from_dict(cls: type[C], mapping: Mapping[str, Any], place: Place | str = "configuration") -> C:
    """A configuration from nested mappings. Raises ConfigError as `load_toml` does.

    `place` says where they come from: a name, or a function from keys to the words in front.
    """
    return _dataclass(cls, mapping, (), _within(place) if isinstance(place, str) else place)


def _within(name: str) -> Place:
    return lambda keys: f"{name}: {'.'.join(keys)}" if keys else name


def to_dict(config: "DataclassInstance") -> dict[str, Any]:
    """Nested dicts of what TOML and JSON can hold; `from_dict` gives an equal configuration."""
    result: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is None and field.default is None:
            continue
        result[field.name] = _plain(value)
    return result


def to_toml(config: "DataclassInstance") -> str:
    """The configuration as TOML text; `load_toml` gives an equal one."""
    return tomli_w.dumps(to_dict(config))


def difference(old: "DataclassInstance", new: "DataclassInstance") -> list[str]:
    """One line for each value that differs: "optimizer.peak_rate: 0.001 there, 0.002 here"."""
    before, after = dict(_flat(to_dict(old))), dict(_flat(to_dict(new)))
    return [
        f"{'.'.join(keys)}: {_shown(before.get(keys))} there, {_shown(after.get(keys))} here"
        for keys in sorted(before.keys() | after.keys())
        if before.get(keys) != after.get(keys)
    ]


def _dataclass(cls: type[C], mapping: object, keys: Keys, place: Place) -> C:
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{place(keys)} is {mapping!r}; it should be a table of settings")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for key in mapping:
        if key not in fields:
            raise ConfigError(f"{place((*keys, str(key)))} is not a setting{_meant(key, fields)}")
    missing = [name for name, field in fields.items() if name not in mapping and _needed(field)]
    if missing:
        raise ConfigError(f"{place((*keys, missing[0]))} is missing; it has no default")
    hints = get_type_hints(cls, include_extras=True)
    values = {key: _value(hints[key], mapping[key], (*keys, key), place) for key in mapping}
    try:
        return cls(**values)
    except (ConfigError, ValueError, TypeError) as error:  # its own __post_init__
        raise ConfigError(f"{_blamed(error, values, keys, place)}: {error}") from error


def _value(kind: Any, value: object, keys: Keys, place: Place) -> Any:
    """`value` as the type `kind`, or a ConfigError that says what is asked for."""
    origin, options = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _in_range(_value(options[0], value, keys, place), options[1:], keys, place)
    if origin in (Union, types.UnionType):
        return _one_of(options, value, keys, place)
    if origin is Literal:
        if not any(type(value) is type(option) and value == option for option in options):
            raise _wrong(kind, value, keys, place)
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, value, keys, place)
    if origin in (tuple, list) and isinstance(value, list | tuple):
        return _sequence(kind, value, keys, place)
    if origin in (dict, Mapping):
        if isinstance(value, Mapping):
            return {
                str(key): _value(options[1], item, (*keys, str(key)), place)
                for key, item in value.items()
            }
    elif kind is Any:
        return value
    elif isinstance(kind, type) and _fits(kind, value):
        return Path(str(value)) if kind is Path else kind(value)
    raise _wrong(kind, value, keys, place)


def _fits(kind: type, value: object) -> bool:
    if kind is float:
        if isinstance(value, float):
            return not math.isnan(value)
        return type(value) is int and abs(value) <= 2**1000  # the rest has no float
    if kind is Path:
        return isinstance(value, str | Path) and "\0" not in str(value) and str(value) != ""
    return kind in (bool, int, str) and type(value) is kind


def _sequence(kind: Any, value: list[Any] | tuple[Any, ...], keys: Keys, place: Place) -> Any:
    origin, options = get_origin(kind), get_args(kind)
    if origin is list or options[-1] is Ellipsis:
        options = (options[0],) * len(value)
    if len(options) != len(value):
        raise _wrong(kind, value, keys, place)
    items = (_value(each, item, keys, place) for each, item in zip(options, value, strict=True))
    return tuple(items) if origin is tuple else list(items)


def _one_of(options: tuple[Any, ...], value: object, keys: Keys, place: Place) -> Any:
    if type(None) in options and (value is None or value == NONE):
        return None
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1:
        return _value(kinds[0], value, keys, place)
    for kind in kinds:
        try:
            return _value(kind, value, keys, place)
        except ConfigError:
            continue
    raise _wrong(kinds, value, keys, place)


def _in_range(value: Any, limits: tuple[Any, ...], keys: Keys, place: Place) -> Any:
    for limit in limits:
        if not isinstance(limit, Range) or value is None:
            continue
        if limit.minimum is not None and value < limit.minimum:
            raise ConfigError(f"{place(keys)} is {value!r}; it must be at least {limit.minimum}")
        if limit.maximum is not None and value > limit.maximum:
            raise ConfigError(f"{place(keys)} is {value!r}; it must be at most {limit.maximum}")
    return value


def _needed(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _meant(key: object, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(known)}" if known else "; there are none"


def _blamed(error: Exception, values: Mapping[str, object], keys: Keys, place: Place) -> str:
    """The place of the setting that a configuration's own check names, or of the whole."""
    named = [name for name in values if re.search(rf"\b{re.escape(name)}\b", str(error))]
    return place((*keys, named[0]) if named else keys)


def _wrong(kind: Any, value: object, keys: Keys, place: Place) -> ConfigError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "…"
    return ConfigError(f"{place(keys)} is {shown}; it should be {_described(kind)}")


def _described(kind: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    origin, options = get_origin(kind), get_args(kind)
    if isinstance(kind, list):
        return " or ".join(_described(option) for option in kind)
    if origin is Annotated:
        return _described(options[0])
    if origin is Literal:
        return "one of " + ", ".join(map(repr, options))
    if origin in (tuple, list):
        kinds = [option for option in options if option is not Ellipsis]
        each = " and ".join(_described(option) for option in kinds)
        return f"a list of {each}"
    return "a path" if kind is Path else names.get(kind, "a table of settings")


def _plain(value: Any) -> Any:
    if value is None:
        return NONE
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _flat(content: Mapping[str, Any], keys: Keys = ()) -> list[tuple[Keys, Any]]:
    flat: list[tuple[Keys, Any]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat += _flat(value, (*keys, key))
        else:
            flat.append(((*keys, key), value))
    return flat


def _shown(value: object) -> str:
    return "not set" if value is None else repr(value)


def _file_line(path: Path, keys: Keys, lines: Mapping[Keys, int]) -> str:
    """ "run.toml:12: optimizer.peak_rate", with the line of the nearest table if need be."""
    known = next((keys[:n] for n in range(len(keys), 0, -1) if keys[:n] in lines), None)
    place = str(path) if known is None else f"{path}:{lines[known]}"
    return f"{place}: {'.'.join(keys)}" if keys else place


def _line_numbers(text: str) -> dict[Keys, int]:
    """Where each key and table stands, found by its look; the last word on TOML is tomllib's."""
    lines: dict[Keys, int] = {}
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+([^\[\]]+)\]+", line):
            table = _key_parts(header[1])
            lines.setdefault(table, number)
        elif setting := re.match(r"""\s*([\w\-."' ]+?)\s*=""", line):
            lines.setdefault((*table, *_key_parts(setting[1])), number)
    return lines


def _key_parts(dotted: str) -> Keys:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
