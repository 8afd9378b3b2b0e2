"""The decoder-only model: what may influence what, with padding, documents and a cache."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from triptych.core.loss import chunked_cross_entropy
from triptych.errors import ConfigError, DataError
from triptych.models.gpt import Gpt, GptConfig

CONFIG = GptConfig(
    vocab_size=40, d_model=16, d_ff=24, n_heads=4, n_layers=3, max_seq_len=12, eos_id=39
)
LENGTHS = (5, 2, 7)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def gpt() -> Gpt:
    torch.manual_seed(0)
    model = Gpt(CONFIG).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def text(length: int, rows: int = 1) -> Tensor:
    return torch.randint(0, 40, (rows, length))


def padded(texts: list[Tensor], side: str) -> tuple[Tensor, Tensor]:
    """Texts [1, n] in one batch, with noise and no zeros where there is padding."""
    width = max(t.size(1) for t in texts)
    ids, valid = text(width, len(texts)), torch.zeros(len(texts), width, dtype=torch.bool)
    for row, t in enumerate(texts):
        n = t.size(1)
        place = slice(0, n) if side == "right" else slice(width - n, width)
        ids[row, place], valid[row, place] = t[0], True
    return ids, valid


def test_the_future_changes_nothing(gpt: Gpt) -> None:
    ids = text(9, rows=2)
    before = gpt(ids)
    for t in range(9):
        changed = ids.clone()
        changed[:, t] = (ids[:, t] + 1) % 40
        after = gpt(changed)
        assert torch.equal(after[:, :t], before[:, :t])
        assert ((after - before).abs().amax(dim=-1)[:, t:] > 1e-6).all()  # all later ones see it


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_and_neighbours_change_nothing(gpt: Gpt, side: str) -> None:
    texts = [text(n) for n in LENGTHS]
    ids, valid = padded(texts, side)
    together = gpt(ids, valid=valid)
    assert together.isfinite().all()
    for row, alone in enumerate(texts):
        torch.testing.assert_close(together[row][valid[row]], gpt(alone)[0], **CLOSE)
    other = torch.where(valid, ids, (ids + 7) % 40)
    torch.testing.assert_close(gpt(other, valid=valid)[valid], together[valid], rtol=0, atol=0)


def test_padding_in_the_middle_changes_nothing(gpt: Gpt) -> None:
    """As when a short prompt, padded on the right, goes on."""
    ids, valid = text(9), torch.tensor([[True, True, False, True, False, False, True, True, False]])
    torch.testing.assert_close(gpt(ids, valid=valid)[valid], gpt(ids[valid][None])[0], **CLOSE)


def test_padding_at_the_end_needs_no_mask(gpt: Gpt) -> None:
    ids, valid = padded([text(n) for n in LENGTHS], "right")
    torch.testing.assert_close(gpt(ids)[valid], gpt(ids, valid=valid)[valid], **CLOSE)


def test_a_gradient_goes_to_no_padding() -> None:
    torch.manual_seed(1)
    model = Gpt(replace(CONFIG, dropout=0.0, embedding_dropout=0.0))
    ids, valid = padded([text(n) for n in LENGTHS], "left")
    ids = torch.where(valid, ids % 20, 20 + ids % 20)
    model(ids, valid=valid)[valid].square().sum().backward()
    gradient = model.token_embedding.weight.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert not gradient[20:].any()
    assert gradient[ids[valid]].any(dim=-1).all()


# -- documents ------------------------------------------------------------------------------------


def test_documents_of_a_row_do_not_see_each_other(gpt: Gpt) -> None:
    """With their own positions each is as alone; without, as alone but further right."""
    ids = text(10)
    document_ids = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 2, -1]])
    positions = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4, 0, 0]])
    hidden = gpt(ids, document_ids=document_ids, positions=positions)
    for start, end in ((0, 3), (3, 8), (8, 9)):
        torch.testing.assert_close(hidden[:, start:end], gpt(ids[:, start:end]), **CLOSE)
    hidden = gpt(ids, document_ids=document_ids)
    places = torch.arange(3, 8)[None]
    torch.testing.assert_close(hidden[:, 3:8], gpt(ids[:, 3:8], positions=places), **CLOSE)
    assert not torch.allclose(hidden[:, 3:8], gpt(ids[:, 3:8]), atol=1e-3)
    torch.testing.assert_close(gpt(ids, document_ids=torch.zeros(1, 10)), gpt(ids), **CLOSE)


# -- with a cache ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[1] * 10, [4, 1, 1, 4], [10], [6, 4]])
@pytest.mark.parametrize("room", [1, 3, 10])
def test_cached_steps_are_the_whole_text(gpt: Gpt, pieces: list[int], room: int) -> None:
    ids = text(10, rows=3)
    cache = gpt.new_cache(3, room)
    parts = [gpt(piece, cache=cache) for piece in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), gpt(ids), **CLOSE)
    assert cache.length == 10
    assert cache.valid is None


@pytest.mark.parametrize("side", ["left", "right"])
def test_ragged_prompts_go_on_as_each_alone(gpt: Gpt, side: str) -> None:
    prompts, more = [text(n) for n in LENGTHS], text(4, rows=3)
    ids, valid = padded(prompts, side)
    cache = gpt.new_cache(3, 11)
    found = [gpt.next_logits(ids, cache, valid)]
    found += [gpt.next_logits(step, cache) for step in more.split([1, 1, 2], dim=1)]
    for row, prompt in enumerate(prompts):
        whole = gpt.project(gpt(torch.cat([prompt, more[row : row + 1]], dim=1)))[0]
        n = prompt.size(1)
        for logits, last in zip(found, (n - 1, n, n + 1, n + 3), strict=True):
            torch.testing.assert_close(logits[row], whole[last], **CLOSE)


def test_a_row_may_stand_still(gpt: Gpt) -> None:
    """A finished row gets padding, and could still go on."""
    ids, more = text(4, rows=2), text(3, rows=2)
    cache = gpt.new_cache(2, 8)
    gpt(ids, cache=cache)
    for t in range(3):
        logits = gpt.next_logits(more[:, t : t + 1], cache, torch.tensor([[True], [t != 1]]))
    expected = [torch.cat([ids[0], more[0]]), torch.cat([ids[1], more[1, [0, 2]]])]
    for row, whole in enumerate(expected):
        torch.testing.assert_close(logits[row], gpt.project(gpt(whole[None]))[0, -1], **CLOSE)


@pytest.mark.parametrize("move", ["select", "reorder"])
def test_rows_are_moved_with_their_padding(gpt: Gpt, move: str) -> None:
    prompts, rows = [text(n) for n in LENGTHS], torch.tensor([1, 1, 0])
    ids, valid = padded(prompts, "right")
    cache, more = gpt.new_cache(3, 9), text(1, rows=3)
    gpt(ids, valid=valid, cache=cache)
    getattr(cache, move)(rows)
    logits = gpt.next_logits(more, cache)
    for row, source in enumerate(rows.tolist()):
        whole = torch.cat([prompts[source], more[row : row + 1]], dim=1)
        torch.testing.assert_close(logits[row], gpt.project(gpt(whole))[0, -1], **CLOSE)


def test_fewer_rows_may_go_on(gpt: Gpt) -> None:
    ids, valid = padded([text(n) for n in LENGTHS], "left")
    cache = gpt.new_cache(3, 9)
    gpt(ids, valid=valid, cache=cache)
    cache.select(torch.tensor([2]))
    with pytest.raises(ValueError, match="3 rows for a cache of 1"):
        gpt(text(1, rows=3), cache=cache)
    whole = torch.cat([ids[2:], text(1)], dim=1)
    logits = gpt.next_logits(whole[:, -1:], cache)
    torch.testing.assert_close(logits, gpt.project(gpt(whole))[:, -1], **CLOSE)


def test_the_limit_counts_tokens_and_no_padding(gpt: Gpt) -> None:
    """A short text may use the whole context, however long its neighbour was."""
    short, ids = text(2), text(10)
    batch, valid = padded([short, text(12)], "right")
    cache = gpt.new_cache(2, 30)
    gpt(batch, valid=valid, cache=cache)
    with pytest.raises(DataError, match="13 tokens is longer than this model's limit of 12"):
        gpt(text(1, rows=2), cache=gpt_cache_copy(gpt, batch, valid))
    cache.select(torch.tensor([0]))
    found = torch.stack([gpt.next_logits(step, cache) for step in ids.split(1, dim=1)], dim=1)
    whole = gpt.project(gpt(torch.cat([short, ids], dim=1)))
    torch.testing.assert_close(found, whole[:, 2:], **CLOSE)
    with pytest.raises(DataError, match="13 tokens is longer"):
        gpt(text(1), cache=cache)


def gpt_cache_copy(gpt: Gpt, ids: Tensor, valid: Tensor) -> object:
    cache = gpt.new_cache(len(ids), 30)
    gpt(ids, valid=valid, cache=cache)
    return cache


def test_too_long_is_refused(gpt: Gpt) -> None:
    with pytest.raises(DataError, match="13 tokens is longer than this model's limit of 12"):
        gpt(text(13))
    cache = gpt.new_cache(1, 13)
    gpt(text(12), cache=cache)
    with pytest.raises(DataError, match="13 tokens is longer than this model's limit of 12"):
        gpt(text(1), cache=cache)


# -- the rest -------------------------------------------------------------------------------------


def test_the_output_is_tied_to_the_embedding(gpt: Gpt) -> None:
    hidden = gpt(text(6))
    weight, bias = gpt.output_projection
    assert weight is gpt.token_embedding.weight
    assert not bias.any()
    torch.testing.assert_close(gpt.project(hidden), hidden @ weight.T + bias)
    assert "no_bias" not in gpt.state_dict()


def test_the_chunked_loss_is_that_of_the_logits(gpt: Gpt) -> None:
    ids = text(8, rows=2)
    hidden, targets = gpt(ids[:, :-1]), ids[:, 1:].flatten()
    loss = chunked_cross_entropy(hidden.flatten(0, 1), *gpt.output_projection, targets)
    logits = gpt.project(hidden).flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    torch.testing.assert_close(loss.smoothed, expected)


def test_weights_begin_as_published() -> None:
    torch.manual_seed(1)
    model = Gpt(replace(CONFIG, d_model=128, d_ff=512, vocab_size=4000, max_seq_len=500))
    added = 0.02 / 6**0.5  # six residual layers
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all(), name
        elif name.endswith("bias"):
            assert not parameter.any(), name
        else:
            residual = name.endswith(("w_o.weight", "w_down.weight"))
            expected = added if residual else 0.01 if name == "positions.weight" else 0.02
            assert parameter.std().item() == pytest.approx(expected, rel=0.02), name


def test_three_kinds_of_dropout_are_three() -> None:
    for name in ("dropout", "attention_dropout", "embedding_dropout"):
        none = dict.fromkeys(("dropout", "attention_dropout", "embedding_dropout"), 0.0)
        model = Gpt(replace(CONFIG, **none | {name: 0.5})).train()  # type: ignore[arg-type]
        ids = text(9)
        assert not torch.equal(model(ids), model(ids)), name
        found = {
            "dropout": model.blocks[1].residual_1.dropout.probability,
            "attention_dropout": model.blocks[1].self_attention.dropout,
            "embedding_dropout": model.dropout.probability,
        }
        assert found == none | {name: 0.5}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"activation": "mish"}, "activation is 'mish'"),
        ({"d_model": 17}, r"d_model \(17\) must be a multiple"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"embedding_dropout": 1.0}, "embedding_dropout is 1.0"),
        ({"eos_id": 40}, "eos_id is 40, outside the vocabulary of 40"),
    ],
)
def test_impossible_shapes_are_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        replace(CONFIG, **change)  # type: ignore[arg-type]
