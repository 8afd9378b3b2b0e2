"""Whatever happens to a model folder is refused by name, and nothing that was whole is lost."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from triptych.checkpoint import load_folder, save_folder
from triptych.errors import ModelFileError
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.tokenizers.bpe import JointBpe

WEIGHTS, GENERATION = "model.safetensors", "generation_config.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without fault."""
    tokenizer = JointBpe.train(["a cat sat", "eine Katze sass"] * 9, 280)
    torch.manual_seed(0)
    model = EncoderDecoder(
        EncoderDecoderConfig(
            vocab_size=280, d_model=8, d_ff=12, n_heads=2, n_encoder_layers=1, n_decoder_layers=1,
            max_seq_len=40, pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, start_id=279,
        )
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("whole") / "model"
    save_folder(folder, model, tokenizer)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to damage."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(whole, tmp_path / "model")
    return tmp_path / "model"


def refused(folder: Path, *, verify: bool = False) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_folder(folder, verify=verify)
    message = str(caught.value)
    assert "\n" not in message
    return message


def spread(size: int, n_points: int = 30) -> list[int]:
    return sorted({round(i * (size - 1) / (n_points - 1)) for i in range(n_points)})


def test_the_copy_without_fault_loads(folder: Path) -> None:
    load_folder(folder, verify=True)


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.json"])
def test_a_file_cut_short_anywhere_is_refused(folder: Path, name: str, manifest: bool) -> None:
    path = folder / name
    content = path.read_bytes()
    end = content.rstrip()  # JSON without its last newline is still whole
    if not manifest:
        (folder / "manifest.json").unlink()
    for length in spread(len(end)):
        path.write_bytes(content[:length])
        assert str(path) in refused(folder)


def test_a_manifest_cut_short_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    content = path.read_bytes().rstrip()
    for length in spread(len(content)):
        path.write_bytes(content[:length])
        assert str(path) in refused(folder)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    "name", [WEIGHTS, "config.json", "tokenizer.json", "generation_config.json"]
)
def test_one_flipped_bit_anywhere_is_refused(folder: Path, name: str, verify: bool) -> None:
    """Also by a reader that remembers the file as it was."""
    path = folder / name
    content = path.read_bytes()
    for number, position in enumerate(spread(len(content))):
        path.write_bytes(content)
        load_folder(folder)
        flipped = bytearray(content)
        flipped[position] ^= 1 << number % 8
        path.write_bytes(flipped)
        assert f"{path} is damaged: its SHA-256" in refused(folder, verify=verify)


def test_a_flipped_bit_of_the_manifest_never_passes_for_a_whole_folder(folder: Path) -> None:
    """It may still load if the bit changes nothing that is checked, as in the format's number."""
    path = folder / "manifest.json"
    content = path.read_bytes()
    n_refused = 0
    for position in spread(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        try:
            load_folder(folder, verify=True)
        except ModelFileError:
            n_refused += 1
    assert n_refused > 20


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda whole: b"", "is empty"),
        (lambda whole: whole + b"xyz", r"3 bytes"),
        (lambda whole: (10**12).to_bytes(8, "little") + whole[8:], "damaged|claims 1000000000000"),
        (lambda whole: b"\0" * len(whole), "damaged"),
    ],
    ids=["empty", "trailing bytes", "header of 10^12", "zeros"],
)
def test_other_damage_to_the_weights_is_named(
    folder: Path, content: Callable[[bytes], bytes], expected: str, manifest: bool
) -> None:
    path = folder / WEIGHTS
    path.write_bytes(content(path.read_bytes()))
    if not manifest:
        (folder / "manifest.json").unlink()
    with pytest.raises(ModelFileError, match=expected) as caught:
        load_folder(folder)
    assert str(path) in str(caught.value)


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    (folder / "manifest.json").unlink()


def test_a_missing_tensor_is_named(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.pop("model.encoder.layers.0.fc1.bias"))
    assert "has no tensor model.encoder.layers.0.fc1.bias" in refused(folder)


def test_a_weight_that_is_no_number_is_named(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors["model.shared.weight"][3].fill_(float("nan")))
    assert "model.shared.weight has 8 values that are not finite" in refused(folder)


def test_a_config_that_asks_for_another_size_is_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"encoder_ffn_dim": 13, "decoder_ffn_dim": 13}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "manifest.json").unlink()
    assert "should be (13, 8) by its config.json, but is (12, 8)" in refused(folder)


def test_a_tokenizer_that_does_not_fit_is_named(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    JointBpe.train(["a cat sat"] * 9, 270).save(folder)
    assert "the tokenizer does not fit the model: its vocab_size is 270" in refused(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert "holds no tokenizer" in refused(folder)


@pytest.mark.parametrize("manifest", [True, False])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, manifest: bool) -> None:
    shutil.move(folder / WEIGHTS, tmp_path / "elsewhere")
    (folder / WEIGHTS).symlink_to(tmp_path / "elsewhere")
    if not manifest:
        (folder / "manifest.json").unlink()
    assert "is a link to" in refused(folder)


class Harm:
    """Pickled, it makes a file where it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "training_args.bin", WEIGHTS])
def test_a_pickle_is_never_executed(folder: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "harmed"
    harm = pickle.dumps(Harm(mark))
    (folder / WEIGHTS).unlink()
    (folder / "manifest.json").unlink()
    (folder / name).write_bytes(harm)
    message = refused(folder)
    assert str(folder / name) in message
    assert name == WEIGHTS or "is a pickle, which can run code" in message
    assert not mark.exists()
    pickle.loads(harm)
    assert mark.exists(), "the harm itself does not work, so this test shows nothing"


SAVE_AGAIN = """
import resource, signal, sys
from triptych.checkpoint import load_folder, save_folder
from triptych.errors import DiskFullError
loaded = load_folder(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save_folder(sys.argv[1], loaded.model, loaded.tokenizer)
except DiskFullError as error:
    print(error)
    sys.exit(error.exit_status)
"""


def test_a_full_disk_keeps_the_last_checkpoint(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    command = [sys.executable, "-c", SAVE_AGAIN, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert f"no room for {folder}: it needs " in done.stdout
    assert "what was there before is untouched" in done.stdout
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["cache", "model"]
    load_folder(folder, verify=True)


SMALL_DISK = """
set -e
mount -t tmpfs -o size=300k none "$1"
exec "$2" -c "$3" "$1" "$4"
"""
FILL_DISK = """
import sys
from pathlib import Path
from triptych.checkpoint import load_folder, save_folder
from triptych.errors import DiskFullError
loaded = load_folder(sys.argv[2])
folder = Path(sys.argv[1], "model")
save_folder(folder, loaded.model, loaded.tokenizer)
kept = {path.name: path.read_bytes() for path in folder.iterdir()}
also = lambda new: (new / "optimizer").write_bytes(bytes(300_000))
try:
    save_folder(folder, loaded.model, loaded.tokenizer, also=also)
except DiskFullError as error:
    print(error)
assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
assert [path.name for path in folder.parent.iterdir()] == ["model"]
load_folder(folder, verify=True)
"""


def test_a_really_full_disk_keeps_the_last_checkpoint(folder: Path, tmp_path: Path) -> None:
    """On a tmpfs of 300 kB, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare command to mount a small disk with")
    start = [unshare, "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    probe = [*start, 'mount -t tmpfs -o size=300k none "$1"', "sh", str(disk)]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("this process may not mount a small disk")
    command = [*start, SMALL_DISK, "sh", str(disk), sys.executable, FILL_DISK, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no room for" in done.stdout
    assert "are free" in done.stdout
