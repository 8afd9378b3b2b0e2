"""Generation by cache and batch, against one text at a time with everything computed anew."""

import math
from dataclasses import replace

import pytest
import torch

from triptych.decoding.generate import Bounds, Drawn, Generated, Generation, Request, generate
from triptych.decoding.sampling import Sampling, choose, uniform
from triptych.errors import ModelFileError, UsageError

EOS, V, CONTEXT = 256, 257, 40
BOUNDS = Bounds(eos_id=EOS, vocab_size=V, max_seq_len=CONTEXT)
SLIDING = Bounds(eos_id=EOS, vocab_size=V, max_seq_len=CONTEXT, slides=True)
PROMPTS = [[5], [70, 71, 72, 73, 74, 75, 76], [9, 9], list(range(100, 119)), [200, 3, 77, 1]]
PLAIN = Sampling()
GREEDY = Sampling(temperature=0)
CUT = Sampling(temperature=0.7, top_k=20, top_p=0.9, min_p=0.01)
PENALIZED = Sampling(
    repetition_penalty=1.8, presence_penalty=1.5, logit_bias={EOS: 2.0, 70: -math.inf, 5: 1.5}
)
NO_END = {EOS: -math.inf}


def requests(limit: int = 12, prompts=PROMPTS) -> list[Request]:
    return [Request(tuple(ids), limit, seed=10 + n) for n, ids in enumerate(prompts)]


@torch.no_grad()
def slowly(model, request: Request, sampling: Sampling, bounds: Bounds = BOUNDS) -> Generated:
    """One text alone, without a cache."""
    ids, log_probs, start = list(request.token_ids), [], 0
    n_prompt = len(ids)
    while True:
        n_left = request.limit - len(log_probs)
        if len(ids) - start > bounds.max_seq_len:
            keep = max(bounds.max_seq_len + 1 - n_left, math.ceil(bounds.max_seq_len / 2))
            start = len(ids) - keep
        logits = model.project(model(torch.tensor([ids[start:]])))[0, -1, : bounds.vocab_size]
        log_softmax = logits.double().log_softmax(0)
        for token_id in range(bounds.vocab_size):
            if token_id in ids:
                factor = sampling.repetition_penalty
                logits[token_id] *= factor if logits[token_id] <= 0 else 1 / factor
            if token_id in ids[n_prompt:]:
                logits[token_id] -= sampling.presence_penalty
            logits[token_id] += sampling.logit_bias.get(token_id, 0)
        u = uniform(request.seed, len(log_probs))
        ids.append(int(choose(logits[None], sampling, [u])[0]))
        log_probs.append(float(log_softmax[ids[-1]]))
        if ids[-1] == EOS:
            by = "end"
        elif len(log_probs) == request.limit:
            by = "limit"
        elif len(ids) > bounds.max_seq_len and not bounds.slides:
            by = "context"
        else:
            continue
        return Generated(tuple(ids[n_prompt:]), tuple(log_probs), by)


