"""Generation against transformers, CTranslate2 and llama.cpp: same weights, same prompts, in turn.

    python benchmarks/generate.py [--precision fp32 bf16 int8] [--batch 1 8] [--json FILE]
    python benchmarks/generate.py --new-tokens 1 --prompt 512        reading a prompt alone
    python benchmarks/generate.py --threads 1 --cpu-time             beside other work
    python benchmarks/generate.py --busy 1                           beside a busy program

Random weights of a preset's shape (GPT-2, 124 M), random prompts, greedy; each engine in a process
of its own. A round is one call of each. Before any is timed, their texts are compared, and in fp32
CTranslate2's and transformers' must be the same as ours; in the others random weights have too many
near ties, and our logits are compared with fp32's. The limit is that of reading: bytes of the
weights and of the cache, once a step, at the speed at which this machine reads a large tensor in
the same run. llama.cpp takes its prompts one after the other, so it stands beside batch 1 alone.
CTranslate2 and llama.cpp take part where they are installed. Needs GPT-2's tokenizer from the data.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from apart import Apart, busy
from gpt_contestants import Ids, Task, contestants, write_weights
from in_turn import machine, time_in_turn, write_json
from peers import PRECISIONS, default_data
from triptych.models.gpt import Gpt
from triptych.recipes.load import load_generator
from triptych.runtime.gpt import FastGpt

BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
CACHE_BYTES = {"fp32": 4, "bf16": 2, "int8": 4}
SAME_IN_FP32 = ("transformers", "CTranslate2")


def step_bytes(gpt: Gpt, task: Task, precision: str, batch: int) -> float:
    """What a step reads: every weight of a product, and half of the last cache on average."""
    c = gpt.config
    weights = c.n_layers * (4 * c.d_model**2 + 2 * c.d_model * c.d_ff) + c.vocab_size * c.d_model
    cached = 2 * c.n_layers * c.d_model * (task.n_prompt + task.n_new / 2)
    return weights * BYTES[precision] + batch * cached * CACHE_BYTES[precision]


def reading_speed(cpu_time: bool) -> float:
    """Bytes a second of the sum over 512 MB."""
    large = torch.ones(128 * 2**20)
    clock = time.process_time if cpu_time else time.perf_counter
    return large.nbytes / min(time_in_turn({"sum": large.sum}, 7, clock=clock).seconds["sum"])


def logit_error(gpt: Gpt, task: Task, precision: str, batch: int) -> float:
    """Of our logits after the prompts, from those of the plain module in fp32, by norm."""
    token_ids = torch.tensor(task.prompts(batch))
    fast = FastGpt(gpt, precision)  # type: ignore[arg-type]
    with torch.inference_mode():
        expected = gpt.next_logits(token_ids, gpt.new_cache(batch, task.n_prompt))
        found = fast.next_logits(token_ids, fast.new_cache(batch, task.n_prompt))
    return float((found - expected).norm() / expected.norm())


def assert_same(gpt: Gpt, task: Task, ours: Ids, theirs: Ids) -> None:
    """The same texts; a first difference may only be a tie."""
    for prompt, a, b in zip(task.prompts(len(ours)), ours, theirs, strict=True):
        first = next((n for n, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), None)
        if first is not None:
            with torch.inference_mode():
                scores = gpt.project(gpt(torch.tensor([prompt + a[:first]]))[:, -1])[0]
            gap = abs(float(scores[a[first]] - scores[b[first]]))
            assert gap < 1e-4, f"texts differ at token {first + 1}, where scores are {gap} apart"


def row(
    engines: Apart, gpt: Gpt, task: Task, precision: str, batch: int, arguments: argparse.Namespace
) -> dict[str, object]:
    """One precision and one batch, timed and printed."""
    taking_part = [n for n in engines.pipes if batch == 1 or not n.startswith("llama.cpp")]
    texts = {name: engines.call(name, batch).result for name in taking_part}
    ours, *others = taking_part
    assert all(len(ids) == task.n_new for ids in texts[ours]), "a text ended early"
    for name in others:
        if precision == "fp32" and name.startswith(SAME_IN_FP32):
            assert_same(gpt, task, texts[ours], texts[name])
    error, speed = logit_error(gpt, task, precision, batch), reading_speed(arguments.cpu_time)
    timing = engines.time_in_turn(
        arguments.rounds, 1, batch, only=taking_part, cpu_time=arguments.cpu_time
    )
    rates = {name: batch * task.n_new / timing.median(name) for name in taking_part}
    limit = speed / step_bytes(gpt, task, precision, batch) * batch
    print(f"batch {batch}, {precision}: limit {limit:,.0f} tokens/s ({speed / 1e9:.0f} GB/s)")
    print(f"  our logits from fp32's: {error:.1e}")
    print(f"  {ours:20} {rates[ours]:8.1f} tokens/s, {rates[ours] / limit:.0%} of the limit")
    ratios = {}
    for name in others:
        ratios[name] = timing.ratio(ours, name)
        print(f"  {name:20} {rates[name]:8.1f} tokens/s; {timing.told(ours, name)}", flush=True)
    return {
        "batch": batch, "precision": precision, "bytes_per_second": speed, "limit": limit,
        "tokens_per_second": rates, "ratios": ratios, "logit_error": error,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--preset", default="gpt2")
    parser.add_argument("--prompt", type=int, default=32, help="tokens of a prompt")
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    parser.add_argument("--busy", type=int, default=0, help="programs that compute beside it")
    parser.add_argument("--logprobs", action="store_true", help="of ours; the others give none")
    parser.add_argument("--data", type=Path, default=default_data())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            Path(folder),
            arguments.prompt,
            arguments.new_tokens,
            arguments.threads,
            arguments.logprobs,
        )
        write_weights(task.folder, arguments.preset, arguments.data / "tokenizers" / "gpt2")
        gpt = load_generator(task.folder, device="cpu").module.eval()
        for precision in arguments.precision:
            made = Apart(contestants(task, precision), arguments.threads)
            with made as engines, busy(arguments.busy):
                rows += [row(engines, gpt, task, precision, b, arguments) for b in arguments.batch]
    result = {
        "benchmark": "generate",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "rows": rows,
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
