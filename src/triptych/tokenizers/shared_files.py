"""What the files of several kinds of tokenizer have in common."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from triptych.errors import ModelFileError

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
MAP_FILE, ADDED_FILE = "special_tokens_map.json", "added_tokens.json"
NO_LIMIT = 10**9
"""transformers writes 10^30 where a tokenizer knows no longest input."""


def read_pipeline(path: Path) -> Tokenizer:
    """The library's tokenizer in `tokenizer.json`. Raises ModelFileError where it is damaged."""
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises a bare Exception
        raise ModelFileError(
            f"{path} cannot be read as a tokenizer ({error}): copy it again or train it anew"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none. Raises ModelFileError."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not JSON ({error}): copy it again or remove it") from None
    if not isinstance(content, dict):
        raise ModelFileError(f"{path} holds no JSON object: copy it again or remove it")
    return content


def read_longest(path: Path, config: Mapping[str, Any], default: int) -> int:
    """`model_max_length`, in tokens: `default` where nothing is said, no limit for null."""
    longest = config.get("model_max_length", default)
    longest = NO_LIMIT if longest is None else longest
    number = isinstance(longest, int | float) and not isinstance(longest, bool)
    if not number or math.isnan(longest) or longest < 1:
        raise ModelFileError(f"{path}: model_max_length is {longest!r}, not a number of tokens")
    return int(min(longest, NO_LIMIT))


def read_token(path: Path, config: Mapping[str, Any], name: str) -> str | None:
    """`NAME_token` as transformers stores it: a text, or an object with its content."""
    token = config.get(f"{name}_token")
    token = token.get("content", "") if isinstance(token, Mapping) else token
    if not (token is None or (isinstance(token, str) and token)):
        raise ModelFileError(f"{path}: {name}_token is {token!r}; it should be a piece's text")
    return token


def refuse_added(path: Path, vocab: Collection[str], vocab_file: str) -> None:
    """Tokens beyond the vocabulary's file have flags that stand in tokenizer.json alone."""
    more = [token for token in read_json(path) if token not in vocab]
    if more:
        raise ModelFileError(
            f"{path} adds {more[0]!r} to {vocab_file}: let transformers write {TOKENIZER_FILE}, "
            "which says how (AutoTokenizer.from_pretrained(folder).save_pretrained(folder))"
        )


def write_text(path: Path, text: str) -> None:
    """`text` and a line feed, the same bytes on every system."""
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
