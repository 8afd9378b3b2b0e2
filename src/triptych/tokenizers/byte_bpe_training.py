"""Training a byte-level vocabulary (read `byte_bpe.py` first)."""

import json
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer
from tokenizers.trainers import BpeTrainer

from triptych.errors import DataError, UsageError
from triptych.tokenizers.byte_bpe_files import END_OF_TEXT, LETTERS, build_byte_bpe
from triptych.tokenizers.normalization import replace_surrogates


def train_byte_bpe(texts: Iterable[str], vocab_size: int, min_frequency: int) -> Tokenizer:
    """The library's tokenizer with exactly `vocab_size` entries; arguments as `ByteBpe.train`."""
    smallest = len(LETTERS) + 1
    if vocab_size < smallest:
        raise UsageError(
            f"a vocabulary of {vocab_size} entries has no room for the 256 bytes and "
            f"{END_OF_TEXT}: ask for {smallest} or more"
        )
    trained = build_byte_bpe({}, [])
    trainer = BpeTrainer(
        vocab_size=vocab_size - 1,
        min_frequency=min_frequency,
        initial_alphabet=LETTERS,
        show_progress=False,
    )
    trained.train_from_iterator(_some(texts), trainer=trainer)
    model = json.loads(trained.to_str())["model"]
    reached = len(model["vocab"]) + 1
    if reached < vocab_size:
        raise DataError(
            f"this text gives at most {reached} vocabulary entries, not {vocab_size} "
            f"(pairs seen {min_frequency} times or more): ask for fewer, or give more text"
        )
    # Behind the merges, where GPT-2 has it: the trainer would set it in front of the bytes.
    vocab: dict[str, int] = {**model["vocab"], END_OF_TEXT: len(model["vocab"])}
    return build_byte_bpe(vocab, [(left, right) for left, right in model["merges"]])


def _some(texts: Iterable[str]) -> Iterator[str]:
    """The texts in their UTF-8 form. Raises DataError where there is not one character."""
    n_characters = 0
    for text in texts:
        n_characters += len(text)
        yield replace_surrogates(text)
    if not n_characters:
        raise DataError("there is no text to train a tokenizer on: every text is empty")
