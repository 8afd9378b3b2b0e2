"""triptych demo: from nothing to a translator that can be looked into."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """The demo."""

    out: Path = Path("runs/demo")
    """The folder for the run, the model and report.html."""
    quick: bool = False
    """A smaller corpus and fewer updates: to see that everything works."""


def run(options: Options) -> int:
    """Train on storybook, evaluate, write the report."""
    from triptych.recipes.demo import run_demo

    run_demo(options.out, quick=options.quick)
    return 0
