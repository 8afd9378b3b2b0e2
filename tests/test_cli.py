"""The command line: its verbs and options, its answers to bad input, its exit statuses."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from triptych import checkpoint
from triptych.cli.main import main
from triptych.cli.options import options_of
from triptych.cli.parsing import parse_options
from triptych.cli.verbs import VERBS
from triptych.errors import UsageError
from triptych.files.lock import FolderLock
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.models.presets import TRANSLATION_PRESETS
from triptych.recipes.evaluate_storybook import storybook_sentences
from triptych.recipes.generate_options import GenerateOptions
from triptych.recipes.generator import Generator
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation_run import METRICS, PRESETS, TranslationRun
from triptych.tokenizers.bpe import JointBpe
from triptych.training.task import Outcome

ROOT = Path(__file__).parents[1]
MACHINE = "--device --threads"
INFERENCE = "--device --threads --precision"
SEARCH = (
    "--beam-size --length-penalty --alpha --patience --max-new-tokens --batch-tokens "
    "--split-sentences --on-too-long"
)
DRAWING = (
    "--max-new-tokens --temperature --top-k --top-p --min-p --repetition-penalty "
    "--presence-penalty --stop --seed --best-of --on-too-long"
)
EMBEDDING = "--pooling --normalize --precision --batch-tokens --on-too-long"

COLUMNS = "--text-column --pair-column --label-column --header"


def finetuning(data: str, columns: str = "") -> str:
    return (
        "--out --config --fresh --quiet --json MODEL "
        f"--train --valid --holdout-every {data} --from-scratch --freeze-layers --layer-decay "
        "--dropout --learning-rate --epochs --warmup-share --weight-decay --clip-norm --precision "
        f"--select --seeds --seed {columns} {MACHINE}"
    )


# Names that people's scripts rely on. Change them on purpose only, and say so in CHANGELOG.md.
OPTIONS = {
    "demo": f"--out --quick --seed {MACHINE}",
    "train translation": (
        "--out --config --fresh --quiet --json "
        "--source --target --valid-source --valid-target --source-language --target-language "
        "--vocab-size --tokenizer --batch-tokens --max-tokens --bpe-dropout "
        "--preset --dropout --d-ff --from --label-smoothing --r-drop "
        "--learning-rate --warmup --schedule --decay-share --beta-1 --beta-2 --eps "
        "--weight-decay --clip-norm --optimizer --muon-learning-rate "
        "--max-updates --accumulate --precision --validate-every "
        "--checkpoint-every --select --patience --average --compile --activation-checkpointing "
        f"--seed --tensorboard {MACHINE}"
    ),
    "train bert": (
        "--out --config --fresh --quiet --json "
        "--text --valid-text --language --vocab-size --tokenizer --keep-case --batch-size "
        "--max-seq-len --short-seq-prob --mask-prob --whole-words "
        "--long-updates --long-seq-len --long-batch-size --preset --dropout --from "
        "--initial-std --sinusoidal-start --word-vectors "
        "--learning-rate --warmup --schedule --decay-share --beta-1 --beta-2 --eps "
        "--weight-decay --clip-norm --optimizer --muon-learning-rate "
        "--max-updates --accumulate --precision --validate-every --checkpoint-every --select "
        f"--patience --average --compile --activation-checkpointing --seed --tensorboard {MACHINE}"
    ),
    "train gpt": (
        "--out --config --fresh --quiet --json "
        "--text --valid-text --documents --text-field --tokenizer --kind --vocab-size "
        "--max-seq-len --batch-size --whole-documents --attend-across --reset-positions "
        "--preset --dropout --from --initial-std --sinusoidal-start "
        "--learning-rate --warmup --schedule --decay-share --beta-1 --beta-2 --eps "
        "--weight-decay --clip-norm --optimizer --muon-learning-rate "
        "--max-updates --accumulate --precision --validate-every --checkpoint-every --select "
        "--patience --average --compile --activation-checkpointing --seed --tensorboard "
        f"--shard --processes {MACHINE}"
    ),
    "train elmo": (
        "--out --config --fresh --quiet --json "
        "--text --valid-text --text-field --language --vocab-size --max-seq-len --batch-words "
        "--preset --dropout --from --n-samples "
        "--learning-rate --warmup --schedule --decay-share --beta-1 --beta-2 --eps "
        "--weight-decay --clip-norm "
        "--max-updates --accumulate --precision --validate-every --checkpoint-every --select "
        f"--patience --average --compile --activation-checkpointing --seed --tensorboard {MACHINE}"
    ),
    "train word2vec": (
        "--out --config --quiet --json --text --text-field --min-count --vocab-size "
        "--architecture --d-model --window --negatives --subsample --epochs --learning-rate "
        "--workers --seed"
    ),
    "train glove": (
        "--out --config --quiet --json --text --text-field --min-count --vocab-size "
        "--d-model --window --x-max --alpha --subsample --epochs --learning-rate "
        "--initial-accumulator --memory "
        "--workers --seed"
    ),
    "translate": (
        f"MODEL --input --prefix --n-best --alignments --json --verify --quiet {SEARCH} {INFERENCE}"
    ),
    "score": (
        "MODEL --source --target --input --length-penalty --alpha --on-too-long --json --quiet "
        f"{INFERENCE}"
    ),
    "generate": f"MODEL --prompt --input --json --quiet {DRAWING} {INFERENCE}",
    "fill": f"MODEL TEXT --top-k --candidates --json {MACHINE}",
    "embed": f"MODEL --input --out --quiet {EMBEDDING} {MACHINE}",
    "search": f"MODEL --corpus --vectors --query --top-k --json --quiet {EMBEDDING} {MACHINE}",
    "similarity": f"MODEL FIRST SECOND --json {MACHINE}",
    "senses": (
        "MODEL WORD --sentences --static --layer --clusters --out --vectors --seed --json "
        + MACHINE
    ),
    "neighbors": "VECTORS WORD --top-k --by --json",
    "analogy": "VECTORS A B C --top-k --json",
    "evaluate translation": (
        "MODEL --data --source --target --against --output --language --seed --json --quiet "
        f"{SEARCH} {INFERENCE}"
    ),
    "evaluate classification": f"MODEL --data --json {COLUMNS} {MACHINE}",
    "evaluate sts": f"MODEL --data --json {COLUMNS} {MACHINE}",
    "evaluate perplexity": (
        "MODEL --data --documents --text-field --detokenizer --ends --json --quiet "
        f"--batch-tokens --precision --stride {MACHINE}"
    ),
    "evaluate lambada": (
        "MODEL --data --detokenizer --json --quiet --batch-tokens --precision --on-too-long "
        f"{MACHINE}"
    ),
    "evaluate blimp": (
        f"MODEL --data --json --quiet --batch-tokens --precision --on-too-long {MACHINE}"
    ),
    "evaluate zero-shot": (
        f"MODEL --data --on-too-long --json --quiet --batch-tokens --precision --stride {MACHINE}"
    ),
    "evaluate senses": f"MODEL --data --words --seed --json --quiet {MACHINE}",
    "evaluate word-similarity": "VECTORS --data --json",
    "evaluate analogies": "VECTORS --data --vocab-size --json",
    "finetune classification": finetuning("--max-seq-len --batch-size", COLUMNS),
    "finetune regression": finetuning("--max-seq-len --batch-size", COLUMNS),
    "finetune tagging": finetuning("--max-seq-len --batch-size", "--word-column --tag-column"),
    "finetune qa": finetuning("--max-seq-len --batch-size --stride --max-answer-tokens"),
    "tokenizer train": (
        "--text --out --kind --vocab-size --min-frequency --max-alphabet --lowercase"
    ),
    "tokenizer show": "TOKENIZER TEXT --json",
    "plan": (
        "PRESET --gpus --tokens --batch-size --accumulate --seq-len --vocab-size --dropout "
        f"--precision --activation-checkpointing --flops-per-second --share --json {MACHINE}"
    ),
    "convert": "SRC DST --to --type",
}


def options_class(verb: str) -> type:
    return import_module(f"triptych.cli.{VERBS[tuple(verb.split())].module}").Options


def run_python(code: str) -> str:
    """What a fresh interpreter prints; it fails if that interpreter does."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout


