"""The files of a byte-level BPE tokenizer, as Hugging Face's GPT-2 folders have them.

tokenizer.json (the whole pipeline) or, as GPT-2 was published, vocab.json (token -> id) and
merges.txt (one pair a line, the earliest learned first). In both, a byte is spelled by a letter
that can be printed: itself where it is one, else the next letter from U+0100 on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

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

VOCAB_FILE, MERGES_FILE = "vocab.json", "merges.txt"
END_OF_TEXT = "<|endoftext|>"
LONGEST = 1024
"""GPT-2's longest input, where the files do not say."""
GPT2_CLASS, OTHER_CLASS = "GPT2Tokenizer", "PreTrainedTokenizerFast"
"""transformers builds the first anew from vocabulary and merges, and reads all of the second."""
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
Merge = tuple[str, str]


def _letters() -> list[str]:
    """For each byte the letter that spells it."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(b if b in printable else 256 + others.index(b)) for b in range(256)]


LETTERS = _letters()
BYTE_OF_LETTER = {letter: byte for byte, letter in enumerate(LETTERS)}


@dataclass(frozen=True, kw_only=True)
class SpecialNames:
    """How the special tokens are spelled."""

    eos: str = END_OF_TEXT
    """Ends a document, and begins the next one."""
    pad: str | None = None

    def all(self) -> list[str]:
        """Those that there are."""
        return [self.eos, *([self.pad] if self.pad else [])]


def build_byte_bpe(vocab: dict[str, int], merges: list[Merge], eos: str = END_OF_TEXT) -> Tokenizer:
    """The library's tokenizer with GPT-2's pipeline around a vocabulary; `eos` of it is special."""
    model = BPE(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([eos] if eos in vocab else [])
    return tokenizer


def read_byte_bpe(folder: Path) -> tuple[Tokenizer, SpecialNames, int]:
    """The tokenizer in `folder`, its special tokens and the longest input it speaks of.

    Raises ModelFileError where a file is missing, damaged or of another kind.
    """
    path, config = folder / CONFIG_FILE, read_json(folder / CONFIG_FILE)
    names = _read_names(folder / MAP_FILE, read_json(folder / MAP_FILE), SpecialNames())
    names = _read_names(path, config, names)
    if config.get("add_prefix_space"):
        raise ModelFileError(
            f"{path}: add_prefix_space is {config['add_prefix_space']!r}, so that texts would not "
            "come back as they were; set it to false, or use another model"
        )
    if (folder / TOKENIZER_FILE).exists():
        found = folder / TOKENIZER_FILE
        tokenizer = read_pipeline(found)
    else:
        found = folder / VOCAB_FILE
        vocab = _read_vocab(found)
        refuse_added(folder / ADDED_FILE, vocab, VOCAB_FILE)
        merges = _read_merges(folder / MERGES_FILE, vocab)
        tokenizer = build_byte_bpe(vocab, merges, names.eos)
    _check(tokenizer, names, found)
    # A file may have them in its vocabulary alone: then they would be text when they are decoded.
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_special_tokens([token for token in names.all() if token not in known])
    return tokenizer, names, read_longest(path, config, LONGEST)


def write_byte_bpe(
    folder: Path, tokenizer: Tokenizer, names: SpecialNames, model_max_length: int
) -> None:
    """The five files, so that transformers reads the same tokenizer with its own classes."""
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = json.loads(tokenizer.to_str())
    vocab: dict[str, int] = pipeline["model"]["vocab"]
    merges = [" ".join(merge) for merge in pipeline["model"]["merges"]]
    specials = dict.fromkeys(("bos_token", "eos_token", "unk_token"), names.eos)
    specials |= {"pad_token": names.pad} if names.pad else {}
    config = {
        "tokenizer_class": GPT2_CLASS if _is_gpt2s(tokenizer, names) else OTHER_CLASS,
        **specials,
        "add_prefix_space": False,
        "model_max_length": model_max_length,
        "clean_up_tokenization_spaces": False,
    }
    ordered = {token: vocab[token] for token in sorted(vocab, key=vocab.__getitem__)}
    write_text(folder / TOKENIZER_FILE, tokenizer.to_str(pretty=True))
    write_text(folder / VOCAB_FILE, json.dumps(ordered, ensure_ascii=False))
    write_text(folder / MERGES_FILE, "\n".join(["#version: 0.2", *merges]))
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2))
    write_text(folder / MAP_FILE, json.dumps(specials, indent=2))


def is_byte_level(pipeline: Mapping[str, Any]) -> bool:
    """Whether the content of a tokenizer.json spells its text in bytes."""
    return any(step.get("type") == "ByteLevel" for step in _steps(pipeline))


def _steps(pipeline: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ways in which a text is cut before the model sees it, one after another."""
    outer = pipeline.get("pre_tokenizer") or {}
    return list(outer["pretokenizers"] if outer.get("type") == "Sequence" else [outer])


