"""Drawing stories: repeatable, endless, and every index and probability right."""

import math
import os
import random
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from triptych.data.storybook import Story, stories
from triptych.data.storybook.grammar import SENSES
from triptych.errors import UsageError


@pytest.fixture(scope="module")
def drawn() -> list[Story]:
    return list(stories(seed=11, count=1500))


def test_equal_seeds_give_equal_stories(drawn: list[Story]) -> None:
    assert list(stories(11, 50)) == drawn[:50]
    assert list(islice(stories(11), 50)) == drawn[:50]
    assert list(stories(12, 50)) != drawn[:50]


def test_no_global_state_is_used(drawn: list[Story]) -> None:
    first, second = stories(11), stories(12)
    random.seed(5)
    state = random.getstate()
    mixed = [(next(first), next(second)) for _ in range(20)]
    assert random.getstate() == state
    assert [one for one, _ in mixed] == drawn[:20]


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(UsageError, match="-1"):
        stories(1, -1)
    assert list(stories(1, 0)) == []


def test_stories_have_four_to_seven_sentences_of_moderate_length(drawn: list[Story]) -> None:
    lengths = Counter(len(story.sentences) for story in drawn)
    assert set(lengths) == {4, 5, 6, 7}
    words = [len(s.english_words) for story in drawn for s in story.sentences]
    assert min(words) >= 6
    assert max(words) <= 18
    assert max(len(story.text.split()) for story in drawn) < 120


def test_links_and_senses_point_at_words(drawn: list[Story]) -> None:
    for story in drawn:
        for s in story.sentences:
            english, german = s.english_words, s.german_words
            links = s.alignment + s.possible
            assert len(set(links)) == len(links)
            assert all(i < len(english) and j < len(german) for i, j in links)
            assert english[-1] == german[-1]
            assert (len(english) - 1, len(german) - 1) in s.alignment
            for sense in s.senses:
                assert english[sense.english_index] == sense.word
                assert german[sense.german_index] == sense.german_form
                assert (sense.english_index, sense.german_index) in s.alignment


def test_nearly_every_german_word_is_linked_surely(drawn: list[Story]) -> None:
    """Words left over are commas that English lacks, and little else."""
    linked = left = 0
    for story in drawn:
        for s in story.sentences:
            targets = {j for _, j in s.alignment}
            linked += len(targets)
            left += len(s.german_words) - len(targets)
    assert left / (linked + left) < 0.06


def test_each_mention_of_an_ambiguous_word_is_listed(drawn: list[Story]) -> None:
    for story in drawn:
        for s in story.sentences:
            mentions = sorted(word for word in s.english_words if word in SENSES)
            assert sorted(sense.word for sense in s.senses) == mentions


def test_probabilities_add_up(drawn: list[Story]) -> None:
    for story in drawn:
        assert all(s.log_prob < 0 for s in story.sentences)
        total = math.fsum(s.log_prob for s in story.sentences)
        assert story.log_prob == pytest.approx(total, abs=1e-12)


def test_probabilities_are_those_of_the_drawing() -> None:
    """Numbers of sentences and kinds of openings are as frequent as the grammar says."""
    n = 6000
    lengths: Counter[int] = Counter()
    ago = 0
    for story in stories(3, n):
        lengths[len(story.sentences)] += 1
        ago += story.text.startswith("Many years ago")
    expected = {4: 0.25, 5: 0.75 * 0.4, 6: 0.75 * 0.6 * 0.6, 7: 0.75 * 0.6 * 0.4}
    for length, share in expected.items():
        assert lengths[length] / n == pytest.approx(share, abs=0.025)
    assert ago / n == pytest.approx(0.2, abs=0.02)


def test_it_is_no_toy() -> None:
    """Words enough that none but the commonest can be learned by heart from a few sentences."""
    found = {word.lower() for story in stories(1, 3000) for s in story.sentences
             for word in s.english_words}  # fmt: skip
    assert len(found) >= 600
    assert len(SENSES) >= 12


PRINT = "from triptych.data.storybook import stories; print(list(stories(2, 16))[-1].text)"


def test_the_documented_story_comes_out_of_any_interpreter() -> None:
    """Whatever the order of its hash tables."""
    page = (Path(__file__).parents[4] / "docs" / "storybook.md").read_text(encoding="utf-8")
    told = " ".join(page.replace("\n>", "").split())
    for seed in ("0", "1234"):
        done = subprocess.run(
            [sys.executable, "-c", PRINT], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert " ".join(done.stdout.split()) in told
