"""`tools/bench_runs.py` measures runs that follow a plan against their budgets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench_runs.py"
LINES = {
    ("micromanager", "frames: time per event", "MDARunner"): "<= 1",
    ("micromanager", "z stack: time per event", "MDARunner"): "<= 1.1",
    ("micromanager", "positions: time per event", "MDARunner"): "<= 1.1",
    ("micromanager", "z stack: time per event", "snap and get"): "-",
    ("simulated", "events a second, each with a move and a frame", "1000 a second"): (
        ">= 1"
    ),
}


@pytest.mark.slow
def test_a_quick_run_measures_every_kind_of_plan() -> None:
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
    assert (found["bench"], found["quick"], found["rounds"]) == ("runs", True, 1)
    lines = {(each["part"], each["what"], each["of"]): each for each in found["lines"]}
    for key, budget in LINES.items():
        assert lines[key]["budget"] == budget
        assert lines[key]["ratio"] > 0.0