# -- names --------------------------------------------------------------------------------------


def test_verbs_are_these() -> None:
    assert {" ".join(words) for words in VERBS} == set(OPTIONS)


@pytest.mark.parametrize("verb", OPTIONS)
def test_options_are_these(verb: str) -> None:
    assert [option.flag for option in options_of(options_class(verb))] == OPTIONS[verb].split()


@pytest.mark.parametrize("verb", OPTIONS)
def test_help_explains_every_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb.split(), "--help"]) == 0
    text = capsys.readouterr().out
    for option in options_of(options_class(verb)):
        assert option.flag in text
        assert option.doc, option.flag


def test_search_options_are_those_of_the_translator() -> None:
    translator = set(TranslateOptions.__dataclass_fields__)
    assert {f.strip("-").replace("-", "_") for f in SEARCH.split()} <= translator
    assert translator - {f.strip("-").replace("-", "_") for f in SEARCH.split()} == {
        "n_best",
        "alignments",
    }


def test_drawing_options_are_those_of_the_generator() -> None:
    generator = set(GenerateOptions.__dataclass_fields__)
    given = {f.strip("-").replace("-", "_") for f in DRAWING.split()}
    assert given == generator - {"logit_bias"}


def test_presets_named_early_are_those_there_are() -> None:
    assert set(PRESETS) == set(TRANSLATION_PRESETS)


