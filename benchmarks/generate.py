"""Generation against transformers' GPT-2 and CTranslate2: same weights, same prompts, in turn.

    python benchmarks/generate.py [--precision fp32 bf16 int8] [--batch 1 8] [--json FILE]
    python benchmarks/generate.py --new-tokens 1 --prompt 512        reading a prompt alone
    python benchmarks/generate.py --threads 1 --cpu-time             beside other work

Random weights of a preset's shape (GPT-2, 124 M), random prompts, greedy. A round is one call of
each contestant. Before any is timed, their texts are compared, and in fp32 they must be the same;
in the others random weights have too many near ties, and our logits are compared with fp32's. The
limit is that of reading: bytes of the weights and of the cache, once a step, at the speed at which
this machine reads a large tensor in the same run. transformers has no int8 here: the row beside
ours is its fp32. CTranslate2 takes part where it is installed.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from in_turn import machine, time_in_turn, write_json
from triptych.convert.gpt2 import to_gpt2
from triptych.convert.gpt2_config import config_to_json
from triptych.models.gpt import Gpt
from triptych.models.presets import gpt_preset
from triptych.recipes.generate_options import GenerateOptions
from triptych.recipes.generator import Generator
from triptych.runtime.gpt import FastGpt

try:
    import ctranslate2
except ImportError:
    ctranslate2 = None

Ids = list[list[int]]
PRECISIONS = ("fp32", "bf16", "int8")
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
THEIRS = {"fp32": "fp32", "bf16": "bf16", "int8": "fp32"}
"""The precision of transformers beside ours."""
COMPUTE_TYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


class NumberTokenizer:
    """A token is the name of its number; good for models that have seen no text."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size, self.eos_id = vocab_size, vocab_size - 1

    def encode(self, texts: Sequence[str]) -> Ids:
        return [[int(number) for number in text.split()] for text in texts]

    def decode_bytes(self, token_ids: Sequence[int]) -> bytes:
        return "".join(f"{token_id} " for token_id in token_ids).encode()

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        return [f"t{token_id}" for token_id in token_ids]

    def save(self, folder: Path) -> None:
        vocabulary = {f"t{number}": number for number in range(self.vocab_size)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="t0"))
        end = f"t{self.eos_id}"
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, unk_token="t0", bos_token=end, eos_token=end
        ).save_pretrained(folder)


