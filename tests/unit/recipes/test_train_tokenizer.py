"""Files in, a tokenizer folder out."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from triptych.errors import DataError, UsageError
from triptych.recipes.train_tokenizer import show_tokens, train_tokenizer
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.wordpiece import WordPiece

TEXT = "the man by the river\nder mann am fluss\n" * 5


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_files_in_folder_out(text_file: Path, tmp_path: Path) -> None:
    train_tokenizer([text_file, text_file], tmp_path / "out", 285)
    loaded = JointBpe.load(tmp_path / "out")
    assert loaded.vocab_size == 285
    expected = JointBpe.train(TEXT.splitlines() * 2, 285)
    assert loaded.encode_source(["am river"]) == expected.encode_source(["am river"])


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXT.encode())))
    assert train_tokenizer([Path("-")], tmp_path / "out", 285).vocab_size == 285


def test_nothing_is_overwritten(text_file: Path, tmp_path: Path) -> None:
    train_tokenizer([text_file], tmp_path / "out", 280)
    with pytest.raises(UsageError, match=r"tokenizer\.json exists"):
        train_tokenizer([text_file], tmp_path / "out", 280)


def test_a_vocabulary_of_an_older_folder_is_not_overwritten(
    text_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    with pytest.raises(UsageError, match=r"vocab\.txt exists"):
        train_tokenizer([text_file], tmp_path, 280, kind="wordpiece")


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "latin1").write_bytes(b"gr\xfcn\n")
    for name, problem in (("empty", "empty"), ("nowhere", "nowhere"), ("latin1", "latin1:1")):
        with pytest.raises(DataError, match=problem):
            train_tokenizer([tmp_path / name], tmp_path / "out", 300)
    with pytest.raises(UsageError, match="no text file"):
        train_tokenizer([], tmp_path / "out", 300)
    assert not (tmp_path / "out").exists()


def test_show_tokens(text_file: Path, tmp_path: Path) -> None:
    train_tokenizer([text_file], tmp_path / "out", 285)
    rows = show_tokens(tmp_path / "out", "the  é")
    assert [row.token for row in rows] == ["▁the", "▁", "<0xC3>", "<0xA9>", "</s>"]
    assert [row.characters for row in rows] == ["the", "", "é", "é", ""]
    assert rows[-1].token_id == 0


def test_wordpiece(text_file: Path, tmp_path: Path) -> None:
    trained = train_tokenizer([text_file], tmp_path / "out", 60, kind="wordpiece", lowercase=True)
    assert isinstance(trained, WordPiece)
    expected = WordPiece.train(TEXT.splitlines(), 60)
    assert WordPiece.load(tmp_path / "out").encode(["am river"]) == expected.encode(["am river"])
    rows = show_tokens(tmp_path / "out", "The  rivér")
    assert [row.token for row in rows][0 :: len(rows) - 1] == ["[CLS]", "[SEP]"]
    assert "".join(row.token.removeprefix("##") for row in rows[1:-1]) == "theriver"
    assert "".join(row.characters for row in rows) == "Therivér"
    assert [row.token_id for row in rows][0 :: len(rows) - 1] == [2, 3]


def test_a_generator_s_tokenizer(tmp_path: Path) -> None:
    """From a folder and JSONL, with its line ends; GPT-2's two files are not overwritten."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(TEXT + "\n\n" + TEXT)
    (tmp_path / "b.jsonl").write_text(
        '{"text": "zz zz zz zz zz zz zz zz zz zz zz zz zz zz zz zz zz zz zz zz "}\n'
    )
    files = [tmp_path / "texts", tmp_path / "b.jsonl"]
    made = train_tokenizer(files, tmp_path / "out", 265, kind="byte-bpe")
    assert isinstance(made, ByteBpe)
    assert {b"the", b" zz", b"\n\n"} & set(made.token_bytes) == {b"the", b" zz"}
    assert ByteBpe.load(tmp_path / "out").encode([TEXT]) == made.encode([TEXT])
    (tmp_path / "out" / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match=r"vocab\.json exists"):
        train_tokenizer(files, tmp_path / "out", 265, kind="byte-bpe")
    with pytest.raises(UsageError, match="keeps every text as it is"):
        train_tokenizer(files, tmp_path / "low", 265, kind="byte-bpe", lowercase=True)
    characters = train_tokenizer(files, tmp_path / "characters", 265, kind="characters")
    assert characters.vocab_size == len(set(TEXT + "z")) + 1


def test_tokens_of_bytes_are_shown(tmp_path: Path) -> None:
    ByteBpe.train(["a b"], 257).save(tmp_path)
    rows = show_tokens(tmp_path, "a 漢!")
    assert [row.token for row in rows] == ["a", "Ġ", "æ", "¼", "¢", "!"]
    assert [row.characters for row in rows] == ["a", " ", "漢", "漢", "漢", "!"]
    assert show_tokens(tmp_path, "") == []
