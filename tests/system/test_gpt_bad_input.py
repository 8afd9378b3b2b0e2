"""What a person does wrong with a generator at the command line: one sentence, the right status."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from triptych.checkpoint import save_folder
from triptych.cli.main import main
from triptych.models.gpt import Gpt, GptConfig
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters

TEXT = "the man saw the bank\n\nthe bank of the river, the river\n" * 9
N_TOKENS, CONTEXT = 270, 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of random weights, folders in which something is wrong, and texts."""
    folder = tmp_path_factory.mktemp("gpt")
    torch.manual_seed(0)
    for name, tokenizer in (
        ("bytes", ByteBpe.train([TEXT], N_TOKENS)),
        ("letters", Characters.train([TEXT])),
    ):
        config = GptConfig(
            vocab_size=tokenizer.vocab_size, d_model=32, d_ff=40, n_heads=2, n_layers=1,
            max_seq_len=CONTEXT, eos_id=tokenizer.eos_id,
        )  # fmt: skip
        save_folder(folder / name, Gpt(config), tokenizer)

    for name in ("larger", "shorter", "hot", "cut"):
        shutil.copytree(folder / "bytes", folder / name)
        (folder / name / "manifest.json").unlink()
    ByteBpe.train([TEXT], N_TOKENS + 5).save(folder / "larger")
    change(folder / "shorter" / "config.json", vocab_size=N_TOKENS - 5, eos_token_id=None)
    change(folder / "hot" / "generation_config.json", top_p=2.0)
    weights = folder / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    (folder / "train.txt").write_text("\n\n".join(f"the man saw {i} rivers" for i in range(60)))
    (folder / "valid.txt").write_text("the man saw the river\n\nthe man saw 7 men")
    (folder / "prompts.txt").write_text("the man\n\n" + "0123456789" * 4 + "\n")
    (folder / "greek.txt").write_text("the man\nthe Ωman\n")
    (folder / "empty.txt").write_text("")
    return folder


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture(autouse=True)
def _there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


MAN = ["generate", "bytes", "--prompt", "the man"]
LONG = ["generate", "bytes", "--prompt", "0123456789" * 4]
TRAIN = [
    *("train", "gpt", "--text", "train.txt", "--valid-text", "valid.txt", "--max-seq-len", "16"),
    *("--max-updates", "1", "--validate-every", "1", "--warmup", "1", "--batch-size", "4"),
    *("--device", "cpu", "--quiet"),
]
BAD = [
    # unknown characters: bytes know all, a vocabulary of characters does not
    (["generate", "letters", "--prompt", "aΩ"], 3, "the prompt: the character 'Ω' (U+03A9) is not"),
    (["generate", "letters", "--input", "greek.txt"], 3, "greek.txt:2: the character 'Ω'"),
    # prompts
    (["generate", "bytes", "--prompt", ""], 3, "the prompt is empty; give it some text"),
    (["generate", "bytes", "--prompt", "", "--json"], 3, "prompt 1 is empty"),
    (LONG, 3, "the prompt has 40 tokens, more than this model's context of 16; cut it"),
    ([*LONG, "--json"], 3, "prompt 1 has 40 tokens, more than this model's context of 16"),
    (["generate", "bytes", "--input", "prompts.txt"], 3, "prompts.txt:3 has 40 tokens"),
    ([*LONG, "--on-too-long", "cut"], 2, "--on-too-long is 'cut'; it should be one of 'refuse'"),
    (["generate", "bytes"], 2, "needs either --prompt TEXT or --input FILE"),
    ([*MAN, "--input", "prompts.txt"], 2, "needs either --prompt TEXT or --input FILE"),
    (["generate", "bytes", "--input", "none.txt"], 3, "there is no file none.txt"),
    # drawing
    ([*MAN, "--top-p", "0"], 2, "top_p is 0.0; it must be above 0 and at most 1"),
    ([*MAN, "--top-p", "2"], 2, "top_p is 2.0; it must be above 0 and at most 1"),
    ([*MAN, "--top-p", "nan"], 2, "--top-p is nan; it should be a number"),
    ([*MAN, "--temperature", "-1"], 2, "temperature is -1.0; it must be 0"),
    ([*MAN, "--temperature", "inf"], 2, "temperature is inf; it must be 0"),
    ([*MAN, "--top-k", "0"], 2, "top_k is 0; it must be at least 1"),
    ([*MAN, "--min-p", "1.5"], 2, "min_p is 1.5; it must be from 0 (all) to 1"),
    ([*MAN, "--repetition-penalty", "0"], 2, "repetition_penalty is 0.0; it must be above 0"),
    ([*MAN, "--presence-penalty", "inf"], 2, "presence_penalty is inf; it must be a number"),
    ([*MAN, "--stop", ""], 2, "stop has an empty string, which every text holds; leave it out"),
    ([*MAN, "--stop", "river", ""], 2, "stop has an empty string"),
    ([*MAN, "--stop"], 2, "--stop: expected at least one argument"),
    ([*MAN, "--max-new-tokens", "0"], 2, "max_new_tokens is 0; it must be at least 1"),
    ([*MAN, "--best-of", "3", "--temperature", "0"], 2, "best_of is 3 and temperature 0"),
    ([*MAN, "--seed", "one"], 2, "--seed is 'one'; it should be a whole number"),
    # folders
    (["generate", "larger", "--prompt", "a"], 3, "its eos_id is 274, the model's is 269; use the"),
    (["generate", "shorter", "--prompt", "a"], 3, "its vocab_size is 270, the model's is 265"),
    (["generate", "hot", "--prompt", "a"], 3, "generation_config.json: top_p is 2.0; it must be"),
    (["generate", "cut", "--prompt", "a"], 3, "cut/model.safetensors is cut short"),
    (
        ["generate", "train.txt", "--prompt", "a"],
        3,
        "train.txt was read as word vectors, for every other model is a folder",
    ),
    (["fill", "bytes", "the [MASK]"], 3, "bytes is a decoder-only model; this needs an encoder"),
    # conversion
    (["convert", "bytes", "x", "--to", "gguf", "--type", "q4_k"], 2, "--type is 'q4_k'; it should"),
    (["convert", "bytes", "x", "--to", "gguf", "--type", "q8_0"], 2, "d_ff is 40, which is no"),
    (["convert", "letters", "x", "--to", "gguf"], 3, "its tokenizer is Characters, but a GGUF"),
    (["convert", "larger", "x", "--to", "gguf"], 3, "the tokenizer does not fit the model"),
    (["convert", "bytes", "bytes", "--to", "gguf"], 2, "bytes is a folder; a GGUF is one file"),
    (["convert", "bytes", "train.txt", "--to", "gguf"], 2, "is no GGUF file, so it would be lost"),
    # training
    (
        [*TRAIN, "--out", "x", "--from", "bytes", "--tokenizer", "letters"],
        2,
        "has another vocabulary",
    ),
    ([*TRAIN, "--out", "x", "--from", "bytes", "--max-seq-len", "17"], 2, "limit of 16; lower"),
    ([*TRAIN, "--out", "x", "--from", "larger"], 3, "the tokenizer does not fit the model"),
    (
        [*TRAIN[:2], "--text", "empty.txt", *TRAIN[4:], "--out", "x"],
        3,
        "empty.txt: there is no text in it",
    ),
    (
        [*TRAIN, "--out", "x", "--kind", "characters", "--valid-text", "greek.txt"],
        3,
        "in the text 'the man\\nthe Ωman': the character",
    ),
]


