"""Documents on disk: what goes in comes out, nothing is half there, damage has a name."""

import numpy as np
import pytest

from triptych.data import document_shards
from triptych.data.document_shards import DocumentShards
from triptych.data.documents import EMPTY, NO_TOKENS, DocumentReport, read_documents
from triptych.data.pairs import SentencePair
from triptych.data.shards import PairShards
from triptych.errors import DataError, UsageError

TEXTS = [["5 6 7", "8"], ["9"], ["10 11", "12 13", "14"]]
IDS = [[[5, 6, 7], [8]], [[9]], [[10, 11], [12, 13], [14]]]
FILES = ["tokens.bin", "sentences.bin", "documents.bin"]


def contents(corpus: DocumentShards) -> list[list[list[int]]]:
    return [[sentence.tolist() for sentence in corpus[i]] for i in range(len(corpus))]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_535, "uint16"), (65_536, "int32")])
def test_round_trip(tmp_path, tokenizer, vocab_size, dtype):
    tokenizer.vocab_size = vocab_size
    corpus = DocumentShards.build(TEXTS, tokenizer, tmp_path / "c")
    assert contents(corpus) == IDS
    assert corpus.sentence_offsets.tolist() == [0, 3, 4, 5, 7, 9, 10]
    assert corpus.document_offsets.tolist() == [0, 2, 3, 6]
    assert corpus.tokens.dtype == dtype
    counts = {name: corpus.manifest[f"n_{name}"] for name in ("documents", "sentences", "tokens")}
    assert counts == {"documents": 3, "sentences": 6, "tokens": 10}
    assert [s.tolist() for s in corpus[-1]] == IDS[-1]
    with pytest.raises(IndexError):
        corpus[3]


def test_arrays_are_mapped_and_read_only(tmp_path, tokenizer):
    corpus = DocumentShards.build(TEXTS, tokenizer, tmp_path / "c")
    for array in (corpus.tokens, corpus.sentence_offsets, corpus.document_offsets):
        base = array
        while not isinstance(base, np.memmap):
            base = base.base
        assert not array.flags.writeable


@pytest.mark.parametrize(("name", "limit"), [("CHUNK", 2), ("CHUNK_CHARACTERS", 5)])
def test_chunks_do_not_show(tmp_path, tokenizer, monkeypatch, name, limit):
    texts = [*TEXTS, ["", "15"], [" "], ["16", "", "17"]]
    whole = DocumentShards.build(texts, tokenizer, tmp_path / "whole")
    assert tokenizer.calls == [12]
    monkeypatch.setattr(document_shards, name, limit)
    lazy = (iter(document) for document in texts)
    chunked = DocumentShards.build(lazy, tokenizer, tmp_path / "chunked")
    assert len(tokenizer.calls) > 4
    for file in (*FILES, "manifest.json"):
        assert (whole.folder / file).read_bytes() == (chunked.folder / file).read_bytes()


def test_what_has_no_tokens_is_left_out_and_counted(tmp_path, tokenizer):
    report = DocumentReport()
    texts = [["", "5 6 7", "", "8"], ["", " "], [], ["9", ""]]
    corpus = DocumentShards.build(texts, tokenizer, tmp_path / "c", report=report)
    assert contents(corpus) == [[[5, 6, 7], [8]], [[9]]]
    assert report.n_tokens == 5
    assert (report.left_out.counts[NO_TOKENS], report.left_out.counts[EMPTY]) == (5, 2)
    assert report.left_out.examples[EMPTY] == ["document 2", "document 3"]
    assert report.left_out.examples[NO_TOKENS] == ["document 1", "document 1", "document 2"]


def test_each_token_knows_its_file(tmp_path, tokenizer):
    """Documents without text are in no file's count; a file may have none at all."""
    files = ["5 6 7\n8\n\n9\n\n \n", "\n\n", "10 11\n\n@\n\n12\n13\n"]
    for number, text in enumerate(files):
        (tmp_path / f"{number}.txt").write_text(text)
    tokenizer.encode = lambda texts: [
        [int(n) for n in text.replace("@", "").split()] for text in texts
    ]
    names = [tmp_path / f"{number}.txt" for number in range(3)]
    documents, report = read_documents(names, "lines")
    corpus = DocumentShards.build(documents, tokenizer, tmp_path / "c", report=report)
    assert corpus.manifest["n_documents_of"] == [2, 0, 2]
    assert corpus.n_files == 3
    places = np.arange(len(corpus.tokens))
    by_hand = [0 if token < 10 else 2 for token in corpus.tokens]
    assert corpus.files_of(places).tolist() == by_hand == [0, 0, 0, 0, 0, 2, 2, 2, 2]
    alone = DocumentShards.build(TEXTS, tokenizer, tmp_path / "d")
    assert alone.n_files == 1
    assert alone.files_of(np.arange(10)).tolist() == [0] * 10


