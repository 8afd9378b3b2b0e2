"""The picture of a run: loss of training and validation, and the scores."""

from pathlib import Path

from triptych.files.atomic import write_file
from triptych.inspection.learning_curve import curve, learning_curve
from triptych.training.run_folder import RunFolder


def draw_curves(run: Path) -> None:
    """Draw `curves.png` from `metrics.jsonl`."""
    write_file(run / "curves.png", curves(run, "png"))


def curves(run: Path, form: str = "svg") -> bytes:
    """The learning curve of a translation run as a picture."""
    rows = RunFolder(run).rows()
    loss = [
        curve(rows, "loss", "training", step="update"),
        curve(rows, "valid_loss", "validation", best="lowest", step="update"),
    ]
    bleu = [curve(rows, "valid_bleu", "validation", best="highest", step="update")]
    panels = {"Loss (nats a token)": loss, "BLEU": bleu}
    return learning_curve(panels, "png" if form == "png" else "svg")
