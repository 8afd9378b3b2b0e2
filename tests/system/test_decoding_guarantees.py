"""What is promised of a translation: the same in any company, and scored as the model scores it.

One small model is trained for a few seconds to reverse its input, and on one source token to
speak without end, so that its choices are sharp where it has learned and open where it has not.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

from triptych.core.cache import repeat_rows
from triptych.core.loss import IGNORE
from triptych.decoding.beam import BeamOptions, beam_search
from triptych.decoding.candidates import TokenRoles
from triptych.decoding.forced import as_hypotheses, forced_log_probs
from triptych.decoding.greedy import greedy_search
from triptych.decoding.hypotheses import Hypothesis
from triptych.evaluation.alignment import GoldAlignment, alignment_error_rate, choose_head
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.recipes.word_alignment import (
    AlignmentHead,
    align_words,
    cross_attentions,
    row_words,
)

EOS, ENDLESS, FIRST, V = 0, 1, 2, 24
PAD = V - 1
ROLES = TokenRoles(start_id=PAD, eos_id=EOS, outside_ids=(PAD,))
LIMIT = 16


def bound(score: float) -> float:
    return 1e-5 * max(1.0, abs(score))


def padded(rows: Sequence[Sequence[int]], filling: int, extra: int = 0) -> torch.Tensor:
    width = max(map(len, rows)) + extra
    return torch.tensor([[*row, *[filling] * (width - len(row))] for row in rows])


@pytest.fixture(scope="module")
def model() -> EncoderDecoder:
    torch.manual_seed(1)
    draw = random.Random(1)
    config = EncoderDecoderConfig(
        vocab_size=V, d_model=32, d_ff=64, n_heads=4, n_encoder_layers=2, n_decoder_layers=2,
        dropout=0.0, max_seq_len=128, pad_id=PAD, eos_id=EOS, start_id=PAD,
    )  # fmt: skip
    model = EncoderDecoder(config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(250):
        words = [[draw.randrange(FIRST, PAD) for _ in range(draw.randint(1, 8))] for _ in range(32)]
        sources = [[*row, EOS] for row in words] + [[ENDLESS, EOS]]
        targets = [[*row[::-1], EOS] for row in words] + [[FIRST] * (LIMIT + 2)]
        source_ids = padded(sources, PAD)
        target_out = padded(targets, IGNORE)
        target_in = F.pad(target_out[:, :-1].clamp_min(0), (1, 0), value=PAD)
        logits = model.logits(model(source_ids, source_ids != PAD, target_in))
        loss = F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def sources() -> list[list[int]]:
    """Ragged, some longer than any seen in training, and one that never ends."""
    draw = random.Random(2)
    rows = [[draw.randrange(FIRST, PAD) for _ in range(draw.randint(1, 13))] for _ in range(39)]
    rows.insert(17, [ENDLESS])
    return [[*row, EOS] for row in rows]


@dataclass
class Decoder:
    """Search with the model over some sources, padded with so many columns too many."""

    model: EncoderDecoder
    beam_size: int
    n_best: int = 1

    def __call__(
        self, sources: Sequence[Sequence[int]], extra: int = 0, seed: int = 0
    ) -> list[list[Hypothesis]]:
        ids = padded(sources, PAD, extra)
        valid = padded([[1] * len(row) for row in sources], 0, extra).bool()
        # What stands in the padding must not matter either.
        generator = torch.Generator().manual_seed(seed)
        ids = torch.where(valid, ids, torch.randint(0, V, ids.shape, generator=generator))
        limits = [LIMIT] * len(sources)
        with torch.no_grad():
            cache = self.model.start_decoding(ids, valid)
            if self.beam_size == 1:
                found = greedy_search(self.model.next_logits, cache, ROLES, limits)
                return [[hypothesis] for hypothesis in found]
            options = BeamOptions(beam_size=self.beam_size, n_best=self.n_best)
            return beam_search(self.model.next_logits, cache, ROLES, limits, options=options)


def forced(model: EncoderDecoder, source: Sequence[int], text: Sequence[int]) -> Hypothesis:
    """The text's score in one full forward pass, alone and without a cache."""
    source_ids, target_out = torch.tensor([source]), torch.tensor([text])
    target_in = F.pad(target_out[:, :-1], (1, 0), value=PAD)
    with torch.no_grad():
        hidden = model(source_ids, torch.ones_like(source_ids, dtype=torch.bool), target_in)
    log_probs = forced_log_probs(hidden, model.logits, target_out, ROLES.outside_ids)
    return as_hypotheses(log_probs, [text], EOS)[0]


def compare(
    model: EncoderDecoder,
    source: Sequence[int],
    found: Sequence[Hypothesis],
    expected: Sequence[Hypothesis],
) -> int:
    """Equal ids and scores, rank by rank; returns how many ids differ by a tie."""
    assert len(found) == len(expected)
    ties = 0
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=bound(theirs.score))
        if ours.token_ids != theirs.token_ids:
            ties += 1
            scores = [forced(model, source, h.token_ids).score for h in (ours, theirs)]
            assert scores[0] == pytest.approx(scores[1], abs=bound(scores[1]))
    return ties


def test_the_model_has_learned_something_and_one_sentence_never_ends(model, sources):
    found = Decoder(model, 1)(sources)
    right = [
        h.token_ids == (*source[-2::-1], EOS)
        for source, (h,) in zip(sources, found, strict=True)
        if len(source) <= 7
    ]
    assert sum(right) >= 0.5 * len(right)
    assert len(found[17][0].token_ids) == LIMIT
    assert len({len(h.token_ids) for (h,) in found}) > 5  # ragged


