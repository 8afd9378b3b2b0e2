"""triptych demo: from nothing to a translator, an encoder and a generator, and a look into them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from triptych.cli.common import Machine
from triptych.config import Range


@dataclass(frozen=True, kw_only=True)
class Options:
    """The demo."""

    out: Path = Path("runs/demo")
    """The folder for the run, the model and report.html."""
    quick: bool = False
    """A smaller corpus and fewer updates: to see that everything works."""
    seed: Annotated[int, Range(0)] = 1
    """Of the corpus, the weights and the order of the data."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Train on storybook, evaluate, write the report."""
    from triptych.recipes.run_demo import run_demo

    run_demo(options.out, quick=options.quick, seed=options.seed, device=options.machine.choose())
    return 0
