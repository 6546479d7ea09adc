"""`tools/start.py` runs the demo or the tests, and hands on what becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import start_main
from environment import SetupError

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout with stand-ins for hal.py and the trace tool."""
    root = tmp_path / "hal clone"
    (root / "tools").mkdir(parents=True)
    (root / "hal.py").write_text(
        "import json, os, sys\n"
        "print('args', *sys.argv[1:])\n"
        "print('wrote /data/movie_0001.dax')\n"
        "print(json.dumps({'run_id': 'r', 'trace': 'logs/trace.jsonl'}))\n"
        "sys.exit(int(os.environ.get('HAL_CODE', 0)))\n"
    )
    (root / "tools" / "hal_trace.py").write_text(
        "import os, sys\nprint('stats', *sys.argv[1:])\n"
        "sys.exit(int(os.environ.get('TRACE_CODE', 0)))\n"
    )
    monkeypatch.setattr(start_main, "ROOT", root)
    return root


def test_the_demo_shows_what_hal_says_and_summarises_the_trace(checkout, capfd):
    code = start_main.run_demo(Path(sys.executable))

    out = capfd.readouterr().out
    assert code == 0
    assert out.splitlines() == [
        "args xml_configs/sim.xml --headless --film 100 --format dax"
        " --format ome-tiff --json",
        "wrote /data/movie_0001.dax",
        "",
        "stats stats --summary logs/trace.jsonl",
    ]


@pytest.mark.parametrize(
    ("hal", "trace", "code"), [(0, 0, 0), (1, 0, 1), (0, 4, 4), (3, 4, 3)]
)
def test_the_exit_code_is_that_of_hal_first(checkout, monkeypatch, hal, trace, code):
    monkeypatch.setenv("HAL_CODE", str(hal))
    monkeypatch.setenv("TRACE_CODE", str(trace))

    assert start_main.run_demo(Path(sys.executable)) == code


def test_an_interrupted_demo_ends_without_statistics(checkout, monkeypatch, capfd):
    monkeypatch.setenv("HAL_CODE", "130")

    assert start_main.run_demo(Path(sys.executable)) == 130
    assert "stats" not in capfd.readouterr().out


def test_a_hal_that_cannot_start_leaves_only_its_exit_code(checkout):
    (checkout / "hal.py").write_text("raise SystemExit(3)")

    assert start_main.run_demo(Path(sys.executable)) == 3


@pytest.mark.parametrize("line", ["", "{", "[1]", "12", '{"frames": 3}', "wrote x.dax"])
def test_a_line_of_text_is_not_taken_for_the_report(line):
    assert start_main.parse_report(line) is None


def test_a_child_killed_by_a_signal_gives_the_code_of_a_shell():
    suicide = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"

    assert start_main.run_child([sys.executable, "-c", suicide]) == 128 + 15


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_child_is_waited_for(number):
    """HAL needs a moment to close its data; it must not be killed meanwhile."""
    # The handler takes no lock: Event.set could meet the wait that it interrupts.
    child = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    print('closed')\n"
        "    sys.exit(7)\n"
        f"signal.signal({number:d}, stop)\n"
        "print('up', flush=True)\n"
        "time.sleep(20)\n"
        "print('lost')\n"
    )
    parent = (
        "import start_main, sys;"
        f"sys.exit(start_main.run_child([sys.executable, '-c', {child!r}]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent],
        cwd=TOOLS,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (7, "closed\n")


def test_pytest_gets_all_arguments(checkout, monkeypatch):
    commands = []
    monkeypatch.setattr(start_main, "ensure", lambda _root, extras: Path(*extras))
    monkeypatch.setattr(start_main, "run_child", lambda c: commands.append(c) or 5)

    assert start_main.main(["test", "-k", "ring", "--help"]) == 5
    assert start_main.main(["test"]) == 5

    some, every = commands
    assert some == [Path("plans", "test"), "-m", "pytest", "-k", "ring", "--help"]
    assert every[3:7] == ["-n", "logical", "--maxprocesses", "4"]
    # Whole files, the long ones first: see `tests/conftest.py`.
    assert every[7:] == ["--dist", "loadfile", "--no-loadscope-reorder"]


def test_the_demo_and_the_tests_need_no_set_up_after_each_other():
    assert "plans" in start_main.DEMO_EXTRAS
    assert set(start_main.DEMO_EXTRAS) < set(start_main.TEST_EXTRAS)


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (SetupError("type this", "pip said that"), 3, "pip said that\nstart.py: type "),
        (KeyboardInterrupt(), 130, "start.py: interrupted"),
    ],
)
def test_a_setup_that_fails_says_why(monkeypatch, capsys, raised, code, words):
    def ensure(_root: Path, _extras: list[str]) -> Path:
        raise raised

    monkeypatch.setattr(start_main, "ensure", ensure)

    assert start_main.main([]) == code
    assert capsys.readouterr().err.startswith(words)


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["-h"], 0), (["tset"], 2)]
)
def test_help_shows_both_commands(arguments, code):
    done = subprocess.run(
        [sys.executable, TOOLS / "start.py", *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert "python3 tools/start.py  " in done.stdout
    assert "python3 tools/start.py test" in done.stdout


@pytest.mark.parametrize("newer", ["python3.12", None])
def test_an_old_python_is_told_which_one_to_use(tmp_path, newer):
    if newer:
        (tmp_path / newer).touch()
    pretend = (
        "import runpy, sys; sys.version_info = (3, 8, 1);"
        f"runpy.run_path({str(TOOLS / 'start.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    first, second = done.stderr.splitlines()
    assert done.returncode == 3
    assert first.startswith("HAL needs Python 3.11 or newer; this is 3.8.1 (")
    assert second.startswith(
        f"Type: {newer} tools/start.py" if newer else "Install one"
    )
