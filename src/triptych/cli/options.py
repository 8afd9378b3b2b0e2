"""The options of a verb are the fields of a frozen dataclass, and their help what stands below.

Dataclasses within the dataclass are laid flat: `optimizer.learning_rate` is `--learning-rate`.
"""

import ast
import dataclasses
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from triptych.config import POSITIONAL as POSITIONAL  # for the verbs

Keys = tuple[str, ...]

FLAGS = {"start_from": "--from"}
"""Fields whose flag is not their name."""


@dataclass(frozen=True)
class Option:
    """One option of a verb: where its value goes, what it may be, how it is written."""

    keys: Keys
    """The path of fields."""
    kind: Any
    default: Any
    """`dataclasses.MISSING` where a value is needed."""
    doc: str
    group: str
    """The docstring of the dataclass that it belongs to."""

    @property
    def name(self) -> str:
        return ".".join(self.keys)

    @property
    def is_positional(self) -> bool:
        return get_origin(self.kind) is Annotated and POSITIONAL in get_args(self.kind)

    @property
    def flag(self) -> str:
        """As it is written: `--learning-rate`, or `MODEL` for a positional one."""
        field = self.keys[-1]
        if self.is_positional:
            return field.upper()
        return FLAGS.get(field, "--" + field.replace("_", "-"))

    @property
    def kinds(self) -> list[Any]:
        """The type without Annotated and None; several where any of them will do."""
        return list(_plain_kinds(self.kind))

    @property
    def is_switch(self) -> bool:
        return self.kinds == [bool]

    @property
    def takes_many(self) -> bool:
        return any(get_origin(kind) is tuple for kind in self.kinds)

    @property
    def metavar(self) -> str:
        """What stands for the value in the help."""
        if self.takes_many:
            return "F"
        for kind, letter in ((int, "N"), (float, "X"), (Path, "PATH")):
            if kind in self.kinds:
                return letter
        choices = [get_args(kind) for kind in self.kinds if get_origin(kind) is Literal]
        return "|".join(map(str, choices[0])) if choices else "TEXT"

    @property
    def help(self) -> str:
        """The field's own words, and the default."""
        doc = self.doc.replace("`", "")
        if self.default is dataclasses.MISSING:
            return doc if self.is_positional else f"{doc} (needed)"
        if self.default in (None, (), "", False):
            return doc
        default = f"{self.default:,}" if type(self.default) is int else self.default
        return f"{doc} (default: {default})"


def options_of(cls: type[Any], keys: Keys = ()) -> list[Option]:
    """Every option of a dataclass, those of dataclasses within it included."""
    hints, docs = get_type_hints(cls, include_extras=True), _field_docs(cls)
    group = inspect.cleandoc(cls.__doc__ or "")
    found: list[Option] = []
    for field in dataclasses.fields(cls):
        kind, path = hints[field.name], (*keys, field.name)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            found += options_of(kind, path)
        else:
            found.append(Option(path, kind, field.default, docs.get(field.name, ""), group))
    return found


def _plain_kinds(kind: Any) -> Iterator[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _plain_kinds(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for each in get_args(kind):
            yield from _plain_kinds(each)
    elif kind is not type(None):
        yield kind


def _field_docs(cls: type[Any]) -> dict[str, str]:
    """The string below each field, on one line; of an inherited field, that of its own class."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            tree = ast.parse(inspect.getsource(sys.modules[base.__module__]))
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                    docs |= dict(_strings_below(node.body))
    return docs


def _strings_below(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(below.value.value).split())
