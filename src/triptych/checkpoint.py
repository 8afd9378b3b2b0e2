"""The model folder: what every command writes and reads.

model.safetensors    Hugging Face's names and shapes; `convert` holds the table
config.json          Hugging Face's keys, and a "triptych" section for the rest
tokenizer files, generation_config.json, README.md (the model card)
manifest.json        SHA-256 of each, but for the card; written last
"""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from triptych.convert.families import Family, family_of, family_of_model
from triptych.core.initialization import without_memory
from triptych.errors import ModelFileError, UsageError
from triptych.files.atomic import complete_folder, write_folder
from triptych.files.manifest import verify_folder
from triptych.files.tensors import save_tensors, total_bytes
from triptych.files.weights import WEIGHTS, open_weights, refuse_pickle
from triptych.tokenizers.base import Tokenizer

CONFIG, GENERATION, CARD = "config.json", "generation_config.json", "README.md"
OUR_SECTION = "triptych"
HUB_NAME = r"\w[\w.-]*/\w[\w.-]*"
HUB_FILES = ["*.json", "*.safetensors", "*.spm", "*.txt", "README.md"]


@dataclass(frozen=True)
class ModelFolder:
    """What a model folder holds, loaded."""

    model: nn.Module
    """EncoderDecoder, BertWithHeads or Gpt, in evaluation mode, on the CPU, in float32."""
    tokenizer: Tokenizer
    config: dict[str, Any]
    """config.json as it stands."""
    generation: dict[str, Any]
    """generation_config.json; where there is none, what config.json says of it."""

    @property
    def extras(self) -> dict[str, Any]:
        """The "triptych" section of config.json: recipe, alignment head, normalization …"""
        section = self.config.get(OUR_SECTION, {})
        return section if isinstance(section, dict) else {}


def save_folder(
    folder: Path | str,
    model: nn.Module,
    tokenizer: Tokenizer,
    *,
    generation: Mapping[str, Any] | object | None = None,
    extras: Mapping[str, Any] | None = None,
    card: str = "",
    also: Callable[[Path], None] | None = None,
) -> None:
    """Write a whole model folder, or leave what was there.

    `generation` (a mapping or a dataclass) adds to generation_config.json, `extras` becomes the
    "triptych" section of config.json, `card` the README. `also(new_folder)` may write more
    files into the same step: a checkpoint's optimizer state is complete when its model is.

    Raises ModelFileError if the tokenizer does not fit the model, DiskFullError, UsageError if
    the folder holds something that was not written with it.
    """
    family, config = family_of_model(model), model.config
    family.check_fit(config, tokenizer, str(folder))
    weights = family.to_tensors(model.state_dict(), config)

    def fill(new: Path) -> None:
        save_tensors(new / WEIGHTS, weights)
        tokenizer.save(new)
        _write_json(
            new / CONFIG, {**family.config_to_json(config), OUR_SECTION: dict(extras or {})}
        )
        settings = family.generation_to_json(config) | _as_mapping(generation)
        if settings:
            _write_json(new / GENERATION, settings)
        (new / CARD).write_text(card, encoding="utf-8")
        if also is not None:
            also(new)

    write_folder(folder, fill, needs=total_bytes(weights))


def load_folder(folder: Path | str, *, verify: bool = False, mapped: bool = False) -> ModelFolder:
    """Read a model folder, ours or one from the Hub.

    Hashes are checked at the first load and remembered; `verify` checks them again. The random
    generator is left as it was. With `mapped`, weights that have the file's form stay in the file,
    which must not be changed while the model is in use; they cost this process no memory.

    Raises ModelFileError naming the file and what is wrong with it.
    """
    folder = complete_folder(folder)
    refuse_pickle(folder)
    verify_folder(folder, verify=verify)
    config_json = read_config(folder)
    family = family_of(config_json, str(folder / CONFIG))
    config = family.config_from_json(config_json, str(folder / CONFIG))
    tokenizer = _load_tokenizer(folder, family)
    family.check_fit(config, tokenizer, str(folder))
    with open_weights(folder) as tensors:
        config = family.complete(config, tensors)
        read = family.from_mapped if mapped else family.from_tensors
        model = build(family, config, read(tensors, config, str(folder)))
    return ModelFolder(model, tokenizer, config_json, read_generation(folder, config_json))


@runtime_checkable
class HasBuffers(Protocol):
    """A module with buffers that no file holds."""

    def reset_buffers(self) -> None: ...


