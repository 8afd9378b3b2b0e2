"""Settings that make no sense are refused with the value."""

import pytest

from triptych.errors import ConfigError
from triptych.predecessors.settings import GloveSettings, Word2VecSettings


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Word2VecSettings, "architecture", "glove"),
        (Word2VecSettings, "d_model", 0),
        (Word2VecSettings, "subsample", 1.5),
        (Word2VecSettings, "learning_rate", 2.0),
        (Word2VecSettings, "seed", -1),
        (GloveSettings, "window", 21),
        (GloveSettings, "window", 0),
        (GloveSettings, "x_max", 0.0),
        (GloveSettings, "alpha", 2.0),
        (GloveSettings, "learning_rate", 0.0),
        (GloveSettings, "memory", 0.0),
        (GloveSettings, "workers", 0),
        (GloveSettings, "seed", -1),
    ],
)
def test_refused(kind: type, name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} is '?{value}"):
        kind(**{name: value})