def alike(found: Generated, expected: Generated) -> bool:
    return (found.token_ids, found.stopped_by) == (
        expected.token_ids,
        expected.stopped_by,
    ) and found.log_probs == pytest.approx(expected.log_probs, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("sampling", [PLAIN, GREEDY, CUT, PENALIZED])
def test_the_cache_and_the_batch_change_nothing(byte_gpt, sampling):
    found = generate(byte_gpt, requests(), sampling, BOUNDS)
    for request, generated in zip(requests(), found, strict=True):
        assert alike(generated, slowly(byte_gpt, request, sampling))


@pytest.mark.parametrize("sampling", [PLAIN, GREEDY, PENALIZED])
def test_company_and_order_change_nothing(byte_gpt, sampling):
    expected = generate(byte_gpt, requests(), sampling, BOUNDS)
    for order in ([3, 1], [4, 3, 2, 1, 0], [0], [1, 1, 2, 1]):
        some = [requests()[n] for n in order]
        found = generate(byte_gpt, some, sampling, BOUNDS)
        assert all(alike(f, expected[n]) for f, n in zip(found, order, strict=True))


def test_the_seed_decides(byte_gpt):
    def texts(sampling):
        some = [Request((5, 6), 8, seed) for seed in (1, 2, 3, 2**64 - 1)]
        return [generated.token_ids for generated in generate(byte_gpt, some, sampling, BOUNDS)]

    assert len(set(texts(PLAIN))) == 4
    assert texts(PLAIN) == texts(PLAIN)
    assert len(set(texts(GREEDY))) == 1


def test_tokens_are_drawn_as_often_as_they_are_probable(byte_gpt):
    n = 2000
    found = generate(byte_gpt, [Request((5, 6), 1, seed) for seed in range(n)], PLAIN, BOUNDS)
    with torch.no_grad():
        logits = byte_gpt.project(byte_gpt(torch.tensor([[5, 6]])))[0, -1, :V]
    expected = logits.double().softmax(0) * n
    counts = torch.bincount(torch.tensor([g.token_ids[0] for g in found]), minlength=V).double()
    often = expected >= 5
    rest = (~often).nonzero()[:, 0]
    observed = [*counts[often].tolist(), float(counts[rest].sum())]
    wanted = [*expected[often].tolist(), float(expected[rest].sum())]
    chi2 = sum((o - e) ** 2 / e for o, e in zip(observed, wanted, strict=True))
    freedom = len(wanted) - 1
    assert freedom > 5
    assert chi2 < freedom + 4 * math.sqrt(2 * freedom)


def test_rows_that_are_no_tokens_take_no_part(byte_gpt):
    with torch.no_grad():
        byte_gpt.token_embedding[V:] = 50 * byte_gpt.norm.bias.sign() + 50
        hidden = byte_gpt(torch.tensor([[5, 6]]))[0, -1]
        byte_gpt.token_embedding[V:] = hidden * 100  # by far the likeliest
    (found,) = generate(byte_gpt, [Request((5, 6), 1)], GREEDY, BOUNDS)
    assert found.token_ids[0] < V
    assert alike(found, slowly(byte_gpt, Request((5, 6), 1), GREEDY))


@pytest.mark.parametrize(
    ("sampling", "asked"), [(PLAIN, None), (GREEDY, 1), (CUT, 20), (PENALIZED, None)]
)
def test_without_log_probabilities_the_likeliest_are_enough(byte_gpt, sampling, asked):
    bounds = replace(BOUNDS, vocab_size=len(byte_gpt.token_embedding))
    expected = generate(byte_gpt, requests(), sampling, bounds)
    assert set(byte_gpt.asked) == {None}
    byte_gpt.asked.clear()
    found = generate(byte_gpt, requests(), sampling, bounds, log_probs=False)
    assert found == [replace(each, log_probs=()) for each in expected]
    assert byte_gpt.asked[0] is None  # the model may have rows that are no tokens
    assert set(byte_gpt.asked[1:]) == {asked}


def test_a_model_with_rows_that_are_no_tokens_is_asked_for_all(byte_gpt):
    generate(byte_gpt, requests(), GREEDY, BOUNDS, log_probs=False)
    assert set(byte_gpt.asked) == {None}


def test_each_prompt_is_read_once_and_ended_texts_leave(byte_gpt):
    some = [Request((1, 2, 3), limit, seed) for seed, limit in enumerate([2, 4, 4, 7])]
    some.append(Request((4, 5), 1))
    generate(byte_gpt, some, Sampling(logit_bias=NO_END), BOUNDS)
    (cache,) = byte_gpt.caches
    assert cache.steps == [(2, 3), (4, 1), (3, 1), (3, 1), (1, 1), (1, 1), (1, 1)]


def test_the_cache_has_room_from_the_start(byte_gpt):
    generate(byte_gpt, [Request((1, 2, 3), 9)], Sampling(logit_bias=NO_END), BOUNDS)
    (cache,) = byte_gpt.caches
    assert cache.layers[0].self_attention.length == 11  # nothing is read of the last
    byte_gpt.caches.clear()
    generate(byte_gpt, [Request((1, 2, 3), 10_000)], Sampling(logit_bias=NO_END), BOUNDS)
    assert byte_gpt.caches[0].layers[0].self_attention.room <= 2 * (3 + CONTEXT)


def test_a_full_context_ends_a_text(byte_gpt):
    sampling = Sampling(logit_bias=NO_END)
    for length in (1, 30, CONTEXT):
        (found,) = generate(byte_gpt, requests(100, [[7] * length]), sampling, BOUNDS)
        assert found.stopped_by == "context"
        assert len(found.token_ids) == CONTEXT - length + 1  # the last one need not be read
        assert alike(found, slowly(byte_gpt, requests(100, [[7] * length])[0], sampling))
    with pytest.raises(UsageError, match=r"41 tokens, more than this model's context of 40"):
        generate(byte_gpt, [Request((7,) * 41, 1)], sampling, BOUNDS)


@pytest.mark.parametrize("limit", [3, 30, 90])
def test_a_window_slides_over_what_is_longer(byte_gpt, limit):
    sampling = Sampling(logit_bias=NO_END)
    some = requests(limit, [[5], list(range(90)), [9] * 38, list(range(70, 110))])
    found = generate(byte_gpt, some, sampling, SLIDING)
    for request, generated in zip(some, found, strict=True):
        assert generated.stopped_by == "limit"
        assert alike(generated, slowly(byte_gpt, request, sampling, SLIDING))


def test_a_window_keeps_what_has_room():
    assert SLIDING.window(1) == CONTEXT
    assert SLIDING.window(11) == CONTEXT - 10
    assert SLIDING.window(1000) == CONTEXT // 2
    assert Bounds(eos_id=0, vocab_size=2, max_seq_len=1, slides=True).window(5) == 1


def test_watching_sees_every_token_and_may_end_a_text(byte_gpt):
    seen: list[Drawn] = []

    def watch(drawn: Drawn) -> bool:
        seen.append(drawn)
        return drawn.row == 1 and len([d for d in seen if d.row == 1]) == 3

    sampling = Sampling(logit_bias=NO_END)
    found = generate(byte_gpt, requests(6), sampling, BOUNDS, watch=watch)
    free = generate(byte_gpt, requests(6), sampling, BOUNDS)
    for row, generated in enumerate(found):
        assert tuple(d.token_id for d in seen if d.row == row) == generated.token_ids
        assert tuple(d.log_prob for d in seen if d.row == row) == generated.log_probs
        expected = free[row].token_ids[:3] if row == 1 else free[row].token_ids
        assert (generated.token_ids, generated.stopped_by) == (
            expected,
            "stop" if row == 1 else "limit",
        )


def test_steps_can_be_taken_one_by_one(byte_gpt):
    generation = Generation(byte_gpt, requests(3), GREEDY, BOUNDS)
    found: list[list[int]] = [[] for _ in PROMPTS]
    while generation.going:
        for drawn in generation.step():
            found[drawn.row].append(drawn.token_id)
    expected = generate(byte_gpt, requests(3), GREEDY, BOUNDS)
    assert [tuple(ids) for ids in found] == [generated.token_ids for generated in expected]
    assert not torch.is_inference_mode_enabled()


def test_no_texts_at_all(byte_gpt):
    assert generate(byte_gpt, [], PLAIN, BOUNDS) == []


@pytest.mark.parametrize("log_probs", [True, False])
@pytest.mark.parametrize("sampling", [GREEDY, PLAIN, CUT])
def test_damaged_weights_are_told(byte_gpt, sampling, log_probs):
    with torch.no_grad():
        byte_gpt.token_embedding[3, 0] = torch.nan
    with pytest.raises(ModelFileError, match="not a number"):
        generate(byte_gpt, requests(), sampling, BOUNDS, log_probs=log_probs)


@pytest.mark.parametrize("log_probs", [True, False])
@pytest.mark.parametrize("sampling", [GREEDY, PLAIN, CUT])
def test_scores_without_an_end_are_told(byte_gpt, monkeypatch, sampling, log_probs):
    project = byte_gpt.project

    def overflown(hidden):
        logits = project(hidden)
        logits[:, 9] = math.inf
        return logits

    monkeypatch.setattr(byte_gpt, "project", overflown)
    with pytest.raises(ModelFileError, match="not a number"):
        generate(byte_gpt, requests(), sampling, BOUNDS, log_probs=log_probs)


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        ({V: 1.0}, "logit_bias names id 257, outside the vocabulary of 257"),
        (dict.fromkeys(range(V), -math.inf), "forbids every token"),
    ],
)
def test_a_bias_that_cannot_be_kept(byte_gpt, bias, words):
    with pytest.raises(UsageError, match=words):
        generate(byte_gpt, requests(), Sampling(logit_bias=bias), BOUNDS)


def test_requests_that_cannot_be_met():
    with pytest.raises(UsageError, match="no tokens"):
        Request((), 5)
    with pytest.raises(UsageError, match="0 new tokens"):
        Request((1,), 0)
