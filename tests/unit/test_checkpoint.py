"""The model folder: what is saved comes back, what does not fit is refused."""

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from triptych import checkpoint
from triptych.checkpoint import average_weights, load_folder, resolve, save_folder
from triptych.convert.families import FAMILIES, MARIAN
from triptych.errors import DiskFullError, ModelFileError, UsageError
from triptych.files import atomic
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.models.gpt import Gpt, GptConfig
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.byte_bpe import ByteBpe


@pytest.fixture(autouse=True)
def _cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tokenizer():
    return JointBpe.train(["a cat sat", "eine Katze sass"] * 9, 280)


def config_for(tokenizer: JointBpe) -> EncoderDecoderConfig:
    return EncoderDecoderConfig(
        vocab_size=tokenizer.vocab_size, d_model=8, d_ff=12, n_heads=2, n_encoder_layers=1,
        n_decoder_layers=2, max_seq_len=40, pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id,
        start_id=tokenizer.pad_id,
    )  # fmt: skip


def new_model(tokenizer: JointBpe, seed: int = 0) -> EncoderDecoder:
    torch.manual_seed(seed)
    return EncoderDecoder(config_for(tokenizer))


@pytest.fixture
def model(tokenizer):
    return new_model(tokenizer)


@pytest.fixture
def folder(tmp_path, model, tokenizer):
    save_folder(tmp_path / "model", model, tokenizer)
    return tmp_path / "model"


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


@dataclass(frozen=True)
class Generation:
    num_beams: int = 7


@pytest.mark.parametrize("generation", [{"num_beams": 7}, Generation()])
def test_what_is_saved_comes_back(tmp_path, model, tokenizer, generation):
    extras = {"alignment": {"layer": 1, "head": 0}, "name": "ü"}
    save_folder(tmp_path / "m", model, tokenizer, generation=generation, extras=extras, card="#")
    loaded = load_folder(tmp_path / "m", verify=True)
    assert same(loaded.model.state_dict(), model.state_dict())
    assert loaded.model.config == model.config
    assert not loaded.model.training
    assert loaded.extras == extras
    assert loaded.generation["num_beams"] == 7
    assert loaded.generation["bad_words_ids"] == [[tokenizer.pad_id]]
    assert loaded.tokenizer.encode_source(["a cat"]) == tokenizer.encode_source(["a cat"])
    assert (tmp_path / "m" / "README.md").read_text() == "#"
    save_folder(tmp_path / "again", loaded.model, loaded.tokenizer, generation=generation,
                extras=extras, card="#")  # fmt: skip
    for name in os.listdir(tmp_path / "m"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_loaded_model_trains_and_does_not_lean_on_its_file(folder, model):
    loaded = load_folder(folder).model.train()
    os.truncate(folder / "model.safetensors", 0)
    ids = torch.tensor([[1, 2, 0]])
    loaded.logits(loaded(ids, ids >= 0, ids)).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())
    assert same(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize("mapped", [False, True])
def test_a_gpt_leans_on_its_file_only_where_it_may(tmp_path: Path, mapped: bool) -> None:
    """Mapped weights are in the memory of the file; a change of them does not change the file."""
    torch.manual_seed(0)
    shape = {"d_model": 8, "d_ff": 12, "n_heads": 2, "n_layers": 1, "max_seq_len": 9}
    gpt = Gpt(GptConfig(vocab_size=257, eos_id=256, **shape))
    folder = tmp_path / "gpt"
    save_folder(folder, gpt, ByteBpe.train(["abc\n"], 257))
    before = (folder / "model.safetensors").read_bytes()
    loaded = load_folder(folder, mapped=mapped).model
    assert same(loaded.state_dict(), gpt.state_dict())
    in_file = {row.split()[-1] for row in Path("/proc/self/maps").read_text().splitlines()}
    assert (str(folder / "model.safetensors") in in_file) is mapped
    with torch.no_grad():
        loaded.token_embedding.weight.fill_(1)
    assert (folder / "model.safetensors").read_bytes() == before


def test_loading_and_saving_draw_no_random_number(tmp_path, folder, model, tokenizer):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_folder(folder)
    save_folder(tmp_path / "other", model, tokenizer)
    assert torch.equal(torch.rand(1), expected)


def test_more_files_can_share_the_fate_of_the_model(tmp_path, model, tokenizer):
    folder = tmp_path / "step"
    for text in ("1", "2"):
        also = lambda new: (new / "state.json").write_text(text)  # noqa: B023, E731
        save_folder(folder, model, tokenizer, also=also)
    assert (folder / "state.json").read_text() == "2"
    (folder / "state.json").write_text("3")
    with pytest.raises(ModelFileError, match=r"state.json is damaged"):
        load_folder(folder)


def test_a_failure_keeps_the_older_model(folder, tokenizer, monkeypatch):
    before = load_folder(folder).model.state_dict()

    def full(new: Path) -> None:
        raise OSError(atomic.errno.ENOSPC, "full")

    other = new_model(tokenizer, seed=1)
    with pytest.raises(DiskFullError, match=r"it needs .* are free"):
        save_folder(folder, other, tokenizer, also=full)
    monkeypatch.setattr(checkpoint, "total_bytes", lambda tensors: 10**18)
    with pytest.raises(DiskFullError, match=r"needs 1000000.0 TB"):
        save_folder(folder, other, tokenizer)
    assert same(load_folder(folder).model.state_dict(), before)
    assert sorted(os.listdir(folder.parent)) == ["model"]


def test_a_model_left_aside_by_a_killed_writer_is_loaded(folder, model):
    folder.rename(folder.with_name(".model.old-1-0123abcd"))
    assert same(load_folder(folder).model.state_dict(), model.state_dict())


def test_a_tokenizer_that_does_not_fit_is_refused_at_both_doors(tmp_path, folder, model, tokenizer):
    other = JointBpe.train(["a cat sat"] * 9, 270)
    with pytest.raises(ModelFileError, match="its vocab_size is 270, the model's is 280"):
        save_folder(tmp_path / "x", model, other)
    assert not (tmp_path / "x").exists()
    (folder / "manifest.json").unlink()
    other.save(folder)
    with pytest.raises(ModelFileError, match=r"model: the tokenizer does not fit .* is 270"):
        load_folder(folder)
    shifted = EncoderDecoder(replace(config_for(tokenizer), eos_id=5))
    with pytest.raises(ModelFileError, match="its eos_id is 0, the model's is 5"):
        save_folder(tmp_path / "x", shifted, tokenizer)


def test_a_sharded_folder_in_half_precision_loads(folder, model):
    tensors = {
        name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()
    }
    names = sorted(tensors)
    files = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
    for file, part in files.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in ("model.safetensors", "manifest.json"):
        (folder / name).unlink()
    expected = {name: tensor.half().float() for name, tensor in model.state_dict().items()}
    assert same(load_folder(folder).model.state_dict(), expected)

    (folder / "b.safetensors").unlink()
    with pytest.raises(ModelFileError, match=r"b.safetensors is missing"):
        load_folder(folder)
    index["weight_map"] = dict.fromkeys(names, "a.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFileError, match=r"a.safetensors has no model.*index.json lists there"):
        load_folder(folder)
    index["weight_map"] = dict.fromkeys(names, "../a.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFileError, match="lies outside its folder"):
        load_folder(folder)
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelFileError, match="has no table of tensors"):
        load_folder(folder)


def test_an_older_folder_tells_its_generation_settings_in_its_config(folder):
    for name in ("manifest.json", "generation_config.json"):
        (folder / name).unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_beams": 6}))
    generation = load_folder(folder).generation
    assert generation["num_beams"] == 6
    assert generation["bad_words_ids"] == [[279]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "has no config.json, so it is no model folder"),
        ("{", "config.json is not JSON"),
        ("[]", "config.json holds no JSON object"),
        ("[" * 100_000, "config.json is not JSON"),
        ('{"model_type": "t5"}', "model_type is 't5'; this version reads 'marian'"),
        ("{}", "model_type is None"),
    ],
)
def test_a_config_that_makes_no_sense_is_named(folder, content, expected):
    (folder / "manifest.json").unlink()
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content)
    with pytest.raises(ModelFileError, match=expected):
        load_folder(folder)


