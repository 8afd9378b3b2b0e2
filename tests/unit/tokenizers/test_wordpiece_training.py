"""Training a WordPiece vocabulary: its criterion, the same file again, clear refusals."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from triptych.errors import DataError, UsageError
from triptych.tokenizers.wordpiece import WordPiece

LINES = [
    "A man sits by the river.",
    "The bank is green, the NAÏVE man sings: caf\u00e9!",
] * 3


def vocabulary(tokenizer: WordPiece) -> list[str]:
    return tokenizer.tokens(range(tokenizer.vocab_size))


def test_special_tokens_first_then_at_most_what_was_asked() -> None:
    for vocab_size in (62, 68):
        tokens = vocabulary(WordPiece.train(LINES, vocab_size))
        assert tokens[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        assert len(tokens) == len(set(tokens)) == vocab_size
    assert WordPiece.train(LINES, 10_000).vocab_size < 10_000  # there is no more to learn


def test_the_criterion_is_the_most_frequent_pair() -> None:
    """Likelihood would join x and y, which never stand apart, before a and b, which often do."""
    lines = ["ab"] * 10 + ["ac"] * 8 + ["db"] * 8 + ["xy"] * 5
    smallest = 5 + 6 + 6  # special tokens, letters, letters within a word
    assert vocabulary(WordPiece.train(lines, smallest + 1))[-1] == "ab"


def test_the_vocabulary_is_that_of_plain_byte_pair_encoding() -> None:
    """Merges by a few lines of our own; no two pairs of these words are equally frequent."""
    words = Counter({"lowest": 97, "lower": 53, "newer": 29, "wider": 13, "sow": 5})
    lines = [word for word, n in words.items() for _ in range(n)]
    pieces = {word: [word[0], *(f"##{char}" for char in word[1:])] for word in words}
    letters = {char for word in words for char in word}
    found = set()
    for _ in range(4):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, spelled in pieces.items():
            for pair in itertools.pairwise(spelled):
                pairs[pair] += words[word]
        (best, first), (_, second) = pairs.most_common(2)
        if first == second:  # a tie within one word, such as l-o and o-w of "lowest"
            break
        found.add(best[0] + best[1].removeprefix("##"))
        for word, spelled in pieces.items():
            pieces[word] = merged(spelled, best)
    size = 5 + 2 * len(letters) + len(found)
    learned = set(vocabulary(WordPiece.train(lines, size))[5 + 2 * len(letters) :])
    assert found
    assert learned == found


def merged(spelled: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in spelled:
        if out and (out[-1], piece) == pair:
            out[-1] += piece.removeprefix("##")
        else:
            out.append(piece)
    return out


def test_min_frequency_stops_the_merges_and_drops_characters() -> None:
    lines = ["zw zw", "man man man", "q"]
    tokens = vocabulary(WordPiece.train(lines, 60, min_frequency=3))
    assert "man" in tokens
    assert not [token for token in tokens if set(token) & set("zwq")]
    assert "zw" in vocabulary(WordPiece.train(lines, 60, min_frequency=2))
    lines = ["zw zw", "z w man man man", "z w"]  # the letters often enough, the pair not
    assert "zw" not in vocabulary(WordPiece.train(lines, 60, min_frequency=3))
    assert "zw" in vocabulary(WordPiece.train(lines, 60, min_frequency=2))


def test_the_alphabet_is_that_of_the_commonest() -> None:
    tokenizer = WordPiece.train(["aaaa bbb cc d"] * 3, 40, max_alphabet=2)
    assert {token[-1] for token in vocabulary(tokenizer)[5:]} == {"a", "b"}
    assert tokenizer.encode(["c"]) == [[tokenizer.unk_id]]


def test_each_character_begins_and_continues_words() -> None:
    tokens = vocabulary(WordPiece.train(["abc! \u6771"] * 3, 60))
    assert {"a", "b", "c", "##a", "##b", "##c", "!", "\u6771"} <= set(tokens)
    assert not {"##!", "##\u6771"} & set(tokens)  # words of their own


def test_case_and_accents() -> None:
    uncased = "".join(vocabulary(WordPiece.train(LINES, 80))[5:])
    assert uncased == uncased.lower()
    assert "é" not in uncased
    cased = "".join(vocabulary(WordPiece.train(LINES, 90, lowercase=False)))
    assert {"é", "Ï", "T"} <= set(cased)


def test_special_tokens_in_the_text_teach_nothing() -> None:
    tokens = vocabulary(WordPiece.train(["[MASK] a [SEP]"] * 9, 60))
    assert tokens.count("[MASK]") == 1
    assert not [token for token in tokens[5:] if "[" in token and len(token) > 1]


def test_an_iterator_and_surrogates() -> None:
    assert vocabulary(WordPiece.train(iter(LINES), 80)) == vocabulary(WordPiece.train(LINES, 80))
    assert vocabulary(WordPiece.train(["ab\ud800"] * 3, 20))[-1] == "ab"


def test_refusals() -> None:
    with pytest.raises(UsageError, match="a vocabulary of 20 entries has no room") as caught:
        WordPiece.train(LINES, 20)
    needed = int(str(caught.value).split("ask for ")[1].split()[0])
    assert WordPiece.train(LINES, needed).vocab_size == needed
    with pytest.raises(UsageError, match=f"a vocabulary of {needed - 1} entries"):
        WordPiece.train(LINES, needed - 1)
    for lines in ([], ["", " \t", "\n"], ["\x00\u200b"]):
        with pytest.raises(DataError, match="no text to train a tokenizer on"):
            WordPiece.train(lines, 100)


def test_the_same_text_gives_the_same_file(tmp_path: Path) -> None:
    """In other processes too (hash tables are seeded anew in each), with ties at every turn."""
    program = (
        "import sys; from pathlib import Path\n"
        "from triptych.tokenizers.wordpiece import WordPiece\n"
        "chars = [chr(0x0400 + i) for i in range(300)]\n"
        "lines = [''.join(chars[i:i + 7]) for i in range(290)] * 2\n"
        "WordPiece.train(lines, 700, max_alphabet=200, lowercase=False).save(Path(sys.argv[1]))\n"
    )
    files = []
    for name in ("a", "b", "c"):
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=True)
        files.append((tmp_path / name / "tokenizer.json").read_bytes())
    assert files[0] == files[1] == files[2]
    assert len(json.loads(files[0])["model"]["vocab"]) == 700
