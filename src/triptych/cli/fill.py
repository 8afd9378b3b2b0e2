"""triptych fill: what may stand at each [MASK] of a text."""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated

from triptych.cli.common import Machine, importing
from triptych.cli.options import POSITIONAL
from triptych.config import Range


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fill in the blanks."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    text: Annotated[str, POSITIONAL]
    """A text with one [MASK] or several, which are filled together."""
    top_k: Annotated[int, Range(1)] = 5
    """Fillings to show, the most probable first."""
    candidates: tuple[str, ...] = ()
    """Words or phrases to rank at the one [MASK], in place of the whole vocabulary."""
    json: bool = False
    """One JSON object a filling."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Probability, words and text, one filling a line."""
    import math

    with importing():
        from triptych.recipes.load import load_encoder

    encoder = load_encoder(options.model, device=options.machine.choose())
    found = encoder.fill(options.text, top_k=options.top_k, candidates=options.candidates or None)
    for filling in found:
        if options.json:
            print(json.dumps(asdict(filling), ensure_ascii=False))
        else:
            words = " … ".join(filling.words)
            print(f"{math.exp(filling.log_probability):7.4f}  {words:20}  {filling.text}")
    return 0
