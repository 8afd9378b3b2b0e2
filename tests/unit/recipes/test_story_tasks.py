"""What the demo asks of an encoder about stories: blanks, and which end belongs to a beginning."""

from collections import Counter
from collections.abc import Sequence

import pytest
import torch

from triptych.data.storybook import Story, stories, tokenize
from triptych.data.storybook.blanks import Blank, blank_probabilities, draw_blanks
from triptych.errors import DataError
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.recipes.encoder import Encoder
from triptych.recipes.story_blanks import (
    commonest_word,
    guesses,
    masked_story,
    score_blanks,
    showpieces,
)
from triptych.recipes.story_pairs import (
    StoryPair,
    follows,
    next_sentence_accuracy,
    score_pairs,
    story_pairs,
)
from triptych.tokenizers.wordpiece import WordPiece

TRAIN = list(stories(81, 300))
TEST = list(stories(82, 60))
BLANKS = draw_blanks(TEST, [[True] * len(story.sentences) for story in TEST], 1)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    tokenizer = WordPiece.train([story.text for story in TRAIN], 1500)
    torch.manual_seed(0)
    trunk = bert_preset("tiny", tokenizer.vocab_size, tokenizer.pad_id)
    heads = ("pooler", "masked_words", "next_sentence")
    model = BertWithHeads(BertWithHeadsConfig(trunk=trunk, heads=heads)).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return Encoder(model, tokenizer)


def test_a_guess_is_the_first_filling(encoder: Encoder) -> None:
    texts = [blank.filled("[MASK]") for blank in BLANKS]
    tokenizer = encoder.tokenizer
    inputs = [tokenizer.with_specials(ids) for ids in tokenizer.encode(texts)]
    found = guesses(encoder, inputs)
    assert found == [list(encoder.fill(text, top_k=1)[0].token_ids) for text in texts]


def test_a_story_is_two_parts_with_one_mask(encoder: Encoder) -> None:
    tokenizer = encoder.tokenizer
    for blank in BLANKS:
        first, second = masked_story(encoder, blank)
        ids = [*first, *second]
        assert ids.count(tokenizer.mask_id) == 1
        (answer,) = tokenizer.encode([blank.answer])
        if len(answer) == 1:
            place = ids.index(tokenizer.mask_id)
            whole = [*ids[:place], *answer, *ids[place + 1 :]]
            assert [whole] == tokenizer.encode([blank.story.text])
        half = (len(blank.story.sentences) + 1) // 2
        assert (tokenizer.mask_id in first) == (blank.sentence < half)


class Told(Encoder):
    """Guesses what it is told to, through the bias of the head of masked words."""

    def __init__(self, encoder: Encoder, word: str) -> None:
        model = BertWithHeads(encoder.model.config).eval()
        model.load_state_dict(encoder.model.state_dict())
        super().__init__(model, encoder.tokenizer)
        (token_id,) = encoder.tokenizer.encode([word])[0]
        model.heads["masked_words"].bias.data[token_id] = 1e4


def test_shares_of_blanks(encoder: Encoder) -> None:
    score = score_blanks(Told(encoder, "the"), BLANKS, TRAIN)
    share = sum(blank.answer.lower() == "the" for blank in BLANKS) / len(BLANKS)
    assert 0 < share < 1
    assert score.in_story == score.alone == share
    assert commonest_word(TRAIN) == "the"
    assert score.commonest == share
    assert score.n == 60
    best = [max(blank_probabilities(blank).values()) for blank in BLANKS]
    assert score.limit == pytest.approx(sum(best) / len(best))
    assert share < score.five_gram < score.limit


def test_no_blank_is_said(encoder: Encoder) -> None:
    with pytest.raises(DataError, match="there is no blank"):
        score_blanks(encoder, [], TRAIN)


def test_showpieces_hide_no_common_word() -> None:
    counts = Counter(word.lower() for story in TRAIN for word in tokenize(story.text))
    shown: Sequence[Blank] = showpieces(BLANKS, TRAIN, 5)
    assert len(shown) == 5
    places = [BLANKS.index(blank) for blank in shown]
    assert places == sorted(places)
    rarest = min(count for _, count in counts.most_common(60))
    assert all(counts[blank.answer.lower()] <= rarest for blank in shown)


def sentences_of(text: str) -> int:
    return text.count(".") + text.count("?")


@pytest.mark.parametrize("same_place", [True, False])
def test_each_beginning_has_its_own_end_and_another(same_place: bool) -> None:
    pairs = story_pairs(TEST, 4, same_place=same_place)
    assert pairs == story_pairs(TEST, 4, same_place=same_place)
    assert pairs != story_pairs(TEST, 5, same_place=same_place)
    texts = {story.text for story in TEST}
    for own, other in zip(pairs[::2], pairs[1::2], strict=True):
        assert own.follows > other.follows
        assert own.first == other.first
        assert f"{own.first} {own.second}" in texts
        assert f"{other.first} {other.second}" not in texts
        assert [text for text in texts if text.endswith(other.second)]
        assert other.second


def test_ends_of_the_same_place_give_nothing_away_by_themselves() -> None:
    """Both kinds of pairs have the same ends, at each cut."""
    ends: dict[int, list[StoryPair]] = {}
    for pair in story_pairs(TEST, 4, same_place=True):
        ends.setdefault(sentences_of(pair.first), []).append(pair)
    for own in ends.values():
        by_kind = [Counter(p.second for p in own if p.follows == kind) for kind in (True, False)]
        assert by_kind[0] == by_kind[1]
    starts = {sentences_of(p.second) for p in story_pairs(TEST, 4, same_place=False)}
    assert len(starts) > 4


def test_stories_that_make_no_pair_are_refused() -> None:
    one: list[Story] = TEST[:1]
    with pytest.raises(DataError, match="1 stories make no pair"):
        story_pairs(one, 1, same_place=True)


def test_accuracy_of_a_head_that_always_says_the_same(encoder: Encoder) -> None:
    pairs = story_pairs(TEST, 4, same_place=False)
    bias = encoder.model.heads["next_sentence"].linear.bias
    for kind, says_follows in ((0, True), (1, False)):
        bias.data = torch.tensor([1e4 * (1 - kind), 1e4 * kind])
        own: list[StoryPair] = [pair for pair in pairs if pair.follows == says_follows]
        assert next_sentence_accuracy(encoder, own) == 1.0
        score = score_pairs(encoder, TEST, 4)
        assert (score.n, score.anywhere, score.same_place) == (len(pairs), 0.5, 0.5)
    bias.data = torch.zeros(2)


def test_what_the_head_says_of_a_pair(encoder: Encoder) -> None:
    """One pair at a time, by hand; the bias is such that random weights say both."""
    pairs = story_pairs(TEST, 4, same_place=False)[:12]
    model, tokenizer = encoder.model, encoder.tokenizer
    leads = torch.empty(len(pairs))
    for row, pair in enumerate(pairs):
        ids, segments = tokenizer.with_specials(*tokenizer.encode([pair.first, pair.second]))
        rows = torch.tensor([ids])
        with torch.no_grad():
            hidden = model(rows, torch.ones_like(rows, dtype=torch.bool), torch.tensor([segments]))
            kinds = model.heads["next_sentence"](model.heads["pooler"](hidden))[0]
        leads[row] = kinds[0] - kinds[1]
    low, high = leads.sort().values[5:7]
    model.heads["next_sentence"].linear.bias.data = torch.tensor([-(low + high) / 2, 0.0])
    assert follows(encoder, pairs) == (leads > (low + high) / 2).tolist()
    assert sum(follows(encoder, pairs)) == 6
