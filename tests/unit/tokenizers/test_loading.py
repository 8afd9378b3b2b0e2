"""The kind of tokenizer is told by the files of the folder."""

from pathlib import Path

import pytest

from triptych.errors import ModelFileError
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.loading import load_translation_tokenizer


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
