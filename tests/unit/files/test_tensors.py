"""Tensors on disk: back bit for bit, and damage by name."""

import json
import os
import stat

import pytest
import torch

from triptych.errors import ModelFileError
from triptych.files.tensors import load_tensors, not_finite, save_tensors, total_bytes


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "a": torch.randn(3, 4, generator=generator),
        "transposed": torch.randn(3, 4, generator=generator).T,
        "count": torch.tensor(7),
        "flags": torch.tensor([True, False]),
        "state": torch.get_rng_state(),
        "empty": torch.empty(0, 3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "weight": torch.nn.Parameter(torch.ones(2)),
    }


def test_tensors_come_back_bit_for_bit(tmp_path, tensors):
    before = os.umask(0o027)
    try:
        save_tensors(tmp_path / "t.safetensors", tensors)
    finally:
        os.umask(before)
    loaded = load_tensors(tmp_path / "t.safetensors")
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert not loaded["weight"].requires_grad
    assert total_bytes({"a": tensors["a"], "half": tensors["half"]}) == 52


def test_loaded_tensors_outlive_their_file(tmp_path, tensors):
    path = tmp_path / "t.safetensors"
    save_tensors(path, tensors)
    loaded = load_tensors(path)
    os.truncate(path, 0)
    assert torch.equal(loaded["a"], tensors["a"])


def test_permissions_follow_the_folder(tmp_path, tensors):
    (tmp_path / "shared").mkdir(mode=0o755)
    save_tensors(tmp_path / "shared" / "t.safetensors", tensors)
    mode = (tmp_path / "shared" / "t.safetensors").stat().st_mode
    assert stat.S_IMODE(mode) == (tmp_path / "shared").stat().st_mode & 0o666


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"abc", "cut short or not a safetensors file: no header fits, the file has 3"),
        ((10**12).to_bytes(8, "little") + b"{}", "claims 1000000000000 bytes, the file has 10"),
        ((2).to_bytes(8, "little") + b"[]", "header is not a table of tensors"),
        ((2).to_bytes(8, "little") + b"{!", "header is not a table of tensors"),
        ((7).to_bytes(8, "little") + b'{"a":1}', "header is not a table of tensors"),
        ((2).to_bytes(8, "little") + b"{}abc", "3 bytes after its last tensor"),
    ],
)
def test_what_is_no_safetensors_file_is_named(tmp_path, content, expected):
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=expected) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)


def test_a_header_that_lies_about_its_tensors_is_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [100], "data_offsets": [0, 8]}
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "t.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(ModelFileError, match="damaged"):
        load_tensors(path)


def test_a_file_cut_anywhere_is_refused(tmp_path, tensors):
    path = tmp_path / "t.safetensors"
    save_tensors(path, {"a": tensors["a"]})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load_tensors(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"absent.safetensors is missing"):
        load_tensors(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_values_that_are_not_finite_are_counted(dtype):
    largest = torch.finfo(dtype).max
    assert not_finite(torch.full((5, 7), largest, dtype=dtype)) == 0  # whose sum is infinite
    x = torch.zeros(5, 7, dtype=dtype)
    assert not_finite(x) == 0
    x[1, 2], x[3, 4], x[4, 4] = float("nan"), float("inf"), -float("inf")
    assert not_finite(x) == 3
    assert not_finite(x.mT) == 3
