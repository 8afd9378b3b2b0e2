"""Words with gold senses: CoarseWSD-20's files (Loureiro et al. 2021), and storybook's own."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from triptych.data.occurrences import Occurrence
from triptych.data.storybook import StorySentence, story_split
from triptych.data.storybook.records import WORD
from triptych.data.text import read_lines
from triptych.errors import DataError, UsageError

STORYBOOK = "storybook"
SENSES_FILE = "classes_map.txt"
N_TRAIN_STORIES, N_TEST_STORIES = 4000, 2000
MOST_OF_A_SENSE = 50
"""Labelled uses of a sense of storybook; more make no difference to its mean."""


@dataclass(frozen=True)
class SenseSet:
    """One word in sentences to learn its senses from, and in others to tell them."""

    word: str
    train: tuple[Occurrence, ...]
    test: tuple[Occurrence, ...]


def read_sense_sets(data: str, words: Sequence[str] = (), seed: int = 1) -> list[SenseSet]:
    """`storybook`, or a folder with one of CoarseWSD-20's words, or of such folders; by word.

    `words` limits it. Raises DataError with file:line for what cannot be read, UsageError for a
    word that is not there.
    """
    sets = story_senses(seed) if data == STORYBOOK else read_coarse_wsd(Path(data))
    unknown = sorted(set(words) - {one.word for one in sets})
    if unknown:
        raise UsageError(
            f"{data} has no word {unknown[0]!r}; it has {', '.join(one.word for one in sets)}"
        )
    return [one for one in sets if not words or one.word in words]


def read_coarse_wsd(folder: Path) -> list[SenseSet]:
    """The words of a folder laid out as CoarseWSD-20, in alphabetical order. Raises DataError."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; name one, or {STORYBOOK}")
    own = (folder / SENSES_FILE).is_file()
    folders = [folder] if own else sorted(path.parent for path in folder.glob(f"*/{SENSES_FILE}"))
    if not folders:
        raise DataError(
            f"{folder} holds no word: no {SENSES_FILE} in it or in a folder within; name a folder "
            "laid out as CoarseWSD-20"
        )
    return [_read_word(path) for path in folders]


def story_senses(seed: int) -> list[SenseSet]:
    """The ambiguous words of storybook in stories of a seed; no test sentence is a train one."""
    split = story_split(seed, N_TRAIN_STORIES, 0, N_TEST_STORIES)
    train = _uses((s for story in split.train for s in story.sentences), MOST_OF_A_SENSE)
    test = _uses(
        s for story in split.test for s in story.sentences if s.english not in split.train_sentences
    )
    return [
        SenseSet(word, tuple(uses), tuple(test[word]))
        for word, uses in sorted(train.items())
        if word in test
    ]


def _uses(
    sentences: Iterable[StorySentence], most: int | None = None
) -> dict[str, list[Occurrence]]:
    """By word; of each sense the first `most`; equal sentences once."""
    found: dict[str, list[Occurrence]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for sentence in {s.english: s for s in sentences}.values():
        spans = [match.span() for match in WORD.finditer(sentence.english)]
        for sense in sentence.senses:
            key = sense.word, sense.sense
            counts[key] += 1
            if most is None or counts[key] <= most:
                start, end = spans[sense.english_index]
                place = f"storybook, {sense.word} {counts[key]}"
                use = Occurrence(sentence.english, start, end, place, sense.sense)
                found.setdefault(sense.word, []).append(use)
    return found


def _read_word(folder: Path) -> SenseSet:
    path = folder / SENSES_FILE
    try:
        senses: dict[str, Any] = dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is no JSON object of senses ({error}); restore it") from error
    train, test = (
        tuple(_read_part(folder / f"{part}.data.txt", folder / f"{part}.gold.txt", senses))
        for part in ("train", "test")
    )
    return SenseSet(folder.resolve().name, train, test)


def _read_part(data: Path, gold: Path, senses: dict[str, Any]) -> Iterator[Occurrence]:
    lines = enumerate(zip_longest(read_lines(data), read_lines(gold)), 1)
    number = 0
    for number, (line, label) in lines:
        if line is None or label is None:
            short, long = (data, gold) if line is None else (gold, data)
            raise DataError(f"{long}:{number} has no partner: {short} ends before; restore both")
        if label.strip() not in senses:
            known = ", ".join(senses)
            raise DataError(f"{gold}:{number}: {label!r} is no sense; there are {known}")
        sense = str(senses[label.strip()])
        yield Occurrence(*_target(line, f"{data}:{number}"), f"{data}:{number}", sense)
    if not number:
        raise DataError(f"{data} has no lines; restore it")


def _target(line: str, place: str) -> tuple[str, int, int]:
    """The sentence behind the tab, and where its word of the number before the tab stands."""
    position, tab, text = line.partition("\t")
    spans = [match.span() for match in re.finditer(r"\S+", text)]  # some spaces are doubled
    if not tab or not position.isdecimal() or not 0 <= int(position) < len(spans):
        raise DataError(
            f"{place}: {line[:60]!r} is not a word's number, a tab and a sentence that has so many "
            "words"
        )
    return text, *spans[int(position)]
