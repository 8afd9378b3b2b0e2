"""Folders and files are whole or not there, also when the writer is killed or the disk is full."""

import os
import re
import stat
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from triptych.errors import DiskFullError, MachineError, ModelFileError, UsageError
from triptych.files import atomic
from triptych.files.atomic import (
    check_writable,
    clear_leftovers,
    complete_folder,
    fill_file,
    work_folder,
    write_file,
    write_folder,
    write_stream,
)
from triptych.files.manifest import MANIFEST, read_manifest, verify_folder


def fill(text: str, folder: Path) -> None:
    (folder / "a.txt").write_text(text)
    (folder / "deep").mkdir()
    (folder / "deep" / "b.txt").write_text(text * 2)
    (folder / "README.md").write_text(text)


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    """Both ways of replacing a folder."""
    if request.param == "two renames":
        monkeypatch.setattr(atomic, "exchange", lambda one, other: False)


def test_where_a_file_cannot_be_put_is_known_beforehand(tmp_path):
    check_writable(tmp_path / "a" / "b" / "x.npy")
    assert os.listdir(tmp_path / "a" / "b") == []
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "x.npy", tmp_path / "a", Path("/proc/x.npy")):
        with pytest.raises(MachineError, match=f"cannot write {place}: .*; choose another place"):
            check_writable(place)


@pytest.mark.usefixtures("way")
def test_a_folder_is_written_and_replaced_with_nothing_left_beside_it(tmp_path):
    folder = tmp_path / "model"
    for text in ("first", "second"):
        write_folder(folder, partial(fill, text))
        assert (folder / "deep" / "b.txt").read_text() == text * 2
        assert set(read_manifest(folder)) == {"a.txt", "deep/b.txt"}
        assert os.listdir(tmp_path) == ["model"]
        verify_folder(folder, verify=True)


