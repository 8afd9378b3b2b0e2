"""OPUS-MT's kind of tokenizer, on two small SentencePiece models made here."""

import io
import json
from pathlib import Path

import pytest
import sentencepiece

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.sentencepiece import MarianTokenizer

ENGLISH = ["the man sits by the river", "the bank is green", "a man and a woman"] * 20
GERMAN = ["der mann sitzt am fluss", "die bank ist gelb", "ein mann und eine frau"] * 20
CODES = [">>deu<<", ">>fra<<"]


def train_model(lines: list[str]) -> tuple[bytes, list[str]]:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=40, bos_id=-1,
        minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    return model.getvalue(), [piece for piece in pieces if piece not in ("<unk>", "</s>")]


@pytest.fixture(scope="module")
def models() -> tuple[bytes, bytes, list[str]]:
    source, source_pieces = train_model(ENGLISH)
    target, target_pieces = train_model(GERMAN)
    return source, target, sorted(set(source_pieces) | set(target_pieces))


def write(folder: Path, models: tuple[bytes, bytes, list[str]], codes: list[str] = CODES) -> Path:
    """The files; `</s>` stands in the middle."""
    source, target, pieces = models
    half = len(pieces) // 2
    tokens = [*pieces[:half], "</s>", *codes, *pieces[half:], "<unk>", "<pad>"]
    folder.mkdir(exist_ok=True)
    (folder / "source.spm").write_bytes(source)
    (folder / "target.spm").write_bytes(target)
    vocab = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    config = {"source_lang": "eng", "target_lang": "deu+fra", "model_max_length": 99}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path, models: tuple[bytes, bytes, list[str]]) -> Path:
    return write(tmp_path / "model", models)


def test_ids_are_those_of_the_vocabulary_file(folder: Path) -> None:
    tokenizer = MarianTokenizer.load(folder)
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert tokenizer.vocab_size == len(vocab)
    assert (tokenizer.eos_id, tokenizer.unk_id, tokenizer.pad_id) == (
        vocab["</s>"], vocab["<unk>"], vocab["<pad>"],
    )  # fmt: skip
    for side, encode in (("source", tokenizer.encode_source), ("target", tokenizer.encode_target)):
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{side}.spm"))
        for text in (ENGLISH[0], GERMAN[0], "mann and frau"):
            pieces = model.encode(text, out_type=str)
            expected = [vocab.get(piece, vocab["<unk>"]) for piece in pieces]
            assert encode([text]) == [[*expected, vocab["</s>"]]]
    assert tokenizer.encode_source([GERMAN[0]]) != tokenizer.encode_target([GERMAN[0]])


def test_decoding_gives_the_text_back(folder: Path) -> None:
    tokenizer = MarianTokenizer.load(folder)
    for text, token_ids in zip(GERMAN, tokenizer.encode_target(GERMAN), strict=True):
        assert tokenizer.decode_target([tokenizer.pad_id, *token_ids]) == text
    with pytest.raises(DataError, match=f"token id {tokenizer.vocab_size} is outside"):
        tokenizer.decode_target([tokenizer.vocab_size])


def test_an_unknown_piece_is_unk_and_not_spm_s_zero(folder: Path) -> None:
    tokenizer = MarianTokenizer.load(folder)
    token_ids = tokenizer.encode_source(["the 日 man"])[0]
    assert token_ids.count(tokenizer.unk_id) == 1
    assert 0 not in token_ids
    assert tokenizer.decode_target(token_ids) == "the  man"  # as transformers: dropped


def test_special_tokens_in_a_text_are_text(folder: Path) -> None:
    tokenizer = MarianTokenizer.load(folder)
    token_ids = tokenizer.encode_source(["the </s> <pad> man"])[0]
    assert token_ids.count(tokenizer.eos_id) == 1
    assert tokenizer.pad_id not in token_ids


