"""Our byte-level BPE against the published algorithm, written out here, and transformers' own."""

import itertools
import json
import lzma
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tokenizers import Regex, pre_tokenizers

from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.byte_bpe_files import END_OF_TEXT

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")
regex = pytest.importorskip("regex")

ODD = [
    "", " ", "  ", "\n", "\n\n", "\r\n", "\t\n \n", " \u00a0 x", "a  b   c", "x \n\n  y", "tail   ",
    "it's don't WE'LL I'd they're 'tis ''s 'S", "3.14 1,000 ² ½ Ⅷ ١٢٣", "$#@! <|x|> ~~ -- ...",
    "naïve café e\u0301 n\u0303", "東京タワー 漢字かな交じり文", "한국어 텍스트", "שלום עולם",
    "नमस्ते दुनिया", "👩‍👩‍👧‍👦 🏳️‍🌈", "\U00020000\U0010ffff", "a\u200db\u200cc", "nul\x00 bell\x07",
    "\u2028line\u2029par\x85nel\x1cfs", "\ufeffbom", "\ufffd", "\ue000 \u0378", "a" + "\u0300" * 50,
    "x" * 1000, " " * 300, "\n" * 300, "ab" * 500, "İı ǅ ﬁ ß", "Ġ Ċ ĠĠ",
    "<|endoftext", "|endoftext|>",
]  # fmt: skip


@pytest.fixture(scope="module")
def gpt2(data_dir: Path) -> Path:
    return data_dir / "tokenizers" / "gpt2"


@pytest.fixture(scope="module")
def ours(gpt2: Path) -> ByteBpe:
    return ByteBpe.load(gpt2)


@pytest.fixture(scope="module")
def theirs(gpt2: Path):
    return transformers.GPT2Tokenizer.from_pretrained(str(gpt2))


@pytest.fixture(scope="module")
def lines(data_dir: Path) -> list[str]:
    """18,000 real lines, with their line ends, and 2,000 made of odd characters."""
    return [*random.Random(1).sample(list(real_lines(data_dir)), 18_000), *odd_lines(2_000)]


def real_lines(data: Path) -> Iterator[str]:
    """Encyclopaedia, books, plays, captions in three languages, tables, JSON."""
    for name in ("wikipedia", "books"):
        path = data / "pretrain" / f"{name}.valid.txt.xz"
        with lzma.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            yield from itertools.islice(stream, 4000)
    names = ["val.en", "val.de", "val.fr"]
    files = [data / "multi30k" / name for name in names] + [
        data / "wikitext-2" / "wiki.valid.raw", data / "tinyshakespeare" / "input.txt",
        data / "lambada" / "lambada_test.jsonl", data / "blimp" / "blimp.tsv",
        data / "sst2" / "dev.tsv", data / "tokenizers" / "gpt2" / "merges.txt",
    ]  # fmt: skip
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from text.splitlines(keepends=True)[:4000]
    with lzma.open(data / "tatoeba_en_de" / "pairs.tsv.xz", "rt", encoding="utf-8") as stream:
        yield from itertools.islice(stream, 3000)


def odd_lines(n: int) -> Iterator[str]:
    """Runs of white space, code points of all planes, controls, and pieces of words."""
    draw = random.Random(2)
    spaces = " \t\n\r\x0b\x0c\x85\xa0\u2003\u2028\u3000\u200b"
    pools = [
        lambda: draw.choice(spaces) * draw.randint(1, 4),
        lambda: chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)])),
        lambda: chr(draw.randrange(0x250)),
        lambda: draw.choice(["'s", "'ll", "'", "the", " The", "123", "...", "é", "e\u0301", "漢"]),
    ]
    for _ in range(n):
        yield "".join(draw.choice(pools)() for _ in range(draw.randint(1, 30)))


def test_the_published_algorithm(ours: ByteBpe, gpt2: Path, lines: list[str]) -> None:
    """Radford et al.'s: cut by a pattern, spell in bytes, merge the earliest learned pair first."""
    reference = Reference(gpt2)
    texts = [text for text in [*lines[::6], *lines[-1000:], *ODD] if is_settled(text)]
    assert len(texts) > 3500
    for text, found in zip(texts, ours.encode(texts), strict=True):
        assert found == reference.encode(text), text


def test_ids_of_20_000_lines(ours: ByteBpe, theirs, lines: list[str]) -> None:
    assert len(lines) == 20_000
    texts = [*lines, *ODD]
    assert ours.vocab_size == len(theirs) == 50_257
    assert ours.eos_id == theirs.eos_token_id == 50_256
    assert ours.encode(texts) == theirs(texts)["input_ids"]


def test_texts_come_back(ours: ByteBpe, theirs, lines: list[str]) -> None:
    texts = [*lines, *ODD]
    for text, token_ids in zip(texts, ours.encode(texts), strict=True):
        assert ours.decode_bytes(token_ids) == text.encode()
        assert ours.decode(token_ids) == text


def test_any_ids_decode_as_theirs(ours: ByteBpe, theirs) -> None:
    """Among random ids most texts are no UTF-8: the same characters are replaced."""
    draw = random.Random(3)
    for _ in range(500):
        token_ids = [draw.randrange(50_257) for _ in range(draw.randint(1, 20))]
        token_ids += [draw.randrange(256) for _ in range(5)]  # single bytes
        for special in (False, True):
            text = theirs.decode(
                token_ids, skip_special_tokens=not special, clean_up_tokenization_spaces=False
            )
            assert ours.decode(token_ids, special_tokens=special) == text


