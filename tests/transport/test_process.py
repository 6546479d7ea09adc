"""A child process is watched to its end, and leaves nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hal.base import SystemClock, SystemThreads
from hal.transport import ChildProcess, Exit
from hal.transport.platform import ask_to_end, kill_with_children, wait_for_end

PATIENCE_S = 20.0


def start(code: str, output: Path | None = None) -> tuple[ChildProcess, list[Exit]]:
    ours, theirs = socket.socketpair()
    ours.close()
    exits: list[Exit] = []
    child = ChildProcess(
        [sys.executable, "-c", code],
        name="child",
        connected=theirs,
        output=output,
        threads=SystemThreads(),
        clock=SystemClock(),
        on_exit=exits.append,
    )
    return child, exits


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


def test_its_end_and_what_it_printed_are_told(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "output.txt"
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"

    child, exits = start(code, path)

    until(lambda: exits)
    assert exits == [Exit("ended with exit code 3", 3)]
    assert child.has_ended
    assert child.output is not None
    assert child.output.last_lines() == "out | err"
    assert path.read_text() == "out\nerr\n"
    assert not os.path.exists(f"/proc/{child.pid}")


def test_one_that_prints_nothing_leaves_no_file(tmp_path: Path) -> None:
    _, exits = start("pass", tmp_path / "output.txt")

    until(lambda: exits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_killed", [True, False])
def test_what_it_started_ends_with_it(is_killed: bool) -> None:
    code = (
        "import subprocess, sys, time;"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"print(p.pid, flush=True); time.sleep(60 if {is_killed} else 0)"
    )
    child, exits = start(code)
    until(lambda: child.output is not None and child.output.tail().strip())
    assert child.output is not None
    grandchild = int(child.output.tail())

    if is_killed:
        child.kill()

    until(lambda: exits)
    assert exits[0].code == (-9 if is_killed else 0)

    def is_gone() -> bool:
        try:
            text = Path(f"/proc/{grandchild}/stat").read_text()
        except OSError:
            return True
        return text.rsplit(")", 1)[1].split()[0] == "Z"

    until(is_gone)


def test_one_that_cannot_be_started_says_so() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    exits: list[Exit] = []
    ChildProcess(
        ["/no/such/program"],
        name="child",
        connected=theirs,
        output=None,
        threads=SystemThreads(),
        clock=SystemClock(),
        on_exit=exits.append,
    )

    until(lambda: exits)
    assert "could not be started" in exits[0].text
    assert exits[0].code is None


def test_a_full_disk_does_not_hold_it_up() -> None:
    code = "import os\nfor _ in range(200): os.write(2, b'x' * 100_000)\nprint('done')"

    _, exits = start(code, Path("/dev/full"))

    until(lambda: exits)
    assert exits == [Exit("ended with exit code 0", 0)]


def test_killing_one_that_has_ended_harms_nobody() -> None:
    child, exits = start("pass")
    until(lambda: exits)

    child.kill()
    child.terminate()

    assert child.usage() is None
    assert child.wait(0.0)


@pytest.mark.parametrize("end", [ask_to_end, kill_with_children])
def test_one_that_has_just_ended_is_still_waited_for(
    end: Callable[[subprocess.Popen[bytes]], None],
) -> None:
    """`Popen.kill` would wait for it, and the one who waits would find nothing."""
    process = subprocess.Popen(
        [sys.executable, "-c", "raise SystemExit(5)"], start_new_session=True
    )
    stat = Path(f"/proc/{process.pid}/stat")
    until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")

    end(process)

    assert wait_for_end(process, threading.Lock()) == 5


def test_one_that_somebody_else_waited_for_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"], start_new_session=True)
    os.waitpid(process.pid, 0)

    assert wait_for_end(process, threading.Lock()) == 0