def test_command_lines_in_the_docs_parse() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    lines = [(page, line) for page in pages if page.exists() for line in command_lines(page)]
    for page, line in lines:
        words = shlex.split(line, comments=True)[1:]
        words = words[: next((i for i, w in enumerate(words) if w in "|<>&&;"), len(words))]
        verb = next((words[:n] for n in (2, 1) if tuple(words[:n]) in VERBS), None)
        if words and words[0] in ("--help", "--version"):
            continue
        assert verb is not None, f"{page}: {line}"
        if "--help" not in words:
            parse_options(options_class(" ".join(verb)), words[len(verb) :], line, "")


def command_lines(page: Path) -> list[str]:
    blocks = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", page.read_text(), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines = [line.strip().removeprefix("$ ") for line in lines]
    return [line for line in lines if line.startswith("triptych ")]


# -- start --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [["--help"], ["train", "translation", "--help"], ["translate", "--help"],
     ["translate", "x", "--beam-sise", "4"], ["nonsense"]],
)  # fmt: skip
def test_help_and_wrong_usage_load_no_torch(words: list[str]) -> None:
    code = f"import sys; from triptych.cli.main import main; main({words!r})\n"
    heavy = "[m for m in ('torch', 'numpy', 'rich', 'tokenizers') if m in sys.modules]"
    assert run_python(code + f"print('heavy', {heavy})").splitlines()[-1] == "heavy []"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("triptych 0.")
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in OPTIONS)
    assert main([]) == 2
    assert "train translation" in capsys.readouterr().err


# -- parsing ------------------------------------------------------------------------------------

DATA = ["--source", "a", "b", "--target", "c", "--target", "d", "--valid-source", "e", "--out", "r"]


def parse_run(*words: str) -> TranslationRun:
    run = parse_options(options_class("train translation"), [*DATA, *words], "t", "").run
    assert isinstance(run, TranslationRun)
    return run


def test_several_files_together_or_one_by_one() -> None:
    assert parse_run().data.source == ("a", "b")
    assert parse_run().data.target == ("c", "d")


def test_values_have_their_types() -> None:
    run = parse_run("--learning-rate", "1e-3", "--warmup=7", "--compile", "--from", "m")
    assert (run.optimizer.learning_rate, run.optimizer.warmup) == (0.001, 7)
    assert run.training.compile is True
    assert run.model.start_from == "m"
    assert parse_run("--learning-rate", "none").optimizer.learning_rate is None


def test_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[optimizer]\nwarmup = 5\neps = 1e-8\n[training]\ncompile = true\n")
    run = parse_run("--config", str(file), "--warmup", "6", "--no-compile")
    assert (run.optimizer.warmup, run.optimizer.eps, run.training.compile) == (6, 1e-8, False)
    assert run.training.seed == 1


def test_the_file_may_hold_what_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[data]\nsource = ["s"]\nvalid_source = ["v"]\n')
    words = ["--config", str(file), "--out", "r"]
    run = parse_options(options_class("train translation"), words, "t", "").run
    assert run.data.source == ("s",)


def test_needed_options_are_named() -> None:
    with pytest.raises(UsageError, match="t needs --out, --source and --valid-source"):
        parse_options(options_class("train translation"), [], "t", "")


# -- bad input ----------------------------------------------------------------------------------

