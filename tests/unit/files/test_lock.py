"""One writer a folder; a killed process holds nothing."""

import os
import signal
import subprocess
import sys
import time

import pytest

from triptych.errors import LockedError
from triptych.files.lock import FolderLock

HOLD = """
import sys, time
from triptych.files.lock import FolderLock
with FolderLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_held_by_another_process_is_refused_until_it_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=rf"in use by process {holder.pid} on \S+; wait"):
            FolderLock(tmp_path).acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with FolderLock(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / "lock").read_text()
    assert (tmp_path / "lock").read_text() == ""


def test_it_can_be_taken_again_after_release_but_not_twice(tmp_path):
    for _ in range(2):
        with (
            FolderLock(tmp_path / "run"),
            pytest.raises(LockedError, match=f"process {os.getpid()}"),
        ):
            FolderLock(tmp_path / "run").acquire()


FORK = """
import os, sys, time
from triptych.files.lock import FolderLock
FolderLock(sys.argv[1]).acquire()
worker = os.fork()
if worker == 0:
    time.sleep(60)
print(worker, flush=True)
os._exit(0)  # as a killed parent: nothing is released by hand
"""


def test_a_forked_worker_does_not_hold_the_lock_of_its_parent(tmp_path):
    command = [sys.executable, "-c", FORK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        try:
            parent.wait()
            time.sleep(0.2)  # the worker closes its copy right after the fork
            with FolderLock(tmp_path):
                pass
        finally:
            os.kill(worker, signal.SIGKILL)
