"""The arrows and sizes of docs/architecture.md, enforced. Sources are read, never run."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "triptych"

BASE = {"errors"}
FILES = {"errors", "files"}
MODEL_FOLDER = {"models", "predecessors", "tokenizers", "config", "core"}
BELOW_RECIPES = MODEL_FOLDER | {
    *("data", "training", "decoding", "evaluation", "inspection", "runtime"),
    *("checkpoint", "convert"),
}
MAY_IMPORT = {  # room -> the rooms that it may see besides itself
    "errors": set(),
    "files": BASE,
    "config": BASE,
    "core": BASE,
    "models": BASE | {"core"},
    "predecessors": BASE | {"core"},
    "tokenizers": FILES,
    "data": FILES | {"tokenizers"},
    "training": FILES | {"config", "core"},
    "decoding": FILES | {"core"},
    "evaluation": FILES | {"decoding"},
    "inspection": FILES | {"core"},
    "runtime": FILES | {"core", "models", "predecessors"},
    "convert": FILES | MODEL_FOLDER,
    "checkpoint": FILES | MODEL_FOLDER | {"convert"},
    "recipes": FILES | BELOW_RECIPES,
    "serving": FILES | BELOW_RECIPES | {"recipes"},
    "cli": FILES | {"recipes", "serving", "inspection", "config", "runtime"},
}
MAY_IMPORT_LATE = {"__init__", "cli", "__main__"}  # so that --help does not wait for torch
TORCH_ONLY = {"core", "models"}
PICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"torch.load", "torch.save", "importlib.import_module", "__import__"}

LONGEST_FILE, LONGEST_BODY, MOST_PARAMETERS, MOST_FIELDS = 300, 40, 8, 12


class Import(NamedTuple):
    module: str
    in_function: bool


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST, in_function: bool = False) -> Iterator[Import]:
    """Every module imported; `from triptych import core` counts as triptych.core."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, in_function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            whole = module == "triptych"
            names = [f"triptych.{a.name}" for a in node.names] if whole else [module]
            yield from (Import(name, in_function) for name in names)
        inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(node, in_function or inner)


def wrong_imports(source: str, room: str) -> list[str]:
    """What is wrong with the imports of a file of that room, one sentence each."""
    wrong = []
    for found in imports(ast.parse(source)):
        first, *rest = found.module.split(".")
        if found.module.startswith("."):
            wrong.append(f"{room}: write {found.module} as an absolute import")
        elif first in PICKLERS:
            wrong.append(f"{room} must not use {first}")
        elif first == "triptych" and room != "__init__":
            target = rest[0] if rest else "__init__"
            if target not in MAY_IMPORT.get(room, set()) | {room, "__version__"}:
                wrong.append(f"{room} must not import {target}")
            if found.in_function and room not in MAY_IMPORT_LATE:
                wrong.append(f"{room}: the import of {target} is hidden inside a function")
        elif room in TORCH_ONLY and first not in {*sys.stdlib_module_names, "torch", "triptych"}:
            wrong.append(f"{room} knows torch alone, not {first}")
    return wrong


def wrong_calls(source: str, room: str) -> list[str]:
    """Where a file names a loader that can run code, or imports by a name made at run time."""
    wrong = []
    late = {"importlib.import_module", "__import__"} if room in MAY_IMPORT_LATE else set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute | ast.Name):
            name = ast.unparse(node)
            wrong += [f"line {node.lineno}: {name}"] * (name in FORBIDDEN_CALLS - late)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            wrong += ["allow_pickle"] * (ast.unparse(node.value) != "False")
    return wrong


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def wrong_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """A function's body is measured without its signature and docstring."""
    body = [part for part in node.body if not is_text(part)]
    length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
    given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    n_given = len([name for name in given if name not in {"self", "cls", "ctx"}])
    wrong = []
    if length > LONGEST_BODY:
        wrong.append(f"{node.name} has a body of {length} lines")
    if n_given > MOST_PARAMETERS:
        wrong.append(f"{node.name} has {n_given} parameters")
    if node.args.kwarg is not None:
        wrong.append(f"{node.name} takes **{node.args.kwarg.arg}")
    return wrong


