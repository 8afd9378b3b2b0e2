"""Greedy texts from prompts of different lengths, and scores, against transformers' GPT-2."""

from pathlib import Path

import pytest
import torch

from triptych import checkpoint
from triptych.recipes.generate_options import GenerateOptions
from triptych.recipes.generator import Generator

transformers = pytest.importorskip("transformers")
gpt = pytest.importorskip("triptych.models.gpt")
byte_bpe = pytest.importorskip("triptych.tokenizers.byte_bpe")

PROMPTS = ["Once upon a time", "a", "Zwölf Boxkämpfer", "日本", "The end."]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory):
    """A generator of random weights, far from uniform, and what transformers makes of it."""
    tokenizer = byte_bpe.ByteBpe.train(["hello world\n"], 257)
    torch.manual_seed(0)
    config = gpt.GptConfig(
        vocab_size=257, d_model=48, d_ff=96, n_heads=3, n_layers=2, max_seq_len=64,
        eos_id=tokenizer.eos_id,
    )  # fmt: skip
    model = gpt.Gpt(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(6)
    folder: Path = tmp_path_factory.mktemp("gpt") / "model"
    checkpoint.save_folder(folder, model, tokenizer)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    return Generator(model, tokenizer), theirs


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_texts(both, penalty):
    generator, theirs = both
    options = GenerateOptions(max_new_tokens=40, temperature=0, repetition_penalty=penalty)
    found = generator.generate(PROMPTS, options=options)
    assert len({completion.token_ids for completion in found}) == len(PROMPTS)
    for prompt, completion in zip(PROMPTS, found, strict=True):
        (ids,) = generator.tokenizer.encode([prompt])
        expected = theirs.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids)),
            do_sample=False,
            max_new_tokens=40,
            repetition_penalty=penalty,
            pad_token_id=generator.tokenizer.eos_id,
        )
        assert list(completion.token_ids) == expected[0, len(ids) :].tolist()


def test_scores(both):
    generator, theirs = both
    for text, score in zip(PROMPTS, generator.score(PROMPTS), strict=True):
        ids = torch.tensor([[generator.tokenizer.eos_id, *generator.tokenizer.encode([text])[0]]])
        with torch.no_grad():
            loss = theirs(ids, labels=ids).loss
        assert score.logprob == pytest.approx(-float(loss) * (ids.size(1) - 1), rel=1e-5)
