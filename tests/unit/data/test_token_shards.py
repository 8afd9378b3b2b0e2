"""Tokens on disk: what goes in comes out, nothing is half there, damage has a name."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from triptych.data import text_parts, tokenizing
from triptych.data.shards import corpus_fingerprint
from triptych.data.text_parts import TextPart, whole_texts
from triptych.data.text_stream import TextReport, read_texts
from triptych.data.token_shards import TokenShards
from triptych.data.tokenizing import tokenize
from triptych.errors import DataError, MachineError, UsageError
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters

TEXTS = ["5 6 7", "8", "9 10 11 12"]
IDS = [[5, 6, 7, 1], [8, 1], [9, 10, 11, 12, 1]]
FILES = ["tokens.bin", "documents.bin"]


@pytest.fixture
def numbers(tokenizer):
    tokenizer.eos_id = 1
    return tokenizer


def contents(corpus: TokenShards) -> list[list[int]]:
    return [corpus[i].tolist() for i in range(len(corpus))]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_535, "uint16"), (65_536, "int32")])
def test_round_trip(tmp_path, numbers, vocab_size, dtype):
    numbers.vocab_size = vocab_size
    report = TextReport()
    corpus = TokenShards.build(whole_texts(TEXTS), numbers, tmp_path / "c", report=report)
    assert contents(corpus) == IDS
    assert corpus[-1].tolist() == IDS[-1]
    assert corpus.document_offsets.tolist() == [0, 4, 6, 11]
    assert corpus.tokens.dtype == dtype
    assert corpus.eos_id == 1
    assert (report.n_tokens, report.n_bytes) == (11, corpus.n_bytes) == (11, 16)
    with pytest.raises(IndexError):
        corpus[3]
    base = corpus.tokens
    while not isinstance(base, np.memmap):
        base = base.base
    assert not corpus.tokens.flags.writeable


@pytest.mark.parametrize(("name", "limit"), [("CHUNK_PARTS", 1), ("CHUNK_CHARACTERS", 5)])
def test_parts_and_chunks_do_not_show(tmp_path, numbers, monkeypatch, name, limit):
    texts = ["", *TEXTS, " ", "13 14 15 16 17", ""]
    whole = TokenShards.build(whole_texts(texts), numbers, tmp_path / "whole")
    assert contents(whole) == [*IDS, [13, 14, 15, 16, 17, 1]]
    monkeypatch.setattr(tokenizing, name, limit)
    parts = [
        TextPart(piece + " ", last)
        for text in texts
        for piece, last in [*((p, False) for p in text.split()), ("", True)]
    ]
    cut = TokenShards.build(iter(parts), numbers, tmp_path / "cut")
    for file in FILES:
        assert (whole.folder / file).read_bytes() == (cut.folder / file).read_bytes()


@pytest.fixture
def text_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(text_parts, "PART_CHARACTERS", 100)
    path = tmp_path / "a.txt"
    lines = [f"line {i} of many, with words\n" + "\n" * (i % 7 == 0) for i in range(2000)]
    path.write_text("".join(lines))
    return path


def test_several_processes_write_the_same_files(tmp_path, text_file, monkeypatch):
    monkeypatch.setattr(tokenizing, "CHUNK_CHARACTERS", 5000)
    made = ByteBpe.train([text_file.read_text()], 380)
    for n in (1, 2):
        TokenShards.build(
            read_texts(text_file)[0], made, tmp_path / str(n), {"inputs": "1"}, n_processes=n
        )
    for name in (*FILES, "manifest.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    corpus = TokenShards.load(tmp_path / "2")
    texts = [made.decode(corpus[i]) for i in range(len(corpus))]
    assert "\n\n".join(texts) + "\n" == text_file.read_text().rstrip("\n") + "\n"
    assert (corpus.tokens == made.eos_id).sum() == len(corpus) == 287


def test_an_error_in_another_process_is_told_here(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizing, "CHUNK_CHARACTERS", 4)
    parts = whole_texts(["aaaa", "aaaa", "aaüa"])
    with pytest.raises(
        DataError, match=r"^in the text 'aaüa': .*'ü' \(U\+00FC\) is not among the 1"
    ):
        TokenShards.build(parts, Characters.train(["a"]), tmp_path / "c", n_processes=2)
    assert not (tmp_path / "c").exists()
    with pytest.raises(UsageError, match="0 processes cannot"):
        TokenShards.build(
            whole_texts(TEXTS), Characters.train(["a"]), tmp_path / "c", n_processes=0
        )


def test_a_process_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(tokenizing, "CHUNK_CHARACTERS", 4)
    monkeypatch.setattr(tokenizing, "_encode_here", _die)
    with pytest.raises(MachineError, match="one of 2 processes that tokenise was ended"):
        list(tokenize(whole_texts(["aaaa"] * 9), Characters.train(["a"]), 2))


def _die(chunk: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_reader_that_is_killed_leaves_no_process():
    code = (
        "import os\n"
        "from triptych.data import tokenizing\n"
        "from triptych.data.text_parts import whole_texts\n"
        "from triptych.tokenizers.characters import Characters\n"
        "tokenizing.CHUNK_PARTS = 1\n"
        "if __name__ == '__main__':\n"
        "    chunks = tokenizing.tokenize(whole_texts(['a'] * 99), Characters.train(['a']), 2)\n"
        "    next(chunks)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, env=environment) as process:
        process.communicate(timeout=60)  # until the last process that could write has ended
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("n_processes", [1, 2])
def test_memory_is_bounded(tmp_path, monkeypatch, n_processes):
    """Nothing is read far ahead of what is written, and what is written is not kept."""
    monkeypatch.setattr(tokenizing, "CHUNK_CHARACTERS", 10_000)
    n_read = n_written = furthest = 0

    def texts():
        nonlocal n_read
        for _ in range(200):
            n_read += 1
            yield "a" * 9_999 + "b"

    tracemalloc.start()
    for _ in tokenize(whole_texts(texts()), Characters.train(["ab"]), n_processes):
        n_written += 1
        furthest = max(furthest, n_read - n_written)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_read == n_written == 200
    assert furthest <= 2 * tokenizing.WAITING
    assert peak < 200 * 10_000 * 2  # all tokens at once, as they are stored, would be as much


@pytest.mark.parametrize("texts", [[], [""], [" ", ""]])
def test_a_corpus_without_tokens_is_refused_and_leaves_nothing(tmp_path, numbers, texts):
    with pytest.raises(DataError, match="no text to learn from"):
        TokenShards.build(whole_texts(texts), numbers, tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_input_leaves_nothing(tmp_path, numbers):
    (tmp_path / "a.jsonl").write_text('{"text": "5"}\n{"text": ')
    with pytest.raises(DataError, match=r"a\.jsonl:2: the line is not JSON"):
        TokenShards.build(read_texts(tmp_path / "a.jsonl")[0], numbers, tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_an_id_outside_the_vocabulary_is_refused(tmp_path, numbers):
    with pytest.raises(DataError, match="ids 5 to 200, but its vocabulary has 200"):
        TokenShards.build(whole_texts(["5 200"]), numbers, tmp_path / "c")


def test_the_same_fingerprint_is_reused_and_another_refused_or_replaced(tmp_path, numbers):
    build = TokenShards.build
    first = build(whole_texts(TEXTS), numbers, tmp_path / "c", {"inputs": "1"})

    def untouchable():
        raise AssertionError("the text was read again")
        yield

    again = build(untouchable(), numbers, tmp_path / "c", {"inputs": "1"})
    assert contents(again) == contents(first)
    with pytest.raises(DataError, match=r"\(different: inputs\)"):
        build(whole_texts(TEXTS), numbers, tmp_path / "c", {"inputs": "2"})
    new = build(whole_texts(TEXTS[:2]), numbers, tmp_path / "c", {"inputs": "2"}, replace=True)
    assert contents(new) == IDS[:2]
    assert new.content_hash != first.content_hash


def test_a_fingerprint_of_a_tokenizer_s_files(tmp_path, text_file):
    made = ByteBpe.train([text_file.read_text()], 300)
    made.save(tmp_path / "t")
    first = corpus_fingerprint([text_file], tmp_path / "t", {})
    made.save(tmp_path / "t")
    assert corpus_fingerprint([text_file], tmp_path / "t", {}) == first
    ByteBpe.train([text_file.read_text()], 301).save(tmp_path / "t")
    assert corpus_fingerprint([text_file], tmp_path / "t", {}) != first


def test_vocabularies_that_disagree(tmp_path, numbers):
    corpus = TokenShards.build(whole_texts(TEXTS), numbers, tmp_path / "c")
    corpus.check_vocabulary(200)
    corpus.check_vocabulary(256, eos_id=1)  # an embedding padded to a round number
    with pytest.raises(DataError, match="a vocabulary of 200 entries, this one has 199"):
        corpus.check_vocabulary(199)
    with pytest.raises(DataError, match="texts that end in the id 1, here it is 0"):
        corpus.check_vocabulary(200, eos_id=0)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_damage_is_refused_by_name(tmp_path, numbers, name):
    path = TokenShards.build(whole_texts(TEXTS), numbers, tmp_path / "c").folder / name
    whole = path.read_bytes()
    for damaged in (bytes([whole[0] ^ 1]) + whole[1:], whole[:-1], b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            TokenShards.load(tmp_path / "c")
    path.unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        TokenShards.load(tmp_path / "c", verify=False)


def test_a_cut_shard_is_seen_without_reading_it(tmp_path, numbers):
    corpus = TokenShards.build(whole_texts(TEXTS), numbers, tmp_path / "c")
    path = corpus.folder / "tokens.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"tokens\.bin has 20 bytes, not 22; remove .* build it"):
        TokenShards.load(tmp_path / "c", verify=False)


def test_another_format_is_refused(tmp_path, numbers):
    folder = TokenShards.build(whole_texts(TEXTS), numbers, tmp_path / "c").folder
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == "triptych-tokens-1"
    (folder / "other.bin").write_bytes(b"")
    with pytest.raises(DataError, match="exists and is no tokenised corpus"):
        TokenShards.build(whole_texts(TEXTS), numbers, folder, replace=True)