@pytest.mark.parametrize("texts", [[], [["5 6"]], [["5", "6"], [" "], []]])
def test_fewer_than_two_documents_are_refused_and_leave_nothing(tmp_path, tokenizer, texts):
    with pytest.raises(DataError, match=f"of the {len(texts)} documents have text, .* at least"):
        DocumentShards.build(texts, tokenizer, tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_the_files_without_two_documents_are_named(tmp_path, tokenizer):
    report = DocumentReport(files=["a.txt", "b.txt"])
    with pytest.raises(DataError, match=r"^a.txt, b.txt: 1 of the 2 documents have text"):
        DocumentShards.build([["5"], [" "]], tokenizer, tmp_path / "c", report=report)
    (tmp_path / "d.txt").write_text("x\n\ny\n")
    assert read_documents(str(tmp_path / "d.txt"))[1].files == [str(tmp_path / "d.txt")]


def test_a_text_is_no_document(tmp_path, tokenizer):
    with pytest.raises(UsageError, match=r"not one text \('5 6'\): use \[text\]"):
        DocumentShards.build(["5 6", "7"], tokenizer, tmp_path / "c")


def test_an_id_outside_the_vocabulary_is_refused(tmp_path, tokenizer):
    with pytest.raises(DataError, match="ids 5 to 200, but its vocabulary has 200"):
        DocumentShards.build([["5"], ["200"]], tokenizer, tmp_path / "c")


def test_the_same_fingerprint_is_reused_and_another_refused_or_replaced(tmp_path, tokenizer):
    build = DocumentShards.build
    first = build(TEXTS, tokenizer, tmp_path / "c", fingerprint={"inputs": "1"})

    def untouchable():
        raise AssertionError("the documents were read again")
        yield

    again = build(untouchable(), tokenizer, tmp_path / "c", fingerprint={"inputs": "1"})
    assert contents(again) == contents(first)
    with pytest.raises(DataError, match=r"\(different: inputs\)"):
        build(TEXTS, tokenizer, tmp_path / "c", fingerprint={"inputs": "2"})
    with pytest.raises(DataError, match="already holds a tokenised corpus"):
        build(TEXTS, tokenizer, tmp_path / "c")
    new = build(TEXTS[:2], tokenizer, tmp_path / "c", fingerprint={"inputs": "2"}, replace=True)
    assert contents(new) == IDS[:2]
    assert new.content_hash != first.content_hash
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_pairs_are_no_documents(tmp_path, tokenizer):
    tokenizer.encode_source = tokenizer.encode_target = tokenizer.encode
    PairShards.build([SentencePair("5", "6")], tokenizer, tmp_path / "pairs")
    with pytest.raises(DataError, match="exists and is no tokenised corpus"):
        DocumentShards.build(TEXTS, tokenizer, tmp_path / "pairs", replace=True)
    with pytest.raises(DataError, match="format triptych-pairs-1, not triptych-documents-1"):
        DocumentShards.load(tmp_path / "pairs")


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_damage_is_refused_by_name(tmp_path, tokenizer, name):
    path = DocumentShards.build(TEXTS, tokenizer, tmp_path / "c").folder / name
    whole = path.read_bytes()
    for damaged in (bytes([whole[0] ^ 1]) + whole[1:], whole[:-1], b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=name):
            DocumentShards.load(path.parent)
    path.unlink()
    with pytest.raises(DataError, match=rf"{name}.* is missing"):
        DocumentShards.load(path.parent)


def test_a_build_that_stops_leaves_nothing(tmp_path, tokenizer):
    def stops():
        yield TEXTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DocumentShards.build(stops(), tokenizer, tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
