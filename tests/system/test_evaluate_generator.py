"""The commands that evaluate a generator: what they print, and their answers to bad input."""

import json
from pathlib import Path

import pytest
import torch

from triptych import checkpoint
from triptych.cli.main import main
from triptych.files import notices
from triptych.models.gpt import Gpt, GptConfig
from triptych.recipes.load import load_generator
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters

TEXT = " = Heading = \n \n The cat 's tail , which is long , fell .\n \n And <unk> more .\n"
PASSAGES = ["“Come here,” she said to the cat", "He went on and on to the\n\nend"]
PAIRS = "a\tb\tThe cats sleep.\tThe cats sleeps.\na\tc\tIt is.\tIt are.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, of bytes and of characters, and some data."""
    folder = tmp_path_factory.mktemp("evaluate")
    everything = [TEXT, *PASSAGES, PAIRS, '"']
    for name, tokenizer in (
        ("model", ByteBpe.train(everything, 280)),
        ("characters", Characters.train(everything)),
    ):
        torch.manual_seed(0)
        config = GptConfig(
            vocab_size=tokenizer.vocab_size, d_model=16, d_ff=16, n_heads=2, n_layers=1,
            max_seq_len=48, eos_id=tokenizer.eos_id,
        )  # fmt: skip
        checkpoint.save_folder(folder / name, Gpt(config), tokenizer)
    (folder / "wikitext-2").mkdir()
    (folder / "wikitext-2" / "valid.txt").write_text(TEXT)
    rows = "".join(json.dumps({"text": text}) + "\n" for text in PASSAGES)
    (folder / "lambada_test.jsonl").write_text(rows)
    (folder / "blimp.tsv").write_text(PAIRS)
    (folder / "lines.txt").write_text("The cat\n\nfell .\n")
    (folder / "empty").write_text("")
    (folder / "long.tsv").write_text(PAIRS + "a\tc\tIt is.\t" + "It are." * 20 + "\n")
    (folder / "three.tsv").write_text("a\tb\tc\n")
    (folder / "blank.tsv").write_text(PAIRS + "a\tb\tIt is.\t \n")
    (folder / "one.jsonl").write_text('{"text": "two words"}\n{"text": "word"}\n')
    (folder / "field.jsonl").write_text('{"txt": "two words"}\n')
    (folder / "greek.txt").write_text("alpha\nα\n")
    return folder


def run(words: str, folder: Path, monkeypatch, capsys) -> str:
    monkeypatch.chdir(folder)
    assert main([*words.split(), *["--device", "cpu"]]) == 0
    return capsys.readouterr().out


KEYS = {
    "perplexity model --data wikitext-2/valid.txt": (
        "perplexity n word_perplexity n_words bits_per_byte n_bytes loss n_documents n_left_out "
        "signature seconds"
    ),
    "lambada model --data lambada_test.jsonl": (
        "accuracy accuracy_stop_words accuracy_last_token perplexity n signature seconds"
    ),
    "blimp model --data blimp.tsv": (
        "accuracy n n_ties by_field by_phenomenon signature seconds"
    ),
    "zero-shot model --data .": "n_parameters published_size source columns",
}  # fmt: skip


@pytest.mark.parametrize("words", [words for words in KEYS if "zero-shot" not in words])
def test_smaller_weights_have_a_score_of_their_own(words, folder, monkeypatch, capsys):
    """Near that of float32, and the signature says whose it is."""
    found = {
        precision: json.loads(
            run(
                f"evaluate {words} --json --quiet --precision {precision}",
                folder,
                monkeypatch,
                capsys,
            )
        )
        for precision in ("fp32", "bf16", "int8")
    }
    for precision, scores in found.items():
        assert f"|precision:{precision}|" in scores["signature"]
        if "perplexity" in scores:
            assert scores["perplexity"] == pytest.approx(found["fp32"]["perplexity"], rel=0.02)
    if "perplexity" in found["fp32"]:
        assert len({scores["perplexity"] for scores in found.values()}) == 3


@pytest.mark.parametrize("words", KEYS)
@pytest.mark.parametrize("model", ["model", "characters"])
def test_json_has_these_keys_and_people_get_lines(words, model, folder, monkeypatch, capsys):
    words = f"evaluate {words} --quiet".replace(" model ", f" {model} ")
    if "lambada" in words or "zero-shot" in words:
        words += " --on-too-long window"
    found = json.loads(run(f"{words} --json", folder, monkeypatch, capsys))
    (keys,) = [v.split() for k, v in KEYS.items() if k.split()[0] in words]
    assert list(found) == keys
    page = Path(__file__).parents[2] / "docs" / "evaluate.md"
    assert all(f"`{key}`" in page.read_text() for key in keys)
    text = run(words, folder, monkeypatch, capsys)
    signature = found["signature"] if "signature" in found else found["columns"][0]["signature"]
    assert signature in text
    assert len(text.splitlines()) > 4


def test_words_of_the_original(folder, monkeypatch, capsys):
    words = "evaluate perplexity model --data wikitext-2/valid.txt --json --quiet --detokenizer "
    raw = json.loads(run(words + "none --documents file", folder, monkeypatch, capsys))
    clean = json.loads(run(words + "wikitext", folder, monkeypatch, capsys))
    assert raw["n_words"] == len(TEXT.split())
    assert clean["n_words"] == len(TEXT.split()) + TEXT.count("\n")
    assert raw["n_bytes"] == clean["n_bytes"] == len(TEXT)
    assert clean["n"] < raw["n"]
    assert "|documents:file|" in clean["signature"]
    assert "|detokenizer:wikitext|words:whitespace+line-ends|" in clean["signature"]


