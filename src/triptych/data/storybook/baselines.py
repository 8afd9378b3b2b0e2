"""What simple methods reach on storybook: the proof that it is no toy."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from triptych.data.storybook.ngrams import KneserNey
from triptych.data.storybook.records import Story, StorySentence, tokenize

Links = frozenset[tuple[int, int]]


def dictionary_bleu(train: Sequence[StorySentence], test: Sequence[StorySentence]) -> float:
    """BLEU of the most frequent gold translation of each word, in English order."""
    from sacrebleu.metrics import BLEU

    best = translation_dictionary(train)
    outputs = [
        " ".join(best.get(word, word) for word in map(str.lower, sentence.english_words))
        for sentence in test
    ]
    references = [" ".join(sentence.german_words) for sentence in test]
    lowercased = BLEU(
        tokenize="none", lowercase=True, force=True
    )  # case would cost the dictionary more
    return float(lowercased.corpus_score(outputs, [references]).score)


def translation_dictionary(train: Iterable[StorySentence]) -> dict[str, str]:
    """Each English word, lowercased, with its commonest translation.

    Where one word has several sure links, as with separable verbs, all of them count as one
    translation of several words; a word that mostly has none is dropped.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        english, german = sentence.english_words, sentence.german_words
        linked = defaultdict(list)
        for i, j in sentence.alignment:
            linked[i].append(german[j])
        for i, word in enumerate(english):
            counts[word.lower()][" ".join(linked[i])] += 1
    return {word: found.most_common(1)[0][0] for word, found in counts.items()}


def commonest_sense_accuracy(
    train: Sequence[StorySentence], test: Sequence[StorySentence]
) -> dict[str, float]:
    """For each ambiguous word, how often its commonest sense in train is right in test."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for sense in sentence.senses:
            counts[sense.word][sense.sense] += 1
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for sentence in test:
        for sense in sentence.senses:
            commonest = counts[sense.word].most_common(1)
            right[sense.word].append(bool(commonest) and commonest[0][0] == sense.sense)
    return {word: sum(found) / len(found) for word, found in sorted(right.items())}


def diagonal_error_rate(sentences: Iterable[StorySentence]) -> float:
    """Alignment error rate of linking each German word to its place on the diagonal.

    1 - (|A and S| + |A and P|) / (|A| + |S|), where P includes S (Och and Ney 2003).
    """
    hits = total = 0
    for sentence in sentences:
        sure = frozenset(sentence.alignment)
        possible = sure | frozenset(sentence.possible)
        found = diagonal(len(sentence.english_words), len(sentence.german_words))
        hits += len(found & sure) + len(found & possible)
        total += len(found) + len(sure)
    return 1.0 - hits / total if total else math.nan


def diagonal(n_english: int, n_german: int) -> Links:
    """Each German word with the English word at the same share of the way."""
    scale = (n_english - 1) / max(1, n_german - 1)
    return frozenset((round(j * scale), j) for j in range(n_german))


def ngram_ratio(train: Iterable[Story], test: Sequence[Story], order: int = 5) -> float:
    """Nats of a Kneser-Ney model over nats of the grammar, whole stories with their end."""
    model = KneserNey([tokenize(story.text) for story in train], order)
    spent = -float(model.log_probs(tokenize(story.text) for story in test).sum())
    return spent / -math.fsum(story.log_prob for story in test)