class Bench:
    """The models and what they are asked."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        torch.manual_seed(1)
        self.n_prompt, self.n_new = arguments.prompt, arguments.new_tokens
        self.gpt = Gpt(gpt_preset(arguments.preset, 50_257, 50_256)).eval()
        self.tokenizer = NumberTokenizer(50_257)
        self.peer = GPT2LMHeadModel(GPT2Config.from_dict(config_to_json(self.gpt.config))).eval()
        self.peer.load_state_dict(to_gpt2(self.gpt.state_dict(), self.gpt.config), strict=False)
        self.peer.tie_weights()
        self.peer.generation_config.eos_token_id = None
        self.folder = tempfile.TemporaryDirectory()

    def prompts(self, batch: int) -> Ids:
        generator = torch.Generator().manual_seed(2)
        return torch.randint(0, 50_256, (batch, self.n_prompt), generator=generator).tolist()

    def ours(self, precision: str, batch: int) -> Callable[[], Ids]:
        generator = Generator(self.gpt, self.tokenizer, precision=precision)
        options = GenerateOptions(max_new_tokens=self.n_new, temperature=0)
        prompts = self.prompts(batch)
        return lambda: [
            list(text.token_ids) for text in generator.generate_from_ids(prompts, options=options)
        ]

    def transformers(self, precision: str, batch: int) -> Callable[[], Ids]:
        model = self.peer if precision == "fp32" else self.copy_in_bf16()
        prompts = torch.tensor(self.prompts(batch))
        asked: dict[str, Any] = {"do_sample": False, "max_new_tokens": self.n_new}
        asked |= {"attention_mask": torch.ones_like(prompts), "pad_token_id": 50_256}

        def work() -> Ids:
            with torch.inference_mode():
                return model.generate(prompts, **asked)[:, self.n_prompt :].tolist()

        return work

    def copy_in_bf16(self) -> GPT2LMHeadModel:
        model = GPT2LMHeadModel(self.peer.config)
        model.load_state_dict(self.peer.state_dict())
        model.generation_config.eos_token_id = None
        return model.to(torch.bfloat16).eval()

    def ctranslate2(self, precision: str, batch: int) -> Callable[[], Ids]:
        model = ctranslate2.Generator(
            self.converted(), compute_type=COMPUTE_TYPES[precision],
            intra_threads=torch.get_num_threads(),
        )  # fmt: skip
        prompts = [self.tokenizer.tokens(prompt) for prompt in self.prompts(batch)]

        def work() -> Ids:
            found = model.generate_batch(
                prompts, max_length=self.n_new, min_length=self.n_new, sampling_topk=1,
                include_prompt_in_result=False,
            )  # fmt: skip
            return [result.sequences_ids[0] for result in found]

        return work

    def converted(self) -> str:
        """A folder of CTranslate2's, made once."""
        source, target = Path(self.folder.name, "hf"), Path(self.folder.name, "ct2")
        if not target.exists():
            self.peer.save_pretrained(source)
            self.tokenizer.save(source)
            converter = ctranslate2.converters.TransformersConverter(str(source))
            converter.convert(str(target))
        return str(target)

    def contestants(self, precision: str, batch: int) -> dict[str, Callable[[], Ids]]:
        theirs = THEIRS[precision]
        found = {
            f"triptych {precision}": self.ours(precision, batch),
            f"transformers {theirs}": self.transformers(theirs, batch),
        }
        if COMPUTE_TYPES[precision] in supported_types():
            found[f"CTranslate2 {precision}"] = self.ctranslate2(precision, batch)
        return found

    def step_bytes(self, precision: str, batch: int) -> float:
        """What a step reads: every weight of a product, and half of the last cache on average."""
        c = self.gpt.config
        weights = c.n_layers * (4 * c.d_model**2 + 2 * c.d_model * c.d_ff)
        weights += c.vocab_size * c.d_model
        cached = 2 * c.n_layers * c.d_model * (self.n_prompt + self.n_new / 2)
        return weights * BYTES[precision] + batch * cached * 4

    def check(self, work: dict[str, Callable[[], Ids]], precision: str) -> float:
        """Share of the ids that all have alike; in fp32 a first difference may only be a tie."""
        expected, *others = found = [contestant() for contestant in work.values()]
        assert all(len(ids) == self.n_new for ids in expected), "a text ended early"
        if precision == "fp32":
            for other in others:
                for prompt, a, b in zip(self.prompts(len(other)), expected, other, strict=True):
                    self.assert_same(prompt, a, b)
        ids = torch.tensor(found)  # [contestants, B, T]
        return float((ids == ids[0]).all(dim=0).float().mean())

    def logit_error(self, precision: str, batch: int) -> float:
        """Of our logits after the prompts, from those of the plain module in fp32, by norm."""
        token_ids = torch.tensor(self.prompts(batch))
        fast = FastGpt(self.gpt, precision)
        with torch.inference_mode():
            expected = self.gpt.next_logits(token_ids, self.gpt.new_cache(batch, self.n_prompt))
            found = fast.next_logits(token_ids, fast.new_cache(batch, self.n_prompt))
        return float((found - expected).norm() / expected.norm())

    def assert_same(self, prompt: list[int], ours: list[int], theirs: list[int]) -> None:
        if ours == theirs:
            return
        first = next(n for n, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        with torch.inference_mode():
            hidden = self.gpt(torch.tensor([prompt + ours[:first]]))[:, -1]
            scores = self.gpt.project(hidden)[0]
        gap = abs(float(scores[ours[first]] - scores[theirs[first]]))
        assert gap < 1e-4, f"texts differ at token {first + 1}, where the scores are {gap} apart"


def supported_types() -> set[str]:
    """What CTranslate2 computes with on this machine; nothing where it is not installed."""
    return ctranslate2.get_supported_compute_types("cpu") if ctranslate2 is not None else set()


def reading_speed(clock: Callable[[], float]) -> float:
    """Bytes a second of the sum over 512 MB."""
    large = torch.ones(128 * 2**20)
    timing = time_in_turn({"sum": large.sum}, rounds=7, clock=clock)
    return large.nbytes / min(timing.seconds["sum"])


def row(
    bench: Bench, precision: str, batch: int, rounds: int, clock: Callable[[], float]
) -> dict[str, object]:
    """One precision and one batch, timed and printed."""
    work = bench.contestants(precision, batch)
    alike, error = bench.check(work, precision), bench.logit_error(precision, batch)
    timing = time_in_turn(work, rounds, warmup=1, clock=clock)
    speed = reading_speed(clock)
    ours, *others = work
    rates = {name: batch * bench.n_new / timing.median(name) for name in work}
    limit = speed / bench.step_bytes(precision, batch) * batch
    print(f"batch {batch}, {precision}: limit {limit:,.0f} tokens/s ({speed / 1e9:.0f} GB/s)")
    print(f"  ours from fp32: logits {error:.1e}; tokens that all have alike: {alike:.1%}")
    print(f"  {ours:20} {rates[ours]:8.1f} tokens/s, {rates[ours] / limit:.0%} of the limit")
    ratios = {}
    for name in others:
        ratios[name] = timing.ratio(ours, name)
        median, low, high = ratios[name]
        print(
            f"  {name:20} {rates[name]:8.1f} tokens/s; ours {median:.2f} times "
            f"(pairs from {low:.2f} to {high:.2f})",
            flush=True,
        )
    return {
        "batch": batch, "precision": precision, "bytes_per_second": speed, "limit": limit,
        "tokens_per_second": rates, "ratios": ratios, "tokens_alike": alike, "logit_error": error,
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
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    bench = Bench(arguments)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rows = [
        row(bench, precision, batch, arguments.rounds, clock)
        for precision in arguments.precision
        for batch in arguments.batch
    ]
    result = {
        "benchmark": "generate",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "rows": rows,
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
