"""A generator in each precision; and that no twin, nor an encoder's, is an old one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

import triptych
from triptych import checkpoint
from triptych.decoding.generate import Bounds, Request, generate
from triptych.decoding.sampling import Sampling
from triptych.errors import UsageError
from triptych.models.bert import Bert, BertConfig
from triptych.models.gpt import Gpt, GptConfig
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.recipes import fast_twin
from triptych.recipes.encoder import Encoder
from triptych.recipes.fast_twin import FastTwin
from triptych.recipes.generate_options import GenerateOptions
from triptych.recipes.score_texts import score_ids
from triptych.runtime.encoder import FastBert
from triptych.runtime.packed import Precision
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.optimizer import make_optimizer, set_learning_rate
from triptych.training.settings import MuonSettings

PROMPTS = ["Once upon a time", "a", "Zwölf", "日本", "the end."]
BOUNDS = {"fp32": 1e-5, "bf16": 0.02, "int8": 0.02}
"""Stated: nats a token, with random weights far from uniform."""


def made(seed: int = 0) -> Gpt:
    torch.manual_seed(seed)
    config = GptConfig(
        vocab_size=257, d_model=48, d_ff=96, n_heads=3, n_layers=2, max_seq_len=64, eos_id=256
    )
    model = Gpt(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3 if weight.dim() > 1 else 1)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("gpt") / "model"
    checkpoint.save_folder(path, made(), ByteBpe.train(["hello world\n"], 257))
    return path


@pytest.mark.parametrize("precision", BOUNDS)
def test_scores_in_each_precision(folder: Path, precision: Precision) -> None:
    model, errors = made(), []
    for score in triptych.load(folder, device="cpu", precision=precision).score(PROMPTS):
        ids = torch.tensor([256, *score.token_ids])
        expected = model.project(model(ids[None, :-1])[0]).log_softmax(dim=-1)
        errors += (expected.gather(1, ids[1:, None])[:, 0] - torch.tensor(score.logprobs)).tolist()
    assert precision == "fp32" or max(map(abs, errors)) > 1e-4
    assert sum(map(abs, errors)) / len(errors) <= BOUNDS[precision]


@pytest.mark.parametrize("precision", BOUNDS)
def test_a_text_has_the_score_that_it_was_drawn_with(folder: Path, precision: Precision) -> None:
    """Its log-probabilities are those that `score` gives in the same precision."""
    generator = triptych.load(folder, device="cpu", precision=precision)
    (text,) = generator.generate(["Once"], max_new_tokens=12, seed=3)
    (prompt,) = generator.tokenizer.encode(["Once"])
    bounds = generator.bounds(GenerateOptions())
    with generator.reading() as reader:
        (found,) = score_ids(reader, [(prompt, text.token_ids)], bounds, str)
    assert found == pytest.approx(text.logprobs, abs=BOUNDS[precision])


def test_in_fp32_texts_are_those_of_the_module(folder: Path) -> None:
    generator = triptych.load(folder, device="cpu")
    prompts = generator.tokenizer.encode(PROMPTS)
    requests = [Request(tuple(ids), limit=20) for ids in prompts]
    expected = generate(made(), requests, Sampling(temperature=0), Bounds(256, 257, 64))
    found = generator.generate(PROMPTS, max_new_tokens=20, temperature=0)
    assert [text.token_ids for text in found] == [text.token_ids for text in expected]


@pytest.mark.parametrize("precision", BOUNDS)
def test_company_changes_nothing(folder: Path, precision: Precision) -> None:
    """The same texts alone and ragged in one batch, and log-probabilities within the bound."""
    generator = triptych.load(folder, device="cpu", precision=precision)
    together = generator.generate(PROMPTS, max_new_tokens=12, temperature=0)
    for prompt, expected in zip(PROMPTS, together, strict=True):
        (alone,) = generator.generate([prompt], max_new_tokens=12, temperature=0)
        assert alone.token_ids == expected.token_ids
        assert alone.logprobs == pytest.approx(expected.logprobs, abs=BOUNDS[precision])


def test_a_changed_weight_makes_a_new_twin() -> None:
    model, ids = made(), torch.tensor([[5, 6, 7]])
    twin = FastTwin(model)
    first = twin()
    assert twin() is first
    with torch.no_grad():
        model.blocks[1].feed_forward.w_up.weight += 0.1
    assert twin() is not first
    torch.testing.assert_close(twin()(ids), model(ids).detach(), rtol=1e-4, atol=1e-4)
    changed = twin()
    model.load_state_dict(made(1).state_dict(), assign=True)
    assert twin() is not changed
    torch.testing.assert_close(twin()(ids), model(ids).detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_so_does_a_step_of_the_trainer_s_optimizer(name: Literal["adamw", "muon"]) -> None:
    """Fused steps, which torch does not count as changes."""
    model, ids = made().train(), torch.tensor([[5, 6, 7]])
    optimizer = make_optimizer(model, MuonSettings(optimizer=name, learning_rate=1e-3))
    set_learning_rate(optimizer, 1e-3)
    twin = FastTwin(model)
    before = twin()
    model.project(model(ids)).logsumexp(-1).sum().backward()
    optimizer.step()
    assert twin() is not before
    model.eval()
    torch.testing.assert_close(twin()(ids), model(ids).detach(), rtol=1e-4, atol=1e-4)


def test_elsewhere_the_module_decodes_itself(byte_gpt) -> None:  # type: ignore[no-untyped-def]
    assert FastTwin(byte_gpt)() is byte_gpt
    far = made().to("meta")
    assert FastTwin(far)() is far
    assert FastTwin(far, "bf16")() is far
    assert far.token_embedding.weight.dtype == torch.bfloat16
    with pytest.raises(UsageError, match="precision int8 is for a CPU"):
        FastTwin(far, "int8")


def made_encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    tokenizer = WordPiece.train(["the cat sat by the river"] * 3, 40)
    trunk = BertConfig(
        vocab_size=40, d_model=32, d_ff=48, n_heads=4, n_layers=2, max_seq_len=16, pad_id=0
    )
    heads, labels = ("pooler", "classifier"), ("no", "yes")
    config = BertWithHeadsConfig(trunk=trunk, heads=heads, labels=labels)
    return Encoder(BertWithHeads(config).eval(), tokenizer)


def expected_vector(encoder: Encoder, text: str) -> torch.Tensor:
    ids, _ = encoder.tokenizer.with_specials(encoder.tokenizer.encode([text])[0])
    rows = torch.tensor([ids])
    with torch.no_grad():
        return encoder.model(rows, torch.ones_like(rows, dtype=torch.bool))[0].mean(dim=0)


def change_in_place(encoder: Encoder) -> None:
    with torch.no_grad():
        encoder.module.blocks[1].self_attention.w_v.weight *= 2


def step(encoder: Encoder) -> None:
    """A fused step, which torch does not count as a change."""
    optimizer = torch.optim.AdamW(encoder.module.parameters(), lr=0.1, fused=True)
    ids = torch.tensor([[5, 6, 7]])
    encoder.module(ids, torch.ones_like(ids, dtype=torch.bool)).logsumexp(-1).sum().backward()
    optimizer.step()


def load_others(encoder: Encoder) -> None:
    encoder.model.load_state_dict(made_encoder(1).model.state_dict())


def put_others_in_place(encoder: Encoder) -> None:
    encoder.model.bert = made_encoder(1).module


def test_calls_of_an_encoder_share_one_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    made_twins: list[Any] = []

    def counted(bert: Bert) -> FastBert:
        made_twins.append(FastBert(bert))
        return made_twins[-1]  # type: ignore[no-any-return]

    kinds = {BertWithHeads: lambda model: counted(model.bert)}
    monkeypatch.setattr(fast_twin, "PLAIN_TWINS", kinds)
    encoder = made_encoder()
    encoder.embed(["the cat", "the river"])
    encoder.embed(["the cat"])
    encoder.classify(["the cat"])
    assert len(made_twins) == 1


@pytest.mark.parametrize("change", [change_in_place, step, load_others, put_others_in_place])
def test_an_encoder_that_changed_has_another(change: Callable[[Encoder], None]) -> None:
    encoder = made_encoder()
    before = encoder.embed(["the cat"])[0]
    twin = encoder.twin()
    change(encoder)
    found = encoder.embed(["the cat"])[0]
    assert encoder.twin() is not twin
    assert abs(found - before).max() > 1e-3
    torch.testing.assert_close(
        torch.from_numpy(found), expected_vector(encoder, "the cat"), rtol=1e-4, atol=1e-4
    )


def test_an_encoder_s_twin_steps_aside_for_a_hook() -> None:
    encoder, seen = made_encoder(), []
    handle = encoder.module.blocks[0].register_forward_hook(lambda *_: seen.append(1))
    encoder.embed(["the cat"])
    assert seen == [1]
    handle.remove()
    encoder.embed(["the cat"])
    assert seen == [1]


def test_an_encoder_s_precision_is_that_of_its_weights() -> None:
    model = made_encoder().model
    encoder = Encoder(model, made_encoder().tokenizer, precision="bf16")
    assert encoder.module.norm.weight.dtype == torch.bfloat16
    assert isinstance(encoder.twin(), FastBert)
    with pytest.raises(UsageError, match="precision int8 is not there for a BertWithHeads"):
        FastTwin(model, "int8")


def test_an_encoder_has_no_int8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = BertConfig(vocab_size=9, d_model=8, d_ff=8, n_heads=1, n_layers=1, pad_id=0)
    folder = checkpoint.ModelFolder(BertWithHeads(BertWithHeadsConfig(trunk=trunk)), None, {}, {})
    monkeypatch.setattr(checkpoint, "load_folder", lambda *_, **__: folder)
    with pytest.raises(UsageError, match=r"precision is int8; of an encoder choose fp32 or bf16$"):
        triptych.load(tmp_path, device="cpu", precision="int8")
