"""The occurrences of a word in clusters and in a picture."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import triptych
from triptych import checkpoint
from triptych.cli.main import main
from triptych.data.occurrences import Occurrence
from triptych.errors import DataError, UsageError
from triptych.predecessors.characters import CharacterConfig
from triptych.predecessors.elmo import Elmo, ElmoConfig
from triptych.recipes.senses import OTHERS, word_senses
from triptych.tokenizers.words import Words


class Made:
    """Vectors by what stands before the word; at the lower layer all alike."""

    kind, layers = "made", ("0", "1")

    def vectors(self, occurrences: Sequence[Occurrence]) -> np.ndarray:
        directions = {"a": [4, 1, 0], "b": [0, 4, 1], "c": [1, 0, 4]}
        noise = np.random.default_rng(0).normal(size=(len(occurrences), 3)) * 0.2
        upper = np.array([directions[o.text[0]] for o in occurrences]) + noise
        return np.stack([np.ones_like(upper), upper]).astype(np.float32)


def uses(senses: str, *, known: bool = True) -> list[Occurrence]:
    return [
        Occurrence(f"{sense} bank", 2, 6, f"f:{i + 1}", f"sense {sense}" if known else None)
        for i, sense in enumerate(senses)
    ]


def test_clusters_are_the_senses() -> None:
    found = word_senses([Made()], "bank", uses("aabbbbccca"))
    assert found.views[0].agreement == 1
    assert found.labels[0] == "sense a"
    (view,) = found.to_json()["views"]
    assert [c["n"] for c in view["clusters"]] == [4, 3, 3]
    assert view["clusters"][0]["senses"] == {"sense b": 4}
    assert view["occurrences"][2]["place"] == "f:3"
    assert "agreement 1.000" in str(found)
    assert "a bank" in str(found)


def test_without_senses_clusters_are_what_is_drawn(tmp_path: Path) -> None:
    found = word_senses([Made(), Made()], "bank", uses("aabbbccc", known=False), n_clusters=3)
    assert set(found.labels) == {"cluster 1", "cluster 2", "cluster 3"}
    assert found.views[0].agreement is None
    assert found.to_json()["views"][0]["clusters"][0]["senses"] is None
    found.draw(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_more_senses_than_colors_are_drawn_as_others() -> None:
    found = word_senses([Made()], "bank", uses("aabbbccc"), n_clusters=2)
    many = [Occurrence(o.text, 2, 6, o.place, f"s{i // 2}") for i, o in
            enumerate([*found.occurrences, *found.occurrences])]  # fmt: skip
    labels = word_senses([Made()], "bank", many, n_clusters=2).labels
    assert len(set(labels)) == 4
    assert labels.count(OTHERS) == 10


def test_bad_input() -> None:
    with pytest.raises(DataError, match="'bank' occurs 2 times; give at least 3"):
        word_senses([Made()], "bank", uses("ab"))
    with pytest.raises(UsageError, match="there is no layer '7'; there are 0, 1"):
        word_senses([Made()], "bank", uses("abc"), layer="7")
    with pytest.raises(DataError, match=r"at layer 0 of the made model all 3 .* one vector"):
        word_senses([Made()], "bank", uses("abc"), layer="0")


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    characters = CharacterConfig(d_character=3, filters=((1, 4), (3, 5)), n_highway=1)
    model = Elmo(ElmoConfig(characters=characters, d_cell=9, d_projection=5))
    checkpoint.save_folder(tmp_path / "model", model, Words(()))
    lines = ["the bank\tm", "a bank lends\tm", "mud of the bank\tr", "old Bank of mud\tr"]
    (tmp_path / "s.tsv").write_text("\n".join(lines) + "\n")
    command = ["senses", "model", "bank", "--device", "cpu", "--sentences"]
    assert main([*command, "s.tsv", "--json"]) == 0
    (view,) = json.loads(capsys.readouterr().out)["views"]
    assert (view["kind"], view["layer"]) == ("elmo", "mean of all")
    assert (tmp_path / "bank.png").read_bytes()[:4] == b"\x89PNG"
    assert main([*command, "s.tsv", "--layer", "2", "--out", "x.png", "--vectors", "x.npz"]) == 0
    assert "picture: x.png" in capsys.readouterr().out
    with np.load("x.npz") as file:  # which takes no pickles
        assert file["layers"].tolist() == ["0", "1", "2", "mean of all"]
        model, uses = triptych.word_model("model"), triptych.read_occurrences("s.tsv", "bank")
        np.testing.assert_array_equal(file["vectors"], model.vectors(uses))
    assert main([*command, "s.tsv", "--out", "x.svg"]) == 2
    assert "the picture is a PNG; end its name in .png" in capsys.readouterr().err
    (tmp_path / "bad.txt").write_text("a bank\na frog\n")
    assert main([*command, "bad.txt"]) == 3
    assert "bad.txt:2 does not hold the word 'bank': 'a frog'" in capsys.readouterr().err
    assert main(["senses", "model", "frog", "--sentences", "s.tsv", "--layer", "0"]) == 3
    assert main([*command, "s.tsv", "--layer", "9"]) == 2
