"""Words with gold senses: CoarseWSD-20's layout and storybook."""

import json
from pathlib import Path

import pytest

from triptych.data.sense_sets import MOST_OF_A_SENSE, read_sense_sets
from triptych.errors import DataError, UsageError

SENSES = {"0": "money", "1": "river"}


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "classes_map": json.dumps(SENSES),
        "train.data": "1\tthe bank lends\n0\tbank of mud\n",
        "train.gold": "0\n1\n",
        "test.data": "2\ton  the bank .\n",
        "test.gold": "1\n",
    } | {
        name.replace("_", ".").replace("classes.map", "classes_map"): t for name, t in files.items()
    }
    for name, text in content.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_a_word_and_a_folder_of_words(tmp_path: Path) -> None:
    write(tmp_path / "bank"), write(tmp_path / "bass")
    (both, again) = read_sense_sets(str(tmp_path)), read_sense_sets(str(tmp_path / "bank"))
    assert [one.word for one in both] == ["bank", "bass"]
    (bank,) = again
    assert [(o.text[o.start : o.end], o.sense) for o in (*bank.train, *bank.test)] == [
        ("bank", "money"),
        ("bank", "river"),
        ("bank", "river"),
    ]
    assert bank.test[0].place.endswith("test.data.txt:1")
    assert [one.word for one in read_sense_sets(str(tmp_path), ["bass"])] == ["bass"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"train_data": "9\tthe bank\n0\tbank\n"}, r"train\.data\.txt:1: '9\\tthe bank' is not"),
        ({"train_data": "the bank\n0\tbank\n"}, r"train\.data\.txt:1"),
        ({"train_data": "1\tthe bank\n"}, r"train\.gold\.txt:2 has no partner"),
        ({"test_gold": "1\n0\n"}, r"test\.gold\.txt:2 has no partner"),
        ({"test_gold": "7\n"}, r"test\.gold\.txt:1: '7' is no sense; there are 0, 1"),
        ({"test_data": "", "test_gold": ""}, r"test\.data\.txt has no lines"),
        ({"classes_map": "[1]"}, "no JSON object of senses"),
    ],
)
def test_damage_is_named(tmp_path: Path, files: dict[str, str], words: str) -> None:
    write(tmp_path / "bank", **files)
    with pytest.raises(DataError, match=words):
        read_sense_sets(str(tmp_path))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no word"):
        read_sense_sets(str(tmp_path))
    with pytest.raises(DataError, match="there is no folder"):
        read_sense_sets(str(tmp_path / "no"))
    write(tmp_path / "bank")
    with pytest.raises(UsageError, match="no word 'frog'; it has bank"):
        read_sense_sets(str(tmp_path), ["frog"])


def test_the_ten_words_of_the_real_data(data_dir: Path) -> None:
    sets = {one.word: one for one in read_sense_sets(str(data_dir / "coarsewsd20"))}
    assert len(sets) == 10
    assert (len(sets["bank"].train), len(sets["bank"].test)) == (1107, 455)
    for one in sets.values():
        for use in (*one.train, *one.test):
            # As the set marks them: the word, its plural, or a compound joined by a hyphen.
            assert one.word in use.text[use.start : use.end]


def test_storybooks_words() -> None:
    sets = {one.word: one for one in read_sense_sets("storybook", seed=3)}
    assert {"bank", "crane", "seal", "spring"} <= set(sets)
    for one in sets.values():
        train = {use.text for use in one.train}
        senses = [use.sense for use in one.train]
        assert len(set(senses)) > 1
        assert max(map(senses.count, senses)) <= MOST_OF_A_SENSE
        for use in one.test:
            assert use.text not in train
            assert use.text[use.start : use.end].lower().startswith(one.word[:3])
