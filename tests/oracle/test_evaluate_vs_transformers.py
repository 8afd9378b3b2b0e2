"""Perplexity, LAMBADA, BLiMP and scores of texts against transformers' GPT-2, token by token."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from triptych import checkpoint
from triptych.errors import DataError
from triptych.evaluation.last_words import STOP_WORDS
from triptych.models.gpt import Gpt, GptConfig
from triptych.recipes.evaluate_blimp import evaluate_blimp
from triptych.recipes.evaluate_lambada import evaluate_lambada
from triptych.recipes.evaluate_perplexity import PerplexityProtocol, evaluate_perplexity
from triptych.recipes.generator import Generator
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters

transformers = pytest.importorskip("transformers")

CONTEXT = 16
SENTENCE = "the cat sat on the mat and then the dog saw the bird in the tall tree"
WORDS = SENTENCE.split()
TEXT = " ".join(WORDS[i % len(WORDS)] for i in range(0, 7 * 54, 7))
BUDGETS = (1, 40, 4096)


@pytest.fixture(scope="module", params=["byte-bpe", "characters"])
def both(request, tmp_path_factory):
    """A generator that has learned a sentence, so that some guesses are right, and its twin."""
    whole = SENTENCE + "\n" + TEXT
    tokenizer = ByteBpe.train([whole] * 3, 290) if request.param == "byte-bpe" else None
    tokenizer = tokenizer or Characters.train([whole])
    torch.manual_seed(0)
    config = GptConfig(
        vocab_size=tokenizer.vocab_size, d_model=32, d_ff=64, n_heads=2, n_layers=2,
        max_seq_len=CONTEXT, eos_id=tokenizer.eos_id, dropout=0.0, attention_dropout=0.0,
        embedding_dropout=0.0,
    )  # fmt: skip
    model = Gpt(config)
    (ids,) = tokenizer.encode([SENTENCE])
    rows = torch.tensor([ids[i : i + CONTEXT + 1] for i in range(len(ids) - CONTEXT)])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        logits = model.project(model(rows[:, :-1]))
        F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).backward()
        optimizer.step()
    folder: Path = tmp_path_factory.mktemp(request.param) / "model"
    checkpoint.save_folder(folder, model.eval(), tokenizer)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    return Generator(model, tokenizer), theirs


@torch.no_grad()
def next_logits(theirs, context: list[int]) -> torch.Tensor:
    return theirs(torch.tensor([context])).logits[0, -1].double()


def log_p(theirs, context: list[int], token_id: int) -> float:
    return float(next_logits(theirs, context).log_softmax(-1)[token_id])


def brute_force(theirs, ids: list[int], stride: int) -> list[float]:
    """log p of each token but the first: each by itself, from what its window holds before it."""
    found = []
    for place in range(1, len(ids)):
        beyond = max(0, place - CONTEXT)
        end = min(len(ids) - 1, CONTEXT + math.ceil(beyond / stride) * stride)
        found.append(log_p(theirs, ids[max(0, end - CONTEXT) : place], ids[place]))
    return found


# -- perplexity ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 5, 8, CONTEXT])
def test_windows_slide_as_they_say(both, tmp_path, stride):
    generator, theirs = both
    file = tmp_path / "a.txt"
    file.write_text(TEXT)
    (ids,) = generator.tokenizer.encode([TEXT])
    assert len(ids) > 3 * CONTEXT
    nll = -sum(brute_force(theirs, [generator.tokenizer.eos_id, *ids], stride))
    for generator.batch_tokens in BUDGETS:
        protocol = PerplexityProtocol(documents="file", stride=stride)
        found = evaluate_perplexity(generator, [str(file)], protocol, quiet=True).to_json()
        assert found["perplexity"] == pytest.approx(math.exp(nll / len(ids)), rel=1e-5)
        n_words = len(TEXT.split())
        assert found["word_perplexity"] == pytest.approx(math.exp(nll / n_words), rel=1e-5)
        assert found["bits_per_byte"] == pytest.approx(nll / math.log(2) / len(TEXT), rel=1e-5)
        assert (found["n"], found["n_words"], found["n_bytes"]) == (len(ids), n_words, len(TEXT))
        assert f"context:{CONTEXT}|stride:{stride}|documents:file|" in found["signature"]


@pytest.mark.parametrize(("documents", "ends"), [("blank", False), ("blank", True), ("line", True)])
def test_documents_by_themselves_or_one_stream(both, tmp_path, documents, ends):
    generator, theirs = both
    lines = [TEXT[:90], TEXT[5:33], "", "a", "", TEXT[40:120]]
    file = tmp_path / "a.txt"
    file.write_text("\n".join(lines))
    texts = ["\n".join(lines[:2]), "a", lines[5]] if documents == "blank" else [
        line for line in lines if line
    ]  # fmt: skip
    eos = generator.tokenizer.eos_id
    ids = [[eos, *each, *[eos] * ends] for each in generator.tokenizer.encode(texts)]
    nll = -sum(sum(brute_force(theirs, each, CONTEXT // 2)) for each in ids)
    for generator.batch_tokens in BUDGETS:
        protocol = PerplexityProtocol(documents=documents, ends=ends)
        report = evaluate_perplexity(generator, [str(file)], protocol, quiet=True)
        assert report.sums.nll == pytest.approx(nll, rel=1e-5)
        assert report.sums.n_tokens == sum(len(each) - 1 for each in ids)
        assert report.n_documents == len(texts)


# -- LAMBADA ---------------------------------------------------------------------------------------

STOPS = {"the", "on", "and", "then", "in"}


def test_last_words(both, tmp_path):
    generator, theirs = both
    assert set(WORDS) & STOP_WORDS == STOPS
    passages = [WORDS[i : i + n] for i in range(len(WORDS) - 3) for n in (2, 3)]
    passages += [[*words[:-1], "bird"] for words in passages]
    passages = [words for words in passages if fits(generator, words)]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(json.dumps({"text": " ".join(words)}) for words in passages))
    found = [guess(generator, theirs, words) for words in passages]
    n = len(found)
    for generator.batch_tokens in BUDGETS:
        scores = evaluate_lambada(generator, str(file), quiet=True).scores
        assert scores.n == n
        assert scores.accuracy == pytest.approx(sum(each[1] for each in found) / n)
        assert scores.accuracy_stop_words == pytest.approx(sum(each[2] for each in found) / n)
        assert scores.accuracy_last_token == pytest.approx(sum(each[3] for each in found) / n)
        assert scores.perplexity == pytest.approx(
            math.exp(-sum(each[0] for each in found) / n), rel=1e-5
        )
    assert 0.1 < scores.accuracy < 0.9
    if isinstance(generator.tokenizer, ByteBpe):  # among characters no token is a stop word
        assert scores.accuracy_stop_words != scores.accuracy


def fits(generator, words: list[str]) -> bool:
    (ids,) = generator.tokenizer.encode([" ".join(words)])
    return len(ids) <= CONTEXT


def guess(generator, theirs, words: list[str]) -> tuple[float, bool, bool, bool]:
    """log p of the last word, and whether all, all but for stop words, the last are guessed."""
    tokenizer = generator.tokenizer
    (before,), (word,) = (
        tokenizer.encode([" ".join(words[:-1])]),
        tokenizer.encode([" " + words[-1]]),
    )
    context, total, right, filtered, last = [tokenizer.eos_id, *before], 0.0, True, True, True
    for place, token_id in enumerate(word):
        logits = next_logits(theirs, context)
        total += float(logits.log_softmax(-1)[token_id])
        last = int(logits.argmax()) == token_id
        right &= last
        if place == 0:
            for other in range(tokenizer.vocab_size):
                text = tokenizer.decode([other])
                if text.startswith(" ") and text[1:].lower() in STOP_WORDS:
                    logits[other] = -math.inf
            filtered &= int(logits.argmax()) == token_id
        else:
            filtered &= last
        context.append(token_id)
    return total, right, filtered, last


def test_a_passage_beyond_the_context(both, tmp_path):
    generator, theirs = both
    long = " ".join(WORDS * 2)
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "the cat"}\n' + json.dumps({"text": long}) + "\n")
    with pytest.raises(DataError, match=rf"^{file}:2 has \d+ tokens after .* context of 16; split"):
        evaluate_lambada(generator, str(file), quiet=True)
    found = evaluate_lambada(generator, str(file), on_too_long="window", quiet=True).scores
    tokenizer = generator.tokenizer
    total = 0.0
    for text in ("the cat", long):
        before, _, last = text.rpartition(" ")
        (word,) = tokenizer.encode([" " + last])
        ids = [tokenizer.eos_id, *tokenizer.encode([before])[0], *word]
        window = ids[-CONTEXT - 1 :]
        for place in range(len(window) - len(word), len(window)):
            total += log_p(theirs, window[:place], window[place])
    assert found.perplexity == pytest.approx(math.exp(-total / 2), rel=1e-5)


# -- BLiMP and scores ----------------------------------------------------------------------------


def whole(generator, theirs, text: str) -> float:
    ids = [generator.tokenizer.eos_id, *generator.tokenizer.encode([text])[0]]
    return sum(brute_force(theirs, ids, CONTEXT // 2))


def test_minimal_pairs(both, tmp_path):
    generator, theirs = both
    rows = [
        ("order", "two", "the cat sat", "the sat cat"),
        ("order", "two", "mat the on", "on the mat"),
        ("order", "three", "the tall tree", "tree tall the"),
        ("same", "nothing", "the dog", "the dog"),
        ("order", "three", "saw the bird", "bird saw the"),
    ]
    file = tmp_path / "a.tsv"
    file.write_text("".join("\t".join(row) + "\n" for row in rows))
    points = []
    for _, _, good, bad in rows:
        a, b = whole(generator, theirs, good), whole(generator, theirs, bad)
        points.append(0.5 if good == bad else float(a > b))
    assert {0.0, 0.5, 1.0} == set(points)
    for generator.batch_tokens in BUDGETS:
        found = evaluate_blimp(generator, str(file), quiet=True).to_json()
        assert (found["accuracy"], found["n"], found["n_ties"]) == (sum(points) / 5, 5, 1)
        assert found["by_field"]["same"] == {"accuracy": 0.5, "n": 1, "n_ties": 1}
        order = (points[0] + points[1] + points[2] + points[4]) / 4
        assert found["by_field"]["order"] == {"accuracy": order, "n": 4, "n_ties": 0}
        three = {"field": "order", "accuracy": (points[2] + points[4]) / 2, "n": 2, "n_ties": 0}
        assert found["by_phenomenon"]["three"] == three


def test_a_long_text_is_scored_in_windows(both):
    generator, theirs = both
    generator.batch_tokens = 40
    texts = ["the cat", TEXT, "", "the dog"]
    found = generator.score(texts, on_too_long="window")
    for text, score in zip(texts, found, strict=True):
        ids = [generator.tokenizer.eos_id, *generator.tokenizer.encode([text])[0]]
        expected = brute_force(theirs, ids, CONTEXT // 2)
        assert score.logprobs == pytest.approx(expected, rel=1e-5, abs=1e-5)
        assert score.logprob == pytest.approx(sum(expected), rel=1e-5, abs=1e-5)
