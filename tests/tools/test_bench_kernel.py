"""`tools/bench_kernel.py` measures every budget of the kernel; how much is its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.pairing import paired
from bench.report import Line, table

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench_kernel.py"
BUDGETS = [
    ("memory", "blocks", "<= 1.05"),
    ("broadcast", "to 60, pinned", ">= 0.15"),
    ("broadcast", "to 60, pool", ">= 0.2"),
    ("round_trip", "a module's job asks another", "<= 1.5"),
    ("round_trip", "asked from outside", "<= 1.5"),
    ("stop", "behind handlers", "<= 1"),
    ("stop", "while a job waits", "<= 1"),
    ("stop", "while a job computes", "<= 1"),
    ("hang", "sleep, in a job", "<= 1.2"),
    ("hang", "sleep, in a handler", "<= 1.2"),
    ("hang", "sleep, in a loop", "<= 1.2"),
    ("hang", "lock", "<= 1.2"),
    ("hang", "pure Python loop", "<= 1.2"),
    ("hang", "serial read", "<= 1.2"),
    ("hang", "C without the GIL", "<= 1.2"),
    ("hang", "C with the GIL", "<= 1.2"),
    ("hang", "regex backtracking", "<= 1.2"),
    ("start_up", "sim_headless", "<= 1"),
    ("start_up", "modules", "<= 1"),
]


def run(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.slow
def test_a_quick_run_names_every_budget_and_measures_every_part():
    (text,) = run("--quick", "--json").splitlines()

    found = json.loads(text)
    lines = found["lines"]
    assert (found["bench"], found["quick"], found["rounds"]) == ("kernel", True, 1)
    for part, what, budget in BUDGETS:
        matching = [
            line for line in lines if line["part"] == part and what in line["what"]
        ]
        assert [line["budget"] for line in matching] == [budget], (part, what)
    measured = [line for line in lines if line["verdict"] != "not covered yet"]
    assert all(line["ratio"] > 0 for line in measured), measured
    assert all(line["of"] and line["stated"] for line in lines)
    for subscribers in (1, 5, 20, 60, 200):
        rates = [x for x in lines if x["what"].startswith(f"to {subscribers}, ")]
        assert len(rates) >= 3, rates


def test_one_part_is_printed_as_a_table():
    shown = run("--quick", "--only", "watchdog", "--rounds", "2").splitlines()

    assert "rounds 2" in shown[0]
    assert shown[1].split() == [
        *("part", "what", "ratio", "of", "budget", "verdict", "stated")
    ]
    assert all(line.startswith("watchdog ") for line in shown[2:-2])
    assert shown[-1] == "budgets: 0 ok, 0 missed, 0 not covered yet"


@pytest.mark.parametrize("arguments", [["--only", "brodcast"], ["--rounds", "0"]])
def test_what_cannot_be_measured_is_refused(arguments):
    assert "bench_kernel.py: error: argument" in run(*arguments, code=2)


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (Line("p", "w", 0.16, "raw", at_least=0.15), "ok"),
        (Line("p", "w", 0.14, "raw", at_least=0.15), "MISSED"),
        (Line("p", "w", 1.2, "deadline", at_most=1.2), "ok"),
        (Line("p", "w", 1.3, "deadline", at_most=1.2), "MISSED"),
        (Line("p", "w", None, "deadline", at_most=1.2), "MISSED"),
        (Line("p", "w", None, "raw", not_covered=True), "not covered yet"),
        (Line("p", "w", 2.0, "raw", at_most=1.2, not_covered=True), "not covered yet"),
        (Line("p", "w", 1.0, "raw", at_most=1.2, not_covered=True), "ok"),
        (Line("p", "w", 7.0, "raw"), "stated"),
    ],
)
def test_a_line_says_whether_its_budget_is_kept(line, verdict):
    assert line.verdict == verdict


def test_the_table_is_aligned_and_counts_what_was_missed():
    text = table(
        [
            Line("a", "short", 1.0, "raw", at_most=2.0, stated="x"),
            Line("longer", "not short", None, "pykka", at_most=2.0, stated="y"),
        ]
    )

    head, *rows, empty, total = text.splitlines()
    assert [row.index("<= 2") for row in rows] == [head.index("budget") + 2] * 2
    assert [row[head.index("stated") :] for row in rows] == ["x", "y"]
    assert (empty, total) == ("", "budgets: 1 ok, 1 missed, 0 not covered yet")


def test_a_machine_that_slows_down_does_not_change_the_ratio():
    """Both are slowed by each measurement; the plain ratio of medians is not 2."""
    slowness = 1.0

    def baseline() -> float:
        nonlocal slowness
        slowness += 1.0
        return slowness - 0.5

    found = paired(lambda: 2.0 * slowness, baseline, rounds=4)

    assert found.ratio == pytest.approx(2.0)
