"""Held-out text is truly new."""

from dataclasses import replace

import pytest

from triptych.data.storybook import StorySplit, stories, story_split, translation_split
from triptych.errors import UsageError


def test_no_sentence_is_in_two_lists_or_twice_in_one() -> None:
    split = translation_split(seed=4, n_train=2000, n_valid=100, n_test=200)
    assert [len(part) for part in (split.train, split.valid, split.test)] == [2000, 100, 200]
    texts = [s.english for part in (split.train, split.valid, split.test) for s in part]
    assert len(set(texts)) == len(texts)


def test_translation_splits_are_repeatable() -> None:
    assert translation_split(7, 300, 20, 30) == translation_split(7, 300, 20, 30)
    assert translation_split(7, 300, 20, 30).test != translation_split(8, 300, 20, 30).test


def test_stories_of_two_lists_differ_and_the_unseen_share_is_counted() -> None:
    split = story_split(seed=4, n_train=500, n_valid=30, n_test=60)
    parts = [{story.text for story in part} for part in (split.train, split.valid, split.test)]
    assert [len(split.train), len(split.valid), len(split.test)] == [500, 30, 60]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    seen = {s.english for story in split.train for s in story.sentences}
    flags = [s.english not in seen for story in split.test for s in story.sentences]
    assert [flag for story in split.unseen(split.test) for flag in story] == flags
    assert split.unseen_share(split.test) == sum(flags) / len(flags)
    assert 0.5 < split.unseen_share(split.test) < 1.0


def test_seen_sentences_are_told() -> None:
    one, two = stories(1, 2)
    mixed = replace(two, sentences=(one.sentences[0], *two.sentences[1:]))
    split = StorySplit([one], [], [mixed])
    assert split.unseen(split.test) == [[False] + [True] * (len(two.sentences) - 1)]


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="-5"):
        translation_split(1, n_test=-5)
    with pytest.raises(UsageError, match="-5"):
        story_split(1, n_train=-5)
