"""The files of a WordPiece tokenizer, as Hugging Face's BERT folders have them.

tokenizer.json (the whole pipeline) or, in older folders, vocab.txt (one piece a line); what the
text is cleaned of, and the names of the special tokens, stand in tokenizer_config.json.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece as WordPieceModel

from triptych.errors import ModelFileError

TOKENIZER_FILE, VOCAB_FILE = "tokenizer.json", "vocab.txt"
CONFIG_FILE, MAP_FILE = "tokenizer_config.json", "special_tokens_map.json"
ADDED_FILE = "added_tokens.json"
LONGEST_WORD = 100
"""Characters above which a word is unknown, where the files do not say."""
NO_LIMIT = 10**9
"""transformers writes 10^30 where a tokenizer knows no longest input."""
BERT_CLASS, OTHER_CLASS = "BertTokenizer", "PreTrainedTokenizerFast"
"""transformers builds the first anew from vocabulary and settings, and reads all of the second."""
OTHER_CLASSES = (OTHER_CLASS, "TokenizersBackend")
NOT_WORDPIECE = "BertJapaneseTokenizer"
"""It has a vocab.txt, but finds its words by a dictionary."""


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
    tokenizer.normalizer = _build_normalizer(cleaning)
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


def _build_normalizer(cleaning: Cleaning, clean_text: bool = True) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(
        clean_text=clean_text,
        handle_chinese_chars=cleaning.chinese,
        strip_accents=cleaning.strip_accents,
        lowercase=cleaning.lowercase,
    )


def read_wordpiece(folder: Path) -> tuple[Tokenizer, SpecialTokens, int]:
    """The tokenizer in `folder`, its special tokens and the longest input it speaks of.

    Raises ModelFileError where a file is missing, damaged or of another kind.
    """
    path, config = folder / CONFIG_FILE, _read_json(folder / CONFIG_FILE)
    if config.get("tokenizer_class") == NOT_WORDPIECE:
        raise ModelFileError(
            f"{path} names {NOT_WORDPIECE}, which finds words by a dictionary and not as BERT: "
            "use a model with a tokenizer of the class BertTokenizer"
        )
    specials = _read_specials(folder / MAP_FILE, _read_json(folder / MAP_FILE), SpecialTokens())
    specials = _read_specials(path, config, specials)
    if (folder / TOKENIZER_FILE).exists():
        found = folder / TOKENIZER_FILE
        tokenizer = _read_pipeline(found)
        if config.get("tokenizer_class") not in OTHER_CLASSES:
            _overrule(tokenizer, path, config)
    else:
        found = folder / VOCAB_FILE
        vocab = _read_vocab(found)
        _refuse_added(folder / ADDED_FILE, vocab)
        tokenizer = build_wordpiece(vocab, specials, _read_cleaning(path, config, Cleaning()))
    _check(tokenizer, specials, found)
    # A file may have them in its vocabulary alone: then "[MASK]" in a text would be three words.
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_special_tokens([t for t in vars(specials).values() if t not in known])
    return tokenizer, specials, _read_longest(path, config)


def write_wordpiece(
    folder: Path, tokenizer: Tokenizer, specials: SpecialTokens, model_max_length: int
) -> None:
    """The four files, so that transformers reads the same tokenizer with its own classes."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"{name}_token": token for name, token in vars(specials).items()}
    vocab = tokenizer.get_vocab()
    cleaning = json.loads(tokenizer.to_str()).get("normalizer") or {}
    config = {
        "tokenizer_class": BERT_CLASS if _is_berts(tokenizer) else OTHER_CLASS,
        **names,
        "do_lower_case": cleaning.get("lowercase", True),
        "strip_accents": cleaning.get("strip_accents"),
        "tokenize_chinese_chars": cleaning.get("handle_chinese_chars", True),
        "model_max_length": model_max_length,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }
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
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from None
    vocab: dict[str, int] = {}
    for number, piece in enumerate(piece.removesuffix("\r") for piece in pieces):
        if piece in vocab:
            raise ModelFileError(
                f"{path}:{number + 1}: {piece!r} stands at line {vocab[piece] + 1} already; "
                "a vocabulary names each piece once"
            )
        vocab[piece] = number
    return vocab


