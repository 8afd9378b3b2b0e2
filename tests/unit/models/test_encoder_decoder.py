"""Figure 1 as a whole: what may influence what, and the cache against recomputation."""

from dataclasses import fields, replace

import pytest
import torch

from triptych.core.attention import MultiHeadAttention, attention, fused_attention
from triptych.core.loss import smoothed_cross_entropy
from triptych.errors import ConfigError, DataError
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig

V, PAD, EOS = 23, 22, 0
CONFIG = EncoderDecoderConfig(
    vocab_size=V, d_model=16, d_ff=24, n_heads=2, n_encoder_layers=2, n_decoder_layers=3,
    dropout=0.1, max_seq_len=90, pad_id=PAD, eos_id=EOS, start_id=PAD,
)  # fmt: skip
B, S, T = 3, 6, 7
LENGTHS = [6, 4, 1]


def made(attend=fused_attention, config=CONFIG):
    torch.manual_seed(0)
    model = EncoderDecoder(config)
    for name, value in model.named_parameters():
        if name.endswith("bias"):  # zeros would hide a bias used in the wrong place
            torch.nn.init.normal_(value, std=0.1)
    for part in model.modules():
        if isinstance(part, MultiHeadAttention):
            part.attend = attend
    return model.eval()


def batch():
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(1, PAD, (B, S), generator=generator)
    valid = torch.arange(S) < torch.tensor(LENGTHS)[:, None]
    source[~valid] = PAD
    target = torch.randint(1, PAD, (B, T), generator=generator)
    target[:, 0] = PAD
    return source, valid, target


def embedded(model):
    """What enters the stack, source then target, kept for its gradient."""
    kept = []

    def keep(module, given, out):
        out.retain_grad()
        kept.append(out)

    model.embedding.register_forward_hook(keep)
    return kept


def test_shapes_and_logits():
    model, (source, valid, target) = made(), batch()
    hidden = model(source, valid, target)
    assert hidden.shape == (B, T, 16)
    model.final_logits_bias.normal_()
    weight, bias = model.output_projection
    expected = torch.einsum("bte,ve->btv", hidden, weight) + bias
    torch.testing.assert_close(model.logits(hidden), expected)
    assert weight is model.embedding.weight  # one matrix for all three places


def test_the_future_never_changes_the_past():
    model, (source, valid, target) = made(), batch()
    whole = model(source, valid, target)
    for t in range(1, T):
        other = target.clone()
        other[:, t:] = (other[:, t:] + 5) % PAD
        changed = model(source, valid, other)
        torch.testing.assert_close(changed[:, :t], whole[:, :t], rtol=0, atol=1e-6)
        assert not torch.allclose(changed[:, t:], whole[:, t:], atol=1e-2)


@pytest.mark.parametrize("attend", [attention, fused_attention])
def test_no_gradient_flows_to_the_future_or_to_padding(attend):
    for t in range(T):
        model, (source, valid, target) = made(attend), batch()
        kept = embedded(model)
        hidden = model(source, valid, target)[:, t]
        (hidden * torch.randn(B, 16)).sum().backward()  # a plain sum is constant after the norm
        of_source, of_target = (x.grad for x in kept)
        assert (of_target[:, t + 1 :] == 0).all()
        assert (of_target[:, : t + 1] != 0).any(dim=-1).all()
        assert (of_source[~valid] == 0).all()
        assert (of_source[valid] != 0).any(dim=-1).all()


def test_padding_and_neighbours_never_change_anything():
    model, (source, valid, target) = made(), batch()
    together = model(source, valid, target)
    for row, n in enumerate(LENGTHS):
        alone = model(source[row : row + 1, :n], valid[row : row + 1, :n], target[row : row + 1])
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=2e-6)
    noise = torch.where(valid, source, torch.randint(1, PAD, (B, S)))
    torch.testing.assert_close(model(noise, valid, target), together, rtol=0, atol=1e-6)
    order = torch.tensor([2, 0, 1])
    moved = model(source[order], valid[order], target[order])
    torch.testing.assert_close(moved, together[order], rtol=0, atol=1e-6)


def test_a_source_of_padding_alone_is_finite_and_hurts_nobody():
    model, (source, valid, target) = made(), batch()
    expected = model(source, valid, target)
    source, valid = source.clone(), valid.clone()
    source[1], valid[1] = PAD, False
    found = model(source, valid, target)
    assert found.isfinite().all()
    torch.testing.assert_close(found[[0, 2]], expected[[0, 2]], rtol=0, atol=1e-6)


def loss_and_gradients(model, training):
    source, valid, target = batch()
    model.train(training)
    hidden = model(source, valid, target[:, :-1]).flatten(0, 1)
    loss = smoothed_cross_entropy(
        hidden, *model.output_projection, target[:, 1:].flatten(), 0.1, PAD
    )
    loss.smoothed.backward()
    return loss.smoothed, {name: value.grad for name, value in model.named_parameters()}


@pytest.mark.parametrize("training", [True, False])
def test_the_kernel_makes_no_difference(training):
    config = replace(CONFIG, dropout=0.0)
    slow = loss_and_gradients(made(attention, config), training)
    fast = loss_and_gradients(made(fused_attention, config), training)
    torch.testing.assert_close(fast[0], slow[0], rtol=1e-5, atol=0)
    for name, gradient in slow[1].items():
        difference = (fast[1][name] - gradient).norm()
        assert difference <= 1e-5 * gradient.norm() + 1e-6, name


