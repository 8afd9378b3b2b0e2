"""Any bytes come back, training gives one result, files that do not fit are refused by name."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.base import GeneratorTokenizer
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.byte_bpe_files import END_OF_TEXT, SpecialNames
from triptych.tokenizers.characters import Characters
from triptych.tokenizers.wordpiece import WordPiece

TEXT = "the man saw the bank\n\nthe bank of the river, the river\n" * 9
FILES = ["merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
SMALL = ByteBpe.train([TEXT], 270)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SMALL.save(tmp_path)
    return tmp_path


def test_the_order_is_gpt2s() -> None:
    assert [SMALL.token_bytes[i] for i in (0, 187, 188, 269)] == [
        b"!", b"\xff", b"\x00", END_OF_TEXT.encode(),
    ]  # fmt: skip
    assert sorted(SMALL.token_bytes[:256]) == [bytes([value]) for value in range(256)]
    assert (SMALL.eos_id, SMALL.pad_id, SMALL.vocab_size) == (269, 269, 270)
    assert SMALL.special_ids == {269}
    assert b" the" in SMALL.token_bytes


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    for special_tokens in (False, True):
        ids = SMALL.encode([text], special_tokens=special_tokens)[0]
        assert SMALL.decode(ids, special_tokens=True) == text


@given(st.binary())
def test_every_run_of_bytes_is_some_tokens(data: bytes) -> None:
    """What no text is encoded as, a model may still write."""
    ids = [token_id for byte in data for token_id in [SMALL.token_bytes.index(bytes([byte]))]]
    assert SMALL.decode_bytes(ids) == data
    assert SMALL.decode(ids) == data.decode(errors="replace")


def test_a_special_token_in_a_text_is_text() -> None:
    text = f"the {END_OF_TEXT}{END_OF_TEXT} bank"
    plain, special = SMALL.encode([text])[0], SMALL.encode([text], special_tokens=True)[0]
    assert 269 not in plain
    assert special.count(269) == 2
    assert SMALL.decode(plain) == SMALL.decode(special, special_tokens=True) == text
    assert SMALL.decode(special) == "the  bank"
    assert SMALL.decode_bytes(special) == b"the  bank"
    assert SMALL.encode([text])[0] == plain  # the other way has left no trace


def test_nothing_is_added_and_surrogates_are_replaced() -> None:
    assert SMALL.encode(["", "a\ud800b", "a\ufffdb"])[0] == []
    assert SMALL.encode(["a\ud800b"]) == SMALL.encode(["a\ufffdb"])
    with pytest.raises(UsageError, match="use \\[text\\]"):
        SMALL.encode("the bank")


def test_ids_and_tokens() -> None:
    assert SMALL.tokens([SMALL.token_id("Ġthe") or -1, 269]) == ["Ġthe", END_OF_TEXT]
    assert SMALL.token_id("nowhere") is None
    for wrong in (-1, 270):
        for method in (SMALL.decode, SMALL.decode_bytes, SMALL.tokens):
            with pytest.raises(DataError, match=f"token id {wrong} is outside"):
                method([wrong])  # type: ignore[operator]


def test_without_merges_the_tokens_are_bytes() -> None:
    made = ByteBpe.train([TEXT], 257)
    assert made.decode_bytes(made.encode(["né\n"])[0]) == "né\n".encode()
    assert len(made.encode(["né\n"])[0]) == 4


@pytest.mark.parametrize(
    ("texts", "vocab_size", "error", "message"),
    [
        ([], 300, DataError, "no text to train"),
        (["", ""], 300, DataError, "no text to train"),
        ([TEXT], 256, UsageError, "vocabulary of 256 .* ask for 257 or more"),
        (["abab ab"], 300, DataError, "at most 258 vocabulary entries, not 300"),
    ],
)
def test_training_that_cannot_be(
    texts: list[str], vocab_size: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ByteBpe.train(texts, vocab_size)


def test_training_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """Whatever the hash seed and the number of threads; a stream gives what a list gives."""
    draw = random.Random(4)
    words = ["".join(draw.choices("abcdeé", k=draw.randint(1, 6))) for _ in range(300)]
    texts = [" ".join(draw.choices(words, k=200)) + "\n" for _ in range(50)]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = (
        "import json, sys; from pathlib import Path\n"
        "from triptych.tokenizers.byte_bpe import ByteBpe\n"
        "texts = json.loads(Path(sys.argv[1]).read_text())\n"
        "ByteBpe.train(iter(texts), 500).save(Path(sys.argv[2]))"
    )
    ByteBpe.train(texts, 500).save(tmp_path / "0")
    for number in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": number, "RAYON_NUM_THREADS": number}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        arguments = [sys.executable, "-c", code, tmp_path / "texts.json", tmp_path / number]
        subprocess.run(arguments, check=True, env=environment, timeout=60)
    for path in (tmp_path / "0").iterdir():
        for number in ("1", "2"):
            assert (tmp_path / number / path.name).read_bytes() == path.read_bytes(), path.name


def test_saved_and_loaded(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "vocab.json"])
    loaded: GeneratorTokenizer = ByteBpe.load(folder)
    loaded.save(folder / "again")
    for path in (folder / "again").iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    (folder / "tokenizer.json").unlink()
    assert ByteBpe.load(folder).encode([TEXT]) == SMALL.encode([TEXT])


def test_older_readers_skip_the_first_line_of_the_merges(folder: Path) -> None:
    assert (folder / "merges.txt").read_text().startswith("#version: 0.2\nh e\n")
    assert (folder / "merges.txt").read_text().endswith("\n")


def test_what_a_file_says_of_truncation_and_padding_is_passed_over(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    assert ByteBpe.load(folder).encode([TEXT]) == SMALL.encode([TEXT])


def test_names_are_read(folder: Path) -> None:
    made = ByteBpe(Tokenizer.from_str(SMALL._tokenizer.to_str()))
    made._tokenizer.add_special_tokens(["<pad>", "</s>"])
    made = ByteBpe(made._tokenizer, SpecialNames(eos="</s>", pad="<pad>"), 99)
    assert (made.eos_id, made.pad_id) == (271, 270)
    made.save(folder)
    loaded = ByteBpe.load(folder)
    assert (loaded.eos_id, loaded.pad_id, loaded.model_max_length) == (271, 270, 99)


def test_special_tokens_that_stand_in_the_vocabulary_alone(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"added_tokens": []}))
    loaded = ByteBpe.load(folder)
    assert loaded.special_ids == {269}
    assert loaded.decode([269]) == ""


def change_pipeline(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        pipeline = json.loads((folder / "tokenizer.json").read_text())
        change(pipeline)
        (folder / "tokenizer.json").write_text(json.dumps(pipeline))

    return apply


def replace(name: str, old: str, new: str, keep_pipeline: bool = False) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        if not keep_pipeline:
            (folder / "tokenizer.json").unlink()
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return apply


def save(make: Callable[[], Tokenizer]) -> Callable[[Path], None]:
    return lambda folder: make().save(str(folder / "tokenizer.json"))


def rename_letter(pipeline: dict[str, Any]) -> None:
    vocab = pipeline["model"]["vocab"]
    pipeline["model"]["merges"] = []
    vocab["東"] = vocab.pop("Ġthe")


def remove_space(pipeline: dict[str, Any]) -> None:
    vocab = pipeline["model"]["vocab"]
    pipeline["model"]["merges"] = []
    vocab["xyz"] = vocab.pop("Ġ")


def prefix(folder: Path) -> None:
    replace("tokenizer_config.json", '"add_prefix_space": false', '"add_prefix_space": true',
            keep_pipeline=True)(folder)  # fmt: skip


def remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


WRONG = {
    "nothing": (remove("tokenizer.json", "vocab.json"), "neither tokenizer.json nor vocab.json"),
    "merges": (remove("tokenizer.json", "merges.txt"), r"merges\.txt is missing"),
    "merge of one": (replace("merges.txt", "h e", "he"), r"merges\.txt:2: 'he' is not two tokens"),
    "foreign": (replace("merges.txt", "h e", "h 東"), r"merges\.txt:2: '東' is not in vocab\.json"),
    "pair": (replace("merges.txt", "h e", "h q"), r"merges\.txt:2: 'hq' is not in vocab\.json"),
    "id": (replace("vocab.json", '"!": 0', '"!": "0"'), "the id of '!' is '0', not a number"),
    "gap": (replace("vocab.json", '"!": 0', '"!": 999'), "from 0 without gaps"),
    "json": (replace("vocab.json", '"!": 0', '"!" 0'), r"vocab\.json is not JSON"),
    "eos": (replace("vocab.json", ', "<|endoftext|>": 269', ""), "no token '<|endoftext|>'"),
    "prefix": (prefix, "add_prefix_space is True"),
    "damaged": (
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        "cannot be read as a tokenizer",
    ),
    "letter": (change_pipeline(rename_letter), "token '東', which is not spelled in bytes"),
    "byte": (change_pipeline(remove_space), "has no token 'Ġ'"),
    "space": (
        change_pipeline(lambda p: p["pre_tokenizer"].update(add_prefix_space=True)),
        "sets a space before every text",
    ),
    "normalizer": (
        change_pipeline(lambda p: p.update(normalizer={"type": "Lowercase"})),
        "changes texts before it cuts",
    ),
    "swallows": (
        change_pipeline(
            lambda p: p["added_tokens"].append(
                p["added_tokens"][0] | {"content": "x", "id": 270, "lstrip": True, "special": False}
            )
        ),
        "swallows white space",
    ),
    "suffix": (
        change_pipeline(lambda p: p["model"].update(end_of_word_suffix="</w>", merges=[])),
        "marks the parts of words",
    ),
    "wordpiece": (
        lambda folder: WordPiece.train([TEXT], 60).save(folder),
        "is WordPiece, not the byte-level BPE",
    ),
    "characters": (
        lambda folder: Characters.train([TEXT]).save(folder),
        "BPE of characters, not the byte-level",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_files_that_do_not_fit(folder: Path, name: str) -> None:
    damage, message = WRONG[name]
    damage(folder)
    with pytest.raises(ModelFileError, match=message.replace("|", r"\|")):
        ByteBpe.load(folder)


def test_added_tokens_of_old_folders_are_refused(folder: Path) -> None:
    (folder / "added_tokens.json").write_text('{"<|user|>": 270}')
    ByteBpe.load(folder)  # tokenizer.json says everything
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFileError, match=r"adds '<\|user\|>' to vocab\.json"):
        ByteBpe.load(folder)
