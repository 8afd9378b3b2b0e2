"""What a run folder holds of its text, made once: whatever stops a start, and by how many."""

import json
from pathlib import Path
from typing import Any

import pytest

from triptych.cli.main import main
from triptych.data import tokenizing
from triptych.data.token_shards import TokenShards
from triptych.errors import DataError
from triptych.recipes.bert_data import BertCorpus
from triptych.recipes.bert_run import BertData
from triptych.recipes.elmo_data import ElmoCorpus
from triptych.recipes.elmo_run import ElmoData
from triptych.recipes.gpt_data import GptCorpus
from triptych.recipes.gpt_run import GptData

ARRAYS = ("tokens.bin", "documents.bin", "manifest.json")


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Any]:
    """Documents of two lines, to learn from and for validation."""
    for name, n in (("train", 40), ("valid", 7)):
        documents = [f"the {i} birds sing .\nthey sing {i} times ." for i in range(n)]
        (tmp_path / f"{name}.txt").write_text("\n\n".join(documents) + "\n")
    files = {"text": (str(tmp_path / "train.txt"),), "valid_text": (str(tmp_path / "valid.txt"),)}
    return {**files, "vocab_size": 300}


@pytest.mark.parametrize("family", ["gpt", "bert", "elmo"])
def test_a_stop_between_two_texts_loses_no_report(
    family: str, texts: dict[str, Any], tmp_path: Path
) -> None:
    def corpus() -> Any:
        if family == "gpt":
            return GptCorpus(GptData(**texts), tmp_path / "run")
        if family == "bert":
            return BertCorpus(BertData(**texts, language="lines"), tmp_path / "run")
        return ElmoCorpus(ElmoData(**texts), tmp_path / "run")

    stopped = corpus()
    build = stopped._build

    def stopped_build(inputs: Any, name: str, tokenizer: Any) -> Any:
        if name == "valid":
            raise KeyboardInterrupt
        return build(inputs, name, tokenizer)

    stopped._build = stopped_build
    with pytest.raises(KeyboardInterrupt):
        stopped.prepare(None)
    corpus().prepare(None)
    found = json.loads((tmp_path / "run" / "corpus.json").read_text())
    assert list(found) == ["text", "valid_text"]
    assert found["text"]["n_documents"] > found["valid_text"]["n_documents"] > 0
    corpus().prepare(None)  # nothing is read again, and nothing forgotten
    assert json.loads((tmp_path / "run" / "corpus.json").read_text()) == found


def test_several_processes_make_the_same_corpus(
    texts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizing, "CHUNK_PARTS", 4)
    started: list[int] = []
    pool = tokenizing.ProcessPoolExecutor

    def counted(n_processes: int, *rest: Any) -> Any:
        started.append(n_processes)
        return pool(n_processes, *rest)

    monkeypatch.setattr(tokenizing, "ProcessPoolExecutor", counted)
    for n in (1, 2):
        GptCorpus(GptData(**texts), tmp_path / str(n), n_processes=n).prepare(None)
    assert started == [2, 2]  # for each text
    made = [f"{name}/{array}" for name in ("data", "valid") for array in ARRAYS]
    for name in [*made, "corpus.json"]:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_the_command_says_how_many_processes(
    texts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def build(*_: object, n_processes: int = 1, **__: object) -> None:
        asked.append(n_processes)
        raise DataError("that was to be known")

    monkeypatch.setattr(TokenShards, "build", build)
    words = ["train", "gpt", "--text", *texts["text"], "--valid-text", *texts["valid_text"]]
    words += ["--vocab-size", "300", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*words, "--processes", "3"]) == main(words) == 3
    assert asked == [3, 1]
    assert main([*words, "--processes", "0"]) == 2
    assert "processes" not in (tmp_path / "run" / "run.toml").read_text()  # any number goes on
