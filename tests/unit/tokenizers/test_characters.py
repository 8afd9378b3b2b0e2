"""One token a character, and no other."""

import os
from pathlib import Path

import pytest

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.base import GeneratorTokenizer
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters

END = "<|endoftext|>"


def test_the_vocabulary_is_the_text_s_characters() -> None:
    made: GeneratorTokenizer = Characters.train(["cab\n", "é a"])
    assert made.tokens(range(made.vocab_size)) == ["\n", " ", "a", "b", "c", "é", END]
    assert (made.eos_id, made.pad_id, made.vocab_size) == (6, 6, 7)
    assert made.encode(["bé\n", ""]) == [[3, 5, 0], []]
    assert made.decode([3, 6, 5]) == "bé"
    assert made.decode([3, 6, 5], special_tokens=True) == f"b{END}é"
    assert made.decode_bytes([5]) == made.token_bytes[5] == "é".encode()


def test_tinyshakespeare_has_65(data_dir: Path) -> None:
    text = (data_dir / "tinyshakespeare" / "input.txt").read_text()
    made = Characters.train([text])
    assert made.vocab_size == 65 + 1
    assert made.decode(made.encode([text])[0]) == text


def test_the_end_is_read_when_asked() -> None:
    made = Characters.train([f"a{END}"])
    a = made._ids["a"]
    assert made.encode([f"a{END}a"], special_tokens=True) == [[a, made.eos_id, a]]
    assert made.encode([END, ""], special_tokens=True) == [[made.eos_id], []]
    assert made.eos_id not in made.encode([END])[0]


def test_an_unknown_character_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"'ü' \(U\+00FC\) is not among the 2"):
        Characters.train(["ab"]).encode(["a", "aü"])
    with pytest.raises(DataError, match="not among"):
        Characters.train(["ab"]).encode([f"ü{END}"], special_tokens=True)


def test_training_that_cannot_be() -> None:
    with pytest.raises(DataError, match="every text is empty"):
        Characters.train([""])
    with pytest.raises(UsageError, match=r"3 different characters, and .* makes 4"):
        Characters.train(["abc"], 3)
    assert Characters.train(["abc"], 4).vocab_size == 4


def test_saved_and_loaded(tmp_path: Path) -> None:
    made = Characters.train(["cab\n é漢"])
    made.model_max_length = 64
    made.save(tmp_path)
    loaded = Characters.load(tmp_path)
    assert loaded._tokens == made._tokens
    assert loaded.model_max_length == 64
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    ByteBpe.train(["abc"], 257).save(tmp_path)
    with pytest.raises(ModelFileError, match="not a vocabulary of characters"):
        Characters.load(tmp_path)


def test_transformers_reads_it(tmp_path: Path) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers = pytest.importorskip("transformers")
    text = "First Citizen:\nBefore we  proceed é漢\n"
    made = Characters.train([text])
    made.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs([text, f"é{END}"])["input_ids"] == made.encode(
        [text, f"é{END}"], special_tokens=True
    )
    assert theirs.decode(made.encode([text])[0]) == text
    assert theirs.eos_token_id == made.eos_id