def test_zero_shot_is_the_same_as_one_by_one(folder, monkeypatch, capsys):
    words = "--json --quiet --on-too-long window"
    found = json.loads(
        run(f"evaluate zero-shot model --data . {words}", folder, monkeypatch, capsys)
    )
    rows = {(row["column"], row["metric"]): row for row in found["columns"]}
    lambada = json.loads(
        run(
            f"evaluate lambada model --data lambada_test.jsonl --detokenizer lambada {words}",
            folder, monkeypatch, capsys,
        )
    )  # fmt: skip
    row = rows["LAMBADA", "perplexity"]
    assert (row["published"], row["measured"], row["n"]) == (35.13, lambada["perplexity"], 2)
    assert row["signature"] == lambada["signature"]
    row = rows["LAMBADA", "accuracy"]
    assert row["measured"] == 100 * lambada["accuracy_stop_words"]
    words = "evaluate perplexity model --data wikitext-2/valid.txt --detokenizer wikitext --json"
    wiki = json.loads(run(f"{words} --quiet", folder, monkeypatch, capsys))
    row = rows["WikiText-2", "word_perplexity"]
    assert (row["published"], row["measured"]) == (29.41, wiki["word_perplexity"])
    assert (row["n"], row["file"]) == (wiki["n_words"], "wikitext-2/valid.txt")
    assert (found["published_size"], found["source"]) == ("117M", "Radford et al. 2019, Table 3")
    missing = rows["PTB", "word_perplexity"]
    assert (missing["published"], missing["measured"], missing["file"]) == (65.85, None, None)


@pytest.mark.parametrize("model", ["model", "characters"])
def test_score_of_lines(model, folder, monkeypatch, capsys):
    expected = load_generator(folder / model).score(["The cat", "", "fell ."])
    text = run(f"score {model} --input lines.txt --quiet", folder, monkeypatch, capsys)
    assert [float(line) for line in text.splitlines()] == [each.logprob for each in expected]
    text = run(f"score {model} --input lines.txt --quiet --json", folder, monkeypatch, capsys)
    for line, each in zip(text.splitlines(), expected, strict=True):
        found = json.loads(line)
        assert found["score"] == found["log_prob"] == each.logprob
        assert found["tokens"] == list(each.tokens)
        assert found["token_log_probs"] == list(each.logprobs)


def test_long_lines_in_windows_is_said_once(folder, monkeypatch, capsys, tmp_path):
    (tmp_path / "long.txt").write_text(("The cat fell . " * 20 + "\n") * 3)
    monkeypatch.setattr(notices, "_said", set())
    monkeypatch.chdir(folder)
    words = f"score model --input {tmp_path / 'long.txt'} --on-too-long window"
    assert main(words.split()) == 0
    out, err = capsys.readouterr()
    assert len(set(out.split())) == 1
    assert err.count("note: ") == 1
    assert f"note: {tmp_path / 'long.txt'}:1 has " in err


BAD = [
    ("evaluate perplexity model --data empty", 3, "empty: there is no text in it"),
    ("evaluate perplexity model --data gone", 3, "there is no file gone"),
    ("evaluate perplexity model --data lines.txt --stride 49", 2, "stride is 49; choose it from 1"),
    ("evaluate perplexity model --data lines.txt --stride 0", 2, "stride"),
    (
        "evaluate perplexity characters --data greek.txt",
        3,
        "greek.txt: in the text 'alpha\\nα': the character 'α'",
    ),
    ("evaluate lambada model --data empty", 3, "empty is empty; give a JSON object"),
    ("evaluate lambada model --data blimp.tsv", 3, "blimp.tsv:1: the line is not JSON"),
    ("evaluate lambada model --data field.jsonl", 3, "field.jsonl:1: there is no field 'text'"),
    ("evaluate lambada model --data one.jsonl", 3, "one.jsonl:2: 'word' has no last word"),
    ("evaluate blimp model --data empty", 3, "empty is empty"),
    ("evaluate blimp model --data three.tsv", 3, "three.tsv:1: columns: 3; it should be 4: field"),
    ("evaluate blimp model --data blank.tsv", 3, "blank.tsv:3: the bad sentence is empty"),
    ("evaluate blimp model --data long.tsv", 3, "long.tsv:3 has "),
    ("evaluate zero-shot model --data lines.txt", 3, "lines.txt is no folder"),
    ("evaluate zero-shot model --data characters", 3, "characters holds none of the data"),
    ("score model --input empty --source x", 2, "needs either --source and --target"),
    ("score model --input greek.txt --length-penalty gnmt", 2, "goes with translations"),
    ("score characters --input greek.txt", 3, "greek.txt:2: the character 'α'"),
    ("score model --source lines.txt --target lines.txt", 3, "this needs a translation model"),
]


@pytest.mark.parametrize(("words", "status", "sentence"), BAD, ids=[row[0] for row in BAD])
def test_bad_input_gets_one_sentence(words, status, sentence, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main([*words.split(), "--quiet"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    (error,) = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert error.startswith("error: ")
    assert sentence in error