def test_language_codes(
    folder: Path, tmp_path: Path, models: tuple[bytes, bytes, list[str]]
) -> None:
    tokenizer = MarianTokenizer.load(folder)
    assert tokenizer.language_codes == CODES
    plain = tokenizer.encode_source(["the man"])[0]
    coded, spaced, empty = tokenizer.encode_source([">>fra<<the man", ">>deu<< the man", ">>deu<<"])
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert coded == [vocab[">>fra<<"], *plain]
    assert spaced == [vocab[">>deu<<"], *plain]
    assert empty == [vocab[">>deu<<"], tokenizer.eos_id]
    assert tokenizer.source_words(spaced)[0] == -1
    for text in (">>xyz<< the man", ">>deu the man<<"):
        with pytest.raises(DataError, match=r"no language code >>.*<<: it has >>deu<< >>fra<<"):
            tokenizer.encode_source([text])
    # Where there are no codes, it is text.
    bilingual = MarianTokenizer.load(write(tmp_path / "bilingual", models, codes=[]))
    assert len(bilingual.encode_source([">>deu<< the man"])[0]) > len(spaced)


def test_words(folder: Path) -> None:
    tokenizer = MarianTokenizer.load(folder)
    token_ids = tokenizer.encode_target(["die bank ist gelb"])[0]
    words = tokenizer.target_words(token_ids)
    assert words[-1] == -1
    assert words == tokenizer.source_words(token_ids)
    for number, word in enumerate(["die", "bank", "ist", "gelb"]):
        inside = [i for i, w in zip(token_ids, words, strict=True) if w == number]
        assert tokenizer.decode_target(inside) == word
        assert "".join(tokenizer.target_tokens(inside)) == "▁" + word


def test_edges(folder: Path) -> None:
    tokenizer = MarianTokenizer.load(folder)
    assert tokenizer.encode_source([]) == []
    assert tokenizer.encode_source(["", "  "]) == [[tokenizer.eos_id]] * 2
    assert tokenizer.encode_source(["\ud800"])[0][-1] == tokenizer.eos_id
    with pytest.raises(UsageError, match="use \\[text\\]"):
        tokenizer.encode_target("a text")


def test_saving_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    tokenizer = MarianTokenizer.load(folder)
    assert (tokenizer.source_lang, tokenizer.target_lang) == ("eng", "deu+fra")
    tokenizer.save(tmp_path / "copy")
    for path in folder.iterdir():
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()
    specials = json.loads((tmp_path / "copy" / "special_tokens_map.json").read_text())
    assert specials == {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("vocab.json", None, "is missing: an OPUS-MT tokenizer is"),
        ("source.spm", None, "is missing: an OPUS-MT tokenizer is"),
        ("target.spm", b"no model", "is not a SentencePiece model"),
        ("source.spm", b"", "is not a SentencePiece model"),
        ("vocab.json", b"{", "is not valid JSON"),
        ("vocab.json", b"\xff", "is not valid JSON"),
        ("vocab.json", b"[]", "does not hold a JSON object"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 1}', "has no entry <pad>"),
        ("vocab.json", b'{"</s>": 0, "<unk>": 1, "<pad>": 3}', "does not number its 3 entries"),
        ("vocab.json", b'{"</s>": 0, "<unk>": [1], "<pad>": 2}', "does not number its 3 entries"),
        ("tokenizer_config.json", b"[", "is not valid JSON"),
        ("tokenizer_config.json", b'{"separate_vocabs": true}', "not supported yet"),
        ("target_vocab.json", b"{}", "not supported yet"),
    ],
)
def test_bad_files_are_refused_by_name(
    folder: Path, name: str, data: bytes | None, problem: str
) -> None:
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    with pytest.raises(ModelFileError, match=problem) as caught:
        MarianTokenizer.load(folder)
    assert str(folder / name) in str(caught.value)


def test_files_of_two_models_are_refused(
    folder: Path, models: tuple[bytes, bytes, list[str]]
) -> None:
    write(folder, (models[0], models[0], [f"▁{i}" for i in range(60)]))
    with pytest.raises(ModelFileError, match=r"vocab\.json does not fit .* lack 6\d of its 65"):
        MarianTokenizer.load(folder)
