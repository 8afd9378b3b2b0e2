"""A folder of word vectors, and the files of other programs, as `WordVectors`.

vectors.safetensors   "vectors" [V, E], float32; "counts" [V], int64, where they are known
vocab.txt             a word a line, in the order of the rows: the most frequent first
config.json           "model_type": "triptych-vectors", the sizes, and how they were made
README.md             the model card
manifest.json         SHA-256 of each, but for the card; written last
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from triptych.data.text import read_lines
from triptych.data.vector_files import read_vectors
from triptych.errors import DataError, ModelFileError
from triptych.files.atomic import complete_folder, write_folder
from triptych.files.manifest import verify_folder
from triptych.files.tensors import load_tensors, not_finite, save_tensors, total_bytes
from triptych.predecessors.vectors import WordVectors

MODEL_TYPE = "triptych-vectors"
WEIGHTS, VOCAB, CONFIG, CARD = "vectors.safetensors", "vocab.txt", "config.json", "README.md"


def save_vectors(folder: Path | str, vectors: WordVectors, card: str = "") -> None:
    """Write a whole folder, or leave what was there.

    Raises DataError for a word that no line can hold, and what `files.atomic.write_folder` raises.
    """
    for word in vectors.words:
        if not word or "\n" in word or word.endswith("\r"):
            raise DataError(f"the word {word!r} cannot be written as a line of {VOCAB}")
    tensors = {"vectors": torch.from_numpy(np.ascontiguousarray(vectors.vectors))}
    if vectors.counts is not None:
        tensors["counts"] = torch.from_numpy(np.ascontiguousarray(vectors.counts))
    config = {
        "model_type": MODEL_TYPE,
        "vocab_size": len(vectors),
        "d_model": vectors.d_model,
        "triptych": dict(vectors.notes),
    }

    def fill(new: Path) -> None:
        save_tensors(new / WEIGHTS, tensors)
        (new / VOCAB).write_bytes("".join(f"{word}\n" for word in vectors.words).encode())
        text = json.dumps(config, indent=2, ensure_ascii=False)
        (new / CONFIG).write_text(text + "\n", encoding="utf-8")
        (new / CARD).write_text(card, encoding="utf-8")

    write_folder(folder, fill, needs=total_bytes(tensors))


def load_vectors(path: Path | str, *, verify: bool = False) -> WordVectors:
    """The vectors in a folder, or in a file of word2vec's text or binary format or GloVe's text.

    Raises ModelFileError for a folder that is missing, damaged or of another kind, DataError with
    file and line for a file that is damaged.
    """
    place = complete_folder(path)
    if place.is_file():
        words, matrix = read_vectors(str(path))
        return WordVectors(words, matrix)
    if not place.is_dir():
        raise ModelFileError(f"there are no word vectors at {path}; check the name")
    verify_folder(place, verify=verify)
    config = _read_config(place)
    if config.get("model_type") != MODEL_TYPE:
        raise ModelFileError(
            f"{place / CONFIG}: model_type is {config.get('model_type')!r}; this needs "
            f"{MODEL_TYPE!r}, which triptych train word2vec and train glove write"
        )
    tensors = load_tensors(place / WEIGHTS)
    words = list(read_lines(place / VOCAB))
    rows = tensors.get("vectors", torch.zeros(0))
    if rows.dim() != 2 or len(rows) != len(words) or rows.dtype != torch.float32:
        raise ModelFileError(
            f"{place}: {len(words):,} words in {VOCAB}, but vectors of shape {tuple(rows.shape)}; "
            "restore both files from a copy"
        )
    if wrong := not_finite(rows):
        raise ModelFileError(f"{place / WEIGHTS}: {wrong:,} values are no finite numbers")
    counts = tensors["counts"].numpy() if "counts" in tensors else None
    return WordVectors(words, rows.numpy(), counts, config.get("triptych", {}))


def holds_vectors(folder: Path) -> bool:
    """Whether a model folder holds word vectors, by its config.json."""
    try:
        return _read_config(folder).get("model_type") == MODEL_TYPE
    except ModelFileError:
        return False  # which kind it should have been is for another reader to say


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise ModelFileError(f"{folder} has no {CONFIG}, so it holds no word vectors")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not JSON ({error}); restore it from a copy") from error
    if not isinstance(config, dict):
        raise ModelFileError(f"{path} holds no JSON object; restore it from a copy")
    return config