@pytest.mark.parametrize("beam_size", [1, 4, 8])
def test_a_batch_gives_what_each_sentence_gives_alone(model, sources, beam_size):
    decode = Decoder(model, beam_size, n_best=min(beam_size, 4))
    alone = [decode([source])[0] for source in sources]
    ties = n_compared = 0
    for round_, batch_size in enumerate((40, 40, 7, 3)):
        order = random.Random(round_).sample(range(len(sources)), len(sources))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = decode([sources[i] for i in rows], extra=5 * round_, seed=round_)
            for i, found in zip(rows, batch, strict=True):
                ties += compare(model, sources[i], found, alone[i])
                n_compared += len(found)
    print(f"beam {beam_size}: {ties} ties in {n_compared} hypotheses")
    assert ties <= 0.01 * n_compared


@pytest.mark.parametrize("beam_size", [1, 4, 8])
def test_every_score_is_the_forced_score(model, sources, beam_size):
    found = Decoder(model, beam_size, n_best=beam_size)(sources, extra=3)
    for source, hypotheses in zip(sources, found, strict=True):
        assert len(hypotheses) == beam_size
        for h in hypotheses:
            again = forced(model, source, h.token_ids)
            assert h.score == pytest.approx(again.score, abs=bound(again.score))
            assert h.token_log_probs == pytest.approx(again.token_log_probs, abs=1e-4)


@pytest.mark.parametrize("beam_size", [4, 8])
def test_n_best_is_sorted_and_without_duplicates(model, sources, beam_size):
    for hypotheses in Decoder(model, beam_size, n_best=beam_size)(sources):
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({h.token_ids for h in hypotheses}) == len(hypotheses) == beam_size


def test_one_beam_is_greedy(model, sources):
    greedy = Decoder(model, 1)(sources)
    ids, valid = padded(sources, PAD), padded([[1] * len(s) for s in sources], 0).bool()
    with torch.no_grad():
        beam = beam_search(
            model.next_logits,
            model.start_decoding(ids, valid),
            ROLES,
            [LIMIT] * len(sources),
            options=BeamOptions(beam_size=1),
        )
    for source, found, expected in zip(sources, beam, greedy, strict=True):
        assert compare(model, source, found, expected) == 0


def test_a_cached_step_is_a_full_recompute_after_any_reordering(model, sources):
    """Rows are parted, reordered within their sentence, and dropped, as a search does."""
    generator = torch.Generator().manual_seed(0)
    n_rows, n_beams = 5, 3
    ids = padded(sources[:n_rows], PAD)
    valid = padded([[1] * len(s) for s in sources[:n_rows]], 0).bool()
    texts = torch.full((n_rows, 1), PAD)
    with torch.no_grad():
        cache = model.start_decoding(ids, valid)
        for step in range(2 * LIMIT):
            logits = model.next_logits(texts[:, -1:], cache)
            memory = model.encode(ids, valid)
            full = model.logits(model.decode(texts, memory, valid)[:, -1])
            assert torch.allclose(logits, full, rtol=1e-5, atol=1e-5)
            assert cache.length == step + 1
            if step == 1:
                rows = repeat_rows(n_rows, n_beams)
                cache.select(rows)
            elif step == LIMIT:
                rows = torch.tensor([3, 4, 5, 12, 13, 14])  # two sentences stay
                cache.select(rows)
            elif step > 1:
                beams = torch.randint(0, n_beams, (len(texts),), generator=generator)
                rows = torch.arange(len(texts)) // n_beams * n_beams + beams
                cache.reorder(rows)
            else:
                rows = torch.arange(n_rows)
            ids, valid, texts = ids[rows], valid[rows], texts[rows]
            new = torch.randint(0, PAD, (len(texts), 1), generator=generator)
            texts = torch.cat([texts, new], dim=1)


def test_attention_finds_the_alignment_of_a_reversal(model, sources):
    """Every token is a word; the gold link of target word t is source word n - 1 - t."""
    pairs = [(source, [*source[-2::-1], EOS]) for source in sources if 3 <= len(source) <= 8]
    words = [[*range(len(source) - 1), -1] for source, _ in pairs]
    gold = [
        GoldAlignment(frozenset((len(source) - 2 - t, t) for t in range(len(source) - 1)))
        for source, _ in pairs
    ]
    weights = list(cross_attentions(model, pairs, batch_tokens=40))
    errors = {}
    for rows in ("read", "predicted"):
        labels = [row_words(of_pair, rows) for of_pair in words]
        choice = choose_head(weights, words, labels, gold)
        errors[rows] = choice.aer
        head = AlignmentHead(choice.layer, choice.head, rows)
        for of_pair, attention, (source, _) in zip(words, weights, pairs, strict=True):
            found = align_words(attention, of_pair, of_pair, head)
            assert len(found.links) == len(source) - 1
            assert found.weights.shape == (len(source) - 1, len(source) - 1)
    assert min(errors.values()) < 0.4
    diagonal = [frozenset((t, t) for t in range(len(source) - 1)) for source, _ in pairs]
    assert alignment_error_rate(diagonal, gold).aer > 0.6


def test_the_words_that_rows_of_attention_stand_for():
    """Target "a b_ _b </s>": words 0, 1, 1; the decoder reads start, a, b_, _b."""
    assert row_words([0, 1, 1, -1], "predicted") == [0, 1, 1, -1]
    assert row_words([0, 1, 1, -1], "read") == [-1, 0, 1, 1]
