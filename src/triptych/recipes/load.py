"""A model folder, a file of vectors, or a name on the Hub, as the object that uses it."""

from pathlib import Path
from typing import Any, Literal, cast

from triptych import checkpoint
from triptych.convert.elmo import is_published
from triptych.errors import DataError, ModelFileError, UsageError
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads
from triptych.predecessors.elmo import Elmo
from triptych.predecessors.vectors import WordVectors
from triptych.recipes.encoder import Encoder
from triptych.recipes.generator import Generator
from triptych.recipes.translator import Translator
from triptych.recipes.vectors_folder import holds_vectors, load_vectors
from triptych.recipes.word_encoder import WordEncoder
from triptych.runtime.attention import use_fast_attention
from triptych.runtime.device import choose_device
from triptych.runtime.freed import give_back
from triptych.runtime.packed import Precision

Model = Translator | Encoder | Generator | WordEncoder | WordVectors


def load(
    name_or_path: Path | str,
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    verify: bool = False,
    mapped: bool = False,
) -> Model:
    """The model in a folder or on the Hub, ready to use, by the `model_type` of its config.json.

    `marian` (what `triptych train translation` writes, and OPUS-MT) gives a Translator; `bert`
    (BERT, MiniLM, sentence-transformers' folders of them) an Encoder; `gpt2` a Generator;
    `triptych-elmo`, and the files published for ELMo (options.json and an .hdf5), a WordEncoder;
    `triptych-vectors` (what `triptych train word2vec` and `train glove` write), and a file in
    word2vec's formats or GloVe's, WordVectors, always on the CPU. On a GPU if there is one, or on
    `device`; the weights in `precision`, which an Encoder has in fp32 and bf16, a Translator and a
    Generator in int8 as well. `verify` checks the hashes of all files again.

    With `mapped` a Generator's weights stay in their file as far as they can, for use and not for
    training: they cost no memory of this process, and the file must not be changed meanwhile.

    Raises ModelFileError for what is missing, damaged or of a kind we do not know, UsageError for a
    precision that it cannot have, MachineError for a device that is not there.
    """
    place = choose_device(device)
    path = find_model(name_or_path)
    if path.is_file():
        _check_precision(precision, "word vectors", "fp32")
        return _vectors_in_file(name_or_path)
    if is_published(path):
        _check_precision(precision, "an ELMo model", "fp32")
        return WordEncoder.from_published(path, place)
    if holds_vectors(path):
        _check_precision(precision, "word vectors", "fp32")
        return load_vectors(path, verify=verify)
    folder = checkpoint.load_folder(path, verify=verify, mapped=mapped)
    give_back()  # reading may have taken as much again
    use_fast_attention(folder.model)
    if isinstance(folder.model, Gpt):
        return Generator.from_folder(folder, place, precision)
    if isinstance(folder.model, BertWithHeads):
        _check_precision(precision, "an encoder", "fp32", "bf16")
        return Encoder.from_folder(folder, path, place, cast(Literal["fp32", "bf16"], precision))
    if isinstance(folder.model, Elmo):
        _check_precision(precision, "an ELMo model", "fp32")
        return WordEncoder.from_folder(folder, place)
    return Translator.from_folder(folder, place, precision)


def load_translator(
    name_or_path: Path | str,
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    verify: bool = False,
) -> Translator:
    """As `load`. Raises ModelFileError for a model of another family."""
    model = load(name_or_path, device=device, precision=precision, verify=verify)
    if not isinstance(model, Translator):
        raise ModelFileError(f"{name_or_path} is {_kind(model)}; this needs a translation model")
    return model


def load_encoder(
    name_or_path: Path | str, *, device: str = "auto", precision: Literal["fp32", "bf16"] = "fp32"
) -> Encoder:
    """As `load`. Raises ModelFileError for a model of another family."""
    model = load(name_or_path, device=device, precision=precision)
    if not isinstance(model, Encoder):
        raise ModelFileError(f"{name_or_path} is {_kind(model)}; this needs an encoder")
    return model


def load_generator(
    name_or_path: Path | str,
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    mapped: bool = False,
) -> Generator:
    """As `load`. Raises ModelFileError for a model of another family."""
    model = load(name_or_path, device=device, precision=precision, mapped=mapped)
    if not isinstance(model, Generator):
        raise ModelFileError(f"{name_or_path} is {_kind(model)}; this needs a decoder-only model")
    return model


def _check_precision(precision: str, kind: str, *possible: str) -> None:
    if precision not in possible:
        raise UsageError(f"precision is {precision}; of {kind} choose {' or '.join(possible)}")


def _vectors_in_file(path: Path | str) -> WordVectors:
    try:
        return load_vectors(path)
    except DataError as error:
        raise ModelFileError(
            f"{path} was read as word vectors, for every other model is a folder: {error}"
        ) from error


def _kind(model: Model) -> str:
    """What an error calls it."""
    kinds: dict[type, str] = {
        Translator: "a translation model",
        Encoder: "an encoder",
        Generator: "a decoder-only model",
        WordEncoder: "an ELMo model",
        WordVectors: "word vectors",
    }
    return kinds[type(model)]


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
