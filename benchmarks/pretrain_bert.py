"""Pretraining speed against transformers' BertForPreTraining: same weights, same batches, in turn.

    python benchmarks/pretrain_bert.py [--preset mini] [--rows 64] [--rounds 5] [--json FILE]

A round is one update (forward, backward, AdamW) of each contestant. Before any is timed, the two
are shown to compute the same loss and gradients. tokens/s are real tokens of the inputs.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from transformers import BertConfig, BertForPreTraining

from in_turn import machine, time_in_turn, write_json
from triptych.convert.bert import to_bert
from triptych.convert.bert_config import config_to_json
from triptych.core.loss import IGNORE
from triptych.data.pretraining_batches import PretrainingBatch
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.recipes.train_bert import HEADS, pretraining_flops
from triptych.runtime.training import use_fast_training
from triptych.training.distributed import Processes
from triptych.training.objectives import PretrainingObjective
from triptych.training.optimizer import make_optimizer, set_learning_rate
from triptych.training.progress import measure_peak_flops
from triptych.training.settings import OptimizerSettings
from triptych.training.step import Stepper

VOCABULARY, PAD, MASK = 30_522, 0, 103
SETTINGS = OptimizerSettings(beta_2=0.999, eps=1e-6, weight_decay=0.01)


def make_batch(rows: int, length: int) -> PretrainingBatch:
    """Nearly full inputs, as the corpus gives them: 15 % of the tokens to predict."""
    generator = torch.Generator().manual_seed(1)
    valid = torch.arange(length) < (length - torch.arange(rows) % 8)[:, None]
    ids = torch.randint(1000, VOCABULARY, (rows, length), generator=generator)
    ids = ids.masked_fill(~valid, PAD)
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & valid
    segments = (torch.arange(length) >= length // 2).long() * valid
    labels = ids.masked_fill(~chosen, IGNORE)
    is_random = torch.randint(0, 2, (rows,), generator=generator)
    seen = ids.masked_fill(chosen, MASK)
    return PretrainingBatch(seen, valid, segments, labels, is_random, torch.arange(rows))


def make_models(preset: str, dropout: float | None) -> tuple[BertWithHeads, BertForPreTraining]:
    """The two with the same weights."""
    torch.manual_seed(1)
    trunk = bert_preset(preset, VOCABULARY, PAD)
    if dropout is not None:
        trunk = replace(trunk, dropout=dropout, attention_dropout=dropout)
    config = BertWithHeadsConfig(trunk=trunk, heads=HEADS)
    model = use_fast_training(BertWithHeads(config).train())
    assert isinstance(model, BertWithHeads)
    peer = BertForPreTraining(BertConfig.from_dict(config_to_json(config)))
    peer.load_state_dict(to_bert(model.state_dict(), config), strict=False)
    peer.tie_weights()
    return model, peer.train()


def peer_loss(peer: BertForPreTraining, batch: PretrainingBatch) -> torch.Tensor:
    """transformers' forward and its own loss."""
    loss: torch.Tensor = peer(
        input_ids=batch.token_ids,
        attention_mask=batch.valid.long(),
        token_type_ids=batch.segment_ids,
        labels=batch.labels,
        next_sentence_label=batch.is_random,
    ).loss
    return loss


def ours(model: BertWithHeads, batch: PretrainingBatch, precision: str) -> Callable[[], float]:
    """One update by our trainer's own step."""
    terms = PretrainingObjective.terms
    stepper = Stepper(model, PretrainingObjective(), Processes(), precision, 1.0, terms=terms)
    optimizer = make_optimizer(model, SETTINGS)
    set_learning_rate(optimizer, 1e-5)

    def update() -> float:
        means = stepper.gradients([batch])
        optimizer.step()
        return means.loss

    return update


def theirs(
    peer: BertForPreTraining, batch: PretrainingBatch, precision: str
) -> Callable[[], float]:
    """One update of transformers' model, with the same fused AdamW and clipping."""
    optimizer = torch.optim.AdamW(peer.parameters(), lr=1e-5, eps=1e-6, fused=True)

    def update() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = peer_loss(peer, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    return update


def check_same(model: BertWithHeads, peer: BertForPreTraining, batch: PretrainingBatch) -> float:
    """The largest relative difference of loss and gradient norm, dropout off."""
    model.eval(), peer.eval()
    terms = PretrainingObjective.terms
    stepper = Stepper(model, PretrainingObjective(), Processes(), "fp32", 0.0, terms=terms)
    means = stepper.gradients([batch])
    loss = peer_loss(peer, batch)
    loss.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in peer.parameters() if p.grad is not None])
    model.train(), peer.train()
    model.zero_grad(), peer.zero_grad()
    pairs = ((means.loss, float(loss.detach())), (means.gradient_norm, float(norm)))
    return max(abs(a / b - 1) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--dropout", type=float, help="default: the paper's 0.1")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    batch = make_batch(arguments.rows, arguments.length)
    contestants = {}
    for precision in ("fp32", "bf16"):
        model, peer = make_models(arguments.preset, arguments.dropout)
        worst = check_same(model, peer, batch)
        assert worst < 1e-4, f"the two do not compute the same: {worst}"
        contestants[f"triptych {precision}"] = ours(model, batch, precision)
        contestants[f"transformers {precision}"] = theirs(peer, batch, precision)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    timing = time_in_turn(contestants, arguments.rounds, warmup=1, clock=clock)

    rates = {name: batch.n_tokens / timing.median(name) for name in contestants}
    flops = pretraining_flops(model, batch) / batch.n_tokens
    for name, rate in rates.items():
        peak = measure_peak_flops(torch.device("cpu"), name.split()[1])
        print(f"{name:20} {rate:8,.0f} tokens/s, {rate * flops / peak:.0%} of the measured peak")
    best_ours = max(("triptych fp32", "triptych bf16"), key=rates.__getitem__)
    best_theirs = max(("transformers fp32", "transformers bf16"), key=rates.__getitem__)
    ratio, low, high = timing.ratio(best_ours, best_theirs)
    print(f"{best_ours} / {best_theirs}: {ratio:.2f} times (pairs from {low:.2f} to {high:.2f})")
    print(f"same loss and gradient norm before: relative difference {worst:.1e}")
    result = {
        "benchmark": "pretrain_bert",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "tokens_per_second": rates,
        "ratio": {"of": best_ours, "to": best_theirs, "median": ratio, "range": [low, high]},
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
