"""The fixture that watches all tests sees each kind of thing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from tests.leaks import Footprint

ROOT = Path(__file__).resolve().parent.parent


def test_a_thread_is_named_until_it_has_ended():
    before = Footprint.now()
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="stage/1/worker", daemon=True)
    thread.start()

    leaks = before.lasting_leaks(patience_s=0.05)
    release.set()
    thread.join()

    assert leaks == ["thread 'stage/1/worker' (daemon)"]
    assert before.lasting_leaks() == []


def test_a_thread_that_is_about_to_end_is_waited_for():
    before = Footprint.now()
    threading.Timer(0.05, lambda: None).start()

    assert before.leaks_since() != []
    assert before.lasting_leaks() == []


def test_a_child_process_is_shown_with_its_command():
    before = Footprint.now()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    leaks = before.lasting_leaks(patience_s=0.05)
    child.communicate(b"\n")

    assert len(leaks) == 1
    assert leaks[0].startswith(f"process {child.pid}: ")
    assert before.lasting_leaks() == []


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_listening_socket_is_a_leak_and_a_plain_one_is_not(family, tmp_path):
    before = Footprint.now()
    with socket.socket(family) as server:
        address = ("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "s")
        server.bind(address)
        unused = before.leaks_since()
        server.listen()
        leaks = before.lasting_leaks(patience_s=0.05)

    assert unused == []
    assert len(leaks) == 1
    assert leaks[0].startswith("socket listening on ")


def test_shared_memory_is_a_leak_until_unlinked():
    before = Footprint.now()
    segment = shared_memory.SharedMemory(create=True, size=16)

    leaks = before.lasting_leaks(patience_s=0.05)
    segment.close()
    segment.unlink()

    assert leaks == [f"/dev/shm/{segment.name.lstrip('/')}"]
    assert before.lasting_leaks() == []


def test_shared_memory_of_another_process_is_not_ours(tmp_path):
    before = Footprint.now()
    path = Path(f"/dev/shm/hal-test-{os.getpid()}")
    keeper = "import os, sys; f = open(sys.argv[1], 'w'); os.fork() and os._exit(0); "
    keeper += "os.setsid(); print(os.getpid(), flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", keeper, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None
    other.stdout.readline()
    other.wait()

    leaks = before.leaks_since()
    path.unlink()
    other.communicate(b"\n")

    assert leaks == []


def test_a_test_that_leaks_fails_and_the_next_one_does_not(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_it.py").write_text(
        "import threading\n"
        "def test_leaky():\n"
        "    threading.Thread(target=threading.Event().wait, args=(9,),"
        " name='forgotten', daemon=True).start()\n"
        "def test_clean():\n"
        "    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-c", ROOT / "pyproject.toml", f"--rootdir={ROOT}", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "thread 'forgotten' (daemon)" in done.stdout
    assert "2 passed, 1 error" in done.stdout
