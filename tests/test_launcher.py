"""`hal.py`, `python -m hal` and the script `hal` are one command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ECHO = "def main(argv=None):\n    print(argv)\n    return 4\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The launchers with a `hal` package that only says what it was given."""
    (tmp_path / "hal").mkdir()
    (tmp_path / "hal" / "__init__.py").touch()
    (tmp_path / "hal" / "cli.py").write_text(ECHO)
    shutil.copy(ROOT / "hal.py", tmp_path)
    shutil.copy(ROOT / "hal" / "__main__.py", tmp_path / "hal")
    return tmp_path


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("start", [["hal.py"], ["-m", "hal"]])
def test_arguments_and_exit_code_pass_through(checkout, start):
    """The package wins over the launcher of the same name."""
    done = run(checkout, *start, "sim.xml", "--film", "3")

    assert done.stdout == "['sim.xml', '--film', '3']\n"
    assert done.returncode == 4


def test_a_missing_package_is_one_line_with_the_way_out(checkout):
    (checkout / "hal" / "cli.py").write_text("import surely_missing\n")

    done = run(checkout, "hal.py", "sim.xml")

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "'surely_missing'" in done.stderr
    assert "run `python3 tools/start.py`" in done.stderr


def test_a_defect_of_hal_itself_is_not_taken_for_a_missing_package(checkout):
    (checkout / "hal" / "cli.py").write_text("from hal import surely_missing\n")

    done = run(checkout, "hal.py", "sim.xml")

    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_an_old_python_is_told_so(checkout):
    pretend = (
        "import runpy, sys; sys.version_info = (3, 8, 1);"
        "runpy.run_path('hal.py', run_name='__main__')"
    )

    done = run(checkout, "-c", pretend)

    assert done.returncode == 3
    assert done.stderr == "HAL needs Python 3.11 or newer; this is 3.8.1\n"
