"""Progress on a terminal; Windows has none that a test could open."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from tests.system.running import SIM, SMALL, Hal


def on_terminal(hal: Hal, *arguments: str | Path) -> tuple[int, str]:
    """Run HAL with stderr on a terminal; return its exit code and what was shown."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        hal.command(*arguments),
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env=hal.environment(TERM="xterm-256color", COLUMNS="100", LINES="30"),
        cwd=hal.folder,
    )
    os.close(terminal)
    shown = b""
    with process:
        try:
            while data := os.read(main, 65536):
                shown += data
        except OSError:  # how Linux says that nobody has the terminal open any more
            pass
        finally:
            os.close(main)
    return process.returncode, shown.decode()


def test_progress_is_a_bar_on_a_terminal_and_the_terminal_is_left_clean(hal, films):
    code, shown = on_terminal(hal, SIM, "--film", "200", "--output", films, *SMALL)

    assert code == 0, shown
    assert "/200" in shown
    assert "━" in shown
    # The cursor is hidden while the bar is there, and must come back.
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
    assert shown.endswith("\n")
    last = shown.rstrip().splitlines()[-1]
    assert "200 of 200 frames stored, 200 verified" in last
    assert "━" not in last
