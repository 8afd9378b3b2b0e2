"""Early warning of a run that learns nothing, from the rows of its `metrics.jsonl`.

Fine-tuning fails now and then for a seed (Devlin et al. 2018, §4.1; Mosbach et al. 2020). It shows
early: validation gets one and the same answer to everything, or, when a third of the updates are
done, the training loss is still not below that of the best constant guess.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from triptych.files.notices import notice
from triptych.recipes.finetune_task import DISTINCT
from triptych.training.run_folder import Row, RunFolder

FEWEST = 10
"""Updates whose mean loss is looked at; the loss of fewer says too little."""


def early_warning(rows: Sequence[Row], guess_loss: float, updates: int) -> str | None:
    """Why the run seems to have collapsed, at the first sign of it; None without one."""
    third = updates // 3
    losses = [row["loss"] for row in rows if "loss" in row and third // 2 < row["update"] <= third]
    seen = max((row["update"] for row in rows), default=0)
    for row in rows:
        if row.get(f"valid_{DISTINCT}") == 1:
            return f"after {row['update']:,} updates it says the same of every validation example"
    if seen >= third and len(losses) >= FEWEST:
        mean = sum(losses) / len(losses)
        if mean >= guess_loss:
            return (
                f"after {third:,} updates, a third, the training loss is {mean:.3f}, not below the "
                f"{guess_loss:.3f} of the best constant guess"
            )
    return None


def is_collapsed(rows: Sequence[Row], guess_loss: float, best_update: int) -> bool:
    """Whether the model kept is no better than a constant: its answers are all one, or the last
    losses of the run are still not below that of a guess."""
    kept = [row for row in rows if row["update"] == best_update and f"valid_{DISTINCT}" in row]
    losses = [row["loss"] for row in rows if "loss" in row][-FEWEST:]
    constant = any(row[f"valid_{DISTINCT}"] == 1 for row in kept)
    return constant or (len(losses) == FEWEST and sum(losses) / FEWEST >= guess_loss)


def watching(folder: Path, name: str, guess_loss: float, updates: int) -> Callable[[Row], None]:
    """A listener to the rows of a run that says, once, the first sign of a collapse."""
    third, said = updates // 3, False

    def hear(row: Row) -> None:
        nonlocal said
        if not said and (row["update"] == third or f"valid_{DISTINCT}" in row):
            reason = early_warning(RunFolder(folder).rows(), guess_loss, updates)
            if reason is not None:
                notice(f"{name} seems to have collapsed: {reason}", key=str(folder))
                said = True

    return hear
