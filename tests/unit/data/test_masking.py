"""Masking: how many, which, by what; never special tokens; the same whatever the batch."""

import random

import numpy as np
import pytest

from triptych.data.batching import IGNORE
from triptych.data.masking import MaskingRules, TokenMasker
from triptych.errors import ConfigError, DataError

CLS, SEP, MASK, UNK, PAD = 2, 3, 4, 1, 0
V, FIRST = 200, 5  # ids from FIRST on are words and pieces of words


def within(count: int, n: int, share: float) -> bool:
    """Whether `count` of `n` is a `share` of them, to within four standard deviations."""
    return abs(count - n * share) < 4 * (n * share * (1 - share)) ** 0.5


@pytest.fixture
def make(tokenizer):
    def make(seed: int = 1, **rules) -> TokenMasker:
        return TokenMasker(tokenizer, MaskingRules(**rules), seed)

    return make


def rows(lengths, width: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ids and validity of examples with so many words, and [CLS], two [SEP] and an [UNK] beside."""
    generator = np.random.default_rng(seed)
    token_ids = np.full((len(lengths), width or max(lengths) + 4), PAD)
    for row, n in enumerate(lengths):
        words = generator.integers(FIRST, V, n).tolist()
        split = generator.integers(0, n + 1)
        example = [CLS, *words[:split], SEP, UNK, *words[split:], SEP]
        token_ids[row, : len(example)] = example
    return token_ids, np.arange(token_ids.shape[1]) < np.array(lengths)[:, None] + 4


def words_of(ids, valid, tokenizer) -> list[list[int]]:
    """Positions of each word, one after another: special tokens end words and are none."""
    words: list[list[int]] = []
    inside = False
    for position, (token, real) in enumerate(zip(ids.tolist(), valid.tolist(), strict=True)):
        if not real or token in tokenizer.special_ids:
            inside = False
        elif inside and tokenizer.is_continuation[token]:
            words[-1].append(position)
        else:
            words.append([position])
            inside = True
    return words


def test_the_number_of_predictions(make):
    lengths = list(range(1, 150))
    token_ids, valid = rows(lengths)
    _, labels = make()(token_ids, valid, np.arange(149), 0)
    assert (labels != IGNORE).sum(axis=1).tolist() == [max(1, round(0.15 * n)) for n in lengths]
    _, labels = make(max_predictions=5)(token_ids, valid, np.arange(149), 0)
    counts = (labels != IGNORE).sum(axis=1).tolist()
    assert counts == [min(5, max(1, round(0.15 * n))) for n in lengths]
    _, labels = make(mask_prob=1.0)(token_ids, valid, np.arange(149), 0)
    assert (labels != IGNORE).sum(axis=1).tolist() == lengths


@pytest.mark.parametrize("whole_words", [False, True])
def test_special_tokens_are_neither_masked_nor_drawn(make, tokenizer, whole_words):
    token_ids, valid = rows([1, 2, 10, 100] * 100)
    masker = make(whole_words=whole_words, mask_prob=0.5)
    special = list(tokenizer.special_ids)
    for epoch in range(5):
        seen, labels = masker(token_ids, valid, np.arange(400), epoch)
        assert not np.isin(labels, special).any()
        assert (seen == token_ids)[np.isin(token_ids, special)].all()
        changed = seen[seen != token_ids]
        assert set(changed[changed < FIRST]) == {MASK}


@pytest.mark.parametrize("whole_words", [False, True])
def test_the_original_can_be_restored(make, whole_words):
    token_ids, valid = rows([40] * 50)
    before = token_ids.copy()
    seen, labels = make(whole_words=whole_words)(token_ids, valid, np.arange(50), 0)
    assert (np.where(labels == IGNORE, seen, labels) == before).all()
    assert (token_ids == before).all(), "the argument is left alone"
    assert (seen != before).any()


@pytest.mark.parametrize("whole_words", [False, True])
def test_80_10_10(make, whole_words):
    token_ids, valid = rows([100] * 2000)
    seen, labels = make(whole_words=whole_words)(token_ids, valid, np.arange(2000), 0)
    chosen = labels != IGNORE
    n, same = int(chosen.sum()), 1 / (V - FIRST)  # a random token may be the old one
    assert n > 25_000
    assert within((seen[chosen] == MASK).sum(), n, 0.8)
    assert within((seen[chosen] == token_ids[chosen]).sum(), n, 0.1 + 0.1 * same)
    is_other = (seen[chosen] != MASK) & (seen[chosen] != token_ids[chosen])
    assert within(is_other.sum(), n, 0.1 - 0.1 * same)
    counts = np.bincount(seen[chosen][is_other], minlength=V)[FIRST:]
    expected = counts.sum() / len(counts)
    assert counts.min() > 0
    assert ((counts - expected) ** 2 / expected).sum() < 276  # χ², 194 degrees, one in 10,000


def test_every_position_is_as_likely(make):
    token_ids, valid = rows([96] * 3000)
    maskable = valid & (token_ids >= FIRST)
    _, labels = make()(token_ids, valid, np.arange(3000), 0)
    chosen = labels != IGNORE
    assert within(chosen.sum(), int(maskable.sum()), 14 / 96)
    for position in range(100):
        assert within(chosen[:, position].sum(), max(1, maskable[:, position].sum()), 14 / 96)
    # Neighbours are no likelier together than by chance.
    both = chosen[:, 1:] & chosen[:, :-1]
    n_both = int((maskable[:, 1:] & maskable[:, :-1]).sum())
    assert within(both.sum(), n_both, 14 / 96 * 13 / 95)


@pytest.mark.parametrize("whole_words", [False, True])
def test_the_batch_does_not_matter(make, whole_words):
    """Alone, reversed, or padded further: the masks follow (seed, epoch, index)."""
    masker = make(whole_words=whole_words)
    token_ids, valid = rows([3, 50, 20, 77, 1])
    indices = np.array([900, 2, 31, 4, 55])
    seen, labels = masker(token_ids, valid, indices, 7)
    back = masker(token_ids[::-1], valid[::-1], indices[::-1], 7)
    assert (back[0][::-1] == seen).all()
    assert (back[1][::-1] == labels).all()
    for row in range(5):
        one = slice(row, row + 1)
        wide_ids = np.pad(token_ids[one], ((0, 0), (0, 40)), constant_values=PAD)
        wide_valid = np.pad(valid[one], ((0, 0), (0, 40)))
        alone = masker(wide_ids, wide_valid, indices[one], 7)
        width = token_ids.shape[1]
        assert (alone[0][0, :width] == seen[row]).all()
        assert (alone[1][0, :width] == labels[row]).all()
        assert (alone[1][0, width:] == IGNORE).all()
    again = make(whole_words=whole_words)(token_ids, valid, indices, 7)
    assert (again[0] == seen).all()


def test_seed_epoch_and_index_each_make_another_mask(make):
    token_ids, valid = rows([100] * 200)
    indices = np.arange(200)

    def chosen(seed=1, epoch=0, indices=indices):
        return make(seed)(token_ids, valid, indices, epoch)[1] != IGNORE

    base = chosen()
    for other in (chosen(seed=2), chosen(epoch=1), chosen(indices=indices + 1)):
        both = int((base & other).sum())
        assert within(both, int(base.sum()), 0.15)


# -- whole words -----------------------------------------------------------------------------------


def test_whole_words_are_masked_together(make, tokenizer):
    token_ids, valid = rows([60] * 300)
    _, labels = make(whole_words=True)(token_ids, valid, np.arange(300), 0)
    n_together = 0
    for ids, real, row in zip(token_ids, valid, labels, strict=True):
        wanted = {place for place, label in enumerate(row.tolist()) if label != IGNORE}
        for word in words_of(ids, real, tokenizer):
            assert wanted.isdisjoint(word) or wanted.issuperset(word)
            n_together += len(word) > 1 and wanted.issuperset(word)
            wanted -= set(word)
        assert not wanted
    assert n_together > 300


def test_whole_words_stay_within_the_number(make):
    lengths = list(range(8, 150))
    token_ids, valid = rows(lengths)
    _, labels = make(whole_words=True)(token_ids, valid, np.arange(len(lengths)), 0)
    counts = (labels != IGNORE).sum(axis=1)
    wanted = np.array([max(1, round(0.15 * n)) for n in lengths])
    assert (counts >= 1).all()
    assert (counts <= wanted).mean() > 0.95, "over it only where no word fits"
    assert (counts == wanted).mean() > 0.95, "a word of one piece fills what is left"
    _, labels = make(whole_words=True, max_predictions=3)(
        token_ids, valid, np.arange(len(lengths)), 0
    )
    assert (labels != IGNORE).sum(axis=1).max() == 3


def test_whole_words_have_the_statistics_of_a_plain_loop(make, tokenizer):
    """The release's loop in Python: shuffled words, those that would exceed the number skipped."""
    token_ids, valid = rows([60] * 3000)
    _, labels = make(whole_words=True)(token_ids, valid, np.arange(3000), 0)
    ours, theirs, generator = [], [], random.Random(0)
    for ids, real, row in zip(token_ids, valid, labels, strict=True):
        words = words_of(ids, real, tokenizer)
        ours += [len(word) for word in words if row[word[0]] != IGNORE]
        generator.shuffle(words)
        left = 9
        for word in words:
            if len(word) <= left:
                theirs.append(len(word))
                left -= len(word)
    assert abs(sum(ours) - sum(theirs)) < 0.002 * sum(theirs)
    for size in (1, 2, 3):
        n_ours, n_theirs = ours.count(size), theirs.count(size)
        assert n_theirs > 200
        assert abs(n_ours - n_theirs) < 4 * (n_ours + n_theirs) ** 0.5


def test_a_word_never_reaches_over_a_special_token(make):
    """What truncation has left of a word is a word; pieces after [SEP] belong to none before."""
    token_ids = np.array([[CLS, 7, 9, SEP, 9, 9, SEP]] * 400)
    valid = np.ones_like(token_ids, dtype=bool)
    _, labels = make(whole_words=True, mask_prob=0.5)(token_ids, valid, np.arange(400), 0)
    found = {tuple(np.flatnonzero(row != IGNORE).tolist()) for row in labels}
    assert found == {(1, 2), (4, 5)}


def test_a_short_text_of_one_long_word_predicts_it_all_or_nothing(make):
    token_ids = np.array([[CLS, 7, 9, 9, SEP]])
    valid = np.ones_like(token_ids, dtype=bool)
    _, labels = make(whole_words=True)(token_ids, valid, np.arange(1), 0)
    assert labels.tolist() == [[IGNORE, 7, 9, 9, IGNORE]]
    _, labels = make(whole_words=True, max_predictions=2)(token_ids, valid, np.arange(1), 0)
    assert (labels == IGNORE).all()


# -- borders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_words", [False, True])
def test_an_example_without_words_predicts_nothing(make, whole_words):
    token_ids = np.array([[CLS, UNK, SEP, PAD], [CLS, 7, SEP, PAD], [CLS, 7, 7, SEP]])
    valid = np.array([[True, True, True, False], [True, True, True, False], [True] * 4])
    masker = make(whole_words=whole_words)
    seen, labels = masker(token_ids, valid, np.arange(3), 0)
    assert (labels != IGNORE).sum(axis=1).tolist() == [0, 1, 1]
    assert (seen[0] == token_ids[0]).all()
    seen, labels = masker(token_ids[:1], valid[:1], np.arange(1), 0)
    assert (labels == IGNORE).all()


def test_a_word_in_padding_is_not_masked(make):
    token_ids = np.full((50, 40), 7)
    valid = np.arange(40) < np.arange(50)[:, None] // 2 + 1
    seen, labels = make(mask_prob=1.0)(token_ids, valid, np.arange(50), 0)
    assert ((labels != IGNORE) == valid).all()
    assert (seen[~valid] == 7).all()


def test_impossible_rules_and_vocabularies(tokenizer):
    with pytest.raises(ConfigError, match="mask_prob = 0 must be above 0"):
        MaskingRules(mask_prob=0)
    with pytest.raises(ConfigError, match="max_predictions = 0 leaves nothing to predict"):
        MaskingRules(max_predictions=0)
    tokenizer.vocab_size = 5
    with pytest.raises(DataError, match="all 5 tokens of the vocabulary are special"):
        TokenMasker(tokenizer, MaskingRules(), 1)