def told(capsys: pytest.CaptureFixture[str], words: list[str], status: int) -> str:
    """The one error of a command that fails."""
    assert main(words) == status
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1, err
    assert errors[0].startswith("error: ")
    assert out == ""
    return errors[0]


@pytest.mark.parametrize(("words", "status", "sentence"), BAD, ids=[" ".join(r[0]) for r in BAD])
def test_one_sentence(
    words: list[str], status: int, sentence: str, folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if "gguf" in words:
        pytest.importorskip("gguf", reason="the gguf package (an extra) is not installed")
    assert sentence in told(capsys, words, status)
    assert not (folder / "x").is_file()
    shutil.rmtree(folder / "x", ignore_errors=True)


@pytest.mark.parametrize("prompt", ["ΩЖ漢😀\u0000\u200d", "\udcff"])
def test_bytes_know_every_character(prompt: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what is none: a byte of the command line that is no UTF-8."""
    assert main(["generate", "bytes", "--prompt", prompt, "--max-new-tokens", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["token_ids"]) <= 2
    tokenizer = ByteBpe.load(Path("bytes"))
    (ids,) = tokenizer.encode([prompt])
    assert tokenizer.decode(ids) == prompt.replace("\udcff", "\ufffd")


def test_beyond_the_context_it_may_be_windowed_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*LONG, "--on-too-long", "window", "--max-new-tokens", "3"]) == 0
    assert "goes out of its sight" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tokens.bin", "documents.bin"])
def test_a_shard_that_was_cut(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that has it does not go on, and says which file it is."""
    words = [*TRAIN, "--out", str(tmp_path / "run"), "--from", "bytes"]
    assert main(words) == 0
    capsys.readouterr()
    path = tmp_path / "run" / "data" / name
    path.write_bytes(path.read_bytes()[:-3])
    error = told(capsys, words, 3)
    size = path.stat().st_size
    assert f"data/{name} has {size:,} bytes, not {size + 3:,}; remove" in error


def test_a_file_for_llama_cpp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf", reason="the gguf package (an extra) is not installed")
    out = tmp_path / "a.gguf"
    assert main(["convert", "bytes", str(out), "--to", "gguf"]) == 0
    assert f"{out}: f16 GGUF with " in capsys.readouterr().out
    assert out.read_bytes()[:4] == b"GGUF"
