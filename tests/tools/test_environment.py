"""`.venv` is made from whatever is there, or the user is told what to type."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import environment
import pytest
from environment import SetupError, Stamp

TOOLS = Path(__file__).resolve().parents[2] / "tools"
NO_ENSUREPIP = "created unsuccessfully because ensurepip is not available"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout in a path with a space, with nothing in it but its metadata."""
    root = tmp_path / "hal clone"
    root.mkdir()
    (root / "setup.cfg").write_text("[metadata]\nname = halscope\n")
    (root / "pyproject.toml").write_text("")
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose `.venv` was really made, and holds a package "halscope"."""
    root = tmp_path_factory.mktemp("made here")
    (root / "setup.cfg").write_text("[metadata]\nname = halscope\n")
    (root / "pyproject.toml").write_text("")
    environment.make_venv(root / ".venv")
    (packages,) = [
        *(root / ".venv").glob("lib/*/site-packages"),
        *(root / ".venv").glob("Lib/site-packages"),
    ]
    info = packages / "halscope-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: halscope\nVersion: 1\n"
    )
    return root


def stamped(checkout: Path, **changes: object) -> Stamp:
    """Put a stamp into `.venv` that differs from the wanted one by `changes`."""
    wanted = environment.wanted_stamp(checkout, ["test"])
    environment.write_stamp(checkout / ".venv", replace(wanted, **changes))
    return wanted


# What is done with the .venv that is there


def test_without_a_venv_one_is_made(root):
    assert environment.plan(root, environment.wanted_stamp(root, [])) == ("make", "")


def test_a_venv_made_for_the_same_is_kept(made):
    wanted = stamped(made)

    assert environment.plan(made, wanted) == ("keep", "")
    assert environment.plan(made, replace(wanted, extras=[])) == ("keep", "")


@pytest.mark.parametrize(
    ("changes", "action", "why"),
    [
        ({"state": "making"}, "make", "the last set-up did not finish"),
        ({"root": "/elsewhere"}, "make", "it was made in /elsewhere"),
        ({"python": "3.11.0rc1"}, "make", "it is for Python 3.11.0rc1"),
        ({"metadata": "0"}, "install", "setup.cfg or pyproject.toml has changed"),
        ({"extras": ["gui"]}, "install", "more packages are needed"),
    ],
)
def test_a_venv_made_for_something_else_is_seen(made, changes, action, why):
    wanted = stamped(made, **changes)

    assert environment.plan(made, wanted) == (action, why)


def test_the_stamp_follows_both_metadata_files(root):
    stamps = {environment.wanted_stamp(root, []).metadata}
    for name in ("setup.cfg", "pyproject.toml"):
        (root / name).write_text("changed")
        stamps.add(environment.wanted_stamp(root, []).metadata)

    assert len(stamps) == 3


def test_a_venv_the_user_made_is_used_not_deleted(made):
    (made / ".venv" / "hal-setup.json").unlink()

    wanted = environment.wanted_stamp(made, [])

    assert environment.plan(made, wanted) == ("install", "no HAL in it yet")


@pytest.mark.parametrize("found", ["folder", "file", "dangling link", "bad stamp"])
def test_what_does_not_work_is_made_again(root, found):
    venv = root / ".venv"
    if found == "folder":
        (venv / "bin").mkdir(parents=True)
    elif found == "file":
        venv.write_text("")
    elif found == "dangling link":
        venv.symlink_to(root / "nowhere")
    else:
        venv.mkdir()
        (venv / "hal-setup.json").write_text('{"state": "rea')

    wanted = environment.wanted_stamp(root, [])

    assert environment.plan(root, wanted) == ("make", "it does not work")


def test_a_venv_that_lost_a_package_is_made_again(made, tmp_path):
    broken = tmp_path / "made here"
    shutil.copytree(made, broken, symlinks=True)
    (info,) = (broken / ".venv").rglob("halscope-*.dist-info")
    shutil.rmtree(info)
    wanted = stamped(broken)

    assert environment.plan(broken, wanted) == ("make", "it does not work")


def test_a_link_in_place_of_the_venv_is_removed_and_its_target_is_not(root, tmp_path):
    (tmp_path / "precious").mkdir()
    (root / ".venv").symlink_to(tmp_path / "precious")

    environment._start_over(root / ".venv")

    assert (tmp_path / "precious").is_dir()
    assert not (root / ".venv").is_symlink()


# The whole of a set-up


def test_a_setup_is_stamped_only_when_everything_is_in(root, monkeypatch, capsys):
    """Cut short at any point, it is done again; the second time it is quick."""
    states = []

    def install(where: Path, extras: list[str]) -> None:
        found = environment.read_stamp(where / ".venv")
        states.append((found.state, extras))
        if len(states) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(environment, "make_venv", environment._start_over)
    monkeypatch.setattr(environment, "install_hal", install)

    with pytest.raises(KeyboardInterrupt):
        environment.ensure(root, ["test"])
    assert environment.read_stamp(root / ".venv").state == "making"

    python = environment.ensure(root, ["test"])
    assert states == [("making", ["test"])] * 2
    assert "making .venv again: the last set-up did not" in capsys.readouterr().err
    assert environment.read_stamp(root / ".venv").state == "ready"
    assert python == environment.python_of(root / ".venv")


def test_an_update_that_was_cut_short_is_seen(made, monkeypatch):
    """Pip may have been in the middle of replacing a package."""
    wanted = stamped(made, metadata="old")

    def install(_root: Path, _extras: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "install_hal", install)
    with pytest.raises(KeyboardInterrupt):
        environment.ensure(made, ["test"])

    assert environment.plan(made, wanted) == ("make", "the last set-up did not finish")


def test_extras_that_are_in_already_stay_in(made, monkeypatch):
    stamped(made, extras=["gui"])
    installed = []
    monkeypatch.setattr(
        environment, "install_hal", lambda _root, extras: installed.extend(extras)
    )

    environment.ensure(made, ["test"])
    environment.ensure(made, ["gui"])

    assert installed == ["gui", "test"]
    assert environment.read_stamp(made / ".venv").extras == ["gui", "test"]


def test_a_second_setup_waits_for_the_first(made):
    stamped(made)
    script = (
        "import environment as e, sys, pathlib as p; e.ensure(p.Path(sys.argv[1]), [])"
    )
    with environment._locked(made):
        second = subprocess.Popen(
            [sys.executable, "-c", script, made],
            cwd=TOOLS,
            stderr=subprocess.PIPE,
            text=True,
        )
        told = second.stderr.readline()
        assert second.poll() is None
    _, rest = second.communicate(timeout=20)

    assert told == "waiting for another start.py that is setting up this checkout\n"
    assert (second.returncode, rest) == (0, "")


def test_a_lock_that_is_never_given_back_ends_in_words(root, monkeypatch):
    monkeypatch.setattr(environment, "_LOCK_WAIT_S", 0.0)
    monkeypatch.setattr(environment, "_try_lock", lambda _fd: False)

    with pytest.raises(SetupError, match="end it and start again"):
        environment.ensure(root, [])


def test_what_pip_said_is_shown_when_it_fails(root, monkeypatch):
    script(monkeypatch, {"pip install": (1, "no such package: pykka")})

    with pytest.raises(SetupError, match="pip could not install HAL") as caught:
        environment.install_hal(root, [])

    assert caught.value.said == "no such package: pykka"


# Ways to a .venv where Debian has left ensurepip out


def script(monkeypatch, answers: dict[str, tuple[int, str]]) -> list[str]:
    """Answer commands by the first key found in them, else (0, ""); return them."""
    commands: list[str] = []

    def run(_cwd: Path, *command: str | Path) -> tuple[int, str]:
        line = " ".join(str(part) for part in command)
        commands.append(line)
        return next((answers[key] for key in answers if key in line), (0, ""))

    monkeypatch.setattr(environment, "_run", run)
    return commands


def debian(monkeypatch, is_root: bool) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(environment, "_is_root", lambda: is_root)


def test_without_ensurepip_the_pip_of_the_host_stands_in(root, monkeypatch):
    commands = script(monkeypatch, {f"-m venv {root}": (1, NO_ENSUREPIP)})

    environment.make_venv(root / ".venv")

    assert "--without-pip" in commands[-2]
    assert commands[-1].endswith(" install " + " ".join([*environment._QUIETLY, "pip"]))


def test_root_on_debian_installs_the_package_and_tries_again(root, monkeypatch):
    debian(monkeypatch, is_root=True)
    answers = {
        f"-m venv {root}": (1, NO_ENSUREPIP),
        "-m pip": (1, "No module named pip"),
    }
    commands = script(monkeypatch, answers)
    real = environment._run

    def installing(cwd: Path, *command: str | Path) -> tuple[int, str]:
        if "apt-get" in str(command):
            answers.clear()
        return real(cwd, *command)

    monkeypatch.setattr(environment, "_run", installing)
    environment.make_venv(root / ".venv")

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert commands[-2] == (
        f"sh -c apt-get update && apt-get install -y python{version}-venv"
    )
    assert commands[-1].endswith(f"-m venv {root / '.venv'}")


def test_a_user_on_debian_is_told_the_command(root, monkeypatch):
    debian(monkeypatch, is_root=False)
    script(monkeypatch, {"-m venv": (1, NO_ENSUREPIP), "-m pip": (1, "")})

    with pytest.raises(SetupError, match=r"sudo sh -c 'apt-get update && apt-get inst"):
        environment.make_venv(root / ".venv")


def test_elsewhere_the_user_is_told_what_is_missing(root, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    script(monkeypatch, {"-m venv": (1, NO_ENSUREPIP), "-m pip": (1, "")})

    with pytest.raises(SetupError, match="neither ensurepip nor pip"):
        environment.make_venv(root / ".venv")


def test_another_reason_why_no_venv_can_be_made_is_shown(root, monkeypatch):
    commands = script(monkeypatch, {"-m venv": (1, "No space left on device")})

    with pytest.raises(SetupError, match="could not make") as caught:
        environment.make_venv(root / ".venv")

    assert caught.value.said == "No space left on device"
    assert len(commands) == 1


def test_a_failing_apt_is_shown(root, monkeypatch):
    debian(monkeypatch, is_root=True)
    failures = {
        "-m venv": (1, NO_ENSUREPIP),
        "-m pip": (1, ""),
        "apt-get": (100, "404"),
    }
    script(monkeypatch, failures)

    with pytest.raises(SetupError, match="this failed: apt-get update") as caught:
        environment.make_venv(root / ".venv")

    assert caught.value.said == "404"


def test_the_stamp_is_readable_by_people(made):
    stamped(made)

    text = (made / ".venv" / "hal-setup.json").read_text()

    assert json.loads(text)["root"] == str(made)
