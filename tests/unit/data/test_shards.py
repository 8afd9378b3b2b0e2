"""A corpus on disk: what goes in comes out, nothing is half there, damage has a name."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from triptych.data import shard_files, shards
from triptych.data.pairs import MISALIGNED, SentencePair
from triptych.data.shards import PairShards, corpus_fingerprint
from triptych.errors import DataError, DiskFullError, LockedError

PAIRS = [("a b c", "A B"), ("", "X"), ("d", "D E F G"), ("a a", "A A")]


class Words:
    """A tokenizer of characters: id = code point, end token 0."""

    pad_id, eos_id, unk_id = 1, 0, None

    def __init__(self, vocab_size: int = 300) -> None:
        self.vocab_size = vocab_size
        self.calls: list[int] = []

    def encode_source(self, texts):
        self.calls.append(len(texts))
        return [[*map(ord, text), 0] for text in texts]

    encode_target = encode_source


def contents(corpus: PairShards) -> list[tuple[list[int], list[int]]]:
    return [(s.tolist(), t.tolist()) for s, t in (corpus[i] for i in range(len(corpus)))]


def expected(pairs) -> list[tuple[list[int], list[int]]]:
    return [([*map(ord, s), 0], [*map(ord, t), 0]) for s, t in pairs]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_535, "uint16"), (65_536, "int32")])
def test_round_trip(tmp_path, vocab_size, dtype):
    corpus = PairShards.build(PAIRS, Words(vocab_size), tmp_path / "c")
    assert len(corpus) == 4
    assert contents(corpus) == expected(PAIRS)
    assert corpus.lengths.tolist() == [[6, 4], [1, 2], [2, 8], [4, 4]]
    assert corpus.source.dtype == corpus.target.dtype == dtype
    assert corpus[-1][0].tolist() == corpus[3][0].tolist()
    with pytest.raises(IndexError):
        corpus[4]


def test_arrays_are_mapped_and_read_only(tmp_path):
    corpus = PairShards.build(PAIRS, Words(), tmp_path / "c")
    for array in (corpus.source, corpus.target, corpus.offsets, corpus.lengths):
        base = array
        while not isinstance(base, np.memmap):
            base = base.base
        assert not array.flags.writeable


def test_chunks_do_not_show(tmp_path, monkeypatch):
    whole = PairShards.build(PAIRS, Words(), tmp_path / "whole")
    monkeypatch.setattr(shards, "CHUNK", 3)
    tokenizer = Words()
    chunked = PairShards.build(iter(PAIRS), tokenizer, tmp_path / "chunked")
    assert tokenizer.calls == [3, 3, 1, 1]
    for name in ("source.bin", "target.bin", "offsets.bin", "lengths.bin", "manifest.json"):
        assert (whole.folder / name).read_bytes() == (chunked.folder / name).read_bytes()


def test_too_long_pairs_are_left_out_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CHUNK", 1)  # so that a chunk loses all its pairs
    corpus = PairShards.build(PAIRS, Words(), tmp_path / "c", max_tokens=6)
    assert contents(corpus) == expected([PAIRS[0], PAIRS[1], PAIRS[3]])
    assert corpus.manifest["n_too_long"] == 1


def test_a_line_of_100_000_characters(tmp_path):
    pairs = [("x" * 100_000, "y"), ("a", "b")]
    corpus = PairShards.build(pairs, Words(), tmp_path / "all")
    assert corpus.lengths.tolist() == [[100_001, 2], [2, 2]]
    short = PairShards.build(pairs, Words(), tmp_path / "short", max_tokens=256)
    assert contents(short) == expected(pairs[1:])


def test_an_empty_corpus_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match=r"the corpus holds no pairs$"):
        PairShards.build([], Words(), tmp_path / "c")
    with pytest.raises(DataError, match="holds no pairs: all 4 have more than 1 tokens"):
        PairShards.build(PAIRS, Words(), tmp_path / "c", max_tokens=1)
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_pair_is_refused(tmp_path):
    pair = SentencePair("", "", "f.tsv", 7, MISALIGNED)
    with pytest.raises(DataError, match=r"f\.tsv:7: misaligned"):
        PairShards.build([pair], Words(), tmp_path / "c")


def test_an_id_outside_the_vocabulary_is_refused(tmp_path):
    with pytest.raises(DataError, match="ids 0 to 70, but its vocabulary has 70"):
        PairShards.build([("A", "F")], Words(70), tmp_path / "c")


def test_the_same_fingerprint_is_reused(tmp_path):
    first = PairShards.build(PAIRS, Words(), tmp_path / "c", fingerprint={"inputs": "1"})

    def untouchable():
        raise AssertionError("the pairs were read again")
        yield

    again = PairShards.build(untouchable(), Words(), tmp_path / "c", fingerprint={"inputs": "1"})
    assert contents(again) == contents(first)


def test_another_fingerprint_is_refused_or_replaced(tmp_path):
    folder = tmp_path / "c"
    build = PairShards.build
    build(PAIRS, Words(), folder, fingerprint={"inputs": "1", "tokenizer": "x"})
    with pytest.raises(DataError, match=r"\(different: inputs\)"):
        build(PAIRS, Words(), folder, fingerprint={"inputs": "2", "tokenizer": "x"})
    with pytest.raises(DataError, match=r"\(different: max_tokens\)"):
        build(PAIRS, Words(), folder, {"inputs": "1", "tokenizer": "x"}, max_tokens=9)
    with pytest.raises(DataError, match="already holds a tokenised corpus"):
        build(PAIRS, Words(), folder)
    new = build(PAIRS[:1], Words(), folder, fingerprint={"inputs": "2"}, replace=True)
    assert contents(new) == expected(PAIRS[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="exists and is no tokenised corpus"):
        PairShards.build(PAIRS, Words(), tmp_path, fingerprint={"inputs": "1"})
    with pytest.raises(DataError, match="exists and is no tokenised corpus"):
        PairShards.build(PAIRS, Words(), tmp_path, replace=True)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


FILES = ["source.bin", "target.bin", "offsets.bin", "lengths.bin"]


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_flipped_bit_is_refused_by_name(tmp_path, name):
    folder = PairShards.build(PAIRS, Words(), tmp_path / "c").folder
    data = bytearray((folder / name).read_bytes())
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 1
        (folder / name).write_bytes(damaged)
        with pytest.raises(DataError, match=name):
            PairShards.load(folder)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("size", [0, -1])
def test_a_cut_file_is_refused_by_name(tmp_path, name, size):
    folder = PairShards.build(PAIRS, Words(), tmp_path / "c").folder
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    with pytest.raises(DataError, match=name):
        PairShards.load(folder, verify=False)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    folder = PairShards.build(PAIRS, Words(), tmp_path / "c").folder
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name}.* is missing"):
        PairShards.load(folder)


def test_a_manifest_of_another_format_is_refused(tmp_path):
    shard_files.write_manifest(tmp_path, {"format": "triptych-pairs-9"})
    with pytest.raises(DataError, match="format triptych-pairs-9"):
        PairShards.load(tmp_path)


def test_a_build_that_stops_leaves_nothing(tmp_path):
    def stops():
        yield PAIRS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PairShards.build(stops(), Words(), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_left_is_cleared(tmp_path):
    left = tmp_path / ".c.partial"
    left.mkdir()
    (left / "rubbish.bin").write_bytes(b"x")
    corpus = PairShards.build(PAIRS, Words(), tmp_path / "c")
    assert sorted(path.name for path in corpus.folder.iterdir()) == sorted(
        [*FILES, "manifest.json"]
    )


def test_two_builds_of_one_folder(tmp_path):
    left = tmp_path / ".c.partial"
    left.mkdir()
    descriptor = os.open(left, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="another process is building"):
            PairShards.build(PAIRS, Words(), tmp_path / "c")
    finally:
        os.close(descriptor)


def test_a_full_disk(tmp_path, monkeypatch):
    def full(self, array):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shard_files.ArrayWriter, "write", full)
    with pytest.raises(DiskFullError, match="no room left to write"):
        PairShards.build(PAIRS, Words(), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


REFUSED = """
import resource, sys
from pathlib import Path
from triptych.data.shards import PairShards
from triptych.errors import DiskFullError
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

