"""Training a joint byte-pair vocabulary, and the pipeline around it (read `bpe.py` first)."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from triptych.errors import DataError, UsageError
from triptych.tokenizers.normalization import build_normalizer, replace_surrogates

EOS, UNK, PAD = "</s>", "<unk>", "<pad>"
BYTES = [f"<0x{value:02X}>" for value in range(256)]
RESERVED = [EOS, UNK, *BYTES]  # ids 0 to 257
PIECES = r" ?[\p{L}\p{M}\p{N}]+| ?[^\s\p{L}\p{M}\p{N}]"


def train_bpe(
    lines: Iterable[str],
    vocab_size: int,
    min_frequency: int,
    max_alphabet: int,
    lowercase: bool,
) -> Tokenizer:
    """The library's tokenizer with exactly `vocab_size` entries; arguments as `JointBpe.train`."""
    lines = list(lines) if isinstance(lines, Iterator) else lines
    alphabet = _choose_alphabet(lines, min_frequency, max_alphabet, lowercase)
    smallest = len(RESERVED) + len(alphabet) + 1
    if vocab_size < smallest:
        raise UsageError(
            f"a vocabulary of {vocab_size} entries has no room for the {len(RESERVED) + 1} "
            f"reserved ones and the {len(alphabet)} characters of this text: "
            f"ask for {smallest} or more"
        )
    trained = _pipeline(BPE(), lowercase)
    # The alphabet is ours: the library's own limit breaks ties by the order of a hash table.
    trainer = BpeTrainer(
        vocab_size=vocab_size - 1,
        min_frequency=min_frequency,
        special_tokens=RESERVED,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    trained.train_from_iterator(map(replace_surrogates, lines), trainer=trainer)
    reached = trained.get_vocab_size() + 1
    if reached < vocab_size:
        raise DataError(
            f"this text gives at most {reached} vocabulary entries, not {vocab_size} "
            f"(pairs seen {min_frequency} times or more): ask for fewer, or give more text"
        )
    return _with_specials(trained, lowercase)


def _choose_alphabet(
    lines: Iterable[str], min_frequency: int, max_alphabet: int, lowercase: bool
) -> list[str]:
    """The characters that get an entry: the commonest; of equally common ones the lower."""
    normalizer = build_normalizer(lowercase)
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(normalizer.normalize_str(replace_surrogates(line)))
    if not counts:
        raise DataError("there is no text to train a tokenizer on: every line is empty")
    counts[" "] += 1 + max(counts.values())  # the space begins every word: it is always in
    often = [char for char, count in counts.items() if count >= min_frequency]
    return sorted(sorted(often, key=lambda char: (-counts[char], char))[:max_alphabet])


def _pipeline(model: BPE, lowercase: bool) -> Tokenizer:
    """The library's tokenizer with everything around `model` in place."""
    tokenizer = Tokenizer(model)
    steps = [build_normalizer(lowercase), normalizers.Prepend(" ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _with_specials(trained: Tokenizer, lowercase: bool) -> Tokenizer:
    """The trained model with the byte fallback on, `<pad>` behind it and `</s>` appended to texts.

    Built anew because training made the byte tokens special, which decoding would drop.
    """
    model = json.loads(trained.to_str())["model"]
    vocab: dict[str, int] = {**model["vocab"], PAD: len(model["vocab"])}
    merges = [(left, right) for left, right in model["merges"]]
    tokenizer = _pipeline(BPE(vocab, merges, byte_fallback=True, unk_token=UNK), lowercase)
    tokenizer.add_special_tokens([EOS, UNK, PAD])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", pair=f"$A $B {EOS}", special_tokens=[(EOS, vocab[EOS])]
    )
    return tokenizer
