"""Make `.venv` ready for HAL: once, quickly the second time, whatever was there.

Standard library only. What `.venv` holds is written in `.venv/hal-setup.json`: it
says "making" until everything is in, so a set-up that was cut short is seen and
done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_METADATA = ("setup.cfg", "pyproject.toml")
_QUIETLY = ("--quiet", "--disable-pip-version-check", "--no-input")
_LOCK_WAIT_S = 1800.0
# Beyond the end of the file, so that on Windows nobody is kept from reading it.
_LOCK_OFFSET = 1 << 30


class SetupError(Exception):
    """HAL cannot be set up here; the text says why or what the user can type."""

    def __init__(self, text: str, said: str = "") -> None:
        super().__init__(text)
        self.said = said
        """What the tool that failed had to say, in full."""


@dataclass(frozen=True)
class Stamp:
    """What a `.venv` was made for; any difference but fewer extras means work."""

    state: str
    root: str
    """A renamed checkout leaves wrong absolute paths in scripts and editable links."""
    python: str
    metadata: str
    extras: list[str]


def say(text: str) -> None:
    """Tell the user on stderr; results alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def python_of(venv: Path) -> Path:
    """Return the interpreter of a virtual environment.

    Always run as `python -m TOOL`: the scripts beside it break when the checkout
    moves or its path has a space.
    """
    if sys.platform == "win32":
        return venv / "Scripts" / "python.exe"
    return venv / "bin" / "python"


def wanted_stamp(root: Path, extras: Sequence[str]) -> Stamp:
    """Return the stamp of a `.venv` made now for `extras`."""
    digest = hashlib.sha256()
    for name in _METADATA:
        digest.update((root / name).read_bytes())
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Stamp("ready", str(root), version, digest.hexdigest(), sorted(extras))


