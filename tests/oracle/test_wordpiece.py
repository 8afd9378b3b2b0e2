"""Our WordPiece against the published algorithm, written out here, and transformers' tokenizer."""

import csv
import itertools
import json
import lzma
import os
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from triptych.tokenizers.wordpiece import WordPiece
from triptych.tokenizers.wordpiece_files import (
    Cleaning,
    SpecialTokens,
    _read_vocab,
    build_wordpiece,
)

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

ODD = [
    "", " ", "\t\n", "a", "Straße ÄÖÜ ß ﬁ", "İstanbul ıI", "naïve café résumé", "Ångström",
    "e\u0301 n\u0303 \u0301alone", "東京タワー 漢字かな交じり文", "한국어 텍스트",
    "\U00020000 rare ideograph",
    "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "👩‍👩‍👧‍👦 family 🏳️‍🌈", "a\u200db\u200cc",
    "nul\x00 bell\x07 del\x7f", "nb\u00a0sp thin\u2009sp ideo\u3000sp", "line\u2028sep\u2029par",
    "soft\u00adhyphen", "\ufeffbom", "\ufffd replacement", "private \ue000 use",
    "\u0378 unassigned",
    "it's don't U.S.A. 3.14 1,000", "$100 €5 £3 ¥7 100% #tag @you a_b a+b=c ^x `y` ~z |w|",
    "“quotes” ‘single’ – dash — em … dots", "x" * 100, "x" * 101, "y" * 250 + " z",
    "[MASK] [CLS] [SEP] [PAD] [UNK]", "a [MASK]b", "[mask]", "[MASK", "##ing ## #", "Ⅷ ½ ² ﷺ",
    "Σίσυφος ΣΑΣ", "ǅ Ǆ ǆ", "\U0001d400\U0001d401 bold", "a" + "\u0300" * 50, "ﬀ ﬃ ｆｕｌｌ",
]  # fmt: skip


