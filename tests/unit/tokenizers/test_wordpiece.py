"""WordPiece: pieces, spans and words; its files, read back or refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.loading import (
    load_encoder_tokenizer,
    load_tokenizer,
    load_translation_tokenizer,
)
from triptych.tokenizers.wordpiece import WordPiece

TEXTS = ["The river banks are steep.", "A bank lends money", "naïve cafés sing, singing"]


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece.train(TEXTS * 4, 120)


@pytest.fixture
def folder(tokenizer: WordPiece, tmp_path: Path) -> Path:
    tokenizer.save(tmp_path)
    return tmp_path


def test_special_tokens_come_first(tokenizer: WordPiece) -> None:
    t = tokenizer
    assert [t.pad_id, t.unk_id, t.cls_id, t.sep_id, t.mask_id] == [0, 1, 2, 3, 4]
    assert t.special_ids == frozenset(range(5))


def test_case_and_accents_go(tokenizer: WordPiece) -> None:
    assert tokenizer.encode(["NAÏVE Cafés"]) == tokenizer.encode(["naive cafes"])
    cased = WordPiece.train(TEXTS * 4, 130, lowercase=False)
    assert cased.encode(["The"]) != cased.encode(["the"])


def test_pairs_and_segments(tokenizer: WordPiece) -> None:
    t = tokenizer
    assert t.with_specials([7, 8]) == ([2, 7, 8, 3], [0] * 4)
    assert t.with_specials([7], [8, 9]) == ([2, 7, 3, 8, 9, 3], [0, 0, 0, 1, 1, 1])
    assert t.with_specials([], []) == ([2, 3, 3], [0, 0, 1])


def test_a_special_token_in_a_text_is_one(tokenizer: WordPiece) -> None:
    assert tokenizer.encode(["the [MASK] bank"])[0][1] == tokenizer.mask_id


def test_spans_are_of_the_text_as_given(tokenizer: WordPiece) -> None:
    text = "  NAÏVE\tbank  sings!"
    ids, spans = tokenizer.encode_with_spans(text)
    assert ids == tokenizer.encode([text])[0]
    assert [text[a:b] for a, b in spans][:2] != []
    assert "".join(text[a:b] for a, b in spans) == "NAÏVEbanksings!"


def test_words_keep_their_number(tokenizer: WordPiece) -> None:
    words = ["banks", "\u200b", "singing", "漢"]
    ids, numbers = tokenizer.encode_words(words)
    assert sorted(set(numbers)) == [0, 1, 2, 3]
    assert ids[numbers.index(1)] == tokenizer.unk_id  # nothing was left of it
    for number, word in enumerate(words):
        pieces = [i for i, n in zip(ids, numbers, strict=True) if n == number]
        assert pieces == (tokenizer.encode([word])[0] or [tokenizer.unk_id])


def test_what_continues_a_word(tokenizer: WordPiece) -> None:
    for i, token in enumerate(tokenizer.tokens(range(tokenizer.vocab_size))):
        assert tokenizer.is_continuation[i] == (token.startswith("##") and len(token) > 2)
    assert tokenizer.is_continuation.dtype == np.bool_


def test_decoding(tokenizer: WordPiece) -> None:
    ids, _ = tokenizer.with_specials(tokenizer.encode(["A bank lends money"])[0])
    assert tokenizer.decode(ids) == "a bank lends money"
    with pytest.raises(DataError, match="token id 120000 is outside"):
        tokenizer.decode([120_000])


def test_nothing_is_cut_however_long(tokenizer: WordPiece) -> None:
    assert len(tokenizer.encode(["bank " * 300_000])[0]) == 300_000


def test_one_text_in_place_of_a_list_is_refused(tokenizer: WordPiece) -> None:
    with pytest.raises(UsageError, match=r"use \[text\]"):
        tokenizer.encode("bank")


def test_a_saved_tokenizer_comes_back(tokenizer: WordPiece, folder: Path) -> None:
    again = load_tokenizer(folder)
    assert isinstance(again, WordPiece)
    assert again.encode(TEXTS) == tokenizer.encode(TEXTS)
    assert again.special_ids == tokenizer.special_ids
    assert again.model_max_length == 512
    (folder / "tokenizer.json").unlink()  # vocab.txt alone, as older folders have it
    assert load_encoder_tokenizer(folder).encode(TEXTS) == tokenizer.encode(TEXTS)


def test_a_cased_vocabulary_stays_cased(tmp_path: Path) -> None:
    cased = WordPiece.train(TEXTS * 4, 130, lowercase=False)
    cased.save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert load_encoder_tokenizer(tmp_path).encode(TEXTS) == cased.encode(TEXTS)


def test_special_tokens_may_have_other_names(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    vocab = (folder / "vocab.txt").read_text().replace("[MASK]", "<mask>")
    (folder / "vocab.txt").write_text(vocab)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["mask_token"] = {"content": "<mask>", "special": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    again = load_encoder_tokenizer(folder)
    assert again.tokens([again.mask_id]) == ["<mask>"]


def test_truncation_and_padding_of_a_file_are_not_ours(tokenizer: WordPiece, folder: Path) -> None:
    pipeline = json.loads((folder / "tokenizer.json").read_text())
    pipeline["truncation"] = {
        "max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(pipeline))
    assert load_encoder_tokenizer(folder).encode(TEXTS) == tokenizer.encode(TEXTS)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer.json cannot be read"),
        (lambda f: (f / "tokenizer_config.json").write_text("["), "tokenizer_config.json is not"),
        (lambda f: (f / "tokenizer_config.json").write_text("[]"), "holds no JSON object"),
        (lambda f: (f / "tokenizer_config.json").write_text('{"mask_token": "<m>"}'),
         "has no token <m>"),
        (lambda f: (f / "tokenizer_config.json").write_text('{"model_max_length": "x"}'),
         "model_max_length is 'x'"),
        (lambda f: [(f / n).unlink() for n in ("tokenizer.json", "vocab.txt")],
         "neither tokenizer.json nor vocab.txt"),
        (lambda f: [(f / "tokenizer.json").unlink(), (f / "vocab.txt").write_text("[PAD]\na\na")],
         "vocab.txt:3: 'a' stands at line 2 already"),
        (lambda f: [(f / "tokenizer.json").unlink(), (f / "vocab.txt").write_bytes(b"\xff\xfe")],
         "vocab.txt is not UTF-8"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(damage, expected: str, folder: Path) -> None:  # type: ignore[no-untyped-def]
    damage(folder)
    with pytest.raises(ModelFileError, match=expected):
        load_encoder_tokenizer(folder)


def test_one_kind_is_not_taken_for_the_other(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="as a translation tokenizer must"):
        load_translation_tokenizer(folder)
    other = tmp_path / "bpe"
    JointBpe.train(TEXTS * 4, 300).save(other)
    with pytest.raises(ModelFileError, match="is BPE, not WordPiece"):
        load_encoder_tokenizer(other)


def test_training_is_repeatable_and_refuses_what_it_cannot(tmp_path: Path) -> None:
    one, two = (WordPiece.train(iter(TEXTS * 4), 120) for _ in range(2))
    one.save(tmp_path / "one"), two.save(tmp_path / "two")
    assert (tmp_path / "one" / "tokenizer.json").read_bytes() == (
        tmp_path / "two" / "tokenizer.json"
    ).read_bytes()
    assert one.vocab_size <= 120
    with pytest.raises(UsageError, match="a vocabulary of 20 entries has no room"):
        WordPiece.train(TEXTS * 4, 20)
    with pytest.raises(DataError, match="no text to train a tokenizer on"):
        WordPiece.train(["", " "], 100)