PAIRS = [(f"the {a} {n} sleeps .", f"{n} schläft {a} .") for a in ("old", "red", "big")
         for n in ("man", "dog", "cat", "bird", "boy", "girl")]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of random weights, text files good and bad."""
    folder = tmp_path_factory.mktemp("cli")
    sources, targets = zip(*PAIRS, strict=True)
    (folder / "s.txt").write_text("\n".join(sources) + "\n")
    (folder / "t.txt").write_text("\n".join(targets) + "\n")
    (folder / "pairs.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS))
    (folder / "short.txt").write_text("one line\n")
    (folder / "empty.txt").write_text("")
    (folder / "one.tsv").write_text("one column\n" * 3)
    (folder / "bad8.txt").write_bytes(b"fine\n\xff\n")
    (folder / "long.txt").write_text("fine\n" + "the big man " * 9000 + "\n")
    (folder / "bad.toml").write_text("[optimizer]\nlearning_rat = 0.1\n")
    (folder / "good.toml").write_text("[optimizer]\nlearning_rate = 0.1\n")
    (folder / "nomodel").mkdir()
    tokenizer = JointBpe.train([*sources, *targets], 290)
    torch.manual_seed(1)
    config = EncoderDecoderConfig(
        vocab_size=tokenizer.vocab_size, d_model=16, d_ff=16, n_heads=2, n_encoder_layers=1,
        n_decoder_layers=1, max_seq_len=64, pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id,
        start_id=tokenizer.pad_id,
    )  # fmt: skip
    extras = {"target_language": "de"}
    checkpoint.save_folder(folder / "model", EncoderDecoder(config), tokenizer, extras=extras)
    return folder


TRAIN = "train translation --valid-source s.txt --valid-target t.txt --preset tiny --out run"
OK = f"{TRAIN} --source s.txt --target t.txt"

BAD = [
    ("train", 2, "needs one of translation"),
    ("trian", 2, "did you mean train?"),
    ("train translaton", 2, "did you mean translation?"),
    ("--halp", 2, "did you mean --help?"),
    ("translate", 2, "needs MODEL"),
    ("translate model more", 2, "no use for 'more'"),
    ("translate model --beam-sise 4", 2, "did you mean --beam-size?"),
    ("translate model --input", 2, "--input: expected one argument"),
    ("translate model --beam-size four", 2, "--beam-size is 'four'; it should be a whole number"),
    ("translate model --beam-size 0", 2, "beam_size is 0"),
    ("translate model --input s.txt --n-best 5", 2, "n_best is 5"),
    ("translate model --n-best 2 --alignments", 2, "--json"),
    ("translate model --length-penalty long", 2, "one of 'gnmt', 'length', 'none'"),
    ("translate model --threads 0", 2, "--threads is 0; it must be at least 1"),
    ("translate model --device gpu", 2, "--device gpu names no device"),
    ("translate model --input no.txt", 3, "there is no file no.txt"),
    ("translate model --input nomodel", 3, "nomodel is a folder"),
    ("translate model --input bad8.txt", 3, "bad8.txt:2: byte 0"),
    ("translate model --input long.txt", 3, "long.txt:2: 81,001 tokens"),
    ("translate no --input s.txt", 3, "no model folder at no"),
    ("translate nomodel --input s.txt", 3, "no config.json"),
    ("score model --source s.txt --target short.txt", 3, "s.txt has 18 lines but short.txt has 1"),
    ("score model --source s.txt", 2, "needs either --source and --target"),
    ("evaluate translation model", 2, "--data"),
    ("evaluate translation model --data one.tsv", 3, "one.tsv:1: one column"),
    ("evaluate translation model --source s.txt --target empty.txt", 3, "empty.txt is empty"),
    ("evaluate translation model --data pairs.tsv --against short.txt", 3, "1 lines in short.txt"),
    ("evaluate translation model --data pairs.tsv --language xx", 2, "'xx'"),
    ("evaluate translation model --data storybook --language de", 2, "--language does not go"),
    ("tokenizer train --text no.txt --out tok", 3, "there is no file no.txt"),
    ("tokenizer train --text empty.txt --out tok", 3, "empty"),
    ("tokenizer train --text s.txt --vocab-size 5 --out tok", 2, "vocabulary of 5"),
    ("tokenizer train --text s.txt --vocab-size 5 --kind wordpiece --out tok", 2, "room for the 5"),
    ("tokenizer train --text empty.txt --kind wordpiece --out tok", 3, "no text to train"),
    ("tokenizer train --text s.txt --kind unigram --out tok", 2, "one of 'bpe', 'wordpiece'"),
    ("tokenizer train --text s.txt --vocab-size 5 --kind byte-bpe --out tok", 2, "the 256 bytes"),
    ("tokenizer train --text s.txt --kind byte-bpe --lowercase --out tok", 2, "lower case"),
    ("tokenizer train --text empty.txt --kind byte-bpe --out tok", 3, "there is no text in it"),
    ("tokenizer show nomodel hello", 3, "nomodel holds no tokenizer"),
    ("convert model out.gguf --to gguf", 3, "decoder-only"),
    ("convert model out.gguf --to gguf --type q4_0", 2, "one of 'f32', 'f16', 'q8_0'"),
    ("convert model nomodel --to gguf", 2, "nomodel/model.gguf"),
    ("convert model s.txt --to gguf", 2, "s.txt is there and is no GGUF file"),
    ("convert model out --to huggingface --type f16", 2, "--type f16 is for --to gguf"),
    ("convert model out --to onnx", 2, "one of 'huggingface', 'gguf'"),
    ("convert model model --to huggingface", 2, "model is the model itself"),
    (f"{TRAIN} --source no.txt --target t.txt", 3, "there is no file no.txt"),
    (f"{TRAIN} --source empty.txt --target empty.txt", 3, "empty.txt is empty"),
    (f"{TRAIN} --source s.txt --target short.txt", 3, "s.txt has 18 lines but short.txt has 1"),
    (f"{TRAIN} --source one.tsv", 3, "no training pair is left of 3 in one.tsv"),
    (f"{OK} --config bad.toml", 2, "bad.toml:2: optimizer.learning_rat"),
    (f"{OK} --config good.toml --learning-rate 3", 2, "error: --learning-rate: learning_rate is"),
    (f"{OK} --config no.toml", 2, "cannot read no.toml"),
    (f"{OK} --learning-rat 0.1", 2, "did you mean --learning-rate?"),
    (f"{OK} --learning-rate 3", 2, "--learning-rate: learning_rate is 3"),
    (f"{OK} --select blue", 2, "select is 'blue'"),
    (f"{OK} --preset tinny", 2, "preset is 'tinny'"),
    (f"{OK} --from nomodel", 3, "nomodel"),
    (f"{OK} --source pairs.tsv", 2, "2 source files and 1 target files"),
    ("plan gpt2", 2, "needs --tokens"),
    ("plan gpt3 --tokens 1e9", 2, "preset is 'gpt3'; there are"),
    ("plan nano --tokens 1e9", 2, "say translation-nano or bert-nano or gpt-nano"),
    ("plan gpt2 --tokens 0", 2, "--tokens is 0.0; it must be at least 1"),
    ("plan gpt2 --tokens many", 2, "--tokens is 'many'; it should be a number"),
    ("plan gpt2 --tokens 1e9 --gpus -1", 2, "--gpus is -1; it must be at least 0"),
    ("plan gpt2 --tokens 1e9 --share 2", 2, "--share is 2.0; it must be at most 1"),
    ("plan gpt2 --tokens 1e9 --device cpu", 2, "--gpus is 1, but there is no GPU to measure here"),
    ("plan bert-base --tokens 1e9 --seq-len 1000", 2, "the model's limit of 512"),
    (f"{TRAIN} --source -", 2, "give a file, not '-'"),
    (f"{OK} --seed -1", 2, "--seed is -1; it must be at least 0"),
    *(
        (f"{verb} --seed -1", 2, "--seed is -1; it must be at least 0")
        for verb in (
            "demo --out out",
            "senses model bank --sentences s.txt",
            "evaluate senses model --data storybook",
            "evaluate translation model --data pairs.tsv --against s.txt",
            "finetune classification model --train s.txt --valid s.txt --out out",
        )
    ),
]


@pytest.mark.parametrize(("line", "status", "words"), BAD, ids=[row[0][:60] for row in BAD])
def test_bad_input_gets_one_sentence(
    line: str, status: int, words: str, folder: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert main(line.split()) == status
    out, err = capsys.readouterr()
    errors = [row for row in err.splitlines() if not row.startswith("note: ")]
    assert len(errors) == 1, err
    assert errors[0].startswith("error: ")
    assert words in errors[0]
    assert "Traceback" not in err
    assert out == ""
    assert not (folder / "run" / "checkpoints").exists()


def test_gpu_that_is_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["translate", str(folder / "model"), "--device", "cuda"]) == 5
    assert "give --device cpu" in capsys.readouterr().err


def test_lock_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    with FolderLock(folder / "locked"):
        assert main([*OK.replace("--out run", "--out locked").split()]) == 5
    assert f"process {os.getpid()}" in capsys.readouterr().err


def test_run_of_another_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    run = folder / "other"
    line = OK.replace("--out run", "--out other")
    assert main([*line.split(), "--vocab-size", "99999"]) == 3
    assert main([*line.split(), "--vocab-size", "99998"]) == 3  # nothing trained: nothing to lose
    assert "99998" in (run / "run.toml").read_text()
    (run / "checkpoints" / "step-000010").mkdir(parents=True)
    assert main([*line.split(), "--vocab-size", "300"]) == 2
    assert "data.vocab_size: 99998 there, 300 here" in capsys.readouterr().err


def test_run_folder_in_place_of_a_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text("")
    (tmp_path / "best").mkdir()
    assert main(["translate", str(tmp_path), "--input", str(folder / "s.txt")]) == 3
    assert f"its best model is {tmp_path / 'best'}" in capsys.readouterr().err


# -- statuses that no mistake of the user's gives ---------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 5, "not enough memory"),
        (RuntimeError("CUDA out of memory."), 5, "--batch-tokens"),
        (OSError(28, "No space left on device"), 5, "No space left"),
        (RuntimeError("[pair.cc:553] Connection closed by peer [::1]:4"), 5, "another process"),
        (RuntimeError("failed to recv: Connection reset by peer"), 5, "another process"),
        (RuntimeError("sendBytes failed: Broken pipe"), 5, "another process"),
        (RuntimeError("NCCL error: remote process exited or"), 5, "(NCCL error: remote process"),
        (RuntimeError("Did the remote server shutdown?"), 5, "another process"),
        (ZeroDivisionError("division by zero"), 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_what_goes_wrong_elsewhere(
    error: BaseException, status: int, words: str, folder: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("triptych.recipes.load.load", fail)
    assert main(["translate", "model"]) == status
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert main(["translate", "model", "--traceback"]) == status
    assert "Traceback" in capsys.readouterr().err


def test_sigterm_outside_of_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "triptych.recipes.load.load", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
    )
    before = signal.getsignal(signal.SIGTERM)
    assert main(["translate", "model"]) == 75
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("stopped_by", "status"),
    [("max_updates", 0), ("patience", 0), ("SIGTERM", 75), ("SIGINT", 130)],
)
def test_how_training_ended(
    stopped_by: str, status: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    outcome = Outcome(updates=700, best=41.5, best_update=500, stopped_by=stopped_by)
    monkeypatch.setattr(
        "triptych.recipes.train_translation.train_translation", lambda *_, **__: outcome
    )
    assert main(OK.split()) == status
    text = capsys.readouterr().out
    assert "run/best (bleu 41.500 on the validation set, at update 500)" in text
    assert "triptych translate run/best --input FILE" in text
    assert ("the same command goes on" in text) == bool(status)
    assert main([*OK.split(), "--json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["stopped_by"]) == ("run/best", stopped_by)
    assert found["select"] in METRICS


# -- output -------------------------------------------------------------------------------------


def test_line_forms(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "two.txt").write_text("the big man sleeps .\n\n")
    base = ["translate", "model", "--input", "two.txt", "--max-new-tokens", "4", "--quiet"]

    def lines(*words: str) -> list[str]:
        assert main([*base, *words]) == 0
        return capsys.readouterr().out.splitlines()

    assert len(lines()) == 2
    assert lines()[1] == ""
    assert [line.count(" ||| ") for line in lines("--alignments")] == [1, 1]
    n_best = lines("--n-best", "3")
    assert {line.split(" ||| ")[0] for line in n_best} == {"0", "1"}
    scores = [float(line.split(" ||| ")[2]) for line in n_best[:-1]]
    assert scores == sorted(scores, reverse=True)
    rows = [json.loads(line) for line in lines("--json", "--alignments", "--n-best", "2")]
    assert rows[0]["text"] == lines()[0]
    assert isinstance(rows[0]["alignment"], str)
    assert len(rows[0]["n_best"]) == 2


def test_evaluate_on_storybook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With random weights: no sense is right but by chance, and the keys are all there."""
    monkeypatch.chdir(tmp_path)
    tokenizer = JointBpe.train([sentence.english for sentence in storybook_sentences(3)], 400)
    config = EncoderDecoderConfig(
        vocab_size=400, d_model=8, d_ff=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=2,
        pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, start_id=tokenizer.pad_id,
    )  # fmt: skip
    checkpoint.save_folder("model", EncoderDecoder(config), tokenizer)
    line = "evaluate translation model --data storybook --seed 9 --max-new-tokens 4 --beam-size 1"
    assert main([*line.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 500
    assert found["senses"]["n"] > 100
    assert found["senses"]["accuracy"] < 0.2
    assert 0 < found["alignment_error_rate"] <= 1
    assert main(line.split()) == 0
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()] == [
        "BLEU", "chrF", "senses", "AER",
    ]  # fmt: skip


def test_evaluate_json_keys_are_documented(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    line = "evaluate translation model --data pairs.tsv --max-new-tokens 4 --beam-size 1 --quiet"
    assert main([*line.split(), "--json", "--against", "t.txt", "--output", "o.txt"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == len(PAIRS) == len((folder / "o.txt").read_text().splitlines())
    assert found["against"]["bleu"]["baseline"] == pytest.approx(100)
    page = (ROOT / "docs" / "evaluate.md").read_text()
    for key in [*found, *found["against"], *found["against"]["bleu"]]:
        assert f"`{key}`" in page, key


def test_score_gives_a_line_a_pair(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    line = "score model --source s.txt --target t.txt --quiet"
    assert main(line.split()) == 0
    plain = [float(row) for row in capsys.readouterr().out.splitlines()]
    assert len(plain) == len(PAIRS)
    assert all(value < 0 for value in plain)
    assert main([*line.split(), "--json"]) == 0
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [row["log_prob"] for row in rows] == plain
    assert sum(rows[0]["token_log_probs"]) == pytest.approx(plain[0])


def test_tokenizer_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", "show", str(folder / "model"), "the big man", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert "".join(row["characters"] for row in rows).replace(" ", "") == "thebigman"


def test_tokenizer_train_wordpiece(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, out = str(folder / "s.txt"), str(folder / "wordpiece")
    line = ["tokenizer", "train", "--text", text, "--kind", "wordpiece", "--vocab-size", "60"]
    assert main([*line, "--out", out]) == 0
    assert "60 entries" in capsys.readouterr().out
    assert main(["tokenizer", "show", out, "the big [MASK]", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [rows[i]["token"] for i in (0, -2, -1)] == ["[CLS]", "[MASK]", "[SEP]"]


@pytest.mark.parametrize("kind", ["byte-bpe", "characters"])
def test_tokenizer_train_for_generators(
    folder: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = str(folder / "s.txt"), str(folder / kind)
    line = ["tokenizer", "train", "--text", text, "--kind", kind, "--vocab-size", "260"]
    assert main([*line, "--out", out]) == 0
    assert f"{260 if kind == 'byte-bpe' else ''} entries" in capsys.readouterr().out
    assert main(["tokenizer", "show", out, "the big", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert "".join(row["characters"] for row in rows) == "the big"
    assert main(["tokenizer", "show", out, ""]) == 0
    assert main(["tokenizer", "show", out, "\n"]) == 0
    assert capsys.readouterr().out.endswith("  \\n\n")


def test_closed_pipe_is_quiet(folder: Path) -> None:
    command = f"{sys.executable} -m triptych.cli.main tokenizer show {folder / 'model'}"
    text = "x" * 40_000
    done = subprocess.run(
        ["bash", "-c", f"{command} {text} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] == "0"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", ["--version", "--help"])
def test_a_full_disk_is_told(words: str) -> None:
    """Also of what was still to be written at the end, and where nobody reads at all."""
    command = f"{sys.executable} -m triptych.cli.main {words}"
    for end, status in ((">/dev/full", 5), (">&-", 0)):
        done = subprocess.run(
            ["bash", "-c", f"{command} {end}"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == status
        assert ("No space left" in done.stderr) == (status == 5)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_no_color(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    main(["nonsense"])
    assert capsys.readouterr().err.startswith("\x1b[")
    monkeypatch.setenv("NO_COLOR", "1")
    main(["nonsense"])
    assert capsys.readouterr().err.startswith("error: ")


# -- going on with text -------------------------------------------------------------------------


@pytest.fixture
def generator(
    byte_gpt: Any, byte_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator:
    """What `triptych.load` gives, whatever it is asked for; the working folder is empty."""
    options = GenerateOptions(max_new_tokens=9, logit_bias=dict.fromkeys(range(97, 107), 12.0))
    made = Generator(byte_gpt, byte_tokenizer, options)
    monkeypatch.setattr("triptych.recipes.load.load", lambda *_, **__: made)
    monkeypatch.chdir(tmp_path)
    return made


def test_generate_goes_on_with_a_prompt(
    generator: Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    (expected,) = generator.generate(["once"])
    line = ["generate", "model", "--prompt", "once"]
    assert main(line) == 0
    assert capsys.readouterr().out == expected.text + "\n"
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["text"], found["stopped_by"]) == (expected.text, expected.stopped_by)
    assert found["logprobs"] == list(expected.logprobs)
    assert len(found["tokens"]) == len(found["token_ids"]) == len(expected.token_ids)
    assert main([*line, "--best-of", "3", "--seed", "5", "--max-new-tokens", "4"]) == 0
    options = replace(generator.options, best_of=3, max_new_tokens=4, seed=5)
    (best,) = generator.generate(["once"], options=options)
    assert capsys.readouterr().out == best.text + "\n"
    letter = expected.text[3]
    assert main([*line, "--stop", letter, "zzz"]) == 0
    assert capsys.readouterr().out == expected.text.partition(letter)[0] + "\n"


def test_generate_shows_a_text_while_it_is_drawn(
    generator: Generator, byte_gpt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int]] = []

    class Terminal:
        def write(self, text: str) -> None:
            shown.append((text, len(byte_gpt.caches[-1].steps)))

        def flush(self) -> None: ...

    (expected,) = generator.generate(["once"])
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["generate", "model", "--prompt", "once"]) == 0
    letters = [(text, step) for text, step in shown if text not in ("", "\n")]
    assert letters == [(letter, n + 1) for n, letter in enumerate(expected.text)]


def test_generate_gives_a_line_a_line(
    generator: Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.txt").write_text("once\n\nupon a time\nonce\n")
    expected = generator.generate(["once", "upon a time", "once"])
    line = ["generate", "model", "--input", "p.txt", "--quiet"]
    assert main(line) == 0
    first, second, third = (completion.text for completion in expected)
    assert capsys.readouterr().out.splitlines() == [first, "", second, third]
    assert main([*line, "--json"]) == 0
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [row["stopped_by"] for row in rows][1] == "empty"
    assert [row["text"] for row in rows] == [first, "", second, third]


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("", 2, "needs either --prompt TEXT or --input FILE"),
        ("--prompt a --input f", 2, "needs either --prompt TEXT or --input FILE"),
        ("--prompt a --top-p 0", 2, "top_p is 0.0; it must be above 0"),
        ("--prompt a --top-p 2", 2, "top_p is 2.0; it must be above 0 and at most 1"),
        ("--prompt a --temperature -1", 2, "temperature is -1.0; it must be 0"),
        ("--prompt a --temperature warm", 2, "--temperature is 'warm'; it should be a number"),
        ("--prompt a --stop=", 2, "stop has an empty string"),
        ("--prompt a --max-new-tokens 0", 2, "max_new_tokens is 0"),
        ("--prompt a --on-too-long cut", 2, "one of 'refuse', 'window'"),
        ("--prompt a --precision int4", 2, "one of 'fp32', 'bf16', 'int8'"),
        ("--prompt=", 3, "the prompt is empty"),
        (f"--prompt {'x' * 41}", 3, "the prompt has 41 tokens, more than this model's context"),
        ("--input long.txt", 3, "long.txt:2 has 41 tokens"),
        ("--input no.txt", 3, "there is no file no.txt"),
    ],
)
def test_generate_with_bad_input(
    line: str, status: int, words: str, generator: Generator, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "long.txt").write_text("a\n" + "x" * 41 + "\n")
    assert main(["generate", "model", *line.split()]) == status
    out, err = capsys.readouterr()
    assert out == ""
    (error,) = err.splitlines()
    assert error.startswith("error: ")
    assert words in error


def test_models_of_another_family_are_told_apart(
    folder: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(["translate", "model", "--input", str(folder / "s.txt")]) == 3
    assert "model is a decoder-only model; this needs a translation" in capsys.readouterr().err
    assert main(["fill", "model", "a [MASK]"]) == 3
    assert "model is a decoder-only model; this needs an encoder" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["generate", str(folder / "model"), "--prompt", "a"]) == 3
    assert "is a translation model; this needs a decoder-only" in capsys.readouterr().err
