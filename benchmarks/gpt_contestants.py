"""Engines that generate with GPT-2, each from its own file of the same weights.

A maker returns a function from a batch size to the new ids of that many prompts, greedy.
"""

import json
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from apart import Maker
from peers import COMPUTE_TYPES, for_ctranslate2, has, has_ctranslate2

Ids = list[list[int]]
Generate = Callable[[int], Ids]

EOS = 50_256
GGUF_TYPES = {"fp32": "f32", "int8": "q8_0"}


@dataclass(frozen=True)
class Task:
    """What is asked of each, and where the weights are."""

    folder: Path
    n_prompt: int
    n_new: int
    threads: int
    logprobs: bool = False
    """Of ours alone."""

    def prompts(self, batch: int) -> Ids:
        """Random ids, the same for all."""
        generator = torch.Generator().manual_seed(2)
        return torch.randint(0, EOS, (batch, self.n_prompt), generator=generator).tolist()


def write_weights(folder: Path, preset: str, tokenizer: Path) -> None:
    """Random weights of a preset's shape, as transformers has them, with GPT-2's tokenizer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from triptych.convert.gpt2 import to_gpt2
    from triptych.convert.gpt2_config import config_to_json
    from triptych.models.gpt import Gpt
    from triptych.models.presets import gpt_preset

    torch.manual_seed(1)
    gpt = Gpt(gpt_preset(preset, EOS + 1, EOS))
    peer = GPT2LMHeadModel(GPT2Config.from_dict(config_to_json(gpt.config)))
    peer.load_state_dict(to_gpt2(gpt.state_dict(), gpt.config), strict=False)
    peer.tie_weights()
    peer.save_pretrained(folder)
    for file in ("vocab.json", "merges.txt"):
        shutil.copy(tokenizer / file, folder)


def contestants(task: Task, precision: str) -> dict[str, Maker]:
    """Ours first. transformers has no int8 here: its fp32 stands beside ours."""
    theirs = "fp32" if precision == "int8" else precision
    found: dict[str, Maker] = {
        f"triptych {precision}": partial(triptych_, task, precision),
        f"transformers {theirs}": partial(transformers_, task, theirs),
    }
    if has_ctranslate2(precision):
        found[f"CTranslate2 {precision}"] = partial(ctranslate2_, task, precision)
    if precision in GGUF_TYPES and has("xllamacpp") and has("gguf"):
        kind = GGUF_TYPES[precision]
        found[f"llama.cpp {kind.upper()}"] = partial(llama_cpp, task, kind)
    return found


def triptych_(task: Task, precision: str) -> Generate:
    from triptych.recipes.generate_options import GenerateOptions
    from triptych.recipes.load import load_generator

    generator = load_generator(task.folder, device="cpu", precision=precision, mapped=True)  # type: ignore[arg-type]
    generator.logprobs = task.logprobs
    options = GenerateOptions(max_new_tokens=task.n_new, temperature=0)

    def generate(batch: int) -> Ids:
        texts = generator.generate_from_ids(task.prompts(batch), options=options)
        return [list(text.token_ids) for text in texts]

    return generate


def transformers_(task: Task, precision: str) -> Generate:
    from transformers import GPT2LMHeadModel

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = GPT2LMHeadModel.from_pretrained(task.folder, dtype=dtype).eval()
    model.generation_config.eos_token_id = None
    asked: dict[str, Any] = {"do_sample": False, "max_new_tokens": task.n_new, "pad_token_id": EOS}

    def generate(batch: int) -> Ids:
        prompts = torch.tensor(task.prompts(batch))
        with torch.inference_mode():
            found = model.generate(prompts, attention_mask=torch.ones_like(prompts), **asked)
        ids: Ids = found[:, task.n_prompt :].tolist()
        return ids

    return generate


def ctranslate2_(task: Task, precision: str) -> Generate:
    import ctranslate2
    from transformers import AutoTokenizer

    model = ctranslate2.Generator(
        for_ctranslate2(task.folder),
        compute_type=COMPUTE_TYPES[precision],
        intra_threads=task.threads,
    )
    names = AutoTokenizer.from_pretrained(task.folder)

    def generate(batch: int) -> Ids:
        found = model.generate_batch(
            [names.convert_ids_to_tokens(ids) for ids in task.prompts(batch)],
            max_length=task.n_new, min_length=task.n_new, sampling_topk=1,
            include_prompt_in_result=False,
        )  # fmt: skip
        return [result.sequences_ids[0] for result in found]

    return generate


def llama_cpp(task: Task, kind: str) -> Generate:
    """Through the server of the xllamacpp wheel; its own choice of cache and attention."""
    import xllamacpp

    from triptych.recipes.convert import convert_to_gguf

    path = task.folder / f"{kind}.gguf"
    if not path.exists():
        convert_to_gguf(task.folder, path, kind)  # type: ignore[arg-type]
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = task.n_prompt + task.n_new + 16
    params.n_parallel = 1
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = task.threads
    server = xllamacpp.Server(params)

    def generate(batch: int) -> Ids:
        return [_ask(server.listening_address, ids, task.n_new) for ids in task.prompts(batch)]

    return generate


def _ask(address: str, ids: list[int], n_new: int) -> list[int]:
    asked = {
        "prompt": ids, "n_predict": n_new, "temperature": 0, "return_tokens": True,
        "ignore_eos": True, "cache_prompt": False,
    }  # fmt: skip
    request = urllib.request.Request(
        f"{address}/completion", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        return list(json.loads(answer.read())["tokens"])
