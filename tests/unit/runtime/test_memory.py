"""Formulas of memory, against the tensors that torch really keeps."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset, gpt_preset, translation_preset
from triptych.recipes.train_bert import HEADS
from triptych.runtime.costs import Config, shape_of
from triptych.runtime.memory import Pass, activations, memory_of, sharded_memory_of
from triptych.runtime.training import use_fast_training

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "plan_memory.py"
V, B, T = 500, 4, 64  # full batches: B · T is a multiple of runtime/training.py:ROWS


def small(family: str, dropout: float) -> tuple[Config, torch.nn.Module]:
    """A small model of the family, ready for training."""
    p = dropout
    if family == "gpt":
        gpt = replace(gpt_preset("nano", V), dropout=p, attention_dropout=p, embedding_dropout=p)
        return gpt, use_fast_training(Gpt(gpt)).train()
    if family == "bert":
        trunk = replace(bert_preset("nano", V, 0), dropout=p, attention_dropout=p)
        bert = BertWithHeads(BertWithHeadsConfig(trunk=trunk, heads=HEADS))
        return trunk, use_fast_training(bert).train()
    pair = replace(translation_preset("nano", V, V - 1, 0), dropout=p)
    return pair, use_fast_training(EncoderDecoder(pair)).train()


def kept(model: torch.nn.Module, inputs: tuple[Tensor, ...], precision: str) -> int:
    """Bytes that autograd keeps after a forward pass, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    found: dict[int, int] = {}
    alive = []

    def see(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        alive.append(tensor)  # so that no address is used twice
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        model(*inputs)
    return sum(found.values())


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["gpt", "bert", "translation"])
def test_activations_are_what_autograd_keeps(family: str, precision: str, dropout: float) -> None:
    config, model = small(family, dropout)
    ids = torch.randint(V - 1, (B, T))
    valid = torch.ones(B, T, dtype=torch.bool)
    inputs = {"gpt": (ids,), "bert": (ids, valid), "translation": (ids, valid, ids)}[family]
    shape = shape_of(config, T, mask_share=0.0)  # the heads are not called here
    expected = activations(shape, Pass(rows=B, precision=precision, on_gpu=False))  # type: ignore[arg-type]
    if precision == "bf16":  # autocast keeps a copy of each weight, but not of a bias
        expected += 2 * sum(
            p.numel() for name, p in model.named_parameters()
            if p.dim() > 1 and ("blocks." in name or "coder." in name)
        )  # fmt: skip
    assert kept(model, inputs, precision) == pytest.approx(expected, rel=0.002)


def test_blocks_that_are_computed_again_keep_their_input_alone() -> None:
    shape = shape_of(gpt_preset("gpt2-xl", 50_257), 1024)
    once, again = (
        activations(shape, Pass(rows=1, precision="bf16", checkpointing=each))
        for each in (False, True)
    )
    outside = activations(
        replace(shape, stacks=(replace(shape.stacks[0], n_layers=0),)), Pass(rows=1)
    )
    block = (once - outside) / 48
    assert again == pytest.approx(outside + block + 48 * 4 * 1024 * 1600, rel=1e-6)


def test_each_of_many_processes_holds_its_share() -> None:
    shape = shape_of(gpt_preset("gpt2-xl", 50_257), 1024)
    how = Pass(rows=1, precision="bf16", checkpointing=True)
    whole, shared = memory_of(shape, how, 8), sharded_memory_of(shape, how, 8)
    for part in ("weights", "gradients", "optimizer"):
        assert getattr(shared, part) == pytest.approx(getattr(whole, part) / 8, rel=1e-6)
    assert shared.activations == whole.activations
    assert shared.peak < whole.peak / 2
    assert memory_of(shape, how).peak <= whole.peak


def test_gradients_of_passes_before_count() -> None:
    shape = shape_of(gpt_preset("gpt2", 50_257), 1024)
    one = memory_of(shape, Pass(rows=8, precision="bf16")).tensors
    several = memory_of(shape, Pass(rows=8, precision="bf16", accumulates=True)).tensors
    assert several - one == 4 * shape.n_parameters


@pytest.mark.parametrize(
    "row",
    [
        ("nano", 2_000, 8, 256, "fp32", 0.0),  # activations are most
        ("tiny", 20_000, 1, 32, "bf16", 0.1),  # weights, means and gradients are
    ],
)
def test_the_estimate_is_near_what_a_process_takes(row: tuple[object, ...]) -> None:
    """Private memory of a process that trains; the allocator gives back what is freed."""
    if not Path("/proc/self/status").exists():
        pytest.skip("private memory is read from /proc")
    preset, vocab_size, rows, length, precision, p = row
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--measure", json.dumps(row)],
        capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = gpt_preset(str(preset), int(str(vocab_size)))
    config = replace(config, dropout=p, attention_dropout=p, embedding_dropout=p)  # type: ignore[arg-type]
    how = Pass(rows=int(str(rows)), precision=precision, on_gpu=False)  # type: ignore[arg-type]
    estimate = memory_of(shape_of(config, int(str(length))), how).tensors
    assert estimate == pytest.approx(json.loads(done.stdout)["peak"], rel=0.15)
