"""`tools/bench_isolation.py` measures every budget of isolated modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench_isolation.py"
LINES = [
    ("round_trip", "asked from outside", "<= 6"),
    ("round_trip", "a module's job asks it", "<= 6"),
    ("round_trip", "queued", "-"),
    ("start", "added to first answer", "-"),
    ("kill", "killed to next answer", "-"),
    ("kill", "killed to given up", "<= 1"),
]


@pytest.mark.slow
def test_a_quick_run_measures_every_part() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--json"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )

    (text,) = done.stdout.splitlines()
    found = json.loads(text)
    assert (found["bench"], found["quick"], found["rounds"]) == ("isolation", True, 1)
    for part, what, budget in LINES:
        matching = [
            line
            for line in found["lines"]
            if line["part"] == part and what in line["what"]
        ]
        assert matching, what
        assert matching[0]["budget"] == budget
        assert matching[0]["ratio"] > 0.0
