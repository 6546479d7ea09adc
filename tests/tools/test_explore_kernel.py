"""`tools/explore_kernel.py` finds what is broken, and says how to see it again."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from exploring.command import main
from exploring.runs import explore, run

from hal.kernel.seat import Seat

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "explore_kernel.py"


def table(*arguments: str) -> tuple[int, dict[str, str], str]:
    """Run the command here; return its code, the rows of its table, and all of it."""
    out = io.StringIO()
    code = main(arguments, out)
    rows = [line.rsplit(maxsplit=1) for line in out.getvalue().splitlines()]
    return (
        code,
        {row[0].strip(): row[1] for row in rows if len(row) == 2},
        out.getvalue(),
    )


def test_a_sound_kernel_has_no_violations():
    code, rows, _ = table("--steps", "500", "--script", "50", "--share", "0.3")

    assert code == 0
    assert (rows["steps"], rows["scripts"], rows["violations"]) == ("500", "10", "0")
    assert int(rows["of them preempted"]) > 0
    assert int(rows["switches"]) > 500


def test_what_a_script_asks_for_comes_to_pass():
    code, rows, _ = table("--steps", "3000", "--share", "0", "--coverage")

    assert code == 0
    for what in (
        *("hang", "ghost came back", "loop ended", "loop failed", "reply"),
        *("fault: hang", "fault: raise", "pykka: raised"),
        *("how: done by handler", "how: done by job", "circle broken"),
        *("how: dead by supervisor", "how: timeout by watchdog"),
        *("how: cancelled by stop", "how: superseded by broker"),
        *("trace: restarted", "trace: late result", "log: module not made"),
    ):
        assert int(rows[what]) > 0, what


@pytest.mark.parametrize("preempt", [0.0, 0.005])
def test_the_same_seed_gives_the_same_run(preempt: float):
    first, again = run(5, 60, preempt), run(5, 60, preempt)

    assert first == again
    assert first.switches > 60


def test_another_seed_gives_another_run():
    switches = {found.switches for found in explore_some(seeds=5)}

    assert len(switches) > 1


def explore_some(seeds: int):
    return explore(40 * seeds, seed=1, preempt=0.0, share=0.0, steps_each=40)


def test_a_violation_is_printed_with_the_command_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # Tickets that a module owes when it is given up are forgotten.
    monkeypatch.setattr(Seat, "claim_dead", lambda *_: None)

    code, rows, text = table("--steps", "4000", "--share", "0", "--most", "1")

    assert (code, rows["violations"]) == (1, "1")
    printed = capsys.readouterr().err
    assert "VIOLATION\nseed " in printed
    replay = next(line for line in text.splitlines() if "--seed" in line)
    again, _, text_again = table(*replay.split()[2:])
    assert again == 1
    assert replay in text_again.splitlines()


def test_the_script_runs_from_anywhere():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--steps", "20", "--script", "20"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "violations                     0" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--steps", "0"], ["--preempt", "2"], ["--share", "nan"]]
)
def test_what_means_nothing_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
