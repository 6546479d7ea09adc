"""Scripts as users have them: processes with a folder, and home, of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


def start(folder: Path, script: str) -> subprocess.Popen[bytes]:
    """Start a script in a folder, and home, of its own."""
    path = folder / "my_script.py"
    path.write_text(textwrap.dedent(script), "utf-8")
    # HOME, because that is where films go if nothing else is said.
    mine = {"HOME": str(folder), "USERPROFILE": str(folder), "PYTHONPATH": str(ROOT)}
    with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
        return subprocess.Popen(
            [sys.executable, str(path)],
            cwd=ROOT,
            env={**os.environ, **mine},
            stdout=out,
            stderr=err,
        )


def end(process: subprocess.Popen[bytes], folder: Path) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of a script that ends by itself."""
    try:
        code = process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    return code, (folder / "out.txt").read_text(), (folder / "err.txt").read_text()
