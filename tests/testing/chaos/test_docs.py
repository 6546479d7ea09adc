"""What `docs/chaos.rst` shows is true."""

from __future__ import annotations

import re
import runpy
import textwrap
from pathlib import Path

from hal.testing import chaos
from hal.testing.chaos.kinds import ERRORS

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "chaos.rst").read_text("utf-8")
BLOCKS = [
    (language, textwrap.dedent(block))
    for language, block in re.findall(
        r"\.\. code-block:: (\w+)\n\n((?:    .*\n|\n)+)", TEXT
    )
]


def test_its_faults_can_be_read(tmp_path):
    (example,) = (block for language, block in BLOCKS if language == "xml")
    path = tmp_path / "chaos.xml"
    path.write_text(example)

    assert len(chaos.read_chaos(path).faults) == 4


def test_its_python_runs(tmp_path):
    scripts = [block for language, block in BLOCKS if language == "python"]

    assert len(scripts) == 2
    for script in scripts:
        path = tmp_path / "script.py"
        path.write_text(script)
        runpy.run_path(str(path))


def test_it_names_every_kind_and_every_error():
    table = re.findall(r"^``(\w+)``  ", TEXT, re.MULTILINE)

    assert table == [str(kind) for kind in chaos.FaultKind]
    assert all(f"``{name}``" in TEXT for name in ERRORS)