@pytest.fixture(scope="module")
def vocab_file(data_dir: Path) -> Path:
    return data_dir / "tokenizers" / "bert" / "bert-base-uncased-vocab.txt"


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def lowercase(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def ours(vocab_file: Path, lowercase: bool) -> WordPiece:
    cleaning = Cleaning(lowercase=lowercase)
    return WordPiece(build_wordpiece(_read_vocab(vocab_file), SpecialTokens(), cleaning))


@pytest.fixture(scope="module")
def lines(data_dir: Path) -> list[str]:
    return random.Random(1).sample(list(real_lines(data_dir)), 20_000)


def real_lines(data: Path) -> Iterator[str]:
    """Captions in three languages, encyclopaedia, books, reviews, tweets, questions."""
    for name in ("val.en", "val.de", "val.fr", "test_2016_flickr.fr"):
        yield from (data / "multi30k" / name).read_text(encoding="utf-8").splitlines()
    yield from (data / "wikitext-2" / "wiki.valid.raw").read_text(encoding="utf-8").splitlines()
    for path in (data / "sst2" / "dev.tsv", data / "mrpc", data / "rte"):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            yield from file.read_text(encoding="utf-8", errors="replace").splitlines()[:800]
    for name in ("wikipedia", "books"):
        path = data / "pretrain" / f"{name}.valid.txt.xz"
        with lzma.open(path, "rt", encoding="utf-8") as stream:
            yield from (line.rstrip("\n") for line in itertools.islice(stream, 2000))
    for name in ("wnut17", "trec", "cola"):
        for path in sorted((data / name).iterdir()):
            yield from path.read_text(encoding="utf-8", errors="replace").splitlines()[:2500]
    with (data / "stsb" / "stsb-en-dev.csv").open(encoding="utf-8", newline="") as stream:
        yield from (row[0] for row in csv.reader(stream))
    with lzma.open(data / "tatoeba_en_de" / "pairs.tsv.xz", "rt", encoding="utf-8") as stream:
        pairs = itertools.islice(stream, 1000)
        yield from (part for line in pairs for part in line.rstrip("\n").split("\t"))


def test_the_published_algorithm(ours: WordPiece, lines: list[str], lowercase: bool) -> None:
    """Devlin et al.'s two steps: clean and split, then the longest match first."""
    reference = Reference(ours, lowercase)
    assert len(lines) == 20_000
    texts = [text for text in [*lines, *ODD] if "[" not in text or "]" not in text]
    for text, found in zip(texts, ours.encode(texts), strict=True):
        assert found == reference.encode(text), text


def test_transformers_tokenizer(
    ours: WordPiece, lines: list[str], lowercase: bool, tmp_path: Path
) -> None:
    ours.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(theirs).__name__.startswith("Bert")
    texts = [*lines, *ODD]
    expected = theirs(texts, add_special_tokens=False, truncation=False)["input_ids"]
    for text, a, b in zip(texts, ours.encode(texts), expected, strict=True):
        assert a == b, text
    pair = ours.with_specials(*ours.encode(["one two", "three"]))
    both = theirs("one two", "three")
    assert pair == (both["input_ids"], both["token_type_ids"])


def test_transformers_class_in_python(
    ours: WordPiece, lines: list[str], lowercase: bool, vocab_file: Path
) -> None:
    """Written before the library's, with no line in common with it."""
    legacy = pytest.importorskip("transformers.models.bert.tokenization_bert_legacy")
    theirs = legacy.BertTokenizerLegacy(str(vocab_file), do_lower_case=lowercase)
    # It drops what Unicode has not assigned, and writes a last Σ as ς, which BERT's code did not.
    texts = [text for text in [*lines, *ODD] if "Σ" not in text and "\u0378" not in text]
    assert len(texts) > 20_000
    for text, found in zip(texts, ours.encode(texts), strict=True):
        assert found == theirs.convert_tokens_to_ids(theirs.tokenize(text)), text


@pytest.mark.parametrize("change", [
    {"do_lower_case": False}, {"do_lower_case": True}, {"strip_accents": False},
    {"tokenize_chinese_chars": False}, {"do_lower_case": False, "strip_accents": True},
    {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False},
])  # fmt: skip
@pytest.mark.parametrize("whole", [True, False], ids=["tokenizer.json", "vocab.txt"])
def test_the_config_is_read_as_transformers_reads_it(
    ours: WordPiece, change: dict[str, object], whole: bool, tmp_path: Path
) -> None:
    ours.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    if not whole:
        if "tokenizer_class" in change:
            pytest.skip("this class has no vocab.txt")
        (tmp_path / "tokenizer.json").unlink()
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    again = WordPiece.load(tmp_path)
    assert again.encode(ODD) == theirs(ODD, add_special_tokens=False)["input_ids"]
    again.save(tmp_path / "again")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    assert again.encode(ODD) == theirs(ODD, add_special_tokens=False)["input_ids"]


def test_a_pipeline_of_its_own_is_saved_as_such(ours: WordPiece, tmp_path: Path) -> None:
    """transformers' class for BERT would forget another limit of a word."""
    ours.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    pipeline = json.loads(path.read_text(encoding="utf-8"))
    pipeline["model"]["max_input_chars_per_word"] = 3
    path.write_text(json.dumps(pipeline), encoding="utf-8")
    ours = WordPiece.load(tmp_path)
    ours.save(tmp_path / "again")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    assert ours.encode(["bank a bat"])[0][0] == ours.unk_id
    assert ours.encode(ODD) == theirs(ODD, add_special_tokens=False)["input_ids"]
    both = theirs("a", "bat")
    assert ours.with_specials(*ours.encode(["a", "bat"])) == (
        both["input_ids"], both["token_type_ids"],
    )  # fmt: skip


def test_a_long_text_is_cut_where_nothing_can_change(
    ours: WordPiece, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(lines[:300])
    whole, spans = ours.encode_with_spans(text)
    monkeypatch.setattr("triptych.tokenizers.wordpiece_parts.LONGEST_PART", 50)
    assert ours.encode([text])[0] == whole
    assert ours.encode_with_spans(text) == (whole, spans)


class Reference:
    """BasicTokenizer and WordpieceTokenizer as the paper's code describes them."""

    def __init__(self, tokenizer: WordPiece, lowercase: bool) -> None:
        self.tokenizer, self.lowercase = tokenizer, lowercase

    def encode(self, text: str) -> list[int]:
        return [i for word in self.words(text) for i in self.pieces(word)]

    def words(self, text: str) -> Iterator[str]:
        cleaned = []
        for char in text:
            code, kind = ord(char), unicodedata.category(char)
            # Unassigned ones (Cn) stay, as in the library: which they are changes with Unicode.
            if code in (0, 0xFFFD) or (kind in ("Cc", "Cf", "Co") and char not in "\t\n\r"):
                continue
            if is_chinese(code):
                cleaned.append(f" {char} ")
            else:
                cleaned.append(" " if char in "\t\n\r" or char.isspace() else char)
        for word in "".join(cleaned).split(" "):
            if self.lowercase:
                word = unicodedata.normalize("NFD", word)
                # Letter by letter, as in the library: Python's own writes a last Σ as ς.
                word = "".join(c.lower() for c in word if unicodedata.category(c) != "Mn")
            current = ""
            for char in word:
                if is_punctuation(char):
                    yield from filter(None, [current, char])
                    current = ""
                else:
                    current += char
            if current:
                yield current

    def pieces(self, word: str) -> list[int]:
        if len(word) > 100:
            return [self.tokenizer.unk_id]
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                token_id = self.tokenizer.token_id(("##" if start else "") + word[start:end])
                if token_id is not None:
                    break
            else:
                return [self.tokenizer.unk_id]
            found.append(token_id)
            start = end
        return found


def is_chinese(code: int) -> bool:
    blocks = [
        (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
        (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
    ]  # fmt: skip
    return any(first <= code <= last for first, last in blocks)


def is_punctuation(char: str) -> bool:
    ascii_sign = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return ascii_sign or unicodedata.category(char).startswith("P")