def test_special_tokens_are_read_when_asked(ours: ByteBpe, theirs) -> None:
    texts = [f"a{END_OF_TEXT} b", END_OF_TEXT * 2, f"  {END_OF_TEXT}\n"]
    assert ours.encode(texts, special_tokens=True) == theirs(texts)["input_ids"]
    plain = theirs(texts, split_special_tokens=True)["input_ids"]
    assert ours.encode(texts) == plain
    assert ours.eos_id not in itertools.chain(*plain)


@pytest.mark.parametrize("files", ["all", "vocab.json merges.txt"])
def test_what_is_trained_and_saved_loads_in_transformers(
    tmp_path: Path, lines: list[str], files: str
) -> None:
    made = ByteBpe.train(lines[:3000], 1500)
    made.model_max_length = 77
    made.save(tmp_path)
    if files != "all":
        for path in tmp_path.iterdir():
            if path.name not in files.split():
                path.unlink()
    texts = [*lines[3000:4000], *lines[-500:], *ODD]
    expected = made.encode(texts)
    for name in ("GPT2Tokenizer", "AutoTokenizer", "PreTrainedTokenizerFast"):
        if files != "all" and name != "GPT2Tokenizer":
            continue
        loaded = getattr(transformers, name).from_pretrained(str(tmp_path))
        assert loaded(texts)["input_ids"] == expected
        assert loaded.eos_token_id == made.eos_id == 1499
        if files == "all":
            assert loaded.bos_token_id == 1499
            assert loaded.model_max_length == 77
    again = ByteBpe.load(tmp_path)
    assert again.encode(texts) == expected


def test_a_tokenizer_of_another_pattern_keeps_it(tmp_path: Path) -> None:
    """Later models cut by other patterns and add tokens; their tokenizer.json says how."""
    made = ByteBpe.train(["one 1234 two 5678\n\n"] * 20, 270)
    made._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}{1,2}|[^\p{N}]+"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made._tokenizer.add_special_tokens(["<|user|>"])
    made._tokenizer.add_tokens(["zwei"])
    ByteBpe(made._tokenizer).save(tmp_path)
    loaded, theirs = ByteBpe.load(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = ["one 12345zweione<|user|> two", *ODD]
    assert loaded.encode(texts, special_tokens=True) == theirs(texts)["input_ids"]
    assert loaded.vocab_size == len(theirs) == 272
    assert loaded.special_ids == {269, 270}
    token_ids = loaded.encode(texts)
    assert [loaded.decode(ids) for ids in token_ids] == texts


def test_what_transformers_saves_loads_here(tmp_path: Path, theirs, lines: list[str]) -> None:
    theirs.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").exists()
    loaded = ByteBpe.load(tmp_path)
    assert loaded.encode(lines[:500]) == theirs(lines[:500])["input_ids"]


def test_merges_are_those_of_the_plain_algorithm(data_dir: Path) -> None:
    """The most frequent pair is merged, of equally frequent ones that of the lower ids."""
    text = (data_dir / "tinyshakespeare" / "input.txt").read_text()[:8000]
    made = ByteBpe.train([text], 256 + 120 + 1)
    made_merges = json.loads(made._tokenizer.to_str())["model"]["merges"]
    assert [tuple(merge) for merge in made_merges] == plain_merges(text, 120)


def plain_merges(text: str, n_merges: int) -> list[tuple[str, str]]:
    letters = bytes_to_unicode()
    vocab = {letter: i for i, letter in enumerate(sorted(letters.values()))}
    words = Counter(
        tuple(letters[byte] for byte in piece.encode()) for piece in PATTERN.findall(text)
    )
    merges = []
    for _ in range(n_merges):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, n in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += n
        best = min(pairs, key=lambda pair: (-pairs[pair], vocab[pair[0]], vocab[pair[1]]))
        merges.append(best)
        vocab["".join(best)] = len(vocab)
        words = Counter({merge(word, best): n for word, n in words.items()})
    return merges


PATTERN = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
LETTER, NUMBER = regex.compile(r"\p{L}"), regex.compile(r"\p{N}")


def is_settled(text: str) -> bool:
    """Whether no letter or number in it is younger than Unicode 3.2, which all libraries know."""
    old = unicodedata.ucd_3_2_0.category
    kinds = {"L": LETTER, "N": NUMBER}
    return all(
        (old(c)[0] == kind) == bool(pattern.match(c))
        for c in set(text)
        for kind, pattern in kinds.items()
    )


@cache
def bytes_to_unicode() -> dict[int, str]:
    """As openai/gpt-2 has it."""
    bs = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    bs += range(ord("®"), ord("ÿ") + 1)
    cs, n = bs[:], 0
    for b in range(256):
        if b not in bs:
            bs.append(b)
            cs.append(256 + n)
            n += 1
    return dict(zip(bs, map(chr, cs), strict=True))


def merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged, i = [], 0
    while i < len(word):
        step = 2 if word[i : i + 2] == pair else 1
        merged.append("".join(word[i : i + step]))
        i += step
    return tuple(merged)


class Reference:
    def __init__(self, folder: Path) -> None:
        self.vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]
        self.ranks = {tuple(line.split()): rank for rank, line in enumerate(lines)}
        self.cut = cache(self._cut)

    def encode(self, text: str) -> list[int]:
        return [self.vocab[t] for piece in PATTERN.findall(text) for t in self.cut(piece)]

    def _cut(self, piece: str) -> tuple[str, ...]:
        word = tuple(bytes_to_unicode()[byte] for byte in piece.encode())
        while len(word) > 1:
            best = min(itertools.pairwise(word), key=lambda p: self.ranks.get(p, len(self.ranks)))
            if best not in self.ranks:
                break
            word = merge(word, best)
        return word