def read_stamp(venv: Path) -> Stamp | None:
    """Return what `.venv` says it was made for, None where it does not say."""
    try:
        return Stamp(**json.loads((venv / "hal-setup.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_stamp(venv: Path, stamp: Stamp) -> None:
    """Write the stamp whole or not at all."""
    draft = venv / "hal-setup.json.new"
    draft.write_text(json.dumps(asdict(stamp)), "utf-8")
    draft.replace(venv / "hal-setup.json")


def plan(root: Path, wanted: Stamp) -> tuple[str, str]:
    """Return what to do with `.venv` and why: "keep", "install" or "make"."""
    venv = root / ".venv"
    if not os.path.lexists(venv):
        return "make", ""
    found = read_stamp(venv)
    if found is not None:
        if found.state != "ready":
            return "make", "the last set-up did not finish"
        if found.root != wanted.root:
            return "make", f"it was made in {found.root}"
        if found.python != wanted.python:
            return "make", f"it is for Python {found.python}"
    probe = "import pip, importlib.metadata as m; m.version('halscope')"
    if found is None:
        # Made by the user: HAL can move in if it works, with or without HAL in it.
        probe = "import pip, sys; assert sys.version_info >= (3, 11)"
    if _run(root, python_of(venv), "-I", "-c", probe)[0] != 0:
        return "make", "it does not work"
    if found is None:
        return "install", "no HAL in it yet"
    if found.metadata != wanted.metadata:
        return "install", "setup.cfg or pyproject.toml has changed"
    if not set(wanted.extras) <= set(found.extras):
        return "install", "more packages are needed"
    return "keep", ""


def ensure(root: Path, extras: Sequence[str]) -> Path:
    """Return the interpreter of a `.venv` that holds HAL with `extras`.

    Raises:
        SetupError: It could not be made; the text says what to type.
    """
    venv = root / ".venv"
    with _locked(root):
        wanted = wanted_stamp(root, extras)
        action, why = plan(root, wanted)
        if action == "keep":
            return python_of(venv)
        started_s = time.monotonic()
        if action == "make":
            say(f"making .venv again: {why}" if why else "making .venv")
            make_venv(venv)
        found = read_stamp(venv)
        everything = sorted({*extras, *(found.extras if found else ())})
        making = Stamp("making", wanted.root, wanted.python, "", everything)
        write_stamp(venv, making)
        named = f" with [{','.join(everything)}]" if everything else ""
        say(f"installing HAL{named}, a minute or two the first time")
        install_hal(root, everything)
        ready = Stamp("ready", wanted.root, wanted.python, wanted.metadata, everything)
        write_stamp(venv, ready)
        say(f"ready after {time.monotonic() - started_s:.0f} s")
        return python_of(venv)


def install_hal(root: Path, extras: Sequence[str]) -> None:
    """Install the checkout itself, editable, and what it needs, into its `.venv`."""
    # "." with the checkout as working directory: its path may hold anything.
    target = f".[{','.join(extras)}]" if extras else "."
    python = python_of(root / ".venv")
    code, output = _run(
        root, python, "-m", "pip", "install", *_QUIETLY, "--editable", target
    )
    if code != 0:
        raise SetupError("pip could not install HAL; its words are above", output)


def make_venv(venv: Path) -> None:
    """Make an empty virtual environment with pip in it, by whichever way works here.

    Debian's python3 comes without ensurepip, so its `venv` fails until a package is
    added; a pip on the host can stand in for it.
    """
    host = Path(getattr(sys, "_base_executable", None) or sys.executable)
    said = _try_venv(host, venv)
    if said is None:
        return
    if "ensurepip" not in said and "No module named venv" not in said:
        raise SetupError(f"Python could not make {venv}; its words are above", said)
    if _try_pip_of_host(host, venv):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    apt = shutil.which("apt-get")
    if apt is None or sys.base_prefix != "/usr":
        raise SetupError(
            f"{host} has neither ensurepip nor pip. Install one of them, or type: "
            "ANOTHER_PYTHON tools/start.py"
        )
    command = f"apt-get update && apt-get install -y {package}"
    if not _is_root():
        raise SetupError(
            f"This Python cannot make virtual environments yet. Type:\n"
            f"    sudo sh -c '{command}'\nand start again."
        )
    say(f"installing the Debian package {package}")
    code, output = _run(venv.parent, "sh", "-c", command)
    if code != 0:
        raise SetupError(f"this failed: {command}", output)
    said = _try_venv(host, venv)
    if said is not None:
        raise SetupError(f"Python still cannot make {venv}", said)


def _try_venv(host: Path, venv: Path) -> str | None:
    _start_over(venv)
    code, output = _run(venv.parent, host, "-m", "venv", venv)
    return None if code == 0 else output


def _try_pip_of_host(host: Path, venv: Path) -> bool:
    def works(*arguments: str | Path) -> bool:
        return _run(venv.parent, host, "-m", *arguments)[0] == 0

    if not works("pip", "--version"):
        return False
    _start_over(venv)
    return works("venv", "--without-pip", venv) and works(
        "pip", "--python", python_of(venv), "install", *_QUIETLY, "pip"
    )


def _start_over(venv: Path) -> None:
    """Leave an empty folder that says it is not finished."""
    try:
        if venv.is_symlink() or venv.is_file():
            venv.unlink()
        elif venv.exists():
            shutil.rmtree(venv)
        venv.mkdir()
        write_stamp(venv, Stamp("making", "", "", "", []))
    except OSError as exc:
        raise SetupError(f"{venv} cannot be made anew: {exc}") from exc


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _run(cwd: Path, *command: str | Path) -> tuple[int, str]:
    """Return the exit code and everything said; 127 where it cannot be started."""
    settings = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "PIP_USER": "0",
    }
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as exc:
        return 127, str(exc)
    return done.returncode, done.stdout.rstrip()


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Let one set-up at a time work in a checkout; the lock ends with its process."""
    with (root / "setup.cfg").open("rb") as file:
        deadline_s = time.monotonic() + _LOCK_WAIT_S
        told = False
        while not _try_lock(file.fileno()):
            if not told:
                say("waiting for another start.py that is setting up this checkout")
                told = True
            if time.monotonic() > deadline_s:
                raise SetupError(
                    f"another start.py has been setting up {root} for "
                    f"{_LOCK_WAIT_S / 60:.0f} minutes; end it and start again"
                )
            time.sleep(0.1)
        yield


def _try_lock(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(fd, _LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
