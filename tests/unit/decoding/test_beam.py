"""Beam search against every text there is, and its rules one by one."""

import math

import pytest
import torch

from triptych.decoding.beam import BeamOptions, beam_search
from triptych.decoding.candidates import TokenRoles
from triptych.decoding.greedy import greedy_search
from triptych.decoding.penalties import length_penalty
from triptych.errors import UsageError

EOS, START = 0, 3
ROLES = TokenRoles(start_id=START, eos_id=EOS, outside_ids=(START,))
LIMIT = 5
WIDE = 2**LIMIT  # more beams than there are beginnings


@pytest.mark.parametrize("penalty", ["gnmt", "length", "none"])
@pytest.mark.parametrize("alpha", [0.6, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_wide_beam_is_brute_force(fake_model, fake_cache, penalty, alpha, seed):
    model, n_rows = fake_model(seed), 3
    options = BeamOptions(beam_size=WIDE, n_best=8, length_penalty=penalty, alpha=alpha)
    found = beam_search(
        model.next_logits, fake_cache(n_rows), ROLES, [LIMIT] * n_rows, options=options
    )
    for row in range(n_rows):
        scored = sorted(
            (
                (model.log_prob(row, t) / float(length_penalty(penalty, len(t), alpha)), t)
                for t in model.all_texts(LIMIT)
            ),
            key=lambda pair: (-pair[0], pair[1]),
        )
        assert [h.token_ids for h in found[row]] == [t for _, t in scored[:8]]
        assert [h.score for h in found[row]] == pytest.approx([s for s, _ in scored[:8]], abs=1e-5)
        assert all(h.finished for h in found[row])


def test_wide_beam_is_brute_force_with_unfinished_texts(fake_model, fake_cache):
    model = fake_model(11)
    options = BeamOptions(beam_size=WIDE, n_best=8, at_limit="unfinished")
    (found,) = beam_search(model.next_logits, fake_cache(1), ROLES, [3], options=options)
    texts = list(model.all_texts(3)) + [(a, b, c) for a in (1, 2) for b in (1, 2) for c in (1, 2)]
    expected = sorted(texts, key=lambda t: (-model.log_prob(0, t) / len(t), t))[:8]
    assert [h.token_ids for h in found] == expected
    assert [h.finished for h in found] == [t[-1] == EOS for t in expected]
    assert not all(h.finished for h in found)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("beam_size", "limits"), [(2, [1, 6]), (2, [6, 1]), (3, [1, 6, 1])])
def test_as_many_rows_may_be_other_sentences(fake_model, fake_cache, seed, beam_size, limits):
    """Sentences that stop at once leave as many rows as there were, all of one that goes on."""
    model, options = fake_model(seed), BeamOptions(beam_size=beam_size, at_limit="unfinished")
    together = beam_search(
        model.next_logits, fake_cache(len(limits)), ROLES, limits, options=options
    )
    for row, limit in enumerate(limits):
        cache = fake_cache(1)
        cache.sentences += row
        (alone,) = beam_search(model.next_logits, cache, ROLES, [limit], options=options)
        assert [h.token_ids for h in together[row]] == [h.token_ids for h in alone]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("at_limit", ["eos", "unfinished"])
def test_one_beam_is_greedy(fake_model, fake_cache, seed, at_limit):
    model, limits = fake_model(seed), [6, 1, 9, 4]
    greedy = greedy_search(model.next_logits, fake_cache(4), ROLES, limits, at_limit=at_limit)
    options = BeamOptions(beam_size=1, at_limit=at_limit)
    beam = beam_search(model.next_logits, fake_cache(4), ROLES, limits, options=options)
    assert [[h] for h in greedy] == beam


@pytest.mark.parametrize("beam_size", [2, 3, 4, 8])
def test_results_do_not_depend_on_the_neighbors(fake_model, fake_cache, beam_size):
    """The fake's logits are the same in any batch, so the equality is exact."""
    model, limits = fake_model(3), [7, 2, 12, 5, 9]
    options = BeamOptions(beam_size=beam_size, n_best=2)
    together = beam_search(model.next_logits, fake_cache(5), ROLES, limits, options=options)
    for row, limit in enumerate(limits):
        cache = fake_cache(1)
        cache.sentences = torch.tensor([row])
        alone = beam_search(model.next_logits, cache, ROLES, [limit], options=options)
        assert alone == [together[row]]


def test_n_best_is_sorted_without_duplicates_and_scored_rightly(fake_model, fake_cache):
    model = fake_model(5, eos_bonus=1.0)
    options = BeamOptions(beam_size=6, n_best=6, patience=2.0)
    found = beam_search(model.next_logits, fake_cache(4), ROLES, [10] * 4, options=options)
    for row, hypotheses in enumerate(found):
        assert len(hypotheses) == 6
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({h.token_ids for h in hypotheses}) == 6
        for h in hypotheses:
            assert h.log_prob == pytest.approx(model.log_prob(row, h.token_ids), abs=1e-5)
            assert h.log_prob == pytest.approx(math.fsum(h.token_log_probs), abs=1e-9)
            assert h.score == pytest.approx(h.log_prob / len(h.token_ids), abs=1e-9)
            assert len(h.token_log_probs) == len(h.token_ids)


class Scripted:
    """One row whose logits depend on the number of steps alone."""

    def __init__(self, *probabilities: list[float]) -> None:
        self.steps = [torch.tensor(p).log() for p in probabilities]

    def next_logits(self, token_ids, cache):
        step = min(cache.past.size(1), len(self.steps) - 1)
        cache.past = torch.cat([cache.past, token_ids], dim=1)
        cache.batch_sizes.append(len(token_ids))
        return self.steps[step].expand(len(token_ids), -1).clone()


def test_patience_is_how_many_finish_before_the_search_stops(fake_cache):
    # One end a step ranks among the first two: K = 2 finish after two steps.
    model = Scripted([0.4, 0.35, 0.25, 1e-9])
    steps = {}
    for patience in (0.5, 1.0, 2.0, 3.0):
        cache = fake_cache(1)
        options = BeamOptions(beam_size=2, patience=patience, alpha=8.0)
        beam_search(model.next_logits, cache, ROLES, [40], options=options)
        steps[patience] = len(cache.batch_sizes)
    assert steps[0.5] < steps[1.0] < steps[2.0] < steps[3.0] < 40


def test_stopping_by_the_bound_changes_nothing(fake_model, fake_cache):
    """With infinite patience only the bound stops a search; it must lose no better text."""
    n_steps = []
    for seed in range(10):
        model = fake_model(seed, eos_bonus=1.0)
        cache = fake_cache(1)
        options = BeamOptions(beam_size=WIDE, n_best=2, length_penalty="none", patience=math.inf)
        (found,) = beam_search(model.next_logits, cache, ROLES, [8], options=options)
        n_steps.append(len(cache.batch_sizes))
        texts = sorted(model.all_texts(8), key=lambda t: -model.log_prob(0, t))
        assert [h.token_ids for h in found] == texts[:2]
    assert min(n_steps) < 8  # it did stop early


def test_finished_sentences_leave_the_batch(fake_model, fake_cache):
    model, cache = fake_model(3), fake_cache(6)
    beam_search(
        model.next_logits, cache, ROLES, [1, 2, 3, 4, 5, 30], options=BeamOptions(beam_size=2)
    )
    assert cache.batch_sizes[0] == 6  # one row a sentence before the beams part
    assert cache.batch_sizes[1] <= 10  # the sentence of one token is gone
    assert cache.batch_sizes[5:] == [] or max(cache.batch_sizes[5:]) == 2


def test_a_prefix_is_kept_scored_and_only_where_asked(fake_model, fake_cache):
    model = fake_model(8)
    prefixes = [[1, 2, 1], [], [2]]
    options = BeamOptions(beam_size=3, n_best=3)
    found = beam_search(
        model.next_logits, fake_cache(3), ROLES, [9] * 3, options=options, prefixes=prefixes
    )
    free = beam_search(model.next_logits, fake_cache(3), ROLES, [9] * 3, options=options)
    for row, prefix in enumerate(prefixes):
        for h in found[row]:
            assert list(h.token_ids[: len(prefix)]) == prefix
            assert len(h.token_ids) > len(prefix)
            assert h.log_prob == pytest.approx(model.log_prob(row, h.token_ids), abs=1e-5)
    assert found[1] == free[1]
    assert found[0] != free[0]
    greedy = greedy_search(model.next_logits, fake_cache(3), ROLES, [9] * 3, prefixes=prefixes)
    one = beam_search(
        model.next_logits,
        fake_cache(3),
        ROLES,
        [9] * 3,
        options=BeamOptions(beam_size=1),
        prefixes=prefixes,
    )
    assert [[h] for h in greedy] == one


def test_wide_beam_after_a_prefix_is_brute_force(fake_model, fake_cache):
    model = fake_model(4)
    (found,) = beam_search(
        model.next_logits,
        fake_cache(1),
        ROLES,
        [LIMIT],
        options=BeamOptions(beam_size=WIDE, n_best=6),
        prefixes=[[2, 1]],
    )
    texts = [t for t in model.all_texts(LIMIT) if t[:2] == (2, 1)]
    expected = sorted(texts, key=lambda t: (-model.log_prob(0, t) / len(t), t))[:6]
    assert [h.token_ids for h in found] == expected


def test_banned_ids_never_appear_and_do_not_change_scores(fake_model, fake_cache):
    model = fake_model(6)
    roles = TokenRoles(start_id=START, eos_id=EOS, outside_ids=(START,), banned_ids=(2,))
    options = BeamOptions(beam_size=4, n_best=2)
    found = beam_search(model.next_logits, fake_cache(3), roles, [6] * 3, options=options)
    free = beam_search(model.next_logits, fake_cache(3), ROLES, [6] * 3, options=options)
    assert any(2 in h.token_ids for hypotheses in free for h in hypotheses)
    for row, hypotheses in enumerate(found):
        for h in hypotheses:
            assert 2 not in h.token_ids
            assert h.log_prob == pytest.approx(model.log_prob(row, h.token_ids), abs=1e-5)


def test_equal_scores_go_to_the_lower_id(fake_cache):
    model = Scripted([0.1, 0.45, 0.45, 1e-9], [1.0, 1e-9, 1e-9, 1e-9])
    found = beam_search(
        model.next_logits, fake_cache(1), ROLES, [6], options=BeamOptions(beam_size=2, n_best=2)
    )
    assert [h.token_ids for h in found[0]] == [(1, EOS), (2, EOS)]
    assert found[0][0].score == found[0][1].score


@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_limit_ends_or_marks(fake_cache, beam_size):
    endless = Scripted([1e-6, 0.6, 0.4, 1e-9])
    for at_limit, finished in (("eos", True), ("unfinished", False)):
        options = BeamOptions(beam_size=beam_size, at_limit=at_limit)
        ((h,),) = beam_search(endless.next_logits, fake_cache(1), ROLES, [7], options=options)
        assert len(h.token_ids) == 7
        assert h.finished is finished
        assert (h.token_ids[-1] == EOS) is finished
        if finished:  # ending costs what the model says it costs
            assert h.token_log_probs[-1] == pytest.approx(math.log(1e-6), abs=1e-4)


def test_no_sentences(fake_model, fake_cache):
    assert beam_search(fake_model(0).next_logits, fake_cache(0), ROLES, []) == []
    assert greedy_search(fake_model(0).next_logits, fake_cache(0), ROLES, []) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beam_size": 0}, "beam_size is 0"),
        ({"n_best": 5}, "n_best is 5; it must be from 1 to the beam size, 4"),
        ({"patience": 0.0}, "patience is 0.0"),
        ({"length_penalty": "wu"}, "'wu' is not known"),
        ({"alpha": -1.0}, "alpha is -1.0"),
    ],
)
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        BeamOptions(**wrong)


@pytest.mark.parametrize(
    ("limits", "prefixes", "message"),
    [
        ([3, 0], None, "text 2 may have 0 new tokens"),
        ([3], [[1, 1, 1]], "prefix of 3 tokens and a limit of 3"),
        ([3], [[1, EOS]], "end-of-sentence"),
        ([3], [[1], [1]], "2 prefixes for 1 texts"),
    ],
)
def test_impossible_courses_are_refused(fake_model, fake_cache, limits, prefixes, message):
    for search in (beam_search, greedy_search):
        with pytest.raises(UsageError, match=message):
            search(
                fake_model(0).next_logits,
                fake_cache(len(limits)),
                ROLES,
                limits,
                prefixes=prefixes,
            )