def wrong_sizes(source: str) -> list[str]:
    wrong, n_lines = [], len(source.splitlines())
    if n_lines > LONGEST_FILE:
        wrong.append(f"{n_lines} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            wrong += wrong_function(node)
        if isinstance(node, ast.ClassDef) and "dataclass" in map(decorator, node.decorator_list):
            n_fields = sum(isinstance(part, ast.AnnAssign) for part in node.body)
            if n_fields > MOST_FIELDS:
                wrong.append(f"{node.name} has {n_fields} fields")
    return wrong


def decorator(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).split(".")[-1]


SOURCES = sorted(PACKAGE.rglob("*.py"))
EACH_FILE = pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))


@EACH_FILE
def test_arrows_point_down(path: Path) -> None:
    assert not wrong_imports(path.read_text(encoding="utf-8"), room_of(path))


@EACH_FILE
def test_nothing_is_pickled(path: Path) -> None:
    assert not wrong_calls(path.read_text(encoding="utf-8"), room_of(path))


@EACH_FILE
def test_files_stay_small(path: Path) -> None:
    assert not wrong_sizes(path.read_text(encoding="utf-8"))


def test_every_room_has_its_arrows() -> None:
    rooms = {room_of(path) for path in SOURCES}
    assert rooms - set(MAY_IMPORT) <= {"__init__", "__main__"}


def test_the_arrows_make_no_circle() -> None:
    left = {room: set(below) for room, below in MAY_IMPORT.items()}
    while left:
        bottom = {room for room, below in left.items() if not below & set(left)}
        assert bottom, f"a circle among {sorted(left)}"
        left = {room: below for room, below in left.items() if room not in bottom}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "from triptych.models.presets import transformer_base"),
        ("core", "from triptych import models"),
        ("core", "import triptych.models.presets"),
        ("core", "from triptych.files.atomic import write_text"),
        ("core", "import numpy"),
        ("decoding", "from triptych.models.encoder_decoder import EncoderDecoder"),
        ("decoding", "if TYPE_CHECKING:\n    from triptych.models.presets import x"),
        ("data", "from triptych.core.loss import IGNORE"),
        ("training", "from triptych.models import presets"),
        ("files", "from triptych.config import read_toml"),
        ("recipes", "from triptych.cli.main import main"),
        ("evaluation", "from ..decoding import beam"),
        ("decoding", "def f():\n    from triptych.core.cache import LayerCache"),
        ("decoding", "class A:\n    def f(self):\n        import triptych.core.cache"),
        ("recipes", "import triptych"),
        ("files", "import pickle"),
        ("cli", "from pickle import loads"),
    ],
)
def test_a_wrong_import_would_be_seen(room: str, source: str) -> None:
    assert wrong_imports(source, room)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "import math\nimport torch\nfrom triptych.core.cache import LayerCache"),
        ("cli", "def main():\n    from triptych.recipes.demo import demo"),
        ("inspection", "def f():\n    import matplotlib"),  # slow libraries may wait
        ("__init__", "def f():\n    from triptych.models.presets import x"),
    ],
)
def test_a_right_import_would_not(room: str, source: str) -> None:
    assert not wrong_imports(source, room)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x.pt')",
        "save = torch.save",
        "np.load('x.npy', allow_pickle=True)",
        "importlib.import_module('triptych.models')",
        "__import__('triptych.models')",
    ],
)
def test_a_wrong_call_would_be_seen(source: str) -> None:
    assert wrong_calls(source, "decoding")
    assert not wrong_calls("np.load('x.npy', allow_pickle=False)", "decoding")


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * 301,
        "def f():\n" + "    x = 1\n" * 41,
        "def f(a, b, c, d, e, f, g, h, *, i): ...",
        "async def f(**options): ...",
        "@dataclass(frozen=True)\nclass A:\n" + "".join(f"    x{i}: int\n" for i in range(13)),
    ],
)
def test_a_wrong_size_would_be_seen(source: str) -> None:
    assert wrong_sizes(source)


def test_the_limits_themselves_are_allowed() -> None:
    assert not wrong_sizes("x = 1\n" * 300)
    assert not wrong_sizes('def f():\n    """Said\n    twice."""\n' + "    x = 1\n" * 40)
    assert not wrong_sizes("class A:\n    def f(self, a, b, c, d, e, f, g, h): ...")
