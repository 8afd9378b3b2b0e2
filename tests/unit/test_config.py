"""Configurations: round trips, and one sentence for every mistake."""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.config import Range, difference, from_dict, load_toml, to_dict, to_toml
from triptych.errors import ConfigError


@dataclass(frozen=True)
class Optimizer:
    peak_rate: Annotated[float, Range(0, 1)] = 0.001
    betas: tuple[float, float] = (0.9, 0.98)
    schedule: Literal["noam", "inverse-square-root"] = "noam"


@dataclass(frozen=True)
class Run:
    out: Path
    steps: Annotated[int, Range(1)] = 100
    optimizer: Optimizer = field(default_factory=Optimizer)
    texts: tuple[Path, ...] = ()
    patience: int | None = 5
    preset: str | None = None
    average: int | Literal["all"] = 1
    fast: bool = False
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.fast and self.steps > 1000:
            raise ConfigError(f"steps is {self.steps}, too many for a fast run")


RUN = Run(out=Path("run"))


def test_a_configuration_comes_back_equal_from_toml(tmp_path):
    run = Run(
        out=Path("out dir"),
        optimizer=Optimizer(peak_rate=0.5, betas=(0.1, 0.2), schedule="inverse-square-root"),
        texts=(Path("a.txt"), Path("b.txt")),
        patience=None,
        preset='ti"ny\n',
        average="all",
        weights={"bleu": 1.5},
    )
    (tmp_path / "run.toml").write_text(to_toml(run))
    assert load_toml(Run, tmp_path / "run.toml") == run
    assert from_dict(Run, to_dict(run)) == run


def test_defaults_fill_in_and_a_whole_number_is_a_float():
    run = from_dict(Run, {"out": "run", "optimizer": {"peak_rate": 1}})
    assert run == replace(RUN, optimizer=Optimizer(peak_rate=1.0))
    assert isinstance(run.optimizer.peak_rate, float)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('out = "r"\nstep = 3\n', "run.toml:2: step is not a setting; did you mean 'steps'?"),
        ('out = "r"\n\n[optimizer]\npeek_rate = 3\n', "run.toml:4: optimizer.peek_rate is not"),
        ('out = "r"\noptimizer.betas = [1]\n', "run.toml:2: optimizer.betas is [1]"),
        ('out = "r"\nsteps = "many"\n', "run.toml:2: steps is 'many'; it should be a whole number"),
        ('out = "r"\nsteps = true\n', "steps is True; it should be a whole number"),
        ('out = "r"\nsteps = 1.0\n', "steps is 1.0; it should be a whole number"),
        ('out = "r"\nsteps = 0\n', "run.toml:2: steps is 0; it must be at least 1"),
        ('out = "r"\n[optimizer]\npeak_rate = 2\n', "run.toml:3: optimizer.peak_rate is 2.0; it"),
        ('out = "r"\n[optimizer]\npeak_rate = nan\n', "peak_rate is nan; it should be a number"),
        ('out = "r"\n[optimizer]\nschedule = "cosine"\n', "one of 'noam', 'inverse-square-root'"),
        ('out = "r"\noptimizer = 3\n', "optimizer is 3; it should be a table of settings"),
        ('out = "r"\naverage = "some"\n', "a whole number or one of 'all'"),
        ('out = "r"\ntexts = "a.txt"\n', "texts is 'a.txt'; it should be a list of a path"),
        ('out = "r"\nfast = 1\n', "fast is 1; it should be true or false"),
        ('out = "r"\nsteps = 5000\nfast = true\n', "run.toml:2: steps: steps is 5000, too many"),
        ("steps = 3\n", "out is missing; it has no default"),
        ("out =\n", "run.toml:1 is not TOML"),
    ],
)
def test_a_mistake_is_answered_with_place_value_and_remedy(tmp_path, text, expected):
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_toml(Run, tmp_path / "run.toml")
    assert expected in str(caught.value)
    assert str(tmp_path / "run.toml") in str(caught.value)


def test_files_that_are_no_toml_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*absent.toml: No such file"):
        load_toml(Run, tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b'out = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8 at byte 7"):
        load_toml(Run, tmp_path / "latin.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError):
        load_toml(Run, tmp_path / "deep.toml")


def test_the_difference_names_each_setting_with_both_values():
    other = replace(RUN, optimizer=Optimizer(peak_rate=0.5), preset="tiny")
    assert difference(RUN, RUN) == []
    assert difference(RUN, other) == [
        "optimizer.peak_rate: 0.001 there, 0.5 here",
        "preset: not set there, 'tiny' here",
    ]


names = st.sampled_from(["out", "steps", "optimizer", "texts", "patience", "average", "weights"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(names | st.text(max_size=8), values, max_size=4))
def test_any_mapping_gives_a_configuration_or_one_sentence(mapping: dict[str, Any]):
    try:
        run = from_dict(Run, mapping, "here")
    except ConfigError as error:
        message = str(error)
    else:
        assert from_dict(Run, tomllib.loads(to_toml(run))) == run
        message = "here: "
    assert message.startswith("here: ")


@settings(deadline=None)
@given(st.sampled_from(["steps", "patience", "preset", "average"]), st.data())
def test_a_typing_error_in_a_key_suggests_the_key(name, data):
    place = data.draw(st.integers(0, len(name) - 1))
    typo = data.draw(
        st.sampled_from([name[:place] + name[place + 1 :], name[:place] + "x" + name[place:]])
    )
    with pytest.raises(ConfigError, match=f"did you mean '{name}'"):
        from_dict(Run, {"out": "r", typo: 1})
