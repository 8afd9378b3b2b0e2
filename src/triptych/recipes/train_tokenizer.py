"""Text files in, a tokenizer folder out; and a look at how a text is cut.

files of both languages -> normalize -> learn the merges -> tokenizer.json and its company
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from triptych.data.text import is_read_once, read_lines
from triptych.data.text_stream import read_texts
from triptych.errors import UsageError
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import TOKENIZER_FILE, JointBpe
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.byte_bpe_files import VOCAB_FILE as BYTE_VOCAB_FILE
from triptych.tokenizers.characters import Characters
from triptych.tokenizers.loading import load_tokenizer
from triptych.tokenizers.wordpiece import WordPiece
from triptych.tokenizers.wordpiece_files import VOCAB_FILE

Kind = Literal["bpe", "wordpiece", "byte-bpe", "characters"]
Trained = JointBpe | WordPiece | ByteBpe | Characters


class _Lines:
    """The lines of several files, which can be gone through more than once."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __iter__(self) -> Iterator[str]:
        for path in self._files:
            yield from read_lines(path)


def train_tokenizer(
    files: Sequence[Path],
    out: Path,
    vocab_size: int,
    *,
    kind: Kind = "bpe",
    min_frequency: int = 2,
    max_alphabet: int = 1000,
    lowercase: bool = False,
) -> Trained:
    """Learn one vocabulary from all `files` and write it into the folder `out`.

    `kind` "bpe" is for translation: give the training text of both languages, and not the test
    text. "wordpiece" is for encoders. "byte-bpe" and "characters" are for generators; they read
    whatever `read_texts` does (folders, JSONL, names on the Hub), line ends included, and take no
    `lowercase`; `max_alphabet` is not theirs. "-" is standard input. For the options see the
    `train` of `JointBpe`, `WordPiece`, `ByteBpe` and `Characters`, whose errors this raises, and
    `DataError` where a file cannot be read, `UsageError` where `out` holds a tokenizer already.
    """
    for path in (out / TOKENIZER_FILE, out / VOCAB_FILE, out / BYTE_VOCAB_FILE):
        if path.exists():
            raise UsageError(f"{path} exists: name another folder, or remove it")
    if not files:
        raise UsageError("no text file was named: name those of the training text")
    tokenizer: Trained
    if kind == "byte-bpe" or kind == "characters":
        if lowercase:
            raise UsageError(f"a {kind} keeps every text as it is: leave out the lower case")
        parts, _ = read_texts(files, "file")
        texts = (part.text for part in parts)
        if kind == "byte-bpe":
            tokenizer = ByteBpe.train(texts, vocab_size, min_frequency=min_frequency)
        else:
            tokenizer = Characters.train(texts, vocab_size)
    else:
        lines = _Lines(files)
        tokenizer = (JointBpe if kind == "bpe" else WordPiece).train(
            iter(lines) if any(map(is_read_once, files)) else lines,
            vocab_size,
            min_frequency=min_frequency,
            max_alphabet=max_alphabet,
            lowercase=lowercase,
        )
    tokenizer.save(out)
    return tokenizer


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token of a text: as the vocabulary spells it (spaces as U+2581, or as `Ġ` where it is of
    bytes), its id, and the characters it stands for (of a character spelled in bytes, each byte has
    the whole one)."""

    token: str
    token_id: int
    characters: str


def show_tokens(folder: Path, text: str) -> list[TokenRow]:
    """How the tokenizer in `folder` cuts `text`, special tokens included.

    Of a translation tokenizer, as a source text with `</s>`; of an encoder's, with `[CLS]` and
    `[SEP]`; of a generator's, as it stands.
    """
    tokenizer = load_tokenizer(folder)
    if isinstance(tokenizer, WordPiece):
        pieces, spans = tokenizer.encode_with_spans(text)
        token_ids, _ = tokenizer.with_specials(pieces)
        characters = ["", *(text[start:end] for start, end in spans), ""]
        tokens = tokenizer.tokens(token_ids)
    elif isinstance(tokenizer, ByteBpe | Characters):
        token_ids = tokenizer.encode([text])[0]
        tokens = tokenizer.tokens(token_ids)
        characters = _spelled_in_bytes([tokenizer.token_bytes[i] for i in token_ids])
    else:
        token_ids = tokenizer.encode_source([text])[0]
        tokens = [token.replace(" ", "▁") for token in tokenizer.source_tokens(token_ids)]
        characters = _characters(tokenizer, text, tokens, token_ids)
    return [TokenRow(*row) for row in zip(tokens, token_ids, characters, strict=True)]


def _characters(
    tokenizer: TranslationTokenizer, text: str, tokens: Sequence[str], token_ids: Sequence[int]
) -> list[str]:
    """What each token of a translation tokenizer stands for."""
    if isinstance(tokenizer, JointBpe):
        normal = tokenizer.normalize(text)
        return [normal[start:end] for start, end in tokenizer.token_spans(text)]
    specials = {tokenizer.eos_id, tokenizer.pad_id, tokenizer.unk_id}
    pairs = zip(tokens, token_ids, strict=True)
    return ["" if i in specials else token.replace("▁", "") for token, i in pairs]


def _spelled_in_bytes(pieces: Sequence[bytes]) -> list[str]:
    """What each token of a UTF-8 text stands for, from the bytes of each."""
    whole = b"".join(pieces)
    characters, end = [], 0
    for piece in pieces:
        begin, end = end, end + len(piece)
        first, last = begin, end
        while 0x80 <= whole[first] < 0xC0:  # the token begins within a character
            first -= 1
        while last < len(whole) and 0x80 <= whole[last] < 0xC0:
            last += 1
        characters.append(whole[first:last].decode())
    return characters