def build(family: Family, config: Any, state: Mapping[str, Tensor]) -> nn.Module:
    """The model with these weights themselves, in evaluation mode; draws no random number."""
    with without_memory():  # no weights are drawn only to be replaced
        model = family.model(config)
    model.load_state_dict(state, assign=True)
    for part in model.modules():
        if isinstance(part, HasBuffers):
            part.reset_buffers()
    return model.eval()


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder of a kind we know. Raises ModelFileError."""
    config = _read_json(folder / CONFIG)
    family_of(config, str(folder / CONFIG))
    return config


def read_generation(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """generation_config.json, or the same keys from config.json where older folders keep them."""
    if (folder / GENERATION).exists():
        return _read_json(folder / GENERATION)
    keys = ("num_beams", "max_length", "length_penalty", "bad_words_ids", "forced_eos_token_id")
    ids = ("pad_token_id", "eos_token_id", "decoder_start_token_id")
    return {key: config[key] for key in (*ids, *keys) if key in config}


def average_weights(sources: Sequence[Path | Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several checkpoints — Vaswani et al. 2017, §6.1 — as our state dict.

    Sources are all model folders or all state dicts, of one shape. One tensor at a time, summed
    in float64 and rounded once, so that k equal checkpoints average to themselves.

    Raises ModelFileError for a damaged folder or one of another shape.
    """
    folders = [complete_folder(source) for source in sources if isinstance(source, Path)]
    states = [source for source in sources if not isinstance(source, Path)]
    if not folders:
        return _mean(states)
    if states:
        raise UsageError("average either model folders or state dicts, not both together")
    for folder in folders:
        verify_folder(folder)
    config_json = read_config(folders[0])
    family = family_of(config_json, str(folders[0] / CONFIG))
    config = family.config_from_json(config_json, str(folders[0] / CONFIG))
    with ExitStack() as stack:
        opened = [stack.enter_context(open_weights(folder)) for folder in folders]
        places = [str(folder) for folder in folders]
        mean = _mean(opened, places)
        return family.from_tensors(mean, family.complete(config, mean), places[0])


def _mean(sources: Sequence[Mapping[str, Tensor]], places: Sequence[str] = ()) -> dict[str, Tensor]:
    if not sources:
        raise UsageError("there is no checkpoint to average")
    places = places or [f"checkpoint {number}" for number in range(1, len(sources) + 1)]
    for source, place in zip(sources, places, strict=True):
        strange = sorted(set(source) ^ set(sources[0]))
        if strange:
            raise ModelFileError(f"{place} and {places[0]} do not both have {strange[0]}")
    return {name: _mean_tensor(name, sources, places) for name in sources[0]}


def _mean_tensor(
    name: str, sources: Sequence[Mapping[str, Tensor]], places: Sequence[str]
) -> Tensor:
    first = sources[0][name]
    total = torch.zeros(first.shape, dtype=torch.float64)
    for source, place in zip(sources, places, strict=True):
        if source[name].shape != first.shape:
            raise ModelFileError(
                f"{name} is {tuple(source[name].shape)} in {place} but {tuple(first.shape)} "
                f"in {places[0]}; only checkpoints of one run can be averaged"
            )
        total += source[name].cpu()
    return (total / len(sources)).to(first.dtype)


def _load_tokenizer(folder: Path, family: Family) -> Tokenizer:
    try:
        return family.load_tokenizer(folder)
    except BaseException as error:
        # Damage that the tokenizers library does not expect ends in a panic of its Rust side,
        # whose class cannot be imported and is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise ModelFileError(
            f"{folder}: its tokenizer's files are damaged ({error}); restore them from a copy"
        ) from error


def _as_mapping(settings: Mapping[str, Any] | object | None) -> dict[str, Any]:
    if settings is None:
        return {}
    if isinstance(settings, Mapping):
        return dict(settings)
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return dataclasses.asdict(settings)
    raise TypeError(f"generation must be a mapping or a dataclass, not {type(settings).__name__}")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelFileError(f"{path.parent} has no {path.name}, so it is no model folder")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not JSON ({error}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise ModelFileError(f"{path} holds no JSON object; restore it from a copy")
    return content


def resolve(name_or_path: Path | str) -> Path:
    """The model folder meant: one on this disk, or a name on the Hugging Face Hub, fetched once.

    Raises ModelFileError where there is none, or the Hub cannot be asked.
    """
    folder = complete_folder(name_or_path)
    name = str(name_or_path)
    if folder.exists() or isinstance(name_or_path, Path) or not re.fullmatch(HUB_NAME, name):
        if not folder.exists():
            raise ModelFileError(f"there is no model folder at {name_or_path}; check its name")
        return folder
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModelFileError(
            f"{name} is no folder here; to fetch it from the Hugging Face Hub, "
            "pip install 'triptych[hub]'"
        ) from error
    try:
        fetched = huggingface_hub.snapshot_download(name, allow_patterns=HUB_FILES)
    except Exception as error:  # each version has its own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFileError(
            f"{name} is no folder here and could not be fetched from the Hugging Face Hub "
            f"({reason}); check the name and the network, or copy the folder here"
        ) from error
    return Path(fetched)
