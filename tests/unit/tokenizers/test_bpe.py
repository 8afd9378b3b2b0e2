"""Joint BPE: nothing is lost, nothing is unknown, text is never taken for a special token."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.normalization import normalize

LINES = [
    "A man sits by the river.",
    "Ein Mann sitzt am Fluss, und die Bank ist grün.",
    "The bank by the river is green; the man doesn't sit on it.",
    "Der Mann liest </s> und <pad> und <0x0A> und ▁ im Buch.",
] * 4
NASTY = [
    "</s>",
    "<pad> <unk> </s></s> <0x0A><0xFF>",
    "▁ ▁▁a ▁b▁",
    "👨‍👩‍👧‍👦 👩🏽‍🚀 🇩🇪",
    "שלום עולם \u200fمرحبا\u200e بالعالم",
    "\x00\x01\x1f\x7f\x80 a\x00b",
    "e\u0301 \u0301 ﷽ 日本語テキスト ไทย",
    "\ufeffa\u200bb\u2028c\u00adD \ufffd \uffff \U0010ffff",
    " .,?!-- ... ''don't'' 1,234.50",
    "\ud800 alone \udc00",
    "",
    " \t\n ",
    "x" * 5000,
]


@pytest.fixture(scope="module")
def tokenizer() -> JointBpe:
    return JointBpe.train(LINES, 370)


def round_trip(tokenizer: JointBpe, text: str) -> str:
    return tokenizer.decode_target(tokenizer.encode_target([text])[0])


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_survives(tokenizer: JointBpe, text: str) -> None:
    token_ids = tokenizer.encode_source([text])[0]
    assert round_trip(tokenizer, text) == tokenizer.normalize(text) == normalize(text)
    assert token_ids[-1] == tokenizer.eos_id
    specials = {tokenizer.eos_id, tokenizer.pad_id, tokenizer.unk_id}
    assert not specials & set(token_ids[:-1])


TEXT = st.text(alphabet=st.characters(exclude_categories=[])) | st.lists(
    st.sampled_from(["</s>", "<pad>", "<unk>", "<0x0A>", "▁", " ", "<", "0x0A>", "man", "é", "\n"])
).map("".join)


@settings(deadline=None)  # the machine may be busy
@given(TEXT)
@example(" ▁")
def test_any_text_survives(tokenizer: JointBpe, text: str) -> None:
    assert round_trip(tokenizer, text) == normalize(text)
    assert tokenizer.unk_id not in tokenizer.encode_source([text])[0]


def test_every_character_survives(tokenizer: JointBpe) -> None:
    """All of Unicode, 1,000 characters a line; what normalization changes is changed so."""
    chars = [chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000]
    lines = ["x".join(chars[i : i + 1000]) for i in range(0, 0x30000, 1000)]
    lines += ["x".join(chars[i : i + 1000]) for i in range(0xE0000, len(chars), 50_000)]
    for line, token_ids in zip(lines, tokenizer.encode_source(lines), strict=True):
        assert tokenizer.decode_target(token_ids) == normalize(line)


def test_batch_equals_one_by_one(tokenizer: JointBpe) -> None:
    texts = LINES[:4] + NASTY
    assert tokenizer.encode_source(texts) == [tokenizer.encode_source([t])[0] for t in texts]
    assert tokenizer.encode_source([]) == []
    assert tokenizer.encode_target(texts) == tokenizer.encode_source(texts)


def test_tokens_are_the_text(tokenizer: JointBpe) -> None:
    token_ids = tokenizer.encode_source(["A man sits."])[0]
    tokens = tokenizer.source_tokens(token_ids)
    assert "".join(tokens) == " A man sits.</s>"
    assert tokens[-2:] == [".", "</s>"], "a sign is a token of its own"
    assert tokenizer.target_tokens(token_ids) == tokens


def test_words(tokenizer: JointBpe) -> None:
    text = "The  man's 👩 bank."
    token_ids = tokenizer.encode_source([text])[0]
    words = tokenizer.source_words([tokenizer.pad_id, *token_ids])
    assert words[0] == words[-1] == -1
    assert words == tokenizer.target_words([tokenizer.pad_id, *token_ids])
    for number, word in enumerate(text.split()):
        inside = [i for i, w in zip(token_ids, words[1:], strict=True) if w == number]
        assert tokenizer.decode_target(inside) == word


@settings(deadline=None)  # the machine may be busy
@given(TEXT)
def test_words_are_those_of_the_normalized_text(tokenizer: JointBpe, text: str) -> None:
    token_ids = tokenizer.encode_source([text])[0]
    numbers = [word for word in tokenizer.source_words(token_ids) if word >= 0]
    expected = normalize(text).split(" ") if normalize(text) else []
    assert sorted(set(numbers)) == list(range(len(expected)))
    assert numbers == sorted(numbers)


@settings(deadline=None)  # the machine may be busy
@given(TEXT)
@example("a 👩b . e\u0301")
def test_spans_cover_the_text(tokenizer: JointBpe, text: str) -> None:
    normal = normalize(text)
    token_ids = tokenizer.encode_source([text])[0]
    spans = tokenizer.token_spans(text)
    assert len(spans) == len(token_ids)
    assert spans[-1] == (len(normal), len(normal))
    covered = set()
    for token, (start, end) in zip(tokenizer.source_tokens(token_ids), spans, strict=True):
        covered |= set(range(start, end))
        if not token.startswith("<"):  # bytes and </s>; a text's "<" is spelled in bytes here
            assert normal[start:end] == token.lstrip(" ")
    assert covered == {i for i, char in enumerate(normal) if char != " "}


def test_sampling_is_repeatable(tokenizer: JointBpe) -> None:
    first = tokenizer.sample_encode(LINES, 0.3, seed=1)
    assert tokenizer.sample_encode(LINES, 0.3, seed=1) == first
    assert tokenizer.sample_encode(LINES, 0.3, seed=2) != first
    assert tokenizer.sample_encode(LINES[2:3], 0.3, seed=1) == first[2:3], "not of the batch"
    assert first != tokenizer.encode_source(LINES)
    texts = LINES + NASTY
    for line, token_ids in zip(texts, tokenizer.sample_encode(texts, 0.5, 7), strict=True):
        assert tokenizer.decode_target(token_ids) == normalize(line)
        assert token_ids[-1] == tokenizer.eos_id


def test_sampling_at_the_ends(tokenizer: JointBpe) -> None:
    texts = LINES + NASTY
    assert tokenizer.sample_encode(texts, 0.0, 1) == tokenizer.encode_source(texts)
    # Our merges, with as good as no dropout, are the library's.
    assert tokenizer.sample_encode(texts, 1e-15, 1) == tokenizer.encode_source(texts)
    letters = tokenizer.source_tokens(tokenizer.sample_encode(["the man"], 1.0, 1)[0])
    assert letters == [" ", "t", "h", "e", " ", "m", "a", "n", "</s>"]
    with pytest.raises(UsageError, match=r"1\.5 is not between 0 and 1"):
        tokenizer.sample_encode(["a"], 1.5, 1)


def test_save_and_load(tokenizer: JointBpe, tmp_path: Path) -> None:
    tokenizer.model_max_length = 77
    tokenizer.save(tmp_path / "a")
    loaded = JointBpe.load(tmp_path / "a")
    loaded.save(tmp_path / "b")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    texts = LINES + NASTY
    assert loaded.encode_source(texts) == tokenizer.encode_source(texts)
    assert loaded.model_max_length == 77
    for name in ("vocab_size", "eos_id", "pad_id", "unk_id"):
        assert getattr(loaded, name) == getattr(tokenizer, name)


def test_lowercase_is_kept_in_the_file(tmp_path: Path) -> None:
    JointBpe.train(LINES, 330, lowercase=True).save(tmp_path)
    tokenizer = JointBpe.load(tmp_path)
    assert round_trip(tokenizer, "Die BANK  ist Grün") == "die bank ist grün"
    assert tokenizer.normalize("Die BANK") == "die bank"


def test_ids_out_of_range_and_a_bare_string(tokenizer: JointBpe) -> None:
    for bad in (-1, 370):
        with pytest.raises(DataError, match=f"token id {bad} is outside"):
            tokenizer.decode_target([5, bad])
    with pytest.raises(UsageError, match="use \\[text\\]"):
        tokenizer.encode_source("a text")
    broken = tokenizer.decode_target([tokenizer.encode_source(["é👩"])[0][1]])
    assert broken in ("\ufffd", "é"), "a lone byte is shown as such"


def damage(tokenizer: JointBpe, folder: Path, change: object) -> Path:
    tokenizer.save(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert callable(change)
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c["model"].update(byte_fallback=False), "is not a byte-pair encoding with"),
        (lambda c: c.update(post_processor=None), "does not append </s>"),
        (
            lambda c: c["model"].update(type="WordLevel", unk_token="<unk>"),
            "is not a byte-pair|read",
        ),
    ],
)
def test_a_foreign_tokenizer_is_refused(
    tokenizer: JointBpe, tmp_path: Path, change: object, problem: str
) -> None:
    damage(tokenizer, tmp_path, change)
    with pytest.raises(ModelFileError, match=problem) as caught:
        JointBpe.load(tmp_path)
    assert str(tmp_path / "tokenizer.json") in str(caught.value)


def test_a_vocabulary_with_pad_elsewhere_is_refused(tokenizer: JointBpe, tmp_path: Path) -> None:
    def swap(content: dict) -> None:
        vocab = content["model"]["vocab"]
        last = len(vocab) - 1
        other = next(token for token, i in vocab.items() if i == last - 1)
        vocab["<pad>"], vocab[other] = last - 1, last
        for added in content["added_tokens"]:
            if added["content"] == "<pad>":
                added["id"] = last - 1

    damage(tokenizer, tmp_path, swap)
    with pytest.raises(ModelFileError, match="has <pad> at 368, not last at 369"):
        JointBpe.load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"model": 3}'])
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"tokenizer\.json cannot be read"):
        JointBpe.load(tmp_path)


def test_a_missing_file_and_a_bad_config(tokenizer: JointBpe, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"tokenizer\.json is missing: train"):
        JointBpe.load(tmp_path)
    tokenizer.save(tmp_path)
    for text in ("[1]", "{", '{"model_max_length": "long"}'):
        (tmp_path / "tokenizer_config.json").write_text(text)
        with pytest.raises(ModelFileError, match=r"tokenizer_config\.json is not"):
            JointBpe.load(tmp_path)


def test_the_file_speaks_for_itself(tokenizer: JointBpe, tmp_path: Path) -> None:
    """Read by the bare library, special tokens found in a text aside, it gives the same ids."""
    tokenizer.save(tmp_path)
    bare = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [bare.encode(line).ids for line in LINES[:3]] == tokenizer.encode_source(LINES[:3])


def test_ids_that_no_text_gives(tokenizer: JointBpe) -> None:
    """What a model may write: a byte alone, a line end, two spaces, a word without its space."""
    ids = {token: i for i, token in enumerate(tokenizer.source_tokens(range(370)))}
    assert tokenizer.decode_target([ids["<0x41>"], ids["<0x0A>"], ids["<0x42>"]]) == "A\nB"
    assert tokenizer.decode_target([ids[" "], ids[" "], ids["a"], ids[" "]]) == " a "
    assert tokenizer.decode_target([ids["<0xFF>"], ids["a"]]) == "\ufffda"
    assert tokenizer.decode_target([tokenizer.pad_id, tokenizer.eos_id]) == ""
    assert tokenizer.decode_target([]) == ""
    assert tokenizer.target_words([ids["a"], ids["b"], ids[" "], ids["a"]]) == [0, 0, 1, 1]
