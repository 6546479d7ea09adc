"""What the README shows can be done as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import start_main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.rst").read_text("utf-8")


def code_blocks(language: str) -> list[str]:
    pattern = rf"\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)"
    return [textwrap.dedent(block) for block in re.findall(pattern, README)]


def test_it_opens_with_the_two_commands():
    title, rule, blank, colons, empty, *commands = README.splitlines()[:7]

    assert (title, rule, blank, colons, empty) == ("HAL", "===", "", "::", "")
    assert commands == ["    python3 tools/start.py", "    python3 tools/start.py test"]
    assert all(command.strip() in start_main.HELP for command in commands)


def test_the_example_driver_passes_its_contract(tmp_path):
    driver, test = code_blocks("python")
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "__init__.py").touch()
    (tmp_path / "my_lab" / "shutter.py").write_text(driver, "utf-8")
    (tmp_path / "test_shutter.py").write_text(test, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


def test_every_folder_it_names_exists():
    table = README[README.index("What is where") :]
    missing = [
        name
        for name in re.findall(r"^``([^`]+)`` +", table, re.MULTILINE)
        if not (ROOT / name).exists()
    ]

    assert missing == []
