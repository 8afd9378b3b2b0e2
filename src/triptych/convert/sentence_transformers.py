"""How a sentence-transformers folder says its vectors are made: modules.json and what it names.

modules.json                  Transformer, then Pooling, then perhaps Normalize
sentence_bert_config.json     the longest input (or the tokenizer's own)
1_Pooling/config.json         cls, mean or max
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.convert.checks import whole_number
from triptych.errors import ConfigError, ModelFileError
from triptych.models.pooling import POOLINGS

MODULES, POOLING, LENGTH = "modules.json", "1_Pooling", "sentence_bert_config.json"
NORMALIZE = "2_Normalize"
OLD_KEYS = {  # the pooling mode as older versions spell it
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """How a text's vector is made of those of its tokens."""

    mode: str = "mean"
    """cls, mean or max."""
    normalize: bool = False
    """Whether vectors are divided by their length (L2)."""
    max_seq_len: int | None = None
    """Tokens above which a text is cut, special ones included; none: the model's own limit."""

    def __post_init__(self) -> None:
        if self.mode not in POOLINGS:
            raise ConfigError(f"pooling is {self.mode!r}; there are {', '.join(POOLINGS)}")


def read_pooling(folder: Path) -> Pooling | None:
    """What a sentence-transformers folder states; none where the folder is no such one.

    Raises ModelFileError for modules or a pooling that are not supported.
    """
    path = folder / MODULES
    if not path.exists():
        return None
    modules = _read(path)
    if not isinstance(modules, list):
        raise ModelFileError(f"{path} holds no list of modules; restore it from a copy")
    kinds = [str(module.get("type", "")).split(".")[-1] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ModelFileError(
            f"{path}: its modules are {', '.join(kinds)}; only Transformer, Pooling and then "
            "perhaps Normalize are supported"
        )
    home = folder / str(modules[0].get("path", ""))
    if home.resolve() != folder.resolve():
        raise ModelFileError(f"{path}: the transformer lies in {home}; load that folder instead")
    pooling = folder / str(modules[1].get("path", POOLING)) / "config.json"
    try:
        return Pooling(
            mode=_mode(_object(pooling), pooling),
            normalize="Normalize" in kinds,
            max_seq_len=_longest(folder),
        )
    except ConfigError as error:
        raise ModelFileError(f"{pooling}: {error}") from error


def write_pooling(folder: Path, pooling: Pooling, d_model: int) -> None:
    """The files beside a BertModel's folder that make it one of sentence-transformers."""
    kinds = ["Transformer", "Pooling", *(["Normalize"] if pooling.normalize else [])]
    paths = ["", POOLING, NORMALIZE]
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": paths[i],
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    old = {key: mode == pooling.mode for key, mode in OLD_KEYS.items()}
    _write(folder / MODULES, modules)
    _write(folder / POOLING / "config.json", {"word_embedding_dimension": d_model, **old})
    if pooling.normalize:
        (folder / NORMALIZE).mkdir(exist_ok=True)
    _write(folder / LENGTH, {"max_seq_length": pooling.max_seq_len, "do_lower_case": False})


def _mode(config: Mapping[str, Any], path: Path) -> str:
    new = config.get("pooling_mode")
    chosen = [new] if new is not None else [m for key, m in OLD_KEYS.items() if config.get(key)]
    if len(chosen) != 1 or not isinstance(chosen[0], str):
        raise ModelFileError(f"{path}: the pooling is {chosen}; exactly one mode is supported")
    return str(chosen[0])


def _longest(folder: Path) -> int | None:
    for name, key in ((LENGTH, "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        value = _object(folder / name).get(key) if (folder / name).exists() else None
        if value is not None and not (isinstance(value, int | float) and value > 10**6):
            return whole_number(key, value, str(folder / name))
    return None


def _object(path: Path) -> dict[str, Any]:
    content = _read(path)
    if not isinstance(content, dict):
        raise ModelFileError(f"{path} holds no JSON object; restore it from a copy")
    return content


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"{path} is missing, which {MODULES} names; copy it again") from None
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not JSON ({error}); restore it from a copy") from error


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