def _read_names(path: Path, config: Mapping[str, Any], default: SpecialNames) -> SpecialNames:
    return SpecialNames(
        eos=read_token(path, config, "eos") or default.eos,
        pad=read_token(path, config, "pad") or default.pad,
    )


def _read_vocab(path: Path) -> dict[str, int]:
    if not path.exists():
        raise ModelFileError(
            f"{path.parent} holds neither {TOKENIZER_FILE} nor {VOCAB_FILE}: copy the model's "
            "tokenizer, or train one with `triptych tokenizer train --kind byte-bpe`"
        )
    vocab = read_json(path)
    wrong = [token for token, i in vocab.items() if not isinstance(i, int) or isinstance(i, bool)]
    if wrong:
        raise ModelFileError(
            f"{path}: the id of {wrong[0]!r} is {vocab[wrong[0]]!r}, not a number: copy it again"
        )
    return vocab


def _read_merges(path: Path, vocab: Mapping[str, int]) -> list[Merge]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise ModelFileError(
            f"{path} is missing: copy it from where {VOCAB_FILE} is from"
        ) from None
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path} is not UTF-8 ({error}): copy it again") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from None
    merges: list[Merge] = []
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\r")
        if line == "" or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2:
            raise ModelFileError(
                f"{path}:{number}: {line[:40]!r} is not two tokens with a space between them: "
                "copy the file again"
            )
        left, right = parts
        merges.append((left, right))
        if not (left in vocab and right in vocab and left + right in vocab):
            unknown = next(t for t in (left, right, left + right) if t not in vocab)
            raise ModelFileError(
                f"{path}:{number}: {unknown!r} is not in {VOCAB_FILE}: the two files belong to "
                "different models, or one is cut short"
            )
    return merges


def _check(tokenizer: Tokenizer, names: SpecialNames, path: Path) -> None:
    """Raise ModelFileError unless `tokenizer` keeps the promises at the top of `byte_bpe.py`."""
    problem = _problem(tokenizer, names)
    if problem:
        raise ModelFileError(
            f"{path} {problem}: use the files of a GPT-2 model, or train a tokenizer with "
            "`triptych tokenizer train --kind byte-bpe`"
        )


def _problem(tokenizer: Tokenizer, names: SpecialNames) -> str | None:
    model, vocab = tokenizer.model, tokenizer.get_vocab()
    if not isinstance(model, BPE):
        return f"is {type(model).__name__}, not the byte-level BPE that GPT needs"
    steps = _steps(_around(tokenizer))
    if not any(step.get("type") == "ByteLevel" for step in steps):
        return "is a BPE of characters, not the byte-level BPE that GPT needs"
    if any(step.get("add_prefix_space") for step in steps):
        return "sets a space before every text, so that texts would not come back as they were"
    if tokenizer.normalizer is not None:
        return "changes texts before it cuts them, so that they would not come back as they were"
    if model.continuing_subword_prefix or model.end_of_word_suffix or model.byte_fallback:
        return "marks the parts of words or spells bytes in another way than GPT-2"
    if sorted(vocab.values()) != list(range(len(vocab))):
        return f"does not number its {len(vocab)} entries from 0 without gaps"
    missing = [token for token in (*LETTERS, *names.all()) if token not in vocab]
    if missing:
        return f"has no token {missing[0]!r}"
    added = tokenizer.get_added_tokens_decoder()
    if any(token.lstrip or token.rstrip for token in added.values() if not token.special):
        return "has an added token that swallows white space"
    special = {*added, *map(vocab.get, names.all())}
    plain = [token for token, i in vocab.items() if i not in special]
    if BYTE_OF_LETTER.keys() >= set("".join(plain)):
        return None
    odd = next(token for token in plain if not BYTE_OF_LETTER.keys() >= set(token))
    return f"has the token {odd!r}, which is not spelled in bytes"


def _around(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of tokenizer.json but for the vocabulary, which takes long to write."""
    empty = Tokenizer(BPE())
    if tokenizer.pre_tokenizer is not None:
        empty.pre_tokenizer = tokenizer.pre_tokenizer
    return dict(json.loads(empty.to_str()))


def read_merges(tokenizer: Tokenizer) -> list[Merge]:
    """The pairs of a tokenizer, the earliest learned first."""
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges]


def cuts_as_gpt2(tokenizer: Tokenizer) -> bool:
    """Whether a text is cut into words by GPT-2's pattern, and into tokens by merges alone."""
    steps = _steps(_around(tokenizer))
    return steps == [{**BYTE_LEVEL, "use_regex": True}] and not tokenizer.model.ignore_merges


def _is_gpt2s(tokenizer: Tokenizer, names: SpecialNames) -> bool:
    """Whether transformers' class for GPT-2 cuts as this one: no more than one token is added."""
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    return added == [names.eos] and cuts_as_gpt2(tokenizer)