def test_equal_checkpoints_average_to_themselves(folder, model):
    for k in (1, 3, 7):
        assert same(average_weights([folder] * k), model.state_dict())
        assert same(average_weights([model.state_dict()] * k), model.state_dict())


def test_the_average_is_the_mean(tmp_path, tokenizer):
    models = [new_model(tokenizer, seed) for seed in range(3)]
    folders = [tmp_path / str(number) for number in range(3)]
    for path, model in zip(folders, models, strict=True):
        save_folder(path, model, tokenizer)
    states = [model.state_dict() for model in models]
    averaged = average_weights(states)
    for name, tensor in averaged.items():
        expected = torch.stack([state[name].double() for state in states]).mean(dim=0).float()
        torch.testing.assert_close(tensor, expected, rtol=1e-7, atol=0)
    assert same(average_weights(folders), averaged)


def test_what_cannot_be_averaged_is_named(tmp_path, folder, model, tokenizer):
    wider = EncoderDecoder(replace(model.config, d_ff=20))
    deeper = EncoderDecoder(replace(model.config, n_encoder_layers=2))
    save_folder(tmp_path / "wider", wider, tokenizer)
    save_folder(tmp_path / "deeper", deeper, tokenizer)
    with pytest.raises(ModelFileError, match=r"fc1.* is \(20.*wider but \(12.*in .*model;"):
        average_weights([folder, tmp_path / "wider"])
    with pytest.raises(ModelFileError, match=r"deeper and .*model do not both have .*layers.1"):
        average_weights([folder, tmp_path / "deeper"])
    with pytest.raises(ModelFileError, match=r"checkpoint 2 and checkpoint 1 do not both have"):
        average_weights([model.state_dict(), deeper.state_dict()])
    with pytest.raises(UsageError, match="not both"):
        average_weights([folder, model.state_dict()])
    with pytest.raises(UsageError, match="no checkpoint"):
        average_weights([])


