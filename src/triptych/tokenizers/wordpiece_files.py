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
from triptych.tokenizers.shared_files import (
    ADDED_FILE,
    CONFIG_FILE,
    MAP_FILE,
    TOKENIZER_FILE,
    read_json,
    read_longest,
    read_pipeline,
    read_token,
    refuse_added,
    write_text,
)

VOCAB_FILE = "vocab.txt"
LONGEST_WORD = 100
"""Characters above which a word is unknown, where the files do not say."""
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
    path, config = folder / CONFIG_FILE, read_json(folder / CONFIG_FILE)
    if config.get("tokenizer_class") == NOT_WORDPIECE:
        raise ModelFileError(
            f"{path} names {NOT_WORDPIECE}, which finds words by a dictionary and not as BERT: "
            "use a model with a tokenizer of the class BertTokenizer"
        )
    specials = _read_specials(folder / MAP_FILE, read_json(folder / MAP_FILE), SpecialTokens())
    specials = _read_specials(path, config, specials)
    if (folder / TOKENIZER_FILE).exists():
        found = folder / TOKENIZER_FILE
        tokenizer = read_pipeline(found)
        if config.get("tokenizer_class") not in OTHER_CLASSES:
            _overrule(tokenizer, path, config)
    else:
        found = folder / VOCAB_FILE
        vocab = _read_vocab(found)
        refuse_added(folder / ADDED_FILE, vocab, VOCAB_FILE)
        tokenizer = build_wordpiece(vocab, specials, _read_cleaning(path, config, Cleaning()))
    _check(tokenizer, specials, found)
    # A file may have them in its vocabulary alone: then "[MASK]" in a text would be three words.
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_special_tokens([t for t in vars(specials).values() if t not in known])
    return tokenizer, specials, read_longest(path, config, default=512)


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
    write_text(folder / TOKENIZER_FILE, tokenizer.to_str(pretty=True))
    write_text(folder / VOCAB_FILE, "\n".join(sorted(vocab, key=vocab.__getitem__)))
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2))
    write_text(folder / MAP_FILE, json.dumps(names, indent=2))


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


def _read_specials(path: Path, config: Mapping[str, Any], default: SpecialTokens) -> SpecialTokens:
    """Names as transformers stores them: a text, or an object with its content."""
    found = vars(default).copy()
    for name in found:
        token = read_token(path, config, name)
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