def test_exchange_swaps_two_folders(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not atomic.exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system cannot exchange two names")
    assert os.listdir(tmp_path / "one") == ["other"]


@pytest.mark.usefixtures("way")
def test_a_failure_while_writing_leaves_the_older_folder(tmp_path):
    folder = tmp_path / "model"
    write_folder(folder, partial(fill, "first"))

    def fail(new: Path) -> None:
        fill("second", new)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(folder, fail)
    assert (folder / "a.txt").read_text() == "first"
    assert os.listdir(tmp_path) == ["model"]


def test_a_failed_rename_puts_the_older_folder_back(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    write_folder(folder, partial(fill, "first"))
    monkeypatch.setattr(atomic, "exchange", lambda one, other: False)
    rename = os.rename

    def refuse_new(source, target):
        if ".new-" in str(source):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(atomic.os, "rename", refuse_new)
    with pytest.raises(MachineError, match="Permission denied"):
        write_folder(folder, partial(fill, "second"))
    assert (folder / "a.txt").read_text() == "first"
    assert os.listdir(tmp_path) == ["model"]


KILLED = """
import itertools, os, signal, sys
from pathlib import Path
from triptych.files import atomic

def write(folder, text):
    atomic.write_folder(folder, lambda new: (new / "a.txt").write_text(text))

def killed_at(stop_at, function):
    def wrapped(*args, **kwargs):
        if next(steps) == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapped

if sys.argv[2] == "two renames":
    atomic.exchange = lambda one, other: False
for stop_at in itertools.count():
    folder = Path(sys.argv[1], str(stop_at), "m")
    write(folder, "first")
    child = os.fork()
    if child == 0:
        steps = itertools.count()
        for name in ("rename", "chmod", "fsync", "open", "scandir", "unlink", "rmdir"):
            setattr(os, name, killed_at(stop_at, getattr(os, name)))
        write(folder, "second")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_killed_at_any_step_a_complete_folder_is_found(tmp_path, way):
    """kill -9 before each system call in turn: first or second, never anything else."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), way], check=True)
    seen = []
    for stop_at in range(len(os.listdir(tmp_path))):
        folder = tmp_path / str(stop_at) / "m"
        complete = complete_folder(folder)
        verify_folder(complete, verify=True)
        seen.append((complete / "a.txt").read_text())
        clear_leftovers(folder)
        assert os.listdir(folder.parent) == ["m"]
        verify_folder(folder, verify=True)
    assert len(seen) > 15
    assert seen == sorted(seen)
    assert seen[0] == "first"
    assert seen[-1] == "second"


def test_the_work_of_a_living_process_is_not_cleared(tmp_path):
    living = tmp_path / f".m.new-{os.getppid()}-01234567"
    living.mkdir()
    (tmp_path / ".m.new-notes").mkdir()
    clear_leftovers(tmp_path / "m")
    assert living.is_dir()
    assert (tmp_path / ".m.new-notes").is_dir()


def test_a_file_that_was_not_written_with_the_folder_is_never_lost(tmp_path):
    folder = tmp_path / "model"
    write_folder(folder, partial(fill, "first"))
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"model holds 'notes.txt', which was not written with it"):
        write_folder(folder, partial(fill, "second"))
    assert (folder / "notes.txt").read_text() == "mine"
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        write_folder(tmp_path / "file", partial(fill, "x"))
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", partial(fill, "x"))


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_what_the_umask_says(tmp_path, mask):
    """Also of files that a library wrote for its owner alone."""

    def fill_private(new: Path) -> None:
        fill("x", new)
        (new / "a.txt").chmod(0o600)

    before = os.umask(mask)
    try:
        write_folder(tmp_path / "m", fill_private)
        write_file(tmp_path / "f", "x")
    finally:
        os.umask(before)
    for path in (tmp_path / "m" / "a.txt", tmp_path / "m" / MANIFEST, tmp_path / "f"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o777 & ~mask


def test_a_folder_known_to_be_too_big_is_refused_before_writing(tmp_path):
    called = []
    with pytest.raises(DiskFullError, match=r"it needs 1000000\.0 TB, but .* are free"):
        write_folder(tmp_path / "m", called.append, needs=10**18)
    assert not called
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("number", "reason"), [("ENOSPC", "are free"), ("EDQUOT", "quota")])
def test_a_disk_that_fills_up_says_what_is_needed(tmp_path, number, reason):
    def full(new: Path) -> None:
        (new / "a").write_bytes(b"x" * 5000)
        raise OSError(getattr(atomic.errno, number), "full")

    with pytest.raises(DiskFullError, match=rf"needs more than 5\.0 kB, but .*{reason}"):
        write_folder(tmp_path / "m", full)
    assert os.listdir(tmp_path) == []


def run_limited(code: str, folder: Path) -> str:
    """Run code in a process that may not write files of more than 4096 bytes."""
    start = """
    import resource, signal, sys
    from pathlib import Path
    from triptych.files.atomic import write_file, write_folder
    from triptych.errors import DiskFullError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    folder = Path(sys.argv[1])
    """
    code = textwrap.dedent(start) + textwrap.dedent(code)
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_size_limit_is_told_and_nothing_is_lost(tmp_path):
    write_folder(tmp_path / "m", partial(fill, "first"))
    write_file(tmp_path / "f", "first")
    code = """
    for write in (
        lambda: write_folder(folder / "m", lambda new: (new / "a").write_bytes(b"x" * 9000)),
        lambda: write_file(folder / "f", b"x" * 9000),
    ):
        try:
            write()
        except DiskFullError as error:
            print(error)
    """
    first, second = run_limited(code, tmp_path).splitlines()
    assert re.search(r"no room for .*m: it needs more than 4\.1 kB, but .*size limit", first)
    assert re.search(r"no room for .*f: it needs 9\.0 kB, but .*size limit", second)
    assert sorted(os.listdir(tmp_path)) == ["f", "m"]
    assert (tmp_path / "f").read_text() == "first"
    verify_folder(tmp_path / "m", verify=True)


def test_a_file_is_replaced_whole(tmp_path):
    write_file(tmp_path / "new folder" / "f", "eins")
    write_file(tmp_path / "new folder" / "f", "zwei ü")
    assert (tmp_path / "new folder" / "f").read_text() == "zwei ü"
    assert os.listdir(tmp_path / "new folder") == ["f"]


def test_a_large_file_is_filled_whole_or_not_at_all(tmp_path):
    def fill_file_with(text: str, new: Path) -> None:
        new.write_text(text)
        if text == "broken":
            raise ValueError("on the way")

    fill_file(tmp_path / "a" / "f", partial(fill_file_with, "eins"), needs=4)
    fill_file(tmp_path / "a" / "f", partial(fill_file_with, "zwei"), needs=4)
    with pytest.raises(ValueError, match="on the way"):
        fill_file(tmp_path / "a" / "f", partial(fill_file_with, "broken"), needs=4)
    with pytest.raises(DiskFullError, match=r"it needs 1000000\.0 TB"):
        fill_file(tmp_path / "a" / "f", partial(fill_file_with, "big"), needs=10**18)
    assert (tmp_path / "a" / "f").read_text() == "zwei"
    assert os.listdir(tmp_path / "a") == ["f"]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_file(path, "x"),
        lambda path: write_stream(path, lambda file: file.write(b"x")),
        lambda path: fill_file(path, lambda new: new.touch(), needs=0),
    ],
    ids=["write_file", "write_stream", "fill_file"],
)
def test_what_a_killed_writer_of_a_file_left_is_deleted(tmp_path, write):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = tmp_path / f".f.new-{child.pid}-0123abcd"
    living = tmp_path / f".f.new-{os.getppid()}-0123abcd"
    other = tmp_path / f".g.new-{child.pid}-0123abcd"
    for path in (dead, living, other):
        path.write_text("half")
    write(tmp_path / "f")
    assert sorted(os.listdir(tmp_path)) == sorted(["f", living.name, other.name])


def test_a_place_that_refuses_is_named(tmp_path):
    (tmp_path / "file").touch()
    for write in (
        lambda: write_file(tmp_path / "file" / "f", "x"),
        lambda: fill_file(tmp_path / "file" / "f", lambda new: new.touch(), needs=1),
        lambda: write_folder(tmp_path / "file" / "m", partial(fill, "x")),
    ):
        with pytest.raises(MachineError, match=r"cannot write .*file/.*; choose another place"):
            write()


def test_a_folder_with_a_broken_manifest_is_not_replaced(tmp_path):
    write_folder(tmp_path / "m", partial(fill, "first"))
    (tmp_path / "m" / MANIFEST).write_text("{")
    with pytest.raises(ModelFileError, match=r"manifest.json cannot be read"):
        write_folder(tmp_path / "m", partial(fill, "second"))


def test_a_work_folder_goes_and_those_of_killed_processes_too(tmp_path):
    out = tmp_path / "vectors"
    dead = tmp_path / f".vectors.work-{2**22 + 1}-0123abcd"
    (dead / "deep").mkdir(parents=True)
    alive = tmp_path / f".vectors.work-{os.getppid()}-0123abcd"
    alive.mkdir()
    with work_folder(out) as work:
        assert work.is_dir()
        assert not dead.exists()
        (work / "some").touch()
    assert list(tmp_path.iterdir()) == [alive]
