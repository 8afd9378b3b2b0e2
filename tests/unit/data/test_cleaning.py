"""What is left out is counted under its reason, with the place; what is good stays."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.data.cleaning import (
    BLOCK,
    COPY,
    DUPLICATE,
    EMPTY,
    RATIO,
    REASONS,
    TOO_LONG,
    CleaningReport,
    CleaningRules,
    HashSet,
    clean,
    is_shifted,
)
from triptych.data.pairs import MISALIGNED, SentencePair, read_aligned, read_tsv
from triptych.data.text import INVALID_UTF8
from triptych.errors import ConfigError

WORDS = "The quick brown fox jumps over the lazy dog again and again"


def run(pairs, **rules) -> tuple[list[SentencePair], CleaningReport]:
    kept, report = clean([SentencePair(*pair) for pair in pairs], CleaningRules(**rules))
    return list(kept), report


def reason(source: str, target: str, **rules) -> str:
    _, report = run([(source, target)], **rules)
    return next((name for name in REASONS if report.counts[name]), "")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("Hi!", "Grüß Gott!", ""),
        ("", "x", EMPTY),
        ("x", " \t\u00a0", EMPTY),
        ("x" * 4000, "y" * 4000, ""),
        ("x" * 4001, "y" * 4000, TOO_LONG),
        ("x" * 4000, "y" * 4001, TOO_LONG),
        ("x " * 250, "y " * 250, ""),
        ("x " * 251, "y " * 250, TOO_LONG),
        ("x" * 10, "y" * 40, ""),
        ("x" * 10, "y" * 41, RATIO),
        ("x" * 41, "y" * 10, RATIO),
        ("x", "y" * 20, ""),
        ("x", "y" * 21, RATIO),
        ("same text", "same text", ""),
    ],
)
def test_each_rule_at_its_border(source, target, expected):
    assert reason(source, target) == expected


def test_a_rule_can_be_left_out():
    long = "x" * 10_000
    assert reason(long, long, max_characters=None) == ""
    assert reason("x y " * 200, "y z " * 200, max_words=None) == ""
    assert reason("x", "y" * 1000, max_ratio=None) == ""
    assert run([("a", "b"), ("a", "b")], drop_duplicates=False)[1].n_kept == 2
    assert reason("same text", " same text", drop_copies=True) == COPY


def test_a_line_of_100_000_characters_is_left_out():
    long = "ab " * 33_334
    assert reason(long, long) == TOO_LONG
    assert reason("x" * 100_000, "y") == TOO_LONG


def test_duplicates_are_found_within_and_across_blocks():
    pairs = [(f"{WORDS} {i % 700}", f"{WORDS} {i % 700}") for i in range(2 * BLOCK)]
    kept, report = run(pairs)
    assert [tuple(pair) for pair in kept] == pairs[:700]
    assert report.counts[DUPLICATE] == 2 * BLOCK - 700
    assert run([("a", "b"), ("a", "c"), ("ab", "c"), ("a", "bc")])[1].n_kept == 4
    assert run([("a", "b"), ("a ", " b")])[1].counts[DUPLICATE] == 1


def test_a_pair_is_counted_once_under_the_first_reason():
    _, report = run([("", "x")] * 3 + [("a", "b")] * 2)
    assert report.counts[EMPTY] == 3
    assert report.counts[DUPLICATE] == 1
    assert (report.n_read, report.n_kept) == (5, 1)


def sentences(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(3, 30, n)
    noise = generator.integers(-2, 3, n)
    source = [f"s{i} " + "wort " * k for i, k in enumerate(lengths)]
    target = [f"t{i} " + "word " * max(1, k) for i, k in enumerate(lengths + noise)]
    return source, target


@pytest.mark.parametrize("shift", [-8, -1, 1, 3, 8])
def test_a_slipped_side_is_noticed(shift):
    source, target = sentences(4 * BLOCK)
    slipped = target[: 2 * BLOCK] + list(np.roll(np.array(target[2 * BLOCK :]), shift))
    kept, report = run(zip(source, map(str, slipped), strict=True))
    assert report.counts[MISALIGNED] == 2 * BLOCK
    assert len(kept) == 2 * BLOCK
    _, lenient = run(zip(source, map(str, slipped), strict=True), drop_shifted=False)
    assert lenient.counts[MISALIGNED] == 0


def test_aligned_sides_are_left_in_peace():
    source, target = sentences(4 * BLOCK)
    assert run(zip(source, target, strict=True))[1].counts[MISALIGNED] == 0
    unrelated = sentences(BLOCK, seed=1)[1]
    assert not is_shifted([SentencePair(*p) for p in zip(source, unrelated, strict=False)])
    assert not is_shifted([SentencePair("four", "vier")] * BLOCK)
    even = [
        SentencePair("four" if i != 100 else "a", "vier" if i != 103 else "ab")
        for i in range(BLOCK)
    ]
    assert not is_shifted(even), "one odd line on each side of a file sorted by length"
    assert not is_shifted([SentencePair(*p) for p in zip(source[:9], target[1:10], strict=True)])


def test_files_to_report(tmp_path):
    source, target = tmp_path / "a.en", tmp_path / "a.de"
    source.write_bytes(b"one\n\n\xfftwo\nthree\none\n" + b"x" * 100_000 + b"\n")
    target.write_bytes(b"eins\nzwei\nzwei\ndr\xffei\neins\ny\n")
    kept, report = clean(read_aligned(source, target, tolerant=True), CleaningRules())
    assert [tuple(pair) for pair in kept] == [("one", "eins")]
    assert {name: where for name, where in report.examples.items() if where} == {
        EMPTY: [f"{source}:2"],
        INVALID_UTF8: [f"{source}:3", f"{target}:4"],
        DUPLICATE: [f"{source}:5"],
        TOO_LONG: [f"{source}:6"],
    }
    assert (
        str(report).split()
        == (
            f"pairs read 6 invalid UTF-8 2 {source}:3, {target}:4 empty side 1 {source}:2 "
            f"too long 1 {source}:6 duplicate 1 {source}:5 pairs kept 1"
        ).split()
    )
    told = json.loads(json.dumps(report.to_dict()))
    assert told["dropped"][INVALID_UTF8] == {
        "count": 2,
        "examples": [f"{source}:3", f"{target}:4"],
    }
    assert (told["n_read"], told["n_kept"]) == (6, 1)


def test_a_table_with_one_column_is_counted(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("a\tA\nonly one\n")
    kept, report = clean(read_tsv(path, tolerant=True), CleaningRules())
    assert len(list(kept)) == 1
    assert report.examples[MISALIGNED] == [f"{path}:2"]


def test_only_the_first_examples_are_kept():
    _, report = run([("", "x")] * 10)
    assert report.counts[EMPTY] == 10
    assert report.examples[EMPTY] == ["pair 1", "pair 2", "pair 3"]


def test_pairs_stream():
    def endless():
        number = 0
        while True:
            number += 1
            yield SentencePair(f"a{number}", f"b{number}")

    kept, report = clean(endless(), CleaningRules())
    next(kept)
    assert report.n_read == 1


def test_impossible_rules():
    with pytest.raises(ConfigError, match="max_words = 0"):
        CleaningRules(max_words=0)
    with pytest.raises(ConfigError, match=r"max_ratio = 0\.5"):
        CleaningRules(max_ratio=0.5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=20))
def test_the_hash_set_is_a_set(blocks):
    ours, plain = HashSet(), set()
    for block in blocks:
        known = ours.add(np.array(block, dtype=np.uint64))
        for value, was_known in zip(block, known, strict=True):
            assert was_known == (value in plain)
            plain.add(value)


def test_multi30k_is_clean(data_dir):
    folder = data_dir / "multi30k"
    kept, report = clean(read_aligned(folder / "train.en", folder / "train.de"), CleaningRules())
    n_kept = sum(1 for _ in kept)
    assert report.n_read == 29_000
    assert report.counts[MISALIGNED] == 0
    assert n_kept == report.n_kept > 28_900


def test_a_file_sorted_by_length_is_not_taken_for_a_slipped_one(data_dir):
    pairs = read_tsv(data_dir / "tatoeba_en_de" / "pairs.tsv.xz", tolerant=True)
    kept, report = clean(pairs, CleaningRules())
    n_kept = sum(1 for _ in kept)
    assert report.counts[MISALIGNED] == 0
    assert n_kept > 0.999 * report.n_read
