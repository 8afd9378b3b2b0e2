"""triptych similarity: the cosine of two texts."""

import json
from dataclasses import dataclass, field
from typing import Annotated

from triptych.cli.common import Machine
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compare two texts."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    first: Annotated[str, POSITIONAL]
    """A text."""
    second: Annotated[str, POSITIONAL]
    """Another text."""
    json: bool = False
    """The cosine as JSON."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """One number, from -1 to 1."""
    from triptych.recipes.load import load_encoder

    encoder = load_encoder(options.model, device=options.machine.choose())
    cosine = float(encoder.similarity([options.first], [options.second])[0])
    print(json.dumps({"cosine": cosine}) if options.json else f"{cosine:.6f}")
    return 0