def gpt_for(tokenizer: JointBpe, **change: object) -> Gpt:
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.vocab_size, "eos_id": tokenizer.eos_id, "d_model": 8,
             "d_ff": 12, "n_heads": 2, "n_layers": 2, "max_seq_len": 20}  # fmt: skip
    return Gpt(GptConfig(**shape | change))


@pytest.mark.parametrize("n_more", [0, 24])
def test_a_gpt_comes_back(tmp_path, tokenizer, n_more):
    """The embedding may have more rows than there are tokens."""
    model = gpt_for(tokenizer, vocab_size=tokenizer.vocab_size + n_more)
    save_folder(tmp_path / "m", model, tokenizer, extras={"a": 1}, generation={"top_k": 3})
    loaded = load_folder(tmp_path / "m", verify=True)
    assert isinstance(loaded.model, Gpt)
    assert loaded.model.config == model.config
    assert not loaded.model.training
    assert same(loaded.model.state_dict(), model.state_dict())
    assert loaded.extras == {"a": 1}
    assert loaded.generation == {
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.eos_id),
        "top_k": 3,
    }
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(loaded.model(ids), model.eval()(ids))
    loaded.model.project(loaded.model.train()(ids)).sum().backward()
    save_folder(tmp_path / "again", loaded.model, loaded.tokenizer, extras={"a": 1},
                generation={"top_k": 3})  # fmt: skip
    for name in os.listdir(tmp_path / "m"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert same(average_weights([tmp_path / "m"] * 2), model.state_dict())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"eos_id": 5}, "its eos_id is 0, the model's is 5"),
        ({"vocab_size": 270}, "its vocab_size is 280, the model's is 270"),
    ],
)
def test_a_tokenizer_that_does_not_fit_a_gpt_is_refused(tmp_path, tokenizer, change, expected):
    with pytest.raises(ModelFileError, match=expected):
        save_folder(tmp_path / "m", gpt_for(tokenizer, **change), tokenizer)
    endless = gpt_for(tokenizer, eos_id=None)
    save_folder(tmp_path / "m", endless, tokenizer)
    assert load_folder(tmp_path / "m").model.config.eos_id is None


def test_a_local_folder_resolves_to_itself(folder):
    assert resolve(str(folder)) == folder
    moved = folder.with_name(".model.old-1-0123abcd")
    folder.rename(moved)
    assert resolve(folder) == moved


@pytest.mark.parametrize("name", ["./owner/name", "/no/such", "a/b/c", "nothing", "../x/y"])
def test_a_path_that_is_not_there_is_said_to_be_missing(name):
    with pytest.raises(ModelFileError, match=r"there is no model folder at"):
        resolve(name)


def test_a_hub_name_without_network_or_extra_is_one_sentence(monkeypatch):
    def offline(name: str, **_: object) -> str:
        raise OSError("offline mode is on\nmore lines")

    hub = type(sys)("huggingface_hub")
    hub.snapshot_download = offline
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(ModelFileError, match=r"no folder here and .*Hub \(offline mode is on\);"):
        resolve("owner/name")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelFileError, match=r"pip install 'triptych\[hub\]'"):
        resolve("owner/name")


def test_a_hub_name_is_fetched_without_pickles(monkeypatch, folder):
    asked = {}

    def snapshot_download(name: str, *, allow_patterns: list[str], **_: object) -> str:
        asked[name] = allow_patterns
        return str(folder)

    hub = type(sys)("huggingface_hub")
    hub.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert resolve("owner/name") == folder
    assert not any(pattern.endswith((".bin", ".pt")) for pattern in asked["owner/name"])


def test_a_pickle_is_refused_with_the_remedy(folder):
    (folder / "manifest.json").unlink()
    shutil.move(folder / "model.safetensors", folder / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match=r"pytorch_model.bin is a pickle.*save_pretrained\("):
        load_folder(folder)
    with pytest.raises(ModelFileError, match=r"pytorch_model.bin is a pickle"):
        load_folder(folder / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match=r"config.json is a file, but a model is a folder"):
        load_folder(folder / "config.json")


def test_a_panic_of_the_tokenizers_library_is_a_damaged_file(folder, monkeypatch):
    panic = type("PanicException", (BaseException,), {})

    def load(folder: Path) -> None:
        raise panic("no entry found for key")

    monkeypatch.setitem(FAMILIES, "marian", replace(MARIAN, load_tokenizer=load))
    with pytest.raises(ModelFileError, match=r"tokenizer's files are damaged \(no entry found"):
        load_folder(folder)
    leave = replace(MARIAN, load_tokenizer=lambda folder: sys.exit(9))
    monkeypatch.setitem(FAMILIES, "marian", leave)
    with pytest.raises(SystemExit):
        load_folder(folder)
