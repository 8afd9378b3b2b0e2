"""The files of a WordPiece tokenizer, as Hugging Face's BERT folders have them.

tokenizer.json (the whole pipeline) or, in older folders, vocab.txt (one piece a line); what the
text is cleaned of, and the names of the special tokens, stand in tokenizer_config.json.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece as WordPieceModel

from triptych.errors import ModelFileError

TOKENIZER_FILE, VOCAB_FILE = "tokenizer.json", "vocab.txt"
CONFIG_FILE, MAP_FILE = "tokenizer_config.json", "special_tokens_map.json"
LONGEST_WORD = 100
"""Characters above which a word is unknown, where the files do not say."""
NO_LIMIT = 10**9
"""transformers writes 10^30 where a tokenizer knows no longest input."""


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """How the special tokens are spelled."""

    pad: str = "[PAD]"
    unk: str = "[UNK]"
    cls: str = "[CLS]"
    sep: str = "[SEP]"
    mask: str = "[MASK]"


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What is done to a text before it is cut; the defaults are those of uncased BERT."""

    lowercase: bool = True
    strip_accents: bool | None = None
    """None: as `lowercase`."""
    chinese: bool = True
    """CJK characters are words of their own."""


def build_wordpiece(
    vocab: dict[str, int], specials: SpecialTokens, cleaning: Cleaning
) -> Tokenizer:
    """The library's tokenizer with everything around a vocabulary in place."""
    model = WordPieceModel(vocab, unk_token=specials.unk, max_input_chars_per_word=LONGEST_WORD)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=cleaning.chinese,
        strip_accents=cleaning.strip_accents,
        lowercase=cleaning.lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([token for token in vars(specials).values() if token in vocab])
    if specials.cls in vocab and specials.sep in vocab:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{specials.cls} $A {specials.sep}",
            pair=f"{specials.cls} $A {specials.sep} $B:1 {specials.sep}:1",
            special_tokens=[(token, vocab[token]) for token in (specials.cls, specials.sep)],
        )
    return tokenizer


def read_wordpiece(folder: Path) -> tuple[Tokenizer, SpecialTokens, int]:
    """The tokenizer in `folder`, its special tokens and the longest input it speaks of.

    Raises ModelFileError where a file is missing, damaged or of another kind.
    """
    config = _read_json(folder / CONFIG_FILE)
    specials = _read_specials({**_read_json(folder / MAP_FILE), **config})
    if (folder / TOKENIZER_FILE).exists():
        path = folder / TOKENIZER_FILE
        tokenizer = _read_pipeline(path)
    else:
        path = folder / VOCAB_FILE
        cleaning = Cleaning(
            lowercase=bool(config.get("do_lower_case", True)),
            strip_accents=config.get("strip_accents"),
            chinese=bool(config.get("tokenize_chinese_chars", True)),
        )
        tokenizer = build_wordpiece(_read_vocab(path), specials, cleaning)
    _check(tokenizer, specials, path)
    longest = config.get("model_max_length", 512)
    if not isinstance(longest, int | float) or longest < 1:
        raise ModelFileError(
            f"{folder / CONFIG_FILE}: model_max_length is {longest!r}, not a number of tokens"
        )
    return tokenizer, specials, int(min(longest, NO_LIMIT))


def write_wordpiece(
    folder: Path, tokenizer: Tokenizer, specials: SpecialTokens, model_max_length: int
) -> None:
    """The four files, so that transformers reads the same tokenizer with its own classes."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"{name}_token": token for name, token in vars(specials).items()}
    cleaning = json.loads(tokenizer.to_str()).get("normalizer") or {}
    config = {
        "tokenizer_class": "BertTokenizer",
        **names,
        "do_lower_case": cleaning.get("lowercase", True),
        "strip_accents": cleaning.get("strip_accents"),
        "tokenize_chinese_chars": cleaning.get("handle_chinese_chars", True),
        "model_max_length": model_max_length,
        "clean_up_tokenization_spaces": False,
    }
    vocab = tokenizer.get_vocab()
    _write(folder / TOKENIZER_FILE, tokenizer.to_str(pretty=True))
    _write(folder / VOCAB_FILE, "\n".join(sorted(vocab, key=vocab.__getitem__)))
    _write(folder / CONFIG_FILE, json.dumps(config, indent=2))
    _write(folder / MAP_FILE, json.dumps(names, indent=2))


def _read_pipeline(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises a bare Exception
        raise ModelFileError(
            f"{path} cannot be read as a tokenizer ({error}): copy it again or train it anew"
        ) from None


def _read_vocab(path: Path) -> dict[str, int]:
    try:
        pieces = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        raise ModelFileError(
            f"{path.parent} holds neither {TOKENIZER_FILE} nor {VOCAB_FILE}: copy the model's "
            "tokenizer, or train one with `triptych tokenizer train --kind wordpiece`"
        ) from None
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path} is not UTF-8 ({error}): copy it again") from None
    vocab: dict[str, int] = {}
    for number, piece in enumerate(piece.removesuffix("\r") for piece in pieces):
        if piece in vocab:
            raise ModelFileError(
                f"{path}:{number + 1}: {piece!r} stands at line {vocab[piece] + 1} already; "
                "a vocabulary names each piece once"
            )
        vocab[piece] = number
    return vocab


def _read_specials(config: Mapping[str, Any]) -> SpecialTokens:
    """Names as transformers stores them: a text, or an object with its content."""
    found = {}
    for name in vars(SpecialTokens()):
        token = config.get(f"{name}_token")
        token = token.get("content") if isinstance(token, Mapping) else token
        if isinstance(token, str):
            found[name] = token
    return SpecialTokens(**found)


def _check(tokenizer: Tokenizer, specials: SpecialTokens, path: Path) -> None:
    vocab: dict[str, int] = tokenizer.get_vocab()
    missing = [token for token in vars(specials).values() if token not in vocab]
    if not isinstance(tokenizer.model, WordPieceModel):
        problem = f"is {type(tokenizer.model).__name__}, not WordPiece"
    elif sorted(vocab.values()) != list(range(len(vocab))):
        problem = f"does not number its {len(vocab)} entries from 0 without gaps"
    elif missing:
        problem = f"has no token {missing[0]}"
    else:
        return
    raise ModelFileError(
        f"{path} {problem}, as the tokenizer of an encoder must: use the files of the model, or "
        "train one with `triptych tokenizer train --kind wordpiece`"
    )


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not JSON ({error}): copy it again or remove it") from None
    if not isinstance(content, dict):
        raise ModelFileError(f"{path} holds no JSON object: copy it again or remove it")
    return content


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