def test_training_with_dropout_is_the_same_for_both_kernels():
    """Dropout lies outside attention, so one seed gives both the same masks."""
    losses = []
    for attend in (attention, fused_attention):
        model = made(attend)
        torch.manual_seed(3)
        losses.append(loss_and_gradients(model, training=True)[0])
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0)
    assert not torch.isclose(losses[0], loss_and_gradients(made(), training=False)[0])


@pytest.mark.parametrize("pieces", [[1] * T, [3, 1, 2, 1], [T]])
@torch.no_grad()
def test_cache_is_recomputation(pieces):
    model, (source, valid, target) = made(), batch()
    memory = model.encode(source, valid)
    whole = model.decode(target, memory, valid)
    cache, found = model.start_decoding(source, valid), []
    for n in pieces:
        part = target[:, cache.length : cache.length + n]
        found.append(model.decode(part, memory, valid, cache))
    assert cache.length == T
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=1e-5, atol=2e-6)


@torch.no_grad()
def test_the_cache_grows_past_its_room_and_follows_its_rows():
    model, (source, valid, _) = made(), batch()
    target = torch.randint(1, PAD, (B, 85))
    cache, rows = model.start_decoding(source, valid), torch.arange(B)
    assert cache.layers[0].self_attention.room < 85
    turns = {10: [1, 1, 0, 2], 40: [3, 0], 70: [0, 0, 1]}  # repeat, drop and reorder
    tokens = target
    for t in range(85):
        if t in turns:
            chosen = torch.tensor(turns[t])
            cache.select(chosen)
            rows, tokens = rows[chosen], tokens[chosen]
        found = model.next_logits(tokens[:, t : t + 1], cache)
        if t in (0, 9, 10, 39, 40, 63, 64, 70, 84):
            hidden = model(source[rows], valid[rows], tokens[:, : t + 1])
            expected = model.logits(hidden[:, -1])
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=5e-6)


@torch.no_grad()
def test_a_prefix_may_be_read_at_once():
    model, (source, valid, target) = made(), batch()
    expected = model.logits(model(source, valid, target)[:, -1])
    cache = model.start_decoding(source, valid)
    model.next_logits(target[:, :4], cache)
    found = model.next_logits(target[:, 4:], cache)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=5e-6)


def test_dropout_reaches_embeddings_and_every_sublayer():
    model = made().train()
    at = {name for name, part in model.named_modules() if name.endswith("dropout")}
    blocks = {f"encoder.{i}.residual_{j}.dropout" for i in range(2) for j in (1, 2)}
    blocks |= {f"decoder.{i}.residual_{j}.dropout" for i in range(3) for j in (1, 2, 3)}
    assert at == blocks | {"dropout"}
    assert {model.get_submodule(name).probability for name in at} == {0.1}
    embedded = model.embed(batch()[0])
    dropped = (embedded == 0).double().mean().item()
    assert 0.05 < dropped < 0.17  # of 288 elements; embeddings plus positions are never zero
    assert (model.eval().embed(batch()[0]) != 0).all()


def test_taps_fire_in_every_layer():
    model, seen = made(attention), {}
    for name, part in model.named_modules():
        if name.endswith(".weights"):
            part.register_forward_hook(lambda m, i, out, name=name: seen.update({name: out.shape}))
    model(*batch())
    expected = {f"encoder.{i}.self_attention.weights": (B, 2, S, S) for i in range(2)}
    expected |= {f"decoder.{i}.self_attention.weights": (B, 2, T, T) for i in range(3)}
    expected |= {f"decoder.{i}.cross_attention.weights": (B, 2, T, S) for i in range(3)}
    assert seen == expected


def test_a_saved_model_has_no_table_of_waves():
    names = set(made().state_dict())
    assert not any("positions" in name for name in names)
    assert "final_logits_bias" in names


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_text_beyond_the_limit_is_refused(side):
    model, (source, valid, target) = made(), batch()
    long = torch.ones(B, 91, dtype=torch.long)
    given = (long, long.bool(), target) if side == "source" else (source, valid, long)
    with pytest.raises(DataError, match="91 tokens is longer than this model's limit of 90"):
        model(*given)
    assert model(source, valid, long[:, :90]).shape == (B, 90, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "swish"}, "activation is 'swish'; choose one of relu, silu, gelu"),
        ({"n_heads": 3}, r"d_model \(16\) must be a multiple of n_heads \(3\)"),
        ({"pad_id": V}, "pad_id is 23, outside the vocabulary of 23"),
        ({"eos_id": -1}, "eos_id is -1, outside the vocabulary of 23"),
        ({"start_id": 99}, "start_id is 99, outside the vocabulary of 23"),
        ({"n_heads": 0}, "n_heads is 0; it must be at least 1"),
        ({"d_model": -16}, "d_model is -16; it must be at least 1"),
        ({"n_decoder_layers": 0}, "n_decoder_layers is 0; it must be at least 1"),
        ({"max_seq_len": 0}, "max_seq_len is 0; it must be at least 1"),
        ({"dropout": 1.0}, r"dropout is 1.0; choose it in \[0, 1\)"),
        ({"dropout": -0.1}, r"dropout is -0.1; choose it in \[0, 1\)"),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **change)


def test_a_configuration_is_at_most_twelve_fields_and_frozen():
    assert len(fields(EncoderDecoderConfig)) <= 12
    with pytest.raises(AttributeError):
        CONFIG.d_model = 32
