"""The command line as people use it: exit codes, help, pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "hal_trace.py"


def _run(*argv, **env):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, argv)],
        capture_output=True,
        timeout=60,
        env={**os.environ, **env},
        check=False,
    )


@pytest.mark.parametrize("command", ["show", "stats", "sequence", "late"])
def test_bad_input_ends_with_2_and_one_clear_line(hal_trace, tmp_path, command):
    notes = tmp_path / "notes.txt"
    notes.write_text("hello\n")

    for log in (notes, tmp_path, tmp_path / "missing.jsonl"):
        code, out, err = hal_trace(command, log)

        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert str(log) in err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["draw", "x"],
        ["late", "x", "--percent", "0"],
        ["late", "x", "--percent", "all"],
        ["late", "x", "--limit", "0"],
    ],
)
def test_bad_arguments_end_with_2(hal_trace, argv):
    with pytest.raises(SystemExit) as ended:
        hal_trace(*argv)

    assert ended.value.code == 2


@pytest.mark.parametrize(
    "command", ["show", "stats", "sequence", "late", "follow", "export", "html"]
)
def test_help_teaches_by_example(hal_trace, capsys, command):
    with pytest.raises(SystemExit) as ended:
        hal_trace(command, "--help")

    assert ended.value.code == 0
    assert f"examples:\n  hal_trace.py {command} logs" in capsys.readouterr().out


def test_the_script_runs_from_anywhere_without_hal(new_trace, tmp_path):
    file = new_trace()
    file.move("main#1", 0.1)

    ended = _run("show", file.path, PYTHONPATH=str(tmp_path))

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"move stage" in ended.stdout


def test_a_reader_that_has_enough_ends_it_silently(new_trace):
    file = new_trace()
    for number in range(5000):
        file.move(f"main#{number}", number / 1000)

    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "show", str(file.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as show:
        assert show.stdout is not None
        assert show.stderr is not None
        show.stdout.readline()
        show.stdout.close()
        assert show.stderr.read() == b""
        assert show.wait(timeout=60) == 0


def test_a_terminal_that_cannot_show_a_letter_gets_its_code(new_trace):
    file = new_trace()
    file.event("log", 0.1, level="info", module="stage", event="10 \u00b5m \u2713")

    ended = _run("show", file.path, PYTHONIOENCODING="ascii")

    assert ended.returncode == 0
    assert b"10 \\xb5m \\u2713" in ended.stdout


def test_local_time_is_that_of_the_machine(new_trace):
    file = new_trace()
    file.move("main#1", 0.1)

    ended = _run("show", "--local", file.path, TZ="XYZ-2")

    if sys.platform != "win32":
        assert ended.stdout.splitlines()[0] == b"# 2026-11-20 XYZ"
        assert ended.stdout.splitlines()[1].startswith(b"08:00:00.100")
    assert ended.returncode == 0


def test_damage_is_summed_up_and_does_not_change_the_exit_code(hal_trace, new_trace):
    file = new_trace()
    file.raw(b"garbage\n")
    file.move("main#1", 0.1)
    file.raw(b'{"kind"')

    code, _, err = hal_trace("show", file.path)

    assert code == 0
    assert err.splitlines()[-1] == (
        "hal_trace: 1 corrupt line skipped, 1 last line cut off"
    )
