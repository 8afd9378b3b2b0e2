"""The kind of tokenizer is told by the files of the folder."""

import json
from pathlib import Path

import pytest

from triptych.errors import ModelFileError
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters
from triptych.tokenizers.loading import (
    load_encoder_tokenizer,
    load_generator_tokenizer,
    load_tokenizer,
    load_translation_tokenizer,
)
from triptych.tokenizers.wordpiece import WordPiece


def test_a_joint_bpe_folder(tmp_path: Path) -> None:
    made: TranslationTokenizer = JointBpe.train(["a man, ein mann"] * 3, 270)
    made.save(tmp_path)
    loaded = load_translation_tokenizer(tmp_path)
    assert isinstance(loaded, JointBpe)
    assert loaded.encode_source(["ein man"]) == made.encode_source(["ein man"])


def test_spm_files_come_first(tmp_path: Path) -> None:
    JointBpe.train(["a man, ein mann"] * 3, 270).save(tmp_path)
    (tmp_path / "source.spm").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"target\.spm is missing"):
        load_translation_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelFileError, match="holds no tokenizer"):
        load_translation_tokenizer(tmp_path / name)


def test_a_wordpiece_folder(tmp_path: Path) -> None:
    WordPiece.train(["a man, ein mann"] * 3, 60).save(tmp_path)
    assert isinstance(load_tokenizer(tmp_path), WordPiece)
    with pytest.raises(ModelFileError, match="holds a WordPiece tokenizer, which is an encoder's"):
        load_translation_tokenizer(tmp_path)
    pipeline = json.loads((tmp_path / "tokenizer.json").read_text())
    del pipeline["model"]["type"]  # as the first files of this kind
    (tmp_path / "tokenizer.json").write_text(json.dumps(pipeline))
    assert isinstance(load_tokenizer(tmp_path), WordPiece)
    (tmp_path / "tokenizer.json").unlink()  # vocab.txt is left
    with pytest.raises(ModelFileError, match="holds a WordPiece tokenizer, which is an encoder's"):
        load_translation_tokenizer(tmp_path)


def test_an_encoder_takes_no_translation_tokenizer(tmp_path: Path) -> None:
    JointBpe.train(["a man, ein mann"] * 3, 270).save(tmp_path)
    with pytest.raises(ModelFileError, match="is BPE, not WordPiece, which an encoder needs"):
        load_encoder_tokenizer(tmp_path)
    (tmp_path / "source.spm").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"source\.spm and target\.spm, the tokenizer of"):
        load_encoder_tokenizer(tmp_path)
    with pytest.raises(ModelFileError, match=r"neither tokenizer\.json nor vocab\.txt"):
        load_encoder_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", [ByteBpe, Characters])
def test_a_generator_s_folder(tmp_path: Path, kind: type[ByteBpe | Characters]) -> None:
    made = kind.train(["a man, ein mann"] * 3, 260)
    made.save(tmp_path)
    for load in (load_tokenizer, load_generator_tokenizer):
        loaded = load(tmp_path)
        assert isinstance(loaded, kind)
        assert loaded.encode(["ein man"]) == made.encode(["ein man"])
    with pytest.raises(ModelFileError, match="bytes or characters, which is a generator's"):
        load_translation_tokenizer(tmp_path)
    with pytest.raises(ModelFileError, match="is BPE, not WordPiece, which an encoder needs"):
        load_encoder_tokenizer(tmp_path)


def test_gpt2_s_own_two_files(tmp_path: Path) -> None:
    ByteBpe.train(["a man, ein mann"] * 3, 260).save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert isinstance(load_tokenizer(tmp_path), ByteBpe)
    assert isinstance(load_generator_tokenizer(tmp_path), ByteBpe)


def test_a_generator_takes_no_other_tokenizer(tmp_path: Path) -> None:
    JointBpe.train(["a man, ein mann"] * 3, 270).save(tmp_path)
    with pytest.raises(ModelFileError, match="is a BPE of characters, not the byte-level BPE"):
        load_generator_tokenizer(tmp_path)
    WordPiece.train(["a man, ein mann"] * 3, 60).save(tmp_path)
    with pytest.raises(ModelFileError, match="is WordPiece, not the byte-level BPE"):
        load_generator_tokenizer(tmp_path)
    (tmp_path / "source.spm").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"source\.spm and target\.spm, the tokenizer of"):
        load_generator_tokenizer(tmp_path)
    with pytest.raises(ModelFileError, match=r"neither tokenizer\.json nor vocab\.json"):
        load_generator_tokenizer(tmp_path / "nowhere")
