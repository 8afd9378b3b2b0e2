"""The picture of a run: loss of training and validation, and the scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from triptych.files.atomic import write_file
from triptych.inspection.learning_curve import curve, learning_curve
from triptych.training.run_folder import RunFolder

Panels = Mapping[str, Mapping[str, str]]
"""A title, and for each of its lines the key in `metrics.jsonl` and the line's name."""

TRANSLATION_PANELS: Panels = {"BLEU": {"valid_bleu": "validation"}}
BERT_PANELS: Panels = {
    "Accuracy": {
        "valid_masked_accuracy": "masked words",
        "valid_next_accuracy": "next sentence",
        "valid_long_masked_accuracy": "masked words, long",
        "valid_long_next_accuracy": "next sentence, long",
    }
}
GPT_PANELS: Panels = {"Accuracy": {"valid_accuracy": "next token"}}
ELMO_PANELS: Panels = {}
"""Loss alone: a training loss over drawn words lies below that of all words."""


def draw_curves(run: Path, panels: Panels) -> None:
    """Draw `curves.png` from `metrics.jsonl`."""
    write_file(run / "curves.png", curves(run, panels, "png"))


def curves(run: Path, panels: Panels, form: Literal["svg", "png"] = "svg") -> bytes:
    """The learning curve of a run as a picture: its loss, and one panel more for each title."""
    rows = RunFolder(run).rows()
    loss = [
        curve(rows, "loss", "training", step="update"),
        curve(rows, "valid_loss", "validation", best="lowest", step="update"),
    ]
    scores = {
        title: [
            curve(rows, key, name, best="highest", step="update") for key, name in lines.items()
        ]
        for title, lines in panels.items()
    }
    return learning_curve({"Loss (nats)": loss, **scores}, form)
