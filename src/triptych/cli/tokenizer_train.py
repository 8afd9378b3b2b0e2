"""triptych tokenizer train: text files in, a tokenizer folder out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Options:
    """Learn a vocabulary."""

    text: tuple[Path, ...]
    """Text files, for translation of both languages, without the test text; for generators also
    folders, JSONL and hub:NAME[:CONFIG]:SPLIT:COLUMN."""
    out: Path
    """The folder to write."""
    kind: Literal["bpe", "wordpiece", "byte-bpe", "characters"] = "bpe"
    """bpe for translation; wordpiece for encoders (learned by BPE's criterion, the most frequent
    pair, and not by likelihood; cut as BERT's); byte-bpe for generators, as GPT-2's, or characters
    for small ones."""
    vocab_size: int = 10_000
    """Entries of the vocabulary, special tokens included (and of a bpe or byte-bpe the 256 bytes);
    of characters, the most that are allowed."""
    min_frequency: int = 2
    """How often a pair must occur to be merged."""
    max_alphabet: int = 1000
    """Characters that get an entry of their own; the rest is spelled in bytes (bpe) or unknown
    (wordpiece). A byte-bpe spells every character in bytes, characters have one entry each."""
    lowercase: bool = False
    """Fold all text to lower case (and, for wordpiece, strip accents); not for generators."""


def run(options: Options) -> int:
    """Learn the vocabulary and say what was learned."""
    from triptych.recipes.train_tokenizer import train_tokenizer

    tokenizer = train_tokenizer(
        options.text,
        options.out,
        options.vocab_size,
        kind=options.kind,
        min_frequency=options.min_frequency,
        max_alphabet=options.max_alphabet,
        lowercase=options.lowercase,
    )
    print(f"{options.out}: {tokenizer.vocab_size:,} entries")
    return 0