class Letters:
    vocab_size, pad_id, eos_id, unk_id = 300, 1, 0, None
    def encode_source(self, texts):
        return [[*map(ord, text), 0] for text in texts]
    encode_target = encode_source

try:
    PairShards.build([("x" * 9000, "y")] * 3, Letters(), Path(sys.argv[1]))
except DiskFullError as error:
    print(error)
"""


def test_a_disk_that_refuses_while_writing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, str(tmp_path / "c")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.startswith(f"no room left to write {tmp_path}/c"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_counts_contents_not_names(tmp_path):
    def stamp(text: str, name: str, token: str = "t", **rules: object) -> dict[str, str]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "in").write_text(text)
        (folder / "tokenizer").mkdir()
        (folder / "tokenizer" / "tokenizer.json").write_text(token)
        return corpus_fingerprint([folder / "in", "storybook:1"], folder / "tokenizer", rules)

    base = stamp("text", "a", ratio=4)
    assert base == stamp("text", "b", ratio=4)
    for other, changed in (
        (stamp("text!", "c", ratio=4), "inputs"),
        (stamp("text", "d", token="u", ratio=4), "tokenizer"),
        (stamp("text", "e", ratio=5), "rules"),
    ):
        assert [name for name in base if base[name] != other[name]] == [changed]
    one = corpus_fingerprint(["a", "b"], Path(tmp_path / "a" / "tokenizer"), {})
    two = corpus_fingerprint(["ab"], Path(tmp_path / "a" / "tokenizer"), {})
    assert one != two
