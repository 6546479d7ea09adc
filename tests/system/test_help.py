"""What HAL says about itself, and that its examples are true."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest

from hal import __version__
from tests.system.running import DEMO, ROOT, SIM

COMMANDS = [
    ["--help"],
    ["check", "--help"],
    ["devices", "--help"],
    ["recover", "--help"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_by_example(hal, command):
    done = hal.run(*command)

    assert done.code == 0
    assert done.stderr == ""
    assert "examples:" in done.stdout
    assert "python hal.py" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 90


def test_help_says_what_every_option_and_exit_code_means(hal):
    text = hal.run("--help").stdout

    for option in (
        *("--headless", "--film", "--plan", "--name", "--output", "--format"),
        *("--overwrite", "--settings", "--simulation", "--set", "--log-dir"),
        *("--json", "--version", "--chaos"),
    ):
        assert re.search(rf"^\s+{option}\b", text, re.MULTILINE), option
    for code in ("0 done", "1 run failed", "2 bad input", "3 HAL could not", "130 "):
        assert code in text
    assert "Ctrl-C" in text


def examples(text: str) -> list[list[str]]:
    """Return the commands among the examples of a help text, as words."""
    joined = text.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    commands = [line for line in lines if line.startswith("python hal.py ")]
    # What follows several blanks explains.
    return [shlex.split(re.split(r" {3,}(?=[a-z])", line)[0])[2:] for line in commands]


def test_the_examples_of_help_work_as_they_stand(hal, tmp_path):
    wanted = [
        example
        for command in COMMANDS
        for example in examples(hal.run(*command).stdout)
    ]
    assert len(wanted) >= 8
    (tmp_path / "my_microscope.xml").write_text(DEMO.read_text())
    (tmp_path / "xml_configs").symlink_to(ROOT / "xml_configs")
    (tmp_path / "data").mkdir()
    for example in wanted:
        # 100 frames of 50 ms and runs without an end are shown, but too long for here.
        words = ["3" if word == "100" else word for word in example]
        is_run = words[0] not in ("check", "devices", "recover")
        if is_run and "--film" not in words:
            words = ["check", *words]
        done = hal.run(*words)
        assert done.code == 0, (example, done.stderr)


def test_the_version_is_said_on_stdout(hal):
    done = hal.run("--version")

    assert (done.code, done.stdout) == (0, f"HAL {__version__}\n")


def test_check_lists_modules_and_drivers_and_where_data_go(hal):
    done = hal.run("check", SIM)

    assert done.code == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == f"{SIM}: ok: Small simulated microscope"
    assert str(hal.folder / "hal-data") in lines[1]
    assert any(
        re.match(r"  camera1: .*SimCamera \(simulated\)", line) for line in lines
    )
    assert any(re.match(r"  recorder: .*\(added by HAL\)", line) for line in lines)
    assert not (hal.folder / "hal-data").exists()


def test_check_takes_the_options_that_change_what_is_checked(hal):
    simulated = hal.run("check", DEMO, "--simulation")
    refused = hal.run("check", SIM, "--set", "camera1.seed=x")

    assert simulated.code == 0, simulated.stderr
    assert "simulation" in simulated.stdout
    assert refused.code == 2
    assert "seed=" in refused.stderr


def test_devices_lists_what_is_installed_and_what_it_needs(hal):
    done = hal.run("devices")

    assert done.code == 0
    assert done.stderr == ""
    assert re.search(r"^  simulation\.camera \[Camera\]: .+", done.stdout, re.MULTILINE)
    assert re.search(r"^  cameras\.camera \[Camera\]: .+", done.stdout, re.MULTILINE)
    assert "needs pymmcore_plus: installed" in done.stdout
    assert re.search(r"exposure_s = 0\.01 s \(0", done.stdout)
    assert "cannot be used" not in done.stdout


def test_devices_for_programs_is_one_line_of_json(hal):
    done = hal.run("devices", "--json")

    assert done.code == 0
    (line,) = done.stdout.splitlines()
    found = {plugin["name"]: plugin for plugin in json.loads(line)}
    assert found["simulation.camera"]["kind"] == "Camera"
    assert {need["package"] for need in found["micromanager.camera"]["needs"]}
    assert all(not plugin["error"] for plugin in found.values())


def test_a_list_that_is_read_in_part_is_no_error(hal):
    """As `hal.py devices | head -1` does."""
    with subprocess.Popen(
        hal.command("devices"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=hal.environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_python_without_the_dependencies_is_told_what_to_run():
    """-S leaves out everything that was installed."""
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "hal.py"), str(SIM)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": ""},
    )

    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "python3 tools/start.py" in line
