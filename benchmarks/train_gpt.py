"""Training speed against transformers' GPT2LMHeadModel: same weights, same batches, in turn.

    python benchmarks/train_gpt.py [--dropout 0.1 0] [--rows 16] [--rounds 5] [--json FILE]
    python benchmarks/train_gpt.py --threads 1 --cpu-time --rows 4      beside other work

6 layers, 384 wide, context 256, a vocabulary of 8,192. A round is one update (forward, backward,
clipping, fused AdamW) of each contestant, ours by the trainer's own step. Before any is timed, the
two are shown to compute the same loss and gradients.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from in_turn import machine, time_in_turn, write_json
from triptych.convert.gpt2 import to_gpt2
from triptych.convert.gpt2_config import config_to_json
from triptych.data.packed_batches import PackedBatch
from triptych.models.gpt import Gpt, GptConfig
from triptych.recipes.train_gpt import language_model_flops
from triptych.runtime.training import use_fast_training
from triptych.training.distributed import Processes
from triptych.training.objectives import LanguageModelObjective
from triptych.training.progress import measure_peak_flops
from triptych.training.settings import OptimizerSettings
from triptych.training.step import Stepper
from updates import difference, our_update, their_update

LENGTH = 256
SETTINGS = OptimizerSettings(beta_2=0.99, eps=1e-8, weight_decay=0.1, clip_norm=1.0)
PRECISIONS = ("fp32", "bf16")


def make_batch(rows: int, vocab_size: int) -> PackedBatch:
    """Full rows of random tokens, each a text that goes on."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, vocab_size, (rows, LENGTH + 1), generator=generator)
    places = torch.arange(LENGTH).expand(rows, -1)
    return PackedBatch(
        token_ids=ids[:, :-1].contiguous(),
        targets=ids[:, 1:].contiguous(),
        positions=places.contiguous(),
        document_ids=torch.zeros_like(places),
        indices=torch.arange(rows),
    )


def make_models(dropout: float, vocab_size: int) -> tuple[Gpt, GPT2LMHeadModel]:
    """The two with the same weights."""
    torch.manual_seed(1)
    config = GptConfig(
        vocab_size=vocab_size, d_model=384, d_ff=1536, n_heads=6, n_layers=6, max_seq_len=LENGTH,
        dropout=dropout, attention_dropout=dropout, embedding_dropout=dropout,
        eos_id=vocab_size - 1,
    )  # fmt: skip
    model = Gpt(config).train()
    use_fast_training(model)
    peer = GPT2LMHeadModel(GPT2Config.from_dict(config_to_json(config)))
    peer.load_state_dict(to_gpt2(model.state_dict(), config), strict=False)
    peer.tie_weights()
    return model, peer.train()


def stepper(model: Gpt, precision: str) -> Stepper:
    """Our trainer's own step."""
    return Stepper(model, LanguageModelObjective(), Processes(), precision, SETTINGS.clip_norm)


def peer_loss(peer: GPT2LMHeadModel, batch: PackedBatch) -> torch.Tensor:
    """transformers' forward, and its own loss of labels that are shifted already."""
    loss: torch.Tensor = peer(
        input_ids=batch.token_ids, labels=batch.targets, shift_labels=batch.targets, use_cache=False
    ).loss
    return loss


def row(arguments: argparse.Namespace, dropout: float) -> dict[str, object]:
    """One dropout, in every precision, timed and printed."""
    batch = make_batch(arguments.rows, arguments.vocab_size)
    contestants, worst = {}, 0.0
    for precision in arguments.precision:
        model, peer = make_models(dropout, arguments.vocab_size)
        loss, plain = partial(peer_loss, peer, batch), stepper(model, "fp32")
        worst = max(worst, difference(plain, batch, peer, loss))
        contestants[f"triptych {precision}"] = our_update(
            stepper(model, precision), batch, SETTINGS
        )
        contestants[f"transformers {precision}"] = their_update(peer, loss, precision, SETTINGS)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    timing = time_in_turn(contestants, arguments.rounds, warmup=1, clock=clock)

    rates = {name: batch.n_tokens / timing.median(name) for name in contestants}
    flops = language_model_flops(model, batch) / batch.n_tokens
    print(f"dropout {dropout}; same loss and gradient norm before, to {worst:.1e}")
    ratios = {}
    for precision in arguments.precision:
        peak = measure_peak_flops(torch.device("cpu"), precision, clock=clock)
        names = f"triptych {precision}", f"transformers {precision}"
        for name in names:
            share = rates[name] * flops / peak
            print(f"  {name:20} {rates[name]:8,.0f} tokens/s, {share:.0%} of the measured peak")
        median, low, high = ratios[precision] = timing.ratio(*names)
        print(f"  {precision}: {median:.2f} times (pairs from {low:.2f} to {high:.2f})", flush=True)
    return {"dropout": dropout, "difference": worst, "tokens_per_second": rates, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--dropout", nargs="+", type=float, default=[0.1, 0.0])
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    result = {
        "benchmark": "train_gpt",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "rows": [row(arguments, dropout) for dropout in arguments.dropout],
        "machine": machine(),
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
