"""R18: a crash in C leaves all stacks on stderr."""

from __future__ import annotations

import subprocess
import sys


def test_a_crash_in_c_shows_where_every_thread_was() -> None:
    code = (
        "import faulthandler\n"
        "from hal.app import enable_faulthandler\n"
        "enable_faulthandler()\n"
        "faulthandler._sigsegv()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )

    assert done.returncode != 0
    assert "Segmentation fault" in done.stderr
    assert "<module>" in done.stderr


def test_without_a_stderr_hal_starts_all_the_same() -> None:
    code = (
        "import sys\n"
        "sys.stderr = None\n"
        "from hal.app import enable_faulthandler\n"
        "enable_faulthandler()\n"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
