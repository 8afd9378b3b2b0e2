"""The door: what `import triptych` promises, keeps, and costs."""

import subprocess
import sys
from importlib import metadata

import pytest

import triptych

SLOW = ("torch", "numpy", "tokenizers", "sentencepiece", "matplotlib", "sacrebleu", "rich")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_are_sorted_and_unique() -> None:
    assert list(triptych.__all__) == sorted(set(triptych.__all__))


@pytest.mark.parametrize("name", getattr(triptych, "__all__", []))
def test_every_name_exists_and_is_documented(name: str) -> None:
    value = getattr(triptych, name)
    if callable(value):
        assert (value.__doc__ or "").strip()


def test_dir_shows_every_name() -> None:
    assert set(triptych.__all__) <= set(dir(triptych))


def test_a_name_that_does_not_exist_says_so() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = triptych.nonsense


def test_star_import_gives_exactly_the_door() -> None:
    found = python(
        "before = set(globals()) | {'before'}\n"
        "from triptych import *\n"
        "print(*sorted(set(globals()) - before))"
    )
    assert found.split() == sorted(triptych.__all__)


def test_the_version_is_that_of_the_package() -> None:
    assert triptych.__version__ == metadata.version("triptych")


def test_importing_is_light() -> None:
    """Nothing slow is loaded until a name is used (measured: `--help` and import < 0.3 s)."""
    code = f"import sys, triptych; print(*[m for m in {SLOW!r} if m in sys.modules])"
    assert python(code) == ""


def test_using_a_name_loads_what_it_needs() -> None:
    code = (
        "import sys, triptych; triptych.EncoderDecoder; "
        "print('torch' in sys.modules, type(triptych.EncoderDecoder).__name__)"
    )
    assert python(code) == "True type"
