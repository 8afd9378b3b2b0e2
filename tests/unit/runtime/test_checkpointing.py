"""Blocks that compute again what they did not keep: the same to the bit, and less kept."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from triptych.core.blocks import Block, CrossBlock
from triptych.models.bert import Bert, BertConfig
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.models.gpt import Gpt, GptConfig
from triptych.runtime.attention import use_fast_attention
from triptych.runtime.checkpointing import checkpoint_blocks

B, T, V = 3, 11, 17


def translation() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    config = EncoderDecoderConfig(
        vocab_size=V, d_model=16, d_ff=24, n_heads=2, n_encoder_layers=2, n_decoder_layers=2,
        dropout=0.3, pad_id=V - 1, eos_id=0, start_id=V - 1,
    )  # fmt: skip
    ids, valid = inputs()
    return EncoderDecoder(config), lambda model: model(ids, valid, ids)


def bert() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    config = BertConfig(
        vocab_size=V, d_model=16, d_ff=24, n_heads=2, n_layers=3, dropout=0.3,
        attention_dropout=0.2, max_seq_len=T, pad_id=V - 1,
    )  # fmt: skip
    ids, valid = inputs()
    return Bert(config), lambda model: model(ids, valid)


def gpt() -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    config = GptConfig(
        vocab_size=V, d_model=16, d_ff=24, n_heads=2, n_layers=3, dropout=0.3,
        attention_dropout=0.2, embedding_dropout=0.1, max_seq_len=T,
    )  # fmt: skip
    ids, _ = inputs()
    return Gpt(config), lambda model: model(ids)


def inputs() -> tuple[Tensor, Tensor]:
    ids = torch.arange(B * T).view(B, T) % (V - 1)
    return ids, torch.arange(T) < torch.tensor([[T], [7], [2]])


def step(
    model: nn.Module, run: Callable[[nn.Module], Tensor], precision: str
) -> tuple[Tensor, dict[str, Tensor | None], Tensor]:
    """A loss, the gradients, and the state of the random numbers afterwards."""
    torch.manual_seed(5)
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        hidden = run(model)
        again = run(model)  # a second pass before the gradients of the first
    weights = torch.linspace(-1, 1, hidden.numel()).view(hidden.shape)
    loss = ((hidden.float() + 2 * again.float()) * weights).sum()
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return loss.detach(), gradients, torch.get_rng_state()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", [translation, bert, gpt])
def test_loss_and_gradients_are_the_same_to_the_bit(
    family: Callable[[], tuple[nn.Module, Callable[[nn.Module], Tensor]]], precision: str
) -> None:
    torch.manual_seed(3)
    model, run = family()
    use_fast_attention(model).train()
    twin = checkpoint_blocks(deepcopy(model))
    loss, gradients, random_state = step(model, run, precision)
    found, found_gradients, found_state = step(twin, run, precision)
    assert torch.equal(found, loss)
    assert found_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert gradient is not None
        assert torch.equal(found_gradients[name], gradient), name  # type: ignore[arg-type]
    assert torch.equal(found_state, random_state)
    assert not torch.equal(step(twin, lambda m: m.eval() and run(m), precision)[0], loss)


def kept_bytes(model: nn.Module, run: Callable[[nn.Module], Tensor]) -> int:
    """What a forward pass keeps for the gradient, weights left out."""
    own = {p.data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        if x.data_ptr() not in own:
            kept[x.data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        hidden = run(model)
    assert hidden.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("family", [translation, bert, gpt])
def test_less_is_kept_and_each_block_runs_twice(
    family: Callable[[], tuple[nn.Module, Callable[[nn.Module], Tensor]]],
) -> None:
    model, run = family()
    model.train()
    n_blocks = sum(isinstance(part, Block | CrossBlock) for part in model.modules())
    before = kept_bytes(model, run)
    checkpoint_blocks(model)
    assert kept_bytes(model, run) < before / 3
    calls = []
    for part in model.modules():
        if isinstance(part, Block | CrossBlock):
            part.feed_forward.register_forward_hook(lambda *_: calls.append(1))
    run(model).sum().backward()
    assert len(calls) == 2 * n_blocks
    with torch.no_grad():
        run(model)
    assert len(calls) == 3 * n_blocks


def test_names_stay_and_generation_has_its_cache() -> None:
    model, _ = gpt()
    assert isinstance(model, Gpt)
    model.eval()
    names = list(model.state_dict())
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    whole = model(ids)
    checkpoint_blocks(model)
    assert list(model.state_dict()) == names
    with torch.inference_mode():
        cache = model.new_cache(1, 5)
        parts = [model(ids[:, :2], cache=cache), model(ids[:, 2:], cache=cache)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-5, atol=1e-6)
