"""What a sentence-transformers folder says of its vectors, in the old and the new spelling."""

import json
from pathlib import Path

import pytest

from triptych.convert.sentence_transformers import Pooling, read_pooling, write_pooling
from triptych.errors import ConfigError, ModelFileError


@pytest.mark.parametrize("mode", ["cls", "mean", "max"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("longest", [128, None])
def test_what_is_written_is_read(
    mode: str, normalize: bool, longest: int | None, tmp_path: Path
) -> None:
    pooling = Pooling(mode=mode, normalize=normalize, max_seq_len=longest)
    write_pooling(tmp_path, pooling, 384)
    assert read_pooling(tmp_path) == pooling


def test_any_other_folder_says_nothing(tmp_path: Path) -> None:
    assert read_pooling(tmp_path) is None


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="pooling is 'sum'; there are cls, mean, max"):
        Pooling(mode="sum")


def folder_with(tmp_path: Path, kinds: list[str], pooling: object) -> Path:
    modules = [
        {"idx": i, "path": "" if kind == "Transformer" else f"{i}_{kind}", "type": f"st.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return tmp_path


def test_the_new_spelling_and_the_tokenizer_s_length(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["Transformer", "Pooling"], {"pooling_mode": "cls"})
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 99}))
    assert read_pooling(folder) == Pooling(mode="cls", max_seq_len=99)
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1e30}))
    assert read_pooling(folder) == Pooling(mode="cls")


@pytest.mark.parametrize(
    ("kinds", "pooling", "expected"),
    [
        (["Transformer", "Pooling", "Dense"], {"pooling_mode": "cls"}, "its modules are Tr"),
        (["Transformer", "Pooling"], {"pooling_mode": "lasttoken"}, "pooling is 'lasttoken'"),
        (["Transformer", "Pooling"], {"pooling_mode_cls_token": True,
          "pooling_mode_mean_tokens": True}, "exactly one mode"),
        (["Transformer", "Pooling"], {}, "exactly one mode"),
        (["Transformer", "Pooling"], [], "holds no JSON object"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named(
    kinds: list[str], pooling: object, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFileError, match=expected):
        read_pooling(folder_with(tmp_path, kinds, pooling))


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["Transformer", "Pooling"], {"pooling_mode": "cls"})
    (folder / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModelFileError, match=r"config.json is missing, which modules.json names"):
        read_pooling(folder)
    (folder / "modules.json").write_text("[{")
    with pytest.raises(ModelFileError, match=r"modules.json is not JSON"):
        read_pooling(folder)
