"""Damage has a name; what was checked once is remembered until it changes."""

import json
import os
from pathlib import Path

import pytest

from triptych.errors import ModelFileError
from triptych.files import manifest, notices
from triptych.files.atomic import write_folder
from triptych.files.manifest import MANIFEST, verify_folder


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    write_folder(path, lambda new: (new / "a.bin").write_bytes(bytes(range(100))))
    grow_old(path / "a.bin")
    return path


def grow_old(path: Path) -> None:
    os.utime(path, ns=(10**18, 10**18))


def count_hashes(monkeypatch) -> list[Path]:
    hashed: list[Path] = []
    file_hash = manifest.file_hash
    monkeypatch.setattr(
        manifest, "file_hash", lambda path: (hashed.append(path), file_hash(path))[1]
    )
    return hashed


def damaged(content: bytes, how: str) -> bytes:
    if how == "flipped":
        return content[:50] + bytes([content[50] ^ 4]) + content[51:]
    return {"cut": content[:60], "empty": b"", "longer": content + b"xyz"}[how]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("flipped", r"a\.bin is damaged: its SHA-256 is [0-9a-f]{12}…, its manifest says"),
        ("cut", r"a\.bin is cut short: 60 of 100 bytes"),
        ("empty", r"a\.bin is empty, it should have 100 bytes"),
        ("longer", r"a\.bin has 3 bytes too many: 103 instead of 100"),
    ],
)
def test_damage_names_file_and_reason(folder, how, expected):
    verify_folder(folder)
    path = folder / "a.bin"
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(ModelFileError, match=expected):
        verify_folder(folder)


def test_a_missing_file_is_named(folder):
    (folder / "a.bin").unlink()
    with pytest.raises(ModelFileError, match=r"a\.bin is missing"):
        verify_folder(folder)
    with pytest.raises(ModelFileError, match="no model folder at"):
        verify_folder(folder / "nowhere")


def test_hashes_are_remembered_until_the_file_changes_or_it_is_forced(folder, monkeypatch):
    hashed = count_hashes(monkeypatch)
    verify_folder(folder)
    verify_folder(folder)
    assert len(hashed) == 1
    verify_folder(folder, verify=True)
    assert len(hashed) == 2
    os.utime(folder / "a.bin", ns=(10**18, 10**18 + 1))
    verify_folder(folder)
    assert len(hashed) == 3


def test_a_flip_that_hides_its_time_is_found_when_forced(folder):
    verify_folder(folder)
    path = folder / "a.bin"
    path.write_bytes(damaged(path.read_bytes(), "flipped"))
    grow_old(path)
    verify_folder(folder)
    with pytest.raises(ModelFileError, match="damaged"):
        verify_folder(folder, verify=True)


def test_a_file_of_this_very_moment_is_not_remembered(folder, monkeypatch):
    hashed = count_hashes(monkeypatch)
    (folder / "a.bin").touch()
    verify_folder(folder)
    verify_folder(folder)
    assert len(hashed) == 2


@pytest.mark.parametrize("broken", ["unwritable", "garbage", "list"])
def test_a_memory_that_cannot_be_used_only_costs_time(folder, cache_home, broken):
    if broken == "unwritable":
        cache_home.write_text("a file, not a folder")
    else:
        (cache_home / "triptych").mkdir(parents=True)
        (cache_home / "triptych" / "verified.json").write_text("{" if broken == "garbage" else "[]")
    verify_folder(folder)
    verify_folder(folder)


def test_the_memory_does_not_grow_without_end(folder, cache_home, monkeypatch):
    monkeypatch.setattr(manifest, "MOST_REMEMBERED", 1)
    verify_folder(folder)
    other = folder.with_name("other")
    write_folder(other, lambda new: (new / "b").touch())
    grow_old(other / "b")
    verify_folder(other)
    memory = json.loads((cache_home / "triptych" / "verified.json").read_text())
    assert list(memory) == [str(other / "b")]


def test_a_folder_without_a_manifest_passes_and_says_so_once(folder, monkeypatch, caplog):
    monkeypatch.setattr(notices, "_said", set())
    (folder / MANIFEST).unlink()
    verify_folder(folder)
    verify_folder(folder)
    assert [record.message for record in caplog.records] == [
        f"{folder} has no manifest.json, so damage to its files cannot be noticed"
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"files": []}',
        '{"files": {"a.bin": 3}}',
        '{"files": {"a.bin": {"bytes": "x", "sha256": ""}}}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_manifest_that_makes_no_sense_is_named(folder, content):
    (folder / MANIFEST).write_text(content, encoding="latin-1")
    with pytest.raises(ModelFileError, match=r"manifest.json cannot be read"):
        verify_folder(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../b"])
def test_a_manifest_does_not_lead_out_of_its_folder(folder, name):
    entry = {"bytes": 1, "sha256": "0"}
    (folder / MANIFEST).write_text(json.dumps({"files": {name: entry}}))
    with pytest.raises(ModelFileError, match="lies outside its folder"):
        verify_folder(folder)


def test_links_out_of_the_folder_are_refused(folder, tmp_path):
    (tmp_path / "secret").write_text("x")
    (folder / "inner").symlink_to("a.bin")
    verify_folder(folder)
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelFileError, match=r"link is a link to .*secret, outside the folder"):
        verify_folder(folder)


def test_the_links_of_a_hub_cache_pass(tmp_path):
    repo = tmp_path / "models--owner--name"
    (repo / "blobs").mkdir(parents=True)
    (repo / "blobs" / "0123").write_text("x")
    snapshot = repo / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/0123")
    verify_folder(snapshot)
    (snapshot / "bad").symlink_to(tmp_path)
    with pytest.raises(ModelFileError, match="outside the folder"):
        verify_folder(snapshot)
