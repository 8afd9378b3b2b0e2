"""The rule of words, and the corpus of ids against a plain reading of the same text."""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from triptych.data import words as module
from triptych.data.words import LINE_END, build_word_corpus, thin_out, words_around, words_of
from triptych.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The frog's pond, 42 lilies.", ["the", "frog's", "pond", "42", "lilies"]),
        ("Don’t 'quote' rock-n-roll", ["don't", "quote", "rock", "n", "roll"]),
        ("snake_case e-mail@x.org", ["snake", "case", "e", "mail", "x", "org"]),
        ("ÜBER Straße", ["über", "straße"]),
        ("cafe\u0301", ["café"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("漢字 日本", ["漢字", "日本"]),
        (" -- … '' _ ", []),
    ],
)
def test_what_a_word_is(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("The Frog's pond, 42 lilies.", "pond", ["The", "Frog's", "42", "lilies"]),
        ("Don’t cafe\u0301 x don't", "x", ["Don't", "café", "don't"]),
        ("cafe\u0301s café it", "café", ["cafés", "it"]),
        ("my frog's pond", "frog", ["my", "pond"]),
        ("frog", "frog", []),
    ],
)
def test_the_words_around_one_are_those_of_the_rule(
    text: str, word: str, expected: list[str]
) -> None:
    start = text.index(word)
    assert words_around(text, start, start + len(word)) == expected


TEXT = "b a b c\n\nc c - a b\n...\nz\na b\n"


def test_ids_are_the_text_without_rare_words(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    corpus = build_word_corpus(tmp_path / "t.txt", tmp_path, min_count=2)
    assert corpus.words == ["b", "a", "c"]  # 4, 3, 3: equal ones by their letters
    assert corpus.counts.tolist() == [4, 3, 3]
    assert (corpus.n_read, corpus.n_distinct, corpus.n_words) == (11, 4, 10)
    found = [[corpus.words[i] for i in line] for line in corpus.lines()]
    assert found == [["b", "a", "b", "c"], ["c", "c", "a", "b"], ["a", "b"]]


def test_vocabulary_is_cut_to_the_most_frequent(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    corpus = build_word_corpus(tmp_path / "t.txt", tmp_path, min_count=1, vocab_size=2)
    assert corpus.words == ["b", "a"]
    assert [len(line) for line in corpus.lines()] == [3, 2, 2]


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1000])
def test_blocks_change_nothing(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    lines = [[f"w{int(i)}" for i in random.zipf(1.4, random.integers(0, 9)) if i < 40]
             for _ in range(300)]  # fmt: skip
    (tmp_path / "t.txt").write_text("".join(" ".join(line) + "\n" for line in lines))
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module.WordCorpus.blocks, "__defaults__", (block,))
    corpus = build_word_corpus(tmp_path / "t.txt", tmp_path, min_count=3)
    counts = Counter(word for line in lines for word in line)
    kept = {word for word, count in counts.items() if count >= 3}
    assert dict(zip(corpus.words, corpus.counts.tolist(), strict=True)) == {
        word: counts[word] for word in kept
    }
    expected = [left for line in lines if (left := [word for word in line if word in kept])]
    assert [[corpus.words[i] for i in line] for line in corpus.lines()] == expected


def test_inputs_are_those_of_text_streams(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt.gz").write_bytes(gzip.compress(b"one two\n"))
    (tmp_path / "in" / "b.jsonl").write_text(json.dumps({"body": "two\nthree"}) + "\n")
    (tmp_path / "in" / "c.txt").write_bytes(b"one\n\xff\ntwo\n")
    corpus = build_word_corpus(tmp_path / "in", tmp_path, min_count=1, text_field="body")
    found = [[corpus.words[i] for i in line] for line in corpus.lines()]
    assert found == [["one", "two"], ["two", "three"], ["one"], ["two"]]
    assert corpus.report.left_out.counts["invalid UTF-8"] == 1


@pytest.mark.parametrize(
    ("text", "min_count", "expected"),
    [
        ("", 1, "there is no text in it"),
        ("... --\n", 1, "no word in the text"),
        ("frog frog\nfrog\n", 1, "a single distinct word, 'frog', 3 times"),
        ("frog frog toad\n", 2, "of 2 distinct words 1 occurs at least 2 times"),
        ("frog toad\n", 2, "of 2 distinct words 0"),
    ],
)
def test_too_few_words_are_refused(
    text: str, min_count: int, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(DataError, match=expected):
        build_word_corpus(tmp_path / "t.txt", tmp_path, min_count)


def test_common_words_are_thinned_out(tmp_path: Path) -> None:
    rare = [f"rare{i}" for i in range(400)]
    text = "\n".join(f"the of {word} the" for word in rare * 10)
    (tmp_path / "t.txt").write_text(text + "\n")
    corpus = build_word_corpus(tmp_path / "t.txt", tmp_path)
    thinned = thin_out(corpus, tmp_path, 1e-3, seed=1)

    ids = np.concatenate(list(thinned.blocks()))
    counts = np.bincount(ids[ids != LINE_END], minlength=len(corpus.words))
    assert (ids == LINE_END).sum() == 4000
    assert (counts[2:] == 10).all()  # each is 1 / 1,600 of the text, less than the share
    for word, f in (("the", 1 / 2), ("of", 1 / 4)):
        expected = (1e-3 / f) ** 0.5 + 1e-3 / f
        there = corpus.counts[corpus.words.index(word)]
        assert counts[corpus.words.index(word)] == pytest.approx(there * expected, rel=0.2)
    again = thin_out(corpus, tmp_path, 1e-3, seed=1)
    assert np.array_equal(ids, np.concatenate(list(again.blocks())))
