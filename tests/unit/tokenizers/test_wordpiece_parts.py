"""Cutting long texts: the parts are the text, and their pieces are its pieces."""

import random

import pytest
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from triptych.tokenizers import wordpiece_parts
from triptych.tokenizers.wordpiece import WordPiece
from triptych.tokenizers.wordpiece_parts import find_cuts, split_text, split_texts

SIGNS = [
    *" \t\n\r.,!-_'[]()#", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2028", "\u3000", "\u200b",
    "\u0301", "\x00", "\ufffd", "\ud800", "\U0001f469", "\u6771", "\u4eac", "\u9fff", "\ua000",
    "[MASK]", "[SEP]", "[MASK", "a", "b", "ab", "\u00e9", "x" * 20,
]  # fmt: skip


def random_text(seed: int) -> str:
    draw = random.Random(seed)
    return "".join(draw.choices(SIGNS, k=200))


@pytest.fixture(params=[True, False], ids=["uncased", "cased"])
def tokenizer(request: pytest.FixtureRequest) -> WordPiece:
    text = ["ab ba abab . , ! - _ ' ( ) # \u6771 \u4eac \u9fff x"] * 3
    return WordPiece.train(text, 100, lowercase=request.param)


@pytest.mark.parametrize("longest", [1, 3, 10])
def test_a_cut_changes_nothing(
    tokenizer: WordPiece, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [random_text(seed) for seed in range(200)]
    whole = [tokenizer.encode_with_spans(text) for text in texts]
    monkeypatch.setattr(wordpiece_parts, "LONGEST_PART", longest)
    monkeypatch.setattr(wordpiece_parts, "CHARACTERS_AT_ONCE", 500)
    cut = [len(list(split_text(text, tokenizer._cuts))) for text in texts]
    assert min(cut) > 5  # or nothing was tested
    assert [tokenizer.encode_with_spans(text) for text in texts] == whole
    assert tokenizer.encode(texts) == [ids for ids, _ in whole]


def test_the_parts_are_the_text(tokenizer: WordPiece, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordpiece_parts, "LONGEST_PART", 3)
    monkeypatch.setattr(wordpiece_parts, "CHARACTERS_AT_ONCE", 20)
    texts = ["", random_text(1), "", random_text(2)]
    joined = ["", "", "", ""]
    for group in split_texts(texts, tokenizer._cuts):
        assert sum(len(part) for _, part in group[:-1]) < 20
        for number, part in group:
            assert part
            joined[number] += part
    assert joined == texts


def test_what_is_no_space_to_bert_is_no_place_to_cut(tokenizer: WordPiece) -> None:
    cuts = tokenizer._cuts
    assert cuts is not None
    for char in "\x0b\x0c\x1c\x1f\x85\u0301[]MASKab\u00e9\ua000":
        assert not cuts.match(char), ascii(char)
    for char in " \t\n\r.-!\\^\u6771\u9fff":
        assert cuts.match(char), ascii(char)


def pipeline(tokenizer: WordPiece) -> Tokenizer:
    return Tokenizer.from_str(tokenizer._tokenizer.to_str())


def test_ideographs_that_are_not_set_apart(tokenizer: WordPiece) -> None:
    other = pipeline(tokenizer)
    other.normalizer = normalizers.BertNormalizer(handle_chinese_chars=False)
    cuts = find_cuts(other)
    assert cuts is not None
    assert not cuts.match("\u6771")
    assert cuts.match(".")


def test_added_tokens_are_not_torn(tokenizer: WordPiece) -> None:
    other = pipeline(tokenizer)
    other.add_tokens(["a-b\u6771"])
    cuts = find_cuts(other)
    assert cuts is not None
    assert not cuts.search("-\u6771")
    assert cuts.match("!")
    other.add_tokens([AddedToken("solo", single_word=True)])
    cuts = find_cuts(other)
    assert cuts is not None
    assert not cuts.match("!")
    assert cuts.match(" ")


def test_a_pipeline_that_is_not_berts_is_not_cut(tokenizer: WordPiece) -> None:
    other = pipeline(tokenizer)
    other.pre_tokenizer = pre_tokenizers.Whitespace()  # takes "..." for one word
    assert find_cuts(other) is None
    assert list(split_text("a " * 50_000, None)) == ["a " * 50_000]
