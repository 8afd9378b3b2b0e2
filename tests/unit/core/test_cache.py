"""What is remembered is what was given, in any order of rows and past any room."""

import pytest
import torch

from triptych.core.attention import MultiHeadAttention, attention
from triptych.core.cache import (
    CrossAttentionCache,
    DecoderCache,
    RaggedCache,
    SelfAttentionCache,
    repeat_rows,
)
from triptych.core.masks import causal_mask

B, H, D = 3, 2, 4


def step(length, rows=B):
    return torch.randn(rows, H, length, D), torch.randn(rows, H, length, D)


@pytest.mark.parametrize("room", [1, 4, 64])
@pytest.mark.parametrize("lengths", [[1] * 9, [5, 1, 1, 3], [70, 1, 80]])
def test_it_returns_all_that_it_was_given(room, lengths):
    torch.manual_seed(0)
    cache, given = SelfAttentionCache(room), [step(n) for n in lengths]
    for i, pair in enumerate(given):
        found = cache.extend(lambda pair=pair: pair)
        for got, parts in zip(found, zip(*given[: i + 1], strict=True), strict=True):
            assert torch.equal(got, torch.cat(parts, dim=2))
    assert cache.length == sum(lengths)


def test_the_room_is_allocated_once_and_doubled_when_full():
    cache, addresses = SelfAttentionCache(4), []
    for _ in range(33):
        cache.extend(lambda: step(1))
        addresses.append((cache.k.data_ptr(), cache.k.size(2)))
    assert [size for _, size in dict.fromkeys(addresses)] == [4, 10, 22, 46]


def test_rows_are_dropped_repeated_and_reordered():
    torch.manual_seed(0)
    cache, first, then = SelfAttentionCache(2), step(3), step(2, rows=4)
    cache.extend(lambda: first)
    rows = torch.tensor([2, 0, 0, 2])
    cache.select(rows)
    found = cache.extend(lambda: then)
    for got, past, new in zip(found, first, then, strict=True):
        assert torch.equal(got, torch.cat([past[rows], new], dim=2))


def test_rows_of_an_empty_cache_may_be_selected():
    cache = DecoderCache(2)
    cache.select(torch.tensor([0, 0]))
    assert cache.length == 0


def test_the_memory_is_projected_once():
    cache, calls, pair = CrossAttentionCache(), [], step(5)

    def project():
        calls.append(1)
        return pair

    for _ in range(3):
        k, v = cache.extend(project)
        assert torch.equal(k, pair[0])
        assert torch.equal(v, pair[1])
    assert len(calls) == 1
    cache.select(torch.tensor([1, 1]))
    assert torch.equal(cache.extend(project)[0], pair[0][[1, 1]])
    assert len(calls) == 1


def filled():
    torch.manual_seed(0)
    memory, valid = torch.randn(B, 5, 8), torch.rand(B, 5) > 0.3
    cache, pairs = DecoderCache(2, memory, valid), []
    for layer in cache.layers:
        own, cross = step(3), step(5)
        layer.self_attention.extend(lambda own=own: own)
        layer.cross_attention.extend(lambda cross=cross: cross)
        pairs.append((own, cross))
    return cache, pairs


def test_select_moves_every_layer_and_the_memory():
    cache, pairs = filled()
    memory, valid = cache.memory, cache.memory_valid
    rows = torch.tensor([2, 2, 0, 1])
    cache.select(rows)
    assert torch.equal(cache.memory, memory[rows])
    assert torch.equal(cache.memory_valid, valid[rows])
    for layer, (own, cross) in zip(cache.layers, pairs, strict=True):
        assert torch.equal(layer.self_attention.k[:, :, :3], own[0][rows])
        assert torch.equal(layer.self_attention.v[:, :, :3], own[1][rows])
        assert torch.equal(layer.cross_attention.held[0], cross[0][rows])
        assert torch.equal(layer.cross_attention.held[1], cross[1][rows])
    assert cache.length == 3


def test_reorder_leaves_the_memory_where_it_is():
    cache, pairs = filled()
    memory, rows = cache.memory, torch.tensor([1, 0, 2])
    held = [layer.cross_attention.held for layer in cache.layers]
    cache.reorder(rows)
    assert cache.memory is memory
    for layer, (own, _), pair in zip(cache.layers, pairs, held, strict=True):
        assert torch.equal(layer.self_attention.k[:, :, :3], own[0][rows])
        assert layer.cross_attention.held is pair


@pytest.mark.parametrize("pieces", [[1] * 6, [4, 1, 1], [3, 3]])
def test_attention_with_a_cache_is_attention_over_the_whole(pieces):
    torch.manual_seed(0)
    module = MultiHeadAttention(8, H, attend=attention).eval()
    x = torch.randn(B, 6, 8)
    whole = module(x, x, causal_mask(6, 6))
    cache, found, start = SelfAttentionCache(2), [], 0
    with torch.no_grad():
        for n in pieces:
            part = x[:, start : start + n]
            start += n
            found.append(module(part, part, causal_mask(n, start), cache))
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=1e-5, atol=1e-6)


def test_repeat_rows():
    assert repeat_rows(3, 2).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_known_length_takes_no_more_room():
    cache = SelfAttentionCache(10)
    cache.extend(lambda: step(7))
    assert cache.k.size(2) == 10


def extended(cache, length, valid=None):
    """What `see` answers to so many new positions, then kept by each layer."""
    seen = cache.see(torch.zeros(cache.n_rows, length, dtype=torch.int64), valid)
    for layer in cache.layers:
        layer.self_attention.extend(lambda: step(length, cache.n_rows))
    return seen


def test_padding_is_remembered_from_where_it_is_first_seen():
    cache = RaggedCache(2, B, room=4)
    assert extended(cache, 2) is None
    assert extended(cache, 2, torch.ones(B, 2, dtype=torch.bool)) is None
    valid = torch.tensor([[True, False], [True, True], [False, True]])
    yes = torch.ones(B, 4, dtype=torch.bool)
    assert torch.equal(extended(cache, 2, valid), torch.cat([yes, valid], dim=1))
    assert torch.equal(extended(cache, 1), torch.cat([yes, valid, yes[:, :1]], dim=1))
    assert cache.length == cache.valid.size(1) == 7


@pytest.mark.parametrize("move", ["select", "reorder"])
def test_padding_moves_with_its_row(move):
    cache = RaggedCache(1, B)
    valid = torch.tensor([[True, False], [True, True], [False, True]])
    extended(cache, 2, valid)
    rows = torch.tensor([2, 2, 0, 1])
    getattr(cache, move)(rows)
    assert cache.n_rows == 4
    assert torch.equal(cache.valid, valid[rows])
    with pytest.raises(ValueError, match="3 rows for a cache of 4"):
        cache.see(torch.zeros(3, 1), None)
