"""Print what storybook holds and what simple methods reach on it: `python -m ...storybook`."""

import time
from collections.abc import Iterable, Sequence
from itertools import islice

from triptych.data.storybook import baselines
from triptych.data.storybook.grammar import SENSES
from triptych.data.storybook.records import Story, StorySentence
from triptych.data.storybook.sampling import stories
from triptych.data.storybook.splits import Split, StorySplit, story_split, translation_split


def main() -> None:
    """Measure everything at the default sizes; some 30 seconds."""
    sentences, tales = translation_split(), story_split()
    print_rows("Contents", contents(sentences))
    print_rows("Stories", story_facts(tales))
    print_rows("Baselines", figures(sentences, tales))
    print_rows("Speed", [("sentences a second of CPU time", f"{speed():,.0f}")])


def contents(split: Split) -> list[tuple[str, str]]:
    """Sizes of the translation split."""
    train, test = split.train, split.test
    senses = sum(map(len, SENSES.values()))
    seen = frozenset(s.english for s in train)
    return [
        ("sentences: train, valid, test", f"{len(train):,} {len(split.valid):,} {len(test):,}"),
        ("test sentences that occur in train", str(sum(s.english in seen for s in test))),
        ("different English words in train", str(len(words(s.english_words for s in train)))),
        ("different German words in train", str(len(words(s.german_words for s in train)))),
        ("English words a sentence", f"{mean(len(s.english_words) for s in train):.1f}"),
        ("German words a sentence", f"{mean(len(s.german_words) for s in train):.1f}"),
        ("ambiguous words, senses", f"{len(SENSES)} {senses}"),
        ("ambiguous words a sentence", f"{mean(len(s.senses) for s in train):.2f}"),
    ]


def story_facts(split: StorySplit) -> list[tuple[str, str]]:
    """Lengths and limits of the held-out stories."""
    test = split.test
    n_words = sum(len(s.english_words) for story in test for s in story.sentences)
    nats = -sum(story.log_prob for story in test)
    return [
        ("stories: train, test", f"{len(split.train):,} {len(test):,}"),
        ("sentences a story", f"{mean(len(story.sentences) for story in test):.2f}"),
        ("words a story, with signs and end", f"{n_words / len(test) + 1:.1f}"),
        ("limit, nats a story", f"{nats / len(test):.2f}"),
        ("limit, nats a word or end", f"{nats / (n_words + len(test)):.4f}"),
        ("held-out sentences unseen in train", f"{split.unseen_share(test):.1%}"),
    ]


def figures(sentences: Split, tales: StorySplit) -> list[tuple[str, str]]:
    """The baselines that storybook is built to defeat, with the bound of each."""
    train, test = sentences.train, sentences.test
    drawn = [sentence for story in tales.train for sentence in story.sentences]
    by_word = baselines.commonest_sense_accuracy(drawn, drawn).values()
    overall = commonest_sense_overall(train, test)
    return [
        ("dictionary, BLEU (under 40)", f"{baselines.dictionary_bleu(train, test):.1f}"),
        ("commonest sense (at most 60 %)", f"{overall:.1%}"),
        (
            "  by word in train stories",
            f"{min(by_word):.1%} to {max(by_word):.1%}",
        ),
        ("diagonal, error rate (above 35 %)", f"{baselines.diagonal_error_rate(test):.1%}"),
        (
            "5-gram, nats over limit (from 1.25)",
            f"{baselines.ngram_ratio(tales.train, tales.test):.3f}",
        ),
    ]


def commonest_sense_overall(train: Sequence[StorySentence], test: Sequence[StorySentence]) -> float:
    """The commonest sense's share over all ambiguous words of the test sentences."""
    by_word = baselines.commonest_sense_accuracy(train, test)
    shares = [by_word[sense.word] for sentence in test for sense in sentence.senses]
    return mean(shares)


def speed(n_stories: int = 10_000) -> float:
    """Sentences a second, once every table has been made."""
    drawn: list[Story] = list(islice(stories(2), 2_000))
    began = time.process_time()
    drawn = list(stories(3, n_stories))
    return sum(len(story.sentences) for story in drawn) / (time.process_time() - began)


def words(texts: Iterable[Sequence[str]]) -> frozenset[str]:
    """The different words, capitals and signs not counted."""
    return frozenset(word.lower() for text in texts for word in text if word not in ".,?!")


def mean(numbers: Iterable[float]) -> float:
    """The average."""
    listed = list(numbers)
    return sum(listed) / len(listed)


def print_rows(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """A heading and its figures."""
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:38} {value}")


if __name__ == "__main__":
    main()
