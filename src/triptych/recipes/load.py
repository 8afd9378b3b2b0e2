"""A model folder, or a name on the Hugging Face Hub, as the object that uses it."""

from pathlib import Path
from typing import Any

from triptych import checkpoint
from triptych.errors import ModelFileError
from triptych.recipes.translator import Translator
from triptych.runtime.attention import use_fast_attention
from triptych.runtime.device import choose_device


def load(name_or_path: Path | str, *, device: str = "auto", verify: bool = False) -> Translator:
    """The model in a folder or on the Hub, ready to use, by the `model_type` of its config.json.

    `marian` (what `triptych train translation` writes, and OPUS-MT) gives a Translator. On a GPU
    if there is one, or on `device`. `verify` checks the hashes of all files again.

    Raises ModelFileError for a folder that is missing, damaged or of a kind we do not know,
    MachineError for a device that is not there.
    """
    place = choose_device(device)
    folder = checkpoint.load_folder(find_model(name_or_path), verify=verify)
    use_fast_attention(folder.model)
    return Translator.from_folder(folder, place)


def find_model(name_or_path: Path | str) -> Path:
    """The model folder meant. Raises ModelFileError where there is none, or a run around it."""
    path = Path(name_or_path)
    if (path / "run.toml").exists() and not (path / checkpoint.CONFIG).exists():
        best = path / "best"
        found = f"its best model is {best}" if best.is_dir() else "it has no model yet"
        raise ModelFileError(f"{path} is a training run, not a model; {found}")
    return checkpoint.resolve(name_or_path)


def model_notes(folder: Path) -> dict[str, Any]:
    """What the folder says of itself in the "triptych" section of config.json: languages …"""
    notes = checkpoint.read_config(folder).get(checkpoint.OUR_SECTION, {})
    return notes if isinstance(notes, dict) else {}
