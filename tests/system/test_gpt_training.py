"""A small generator is trained: it learns, goes on bit for bit, and split work is the same."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from interruptions import assert_same, interrupt_at

import triptych
from triptych.checkpoint import load_folder
from triptych.cli.main import main
from triptych.core.dropout import Dropout
from triptych.core.positions import sinusoidal_table
from triptych.data.packed_batches import PackedBatches
from triptych.errors import ConfigError, ModelFileError
from triptych.models.gpt import Gpt
from triptych.recipes.generator import Generator
from triptych.recipes.gpt_data import GptCorpus
from triptych.recipes.gpt_run import GptData, GptOptimizer, GptRun, GptShape
from triptych.recipes.language_model_run import LanguageModelTraining
from triptych.recipes.load import load_translator
from triptych.recipes.train_gpt import make_model, train_gpt
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.training.distributed import Processes
from triptych.training.objectives import LanguageModelObjective
from triptych.training.run_folder import RunFolder
from triptych.training.step import Stepper

COLOURS = ["red", "green", "blue", "white", "black", "brown"]
THINGS = ["cat", "dog", "bird", "fish", "horse", "mouse"]


def write_documents(path: Path, n: int) -> None:
    """A document tells of one thing, whose colour is always the same."""
    documents = [
        f"I saw a {THINGS[i * i % 6]}.\nThe {THINGS[i * i % 6]} was {COLOURS[i * i % 6]}."
        for i in range(n)
    ]
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")


def run_of(folder: Path, updates: int, dropout: float = 0.1, **data: object) -> GptRun:
    return GptRun(
        data=GptData(
            text=(str(folder / "train.txt"),), valid_text=(str(folder / "valid.txt"),),
            **{"vocab_size": 280, "max_seq_len": 24, "batch_size": 8, **data},  # type: ignore[arg-type]
        ),
        model=GptShape(preset="nano", dropout=dropout),
        optimizer=GptOptimizer(learning_rate=3e-3, warmup=5),
        training=LanguageModelTraining(max_updates=updates, validate_every=10),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("texts")
    write_documents(made / "train.txt", 300)
    write_documents(made / "valid.txt", 40)
    return made


@pytest.fixture(scope="module")
def learned(folder: Path) -> Path:
    run = run_of(folder, 150, dropout=0.0, whole_documents=True, attend_across=False)
    assert train_gpt(run, folder / "run", quiet=True).stopped_by == "max_updates"
    return folder / "run"


@torch.inference_mode()
def greedy(model: Gpt, prompt: torch.Tensor, n_new: int) -> list[int]:
    """prompt [1, T] -> the likeliest ids, one after the other: the whole text is read anew each."""
    for _ in range(n_new):
        likeliest = model.project(model(prompt)[:, -1]).argmax(dim=-1, keepdim=True)
        prompt = torch.cat([prompt, likeliest], dim=1)
    return prompt[0, -n_new:].tolist()  # type: ignore[no-any-return]


def last_row(run: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "valid_loss" in row][-1]


def test_it_goes_on_with_what_it_has_learned(learned: Path) -> None:
    found = load_folder(learned / "best")
    assert isinstance(found.model, Gpt)
    tokenizer = GptCorpus(run_of(learned.parent, 1).data, learned).tokenizer()
    prompt = [tokenizer.eos_id, *tokenizer.encode(["I saw a horse.\nThe horse was"])[0]]
    new = greedy(found.model.eval(), torch.tensor([prompt]), 6)
    assert tokenizer.decode(new).startswith(" black")
    assert "GPT2LMHeadModel" in (learned / "best" / "config.json").read_text()
    assert "goes on:" in (learned / "samples.md").read_text()


def test_the_metrics_are_those_of_the_whole_validation_text(learned: Path, folder: Path) -> None:
    """By hand: every document on its own, from end token to end token."""
    found = last_row(learned)
    model = load_folder(learned / "last").model.eval()
    tokenizer = GptCorpus(run_of(folder, 1).data, learned).tokenizer()
    documents = (folder / "valid.txt").read_text().strip().split("\n\n")
    nll, n_tokens = 0.0, 0
    for text in documents:
        ids = torch.tensor([tokenizer.eos_id, *tokenizer.encode([text])[0], tokenizer.eos_id])
        with torch.no_grad():
            logits = model.project(model(ids[None, :-1]))[0]
        nll += F.cross_entropy(logits.double(), ids[1:], reduction="sum").item()
        n_tokens += len(ids) - 1
    assert found["valid_loss"] == pytest.approx(nll / n_tokens, rel=1e-4)
    n_bytes = sum(len(text.encode()) for text in documents)
    per_byte = nll / n_bytes / torch.tensor(2.0).log().item()
    assert found["valid_bits_per_byte"] == pytest.approx(per_byte, rel=1e-4)
    assert 0 < found["valid_accuracy"] < 1


MUON = {"optimizer": "muon", "muon_learning_rate": 3e-3, "schedule": "wsd", "decay_share": 0.5}


@pytest.mark.parametrize("optimizer", [{}, MUON], ids=["adamw", "muon"])
def test_stopped_anywhere_it_goes_on_bit_for_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: dict[str, object]
) -> None:
    run = run_of(folder, 20)
    run = replace(
        run,
        optimizer=replace(run.optimizer, **optimizer),  # type: ignore[arg-type]
        training=replace(run.training, accumulate=2),
    )
    train_gpt(run, tmp_path / "straight", quiet=True)
    for stop in (7, 26):
        with monkeypatch.context() as patch:
            interrupt_at(patch, PackedBatches, stop)
            stopped = train_gpt(run, tmp_path / f"stopped-{stop}", quiet=True)
        assert stopped.stopped_by == "SIGTERM"
        assert train_gpt(run, tmp_path / f"stopped-{stop}", quiet=True).stopped_by == "max_updates"
        assert_same(tmp_path / "straight", tmp_path / f"stopped-{stop}", 20)


def test_activation_checkpointing_changes_nothing(folder: Path, tmp_path: Path) -> None:
    """Dropout on: the weights after some updates are the same to the bit, and so are the losses."""
    run = run_of(folder, 6)
    train_gpt(run, tmp_path / "kept", quiet=True)
    leaner = replace(run, training=replace(run.training, activation_checkpointing=True))
    train_gpt(leaner, tmp_path / "again", quiet=True)
    assert_same(tmp_path / "kept", tmp_path / "again", 6)
    found = [RunFolder(tmp_path / name).rows() for name in ("kept", "again")]
    assert [row.get("loss") for row in found[0]] == [row.get("loss") for row in found[1]]
    assert all(row["peak_memory"] > 1e7 for row in found[0] if "loss" in row)


@pytest.mark.parametrize("attend_across", [True, False])
def test_the_loss_is_torch_s_own(folder: Path, tmp_path: Path, attend_across: bool) -> None:
    """Over all real positions, of logits that exist in full here alone."""
    run = run_of(folder, 1, dropout=0.0, whole_documents=True, attend_across=attend_across)
    corpus = GptCorpus(run.data, tmp_path)
    corpus.prepare(None)
    model = make_model(run, corpus.tokenizer())
    source = corpus.source(run, model.config)
    batch = source.load(next(source))
    (found,) = LanguageModelObjective(attend_across=attend_across)(model, batch)
    documents = None if attend_across else batch.document_ids
    logits = model.project(model(batch.token_ids, document_ids=documents))
    expected = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum")
    torch.testing.assert_close(found.nll.float(), expected, rtol=1e-5, atol=0)
    assert found.n_tokens == batch.n_tokens < batch.targets.numel()


def test_split_batches_give_the_same_gradients(folder: Path, tmp_path: Path) -> None:
    run = run_of(folder, 1, dropout=0.0, whole_documents=True, attend_across=False)
    corpus = GptCorpus(run.data, tmp_path)
    corpus.prepare(None)
    batches = list(corpus.valid_batches())[:2]
    found = []
    for n_parts in (1, 3):
        model = make_model(run, corpus.tokenizer())
        objective = LanguageModelObjective(attend_across=False)
        means = Stepper(model, objective, Processes(), "fp32", 0.0, n_parts).gradients(batches)
        found.append((means, {name: p.grad for name, p in model.named_parameters()}))
    (means, whole), (other, gradients) = found
    assert other.loss == pytest.approx(means.loss, rel=1e-6)
    largest = max(float(g.abs().max()) for g in whole.values() if g is not None)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, whole[name], rtol=0, atol=1e-5 * largest)


def test_training_goes_on_from_a_model(learned: Path, folder: Path, tmp_path: Path) -> None:
    run = run_of(folder, 2)
    run = replace(run, model=GptShape(start_from=str(learned / "best")))
    train_gpt(run, tmp_path / "more", quiet=True)
    rows = (tmp_path / "more" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["nll"] < 2  # a fresh model begins at log(280) = 5.6
    longer = replace(run, data=replace(run.data, max_seq_len=300))
    with pytest.raises(ConfigError, match="rows of 300 tokens are longer than the model's limit"):
        train_gpt(longer, tmp_path / "longer", quiet=True)


@pytest.mark.parametrize("p", [None, 0.25])
def test_a_given_model_has_the_dropout_that_is_asked(
    learned: Path, folder: Path, p: float | None
) -> None:
    """Its own where none is; its weights in any case."""
    given = load_folder(learned / "best").model
    assert isinstance(given, Gpt)
    run = replace(run_of(folder, 1), model=GptShape(start_from=str(learned / "best"), dropout=p))
    model = make_model(run, GptCorpus(run.data, learned).tokenizer())
    assert model.config.dropout == (given.config.dropout if p is None else p)
    found = {module.probability for module in model.modules() if isinstance(module, Dropout)}
    assert found == {model.config.dropout}
    for name, weight in given.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=0)


def test_what_was_trained_is_loaded_and_goes_on(learned: Path) -> None:
    """By the door: the same tokens as one step after another of the plain module."""
    generator = triptych.load(str(learned / "best"), device="cpu")
    assert isinstance(generator, Generator)
    prompt = "I saw a horse.\nThe horse was"
    (found,) = generator.generate([prompt], max_new_tokens=6, temperature=0.0)
    (ids,) = generator.tokenizer.encode([prompt])
    assert list(found.token_ids) == greedy(generator.module, torch.tensor([ids]), 6)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match="is a decoder-only model; this needs a translation"):
        load_translator(learned / "best", device="cpu")


def test_a_vocabulary_that_is_not_the_model_s(
    learned: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another tokenizer beside a model is refused, before anything is written; its own is not."""
    ByteBpe.train(["another text of other words " * 20], 270).save(tmp_path / "other")
    line = f"train gpt --text {folder}/train.txt --valid-text {folder}/valid.txt --quiet"
    line += f" --max-updates 1 --max-seq-len 24 --batch-size 8 --from {learned}/best"
    out = tmp_path / "refused"
    assert main([*line.split(), "--tokenizer", f"{tmp_path}/other", "--out", f"{out}"]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert f"--tokenizer {tmp_path}/other has another vocabulary (270 entries) than" in error
    assert f"the model in {learned}/best (280 entries)" in error
    assert not (out / "run.toml").exists()
    own = ["--tokenizer", f"{learned}/tokenizer", "--out", f"{tmp_path}/more"]
    assert main([*line.split(), *own]) == 0


@pytest.mark.parametrize(("part", "name"), [("data", "tokens.bin"), ("valid", "documents.bin")])
def test_a_shard_that_was_cut(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, name: str
) -> None:
    """Named with both sizes and the remedy, which works."""
    line = f"train gpt --text {folder}/train.txt --valid-text {folder}/valid.txt --quiet"
    line += f" --preset nano --vocab-size 280 --max-seq-len 24 --max-updates 1 --out {tmp_path}/r"
    assert main(line.split()) == 0
    capsys.readouterr()
    path = tmp_path / "r" / part / name
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-6])
    assert main(line.split()) == 3
    (error,) = capsys.readouterr().err.splitlines()
    assert f"{path} has {size - 6:,} bytes, not {size:,}; remove {path.parent} and" in error
    shutil.rmtree(path.parent)
    assert main(line.split()) == 0
    assert path.stat().st_size == size


@pytest.mark.parametrize("std", [0.02, 0.06])
@pytest.mark.parametrize("waves", [False, True])
def test_the_first_weights_are_those_asked_for(folder: Path, std: float, waves: bool) -> None:
    """By default the published law, drawn once."""
    run = run_of(folder, 1)
    shape = replace(run.model, initial_std=std, sinusoidal_start=waves)
    tokenizer = ByteBpe.train(["abc\n"], 257)
    model = make_model(replace(run, model=shape), tokenizer)
    torch.manual_seed(run.training.seed)
    published = Gpt(model.config)
    same = all(map(torch.equal, model.parameters(), published.parameters()))
    assert same is (std == 0.02 and not waves)
    assert model.token_embedding.weight.std().item() == pytest.approx(std, rel=0.03)
    table = sinusoidal_table(*model.positions.weight.shape) * (std * 2**0.5)
    assert torch.allclose(model.positions.weight, table) is waves
