"""Muon for the matrices of the blocks, Adam for the rest."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from triptych.errors import ConfigError
from triptych.models.bert import Bert, BertConfig
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.models.gpt import Gpt, GptConfig
from triptych.training.optimizer import block_matrices, make_optimizer, set_learning_rate
from triptych.training.settings import MuonSettings
from triptych.training.state import Counters, read_state, write_state

SETTINGS = MuonSettings(
    optimizer="muon", learning_rate=2e-3, muon_learning_rate=5e-3, weight_decay=0.1
)


def made() -> Gpt:
    torch.manual_seed(2)
    return Gpt(GptConfig(vocab_size=23, d_model=8, d_ff=20, n_heads=2, n_layers=2, max_seq_len=9))


def gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


def names_of(model: nn.Module, tensors: list[Tensor]) -> set[str]:
    by_id = {id(p): name for name, p in model.named_parameters()}
    return {by_id[id(p)] for p in tensors}


def test_the_matrices_of_the_blocks_and_nothing_else() -> None:
    within = ("self_attention.w_q", "self_attention.w_k", "self_attention.w_v",
              "self_attention.w_o", "feed_forward.w_up", "feed_forward.w_down")  # fmt: skip
    across = tuple(f"cross_attention.w_{letter}" for letter in "qkvo")
    sizes = {"vocab_size": 23, "d_model": 8, "d_ff": 20, "n_heads": 2}
    gpt = made()
    expected = {f"blocks.{i}.{name}.weight" for i in range(2) for name in within}
    assert names_of(gpt, block_matrices(gpt)) == expected
    bert = Bert(BertConfig(**sizes, n_layers=2, pad_id=0))
    assert names_of(bert, block_matrices(bert)) == expected
    config = EncoderDecoderConfig(
        **sizes, n_encoder_layers=1, n_decoder_layers=1, pad_id=0, eos_id=1, start_id=0
    )
    translator = EncoderDecoder(config)
    expected = {f"encoder.0.{name}.weight" for name in within}
    expected |= {f"decoder.0.{name}.weight" for name in within + across}
    assert names_of(translator, block_matrices(translator)) == expected


def test_it_is_torch_s_muon_and_torch_s_adamw_side_by_side() -> None:
    model, twin = made(), made()
    optimizer = make_optimizer(model, SETTINGS)
    blocks = [p for name, p in twin.named_parameters() if "blocks" in name and p.dim() == 2]
    tables = [twin.token_embedding.weight, *twin.positions.parameters()]
    rest = [p for p in twin.parameters() if p.dim() == 1]
    muon = torch.optim.Muon(blocks, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(
        [{"params": tables, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        betas=(0.9, 0.98), eps=1e-9,
    )  # fmt: skip
    for update, share in enumerate((0.5, 1.0, 0.3)):
        gradients(model, update)
        gradients(twin, update)
        set_learning_rate(optimizer, 2e-3 * share)
        optimizer.step()
        muon.param_groups[0]["lr"] = 5e-3 * share
        for group in adam.param_groups:
            group["lr"] = 2e-3 * share
        muon.step()
        adam.step()
    for (name, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7, msg=name)


def test_the_first_step_is_near_the_polar_factor_of_the_gradient() -> None:
    """By the singular values: W moves by rate · 0.2 √max(A, B) along about U Vᵀ."""
    model = made()
    optimizer = make_optimizer(model, SETTINGS)
    gradients(model, 4)
    set_learning_rate(optimizer, 2e-3)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    for name, p in model.named_parameters():
        if "blocks" not in name or p.dim() != 2:
            continue
        moved = before[name] * (1 - 5e-3 * 0.1) - p.detach()
        orthogonal = moved / (5e-3 * 0.2 * max(p.shape) ** 0.5)
        assert p.grad is not None
        u, _, v = torch.linalg.svd(p.grad, full_matrices=False)
        along = u.T @ orthogonal @ v.T
        assert (along.diagonal() > 0.5).all(), name
        assert (along.diagonal() < 1.3).all(), name
        assert (along - along.diagonal().diag()).abs().max() < 0.15, name


def test_its_state_goes_through_a_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    model = made()
    optimizer = make_optimizer(model, SETTINGS)
    for update in range(2):
        gradients(model, update)
        set_learning_rate(optimizer, 2e-3)
        optimizer.step()
    write_state(tmp_path, Counters(update=2), optimizer, {}, {})
    again = made()
    again.load_state_dict(model.state_dict())
    restored = make_optimizer(again, SETTINGS)
    counters, _, _ = read_state(tmp_path, restored)
    assert counters.update == 2
    for update in (2, 3):
        for each, steps in ((model, optimizer), (again, restored)):
            gradients(each, update)
            set_learning_rate(steps, 1e-3)
            steps.step()
    for (name, p), q in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"muon_learning_rate": 0.0}, "muon_learning_rate is 0.0; choose it between 0 and 1"),
        ({"learning_rate": None, "optimizer": "muon"}, "learning_rate is none; muon needs"),
        ({"decay_share": 0.0}, r"decay_share is 0.0; choose it in \(0, 1\]"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MuonSettings(**changes)  # type: ignore[arg-type]
