"""WordPiece: pieces, spans and words; its files, read back or refused by name."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.base import EncoderTokenizer
from triptych.tokenizers.loading import (
    load_encoder_tokenizer,
    load_tokenizer,
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
    text = "  NAÏVE\tbank  sings."
    ids, spans = tokenizer.encode_with_spans(text)
    assert ids == tokenizer.encode([text])[0]
    assert "".join(text[a:b] for a, b in spans) == "NAÏVEbanksings."
    for (start, end), token in zip(spans, tokenizer.tokens(ids), strict=True):
        assert len(text[start:end]) == len(token.removeprefix("##"))


def test_spans_count_what_cleaning_drops(tokenizer: WordPiece) -> None:
    """Marks, joiners, NUL and lone surrogates go, but the places are those of the text."""
    for text in ("nai\u0308ve s", "na\x00ive s", "nai\u200dve s", "nai\ud800ve s"):
        ids, spans = tokenizer.encode_with_spans(text)
        assert ids == tokenizer.encode(["naive s"])[0]
        assert (spans[0][0], spans[-2][1], spans[-1]) == (0, 6, (7, 8))
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


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


def test_a_word_may_have_as_many_characters_as_the_file_says(
    tokenizer: WordPiece, folder: Path
) -> None:
    fits, long = "s" * 100, "s" * 101
    assert tokenizer.encode([long]) == [[tokenizer.unk_id]]
    assert tokenizer.unk_id not in tokenizer.encode([fits])[0]
    pipeline = json.loads((folder / "tokenizer.json").read_text())
    pipeline["model"]["max_input_chars_per_word"] = 101
    (folder / "tokenizer.json").write_text(json.dumps(pipeline))
    assert tokenizer.unk_id not in load_encoder_tokenizer(folder).encode([long])[0]


def test_one_text_in_place_of_a_list_is_refused(tokenizer: WordPiece) -> None:
    with pytest.raises(UsageError, match=r"use \[text\]"):
        tokenizer.encode("bank")


def test_a_saved_tokenizer_comes_back(tokenizer: WordPiece, folder: Path) -> None:
    again = load_tokenizer(folder)
    assert isinstance(again, WordPiece)
    as_asked: EncoderTokenizer = again
    assert as_asked.mask_id == tokenizer.mask_id
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


def test_special_tokens_of_the_vocabulary_alone(tokenizer: WordPiece, folder: Path) -> None:
    """Not listed as added, "[MASK]" would be cut into three words."""
    change(folder / "tokenizer.json", added_tokens=[])
    assert load_encoder_tokenizer(folder).encode(["a [MASK]"]) == tokenizer.encode(["a [MASK]"])


def test_what_the_config_says_of_cleaning_holds(folder: Path) -> None:
    config = folder / "tokenizer_config.json"
    assert load_encoder_tokenizer(folder).encode(["BANK"]) == [[*bank(folder)]]
    change(config, do_lower_case=False)
    assert load_encoder_tokenizer(folder).encode(["BANK"]) == [[1]]
    change(config, do_lower_case=None)  # nothing said: tokenizer.json decides
    assert load_encoder_tokenizer(folder).encode(["BANK"]) == [[*bank(folder)]]
    change(config, do_lower_case=False, tokenizer_class="PreTrainedTokenizerFast")
    assert load_encoder_tokenizer(folder).encode(["BANK"]) == [[*bank(folder)]]
    change(config, do_lower_case=True, strip_accents=False, tokenizer_class="BertTokenizer")
    assert load_encoder_tokenizer(folder).encode(["bänk"]) == [[1]]


@pytest.mark.parametrize(("said", "found"), [(77, 77), (None, 10**9), (1e30, 10**9), (128.0, 128)])
def test_the_longest_input(folder: Path, said: float | None, found: int) -> None:
    change(folder / "tokenizer_config.json", model_max_length=said)
    assert load_encoder_tokenizer(folder).model_max_length == found


def test_truncation_and_padding_of_a_file_are_not_ours(tokenizer: WordPiece, folder: Path) -> None:
    pipeline = json.loads((folder / "tokenizer.json").read_text())
    pipeline["truncation"] = {
        "max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(pipeline))
    assert load_encoder_tokenizer(folder).encode(TEXTS) == tokenizer.encode(TEXTS)


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def bank(folder: Path) -> list[int]:
    return WordPiece.load(folder).encode(["bank"])[0]


def config_says(text: str) -> Callable[[Path], int]:
    return lambda folder: (folder / "tokenizer_config.json").write_text(text)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer.json cannot be read"),
        (lambda f: (f / "tokenizer_config.json").write_text("["), "tokenizer_config.json is not"),
        (lambda f: (f / "tokenizer_config.json").write_text("[]"), "holds no JSON object"),
        (lambda f: (f / "tokenizer_config.json").write_text('{"mask_token": "<m>"}'),
         "has no token <m>"),
        (config_says('{"model_max_length": "x"}'), "config.json: model_max_length is 'x'"),
        (config_says('{"model_max_length": NaN}'), "model_max_length is nan"),
        (config_says('{"model_max_length": true}'), "model_max_length is True"),
        (config_says('{"model_max_length": 0}'), "model_max_length is 0"),
        (config_says('{"do_lower_case": "false"}'), "config.json: do_lower_case is 'false'"),
        (config_says('{"strip_accents": 1}'), "strip_accents is 1; it should be true or false"),
        (config_says('{"cls_token": 5}'), "config.json: cls_token is 5"),
        (config_says('{"tokenizer_class": "BertJapaneseTokenizer"}'), "words by a dictionary"),
        (lambda f: (f / "special_tokens_map.json").write_text('{"sep_token": ""}'),
         "special_tokens_map.json: sep_token is ''"),
        (lambda f: [(f / n).unlink() for n in ("tokenizer.json", "vocab.txt")]
         + [(f / "vocab.txt").mkdir()], "vocab.txt cannot be read"),
        (lambda f: [(f / "tokenizer.json").unlink(),
                    (f / "added_tokens.json").write_text('{"<e1>": 120}')],
         "added_tokens.json adds '<e1>' to vocab.txt"),
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
