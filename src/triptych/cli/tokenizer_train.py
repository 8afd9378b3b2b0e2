"""triptych tokenizer train: text files in, a tokenizer folder out."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """Learn a joint BPE."""

    text: tuple[Path, ...]
    """Text files of both languages, without the test text."""
    out: Path
    """The folder to write."""
    vocab_size: int = 10_000
    """Entries of the vocabulary, special tokens and bytes included."""
    min_frequency: int = 2
    """How often a pair must occur to be merged."""
    max_alphabet: int = 1000
    """Characters that get an entry of their own; the rest is spelled in bytes."""
    lowercase: bool = False
    """Fold all text to lower case."""


def run(options: Options) -> int:
    """Learn the merges and say what was learned."""
    from triptych.recipes.train_tokenizer import train_tokenizer

    tokenizer = train_tokenizer(
        options.text,
        options.out,
        options.vocab_size,
        min_frequency=options.min_frequency,
        max_alphabet=options.max_alphabet,
        lowercase=options.lowercase,
    )
    print(f"{options.out}: {tokenizer.vocab_size:,} entries")
    return 0