def _refuse_added(path: Path, vocab: Mapping[str, int]) -> None:
    """Tokens beyond vocab.txt have flags that stand in tokenizer.json alone."""
    more = [token for token in _read_json(path) if token not in vocab]
    if more:
        raise ModelFileError(
            f"{path} adds {more[0]!r} to {VOCAB_FILE}: let transformers write {TOKENIZER_FILE}, "
            "which says how (AutoTokenizer.from_pretrained(folder).save_pretrained(folder))"
        )


def _overrule(tokenizer: Tokenizer, path: Path, config: Mapping[str, Any]) -> None:
    """Clean as tokenizer_config.json says, where the pipeline's way of cleaning is BERT's."""
    normalizer = tokenizer.normalizer
    if isinstance(normalizer, normalizers.BertNormalizer):
        said = Cleaning(
            lowercase=normalizer.lowercase,
            strip_accents=normalizer.strip_accents,
            chinese=normalizer.handle_chinese_chars,
        )
        tokenizer.normalizer = _build_normalizer(
            _read_cleaning(path, config, said), normalizer.clean_text
        )


def _read_cleaning(path: Path, config: Mapping[str, Any], default: Cleaning) -> Cleaning:
    """What the file says of cleaning, else as `default`; null says something of accents alone."""
    lowercase = _read_flag(path, config, "do_lower_case")
    accents = _read_flag(path, config, "strip_accents")
    chinese = _read_flag(path, config, "tokenize_chinese_chars")
    return Cleaning(
        lowercase=default.lowercase if lowercase is None else lowercase,
        strip_accents=accents if "strip_accents" in config else default.strip_accents,
        chinese=default.chinese if chinese is None else chinese,
    )


def _read_flag(path: Path, config: Mapping[str, Any], key: str) -> bool | None:
    value = config.get(key)
    if not (value is None or isinstance(value, bool)):
        raise ModelFileError(f"{path}: {key} is {value!r}; it should be true or false")
    return value


def _read_longest(path: Path, config: Mapping[str, Any]) -> int:
    """The longest input in tokens: BERT's 512 where nothing is said, no limit for null."""
    longest = config.get("model_max_length", 512)
    longest = NO_LIMIT if longest is None else longest
    number = isinstance(longest, int | float) and not isinstance(longest, bool)
    if not number or math.isnan(longest) or longest < 1:
        raise ModelFileError(f"{path}: model_max_length is {longest!r}, not a number of tokens")
    return int(min(longest, NO_LIMIT))


def _read_specials(path: Path, config: Mapping[str, Any], default: SpecialTokens) -> SpecialTokens:
    """Names as transformers stores them: a text, or an object with its content."""
    found = vars(default).copy()
    for name in found:
        token = config.get(f"{name}_token")
        token = token.get("content", "") if isinstance(token, Mapping) else token
        if not (token is None or (isinstance(token, str) and token)):
            raise ModelFileError(f"{path}: {name}_token is {token!r}; it should be a piece's text")
        found[name] = found[name] if token is None else token
    return SpecialTokens(**found)


def _is_berts(tokenizer: Tokenizer) -> bool:
    """Whether transformers' class for BERT cuts as this one: it cleans and splits in one way."""
    normalizer, model = tokenizer.normalizer, tokenizer.model
    return (
        isinstance(normalizer, normalizers.BertNormalizer)
        and normalizer.clean_text
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(model, WordPieceModel)
        and model.max_input_chars_per_word == LONGEST_WORD
        and model.continuing_subword_prefix == "##"
    )


def _check(tokenizer: Tokenizer, specials: SpecialTokens, path: Path) -> None:
    vocab: dict[str, int] = tokenizer.get_vocab()
    missing = [token for token in vars(specials).values() if token not in vocab]
    if not isinstance(tokenizer.model, WordPieceModel):
        problem = f"is {type(tokenizer.model).__name__}, not WordPiece, which an encoder needs"
    elif sorted(vocab.values()) != list(range(len(vocab))):
        problem = f"does not number its {len(vocab)} entries from 0 without gaps"
    elif missing:
        problem = f"has no token {missing[0]}, which an encoder needs"
    else:
        return
    raise ModelFileError(
        f"{path} {problem}: use the files of the model, or train a tokenizer with "
        "`triptych tokenizer train --kind wordpiece`"
    )


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none."""
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


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
