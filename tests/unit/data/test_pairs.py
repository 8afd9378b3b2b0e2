"""Two files, a table or a data set become pairs that know where they stood."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from triptych.data.hub import is_hub_name
from triptych.data.pairs import (
    INVALID_UTF8,
    MISALIGNED,
    SentencePair,
    read_aligned,
    read_hub,
    read_tsv,
)
from triptych.errors import DataError, UsageError


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_pair_unpacks_and_ignores_its_place_in_comparisons():
    pair = SentencePair("a", "b", "f", 3)
    source, target = pair
    assert (source, target, pair.place) == ("a", "b", "f:3")
    assert pair == SentencePair("a", "b")
    assert SentencePair("a", "b").place == ""


def test_aligned_files(tmp_path):
    source = write(tmp_path / "a.en", b"a\nb\n")
    target = write(tmp_path / "a.de", b"A\nB")
    pairs = list(read_aligned(source, target))
    assert pairs == [SentencePair("a", "A"), SentencePair("b", "B")]
    assert [pair.place for pair in pairs] == [f"{source}:1", f"{source}:2"]


def test_several_aligned_files(tmp_path):
    sources = [write(tmp_path / f"{i}.en", f"a{i}\n".encode()) for i in range(2)]
    targets = [write(tmp_path / f"{i}.de", f"A{i}\n".encode()) for i in range(2)]
    pairs = list(read_aligned(sources, [str(path) for path in targets]))
    assert [(*pair, pair.place) for pair in pairs] == [
        ("a0", "A0", f"{sources[0]}:1"),
        ("a1", "A1", f"{sources[1]}:1"),
    ]
    with pytest.raises(UsageError, match="2 source files and 1 target files"):
        read_aligned(sources, targets[0])


def test_unequal_lengths_are_refused_before_the_first_pair(tmp_path):
    source = write(tmp_path / "a.en", b"a\nb\nc\n")
    target = write(tmp_path / "a.de", b"A\nB\n")
    with pytest.raises(DataError, match=r"a\.en has 3 lines but .*a\.de has 2; .* align"):
        read_aligned(source, target)


@pytest.mark.parametrize(
    ("piped", "there", "said"), [(b"a\nb\n", b"A\n", "2.*1"), (b"a\n", b"A\nB\n", "1.*2")]
)
def test_unequal_lengths_of_a_pipe_are_noticed_at_the_end(
    tmp_path, monkeypatch, piped, there, said
):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(piped)))
    pairs = read_aligned("-", write(tmp_path / "a.de", there))
    assert next(pairs) == SentencePair("a", "A")
    with pytest.raises(DataError, match=f"{said.split('.*')[0]} lines but .* has {said[-1]}"):
        list(pairs)


def test_standard_input_cannot_be_both_sides():
    with pytest.raises(UsageError, match="- cannot be both sides"):
        read_aligned("-", "-")


def test_an_empty_corpus_is_refused(tmp_path):
    empty = write(tmp_path / "empty", b"")
    full = write(tmp_path / "full", b"a\n")
    for read in (
        lambda: read_aligned(empty, empty),
        lambda: read_aligned(full, empty),
        lambda: read_tsv(empty),
    ):
        with pytest.raises(DataError, match=f"{empty} is empty"):
            read()


def test_a_missing_file_is_refused_at_once(tmp_path):
    full = write(tmp_path / "full", b"a\n")
    with pytest.raises(DataError, match="there is no file"):
        read_aligned(full, tmp_path / "none")
    with pytest.raises(DataError, match="there is no file"):
        read_tsv(tmp_path / "none")


def test_tables(tmp_path):
    one = write(tmp_path / "1.tsv", b"Hi.\tHallo!\tCC-BY\nGo!\tGeh!\n")
    two = write(tmp_path / "2.tsv", b"a\t\n")
    pairs = list(read_tsv([one, two]))
    assert [tuple(pair) for pair in pairs] == [("Hi.", "Hallo!"), ("Go!", "Geh!"), ("a", "")]
    assert pairs[2].place == f"{two}:1"


def test_a_table_with_one_column(tmp_path):
    path = write(tmp_path / "a.tsv", b"a\tA\nonly one\n")
    with pytest.raises(DataError, match=rf"{path}:2: one column where two are needed"):
        list(read_tsv(path))


def test_tolerant_readers_mark_what_they_cannot_read(tmp_path):
    source = write(tmp_path / "a.en", b"a\nb\xff\nc\n")
    target = write(tmp_path / "a.de", b"A\nB\n\xffC\n")
    pairs = list(read_aligned(source, target, tolerant=True))
    assert [pair.fault for pair in pairs] == ["", INVALID_UTF8, INVALID_UTF8]
    assert [pair.place for pair in pairs] == [f"{source}:1", f"{source}:2", f"{target}:3"]
    with pytest.raises(DataError, match=rf"{source}:2: byte 1"):
        list(read_aligned(source, target))
    table = write(tmp_path / "a.tsv", b"a\tA\none\n\xff\t\n")
    assert [p.fault for p in read_tsv(table, tolerant=True)] == ["", MISALIGNED, INVALID_UTF8]


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the package `datasets`; the list holds what was asked of it."""
    calls: list[tuple[str, str | None, str]] = []

    def load_dataset(name, config, split):
        calls.append((name, config, split))
        if name == "wmt14":
            return [
                {"translation": {"en": "a", "de": "A"}},
                {"translation": {"en": "b", "de": "B"}},
            ]
        if name == "owner/m30k":
            return [{"en": "a", "de": "A", "id": 7}, {"en": "b", "de": None, "id": 8}]
        raise ValueError(f"Dataset {name} doesn't exist\nmore")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_hub_columns(hub):
    pairs = list(read_hub("hub:owner/m30k:train:en:de"))
    assert pairs == [SentencePair("a", "A"), SentencePair("b", "")]
    assert pairs[0].place == "hub:owner/m30k:train:en:de:1"
    assert hub == [("owner/m30k", None, "train")]


def test_hub_translation_column_config_and_slice(hub):
    pairs = list(read_hub("hub:wmt14:de-en:train[10:20]:de:en"))
    assert pairs == [SentencePair("A", "a"), SentencePair("B", "b")]
    assert hub == [("wmt14", "de-en", "train[10:20]")]


def test_hub_troubles(hub, monkeypatch):
    with pytest.raises(DataError, match=r"cannot be had: Dataset x doesn't exist$"):
        read_hub("hub:x:train:en:de")
    with pytest.raises(DataError, match="has no columns en and fr; it has de, en, id"):
        list(read_hub("hub:owner/m30k:train:en:fr"))
    with pytest.raises(DataError, match="row 1: en and id must be columns of text"):
        list(read_hub("hub:owner/m30k:train:en:id"))
    for name in ("hub:x:train", "x:train:en:de", "hub:x::train:en:de"):
        with pytest.raises(UsageError, match="does not name a data set"):
            read_hub(name)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"triptych\[hub\]"):
        read_hub("hub:x:train:en:de")


def test_hub_names_are_told_from_files():
    assert is_hub_name("hub:x:train:en:de")
    assert not is_hub_name(Path("hub.en"))
