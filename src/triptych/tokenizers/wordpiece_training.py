"""Training a WordPiece vocabulary (read `wordpiece.py` first).

The library's trainer merges the most frequent pair, as byte-pair encoding does; the criterion of
Schuster and Nakajima 2012, §3, is the gain in likelihood. Cutting is the same for both.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer
from tokenizers.models import WordPiece as WordPieceModel
from tokenizers.trainers import WordPieceTrainer

from triptych.errors import DataError, UsageError
from triptych.tokenizers.normalization import replace_surrogates
from triptych.tokenizers.wordpiece_files import Cleaning, SpecialTokens, build_wordpiece


def train_wordpiece(
    lines: Iterable[str],
    vocab_size: int,
    min_frequency: int,
    max_alphabet: int,
    lowercase: bool,
) -> Tokenizer:
    """The library's tokenizer; arguments as `WordPiece.train`."""
    lines = list(lines) if isinstance(lines, Iterator) else lines
    specials, cleaning = SpecialTokens(), Cleaning(lowercase=lowercase)
    names = list(vars(specials).values())
    empty = build_wordpiece({name: i for i, name in enumerate(names)}, specials, cleaning)
    alphabet = _choose_alphabet(lines, empty, min_frequency, max_alphabet)
    within = [f"##{char}" for char in alphabet if _can_continue(char, empty)]
    smallest = len(names) + len(alphabet) + len(within)
    if vocab_size < smallest:
        raise UsageError(
            f"a vocabulary of {vocab_size} entries has no room for the {len(names)} special tokens "
            f"and the {len(alphabet)} characters of this text, each at a word's beginning and "
            f"within: ask for {smallest} or more, or lower --max-alphabet"
        )
    # The alphabet is ours: the library numbers characters, and so breaks ties, by the order of a
    # hash table. Naming those within a word as special tokens fixes their numbers for training.
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[*names, *within],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    # One that knows no special tokens yet: "[MASK]" in a text would be a word, and teach "##]".
    learner = Tokenizer(WordPieceModel({}, unk_token=specials.unk))
    learner.normalizer, learner.pre_tokenizer = empty.normalizer, empty.pre_tokenizer
    learner.train_from_iterator(map(replace_surrogates, lines), trainer=trainer)
    vocab: dict[str, int] = json.loads(learner.to_str())["model"]["vocab"]
    return build_wordpiece(vocab, specials, cleaning)


def _choose_alphabet(
    lines: Iterable[str], pipeline: Tokenizer, min_frequency: int, max_alphabet: int
) -> list[str]:
    """The characters that get an entry: the commonest; of equally common ones the lower."""
    normalizer = pipeline.normalizer
    assert normalizer is not None
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(normalizer.normalize_str(replace_surrogates(line)))
    often = [c for c, n in counts.items() if n >= min_frequency and not c.isspace()]
    if not often:
        raise DataError(
            f"there is no text to train a tokenizer on: no character occurs {min_frequency} times"
        )
    return sorted(sorted(often, key=lambda char: (-counts[char], char))[:max_alphabet])


def _can_continue(char: str, pipeline: Tokenizer) -> bool:
    """Whether a character may stand within a word: punctuation and CJK are words of their own."""
    normalizer, pre_tokenizer = pipeline.normalizer, pipeline.pre_tokenizer
    assert normalizer is not None
    assert pre_tokenizer is not None
    return len(pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(f"a{char}"))) == 1
