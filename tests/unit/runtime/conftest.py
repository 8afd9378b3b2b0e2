"""How a fast twin's products and attention may be computed, and by how many threads."""

from collections.abc import Iterator

import pytest
import torch

from triptych.runtime import half_rows, int8_rows, packed, parts, past, steps


@pytest.fixture(params=["loops", "libraries", "small"])
def products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By our loops where they are, by libraries alone, and as weights as small as these are."""
    if request.param != "small":
        monkeypatch.setattr(packed, "SMALL", 0)
        monkeypatch.setattr(steps, "SMALL", 0)
    if request.param == "libraries":
        for module in (steps, int8_rows, half_rows, parts, past):
            monkeypatch.setattr(module, "has_team", lambda: False)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """One thread, and more than some of the work can be divided among."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)
