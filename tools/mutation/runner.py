"""Applies one break to a copy of the project and runs the tests that should fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
_COPIED: Final = ("hal", "modules", "tests", "tools", "xml_configs")
_FILES: Final = ("hal.py", "pyproject.toml", "setup.cfg")
_LIMIT_S: Final = 300.0
_TESTS_FAILED: Final = 1
_NOTHING_RUN: Final = (2, 3, 4, 5)
"""What pytest returns when it could not run the tests at all."""


class Break(NamedTuple):
    """One way to break the kernel."""

    name: str
    """What is wrong then, in words."""
    file: str
    """From the root of the project."""
    old: str
    """Text that is there exactly once."""
    new: str
    tests: tuple[str, ...]
    """What has to fail, as arguments of pytest."""


class Verdict(NamedTuple):
    """What became of one break in one run."""

    broken: Break
    caught: bool
    by: str
    """The first test that failed, or what else ended it."""
    took_s: float


class CannotBreak(Exception):
    """The text to replace is not there, or not once."""


def broken(text: str, change: Break) -> str:
    """Return `text` with the break in it.

    Raises:
        CannotBreak: The old text does not occur exactly once.
    """
    found = text.count(change.old)
    if found != 1:
        raise CannotBreak(
            f"'{change.name}': expected its text once in {change.file}, found {found}"
        )
    return text.replace(change.old, change.new)


def check(breaks: Sequence[Break]) -> None:
    """Do nothing if all breaks apply to the project as it is.

    Raises:
        CannotBreak: One does not.
    """
    for change in breaks:
        broken((ROOT / change.file).read_text(encoding="utf-8"), change)


def run(breaks: Sequence[Break], jobs: int) -> Iterator[Verdict]:
    """Try each break once; yield the verdicts as they come, `jobs` at a time."""
    with tempfile.TemporaryDirectory(prefix="breaks_") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copies.put(_copy(Path(folder) / str(number)))
        with ThreadPoolExecutor(jobs) as pool:
            pending = [pool.submit(_try, change, copies) for change in breaks]
            for done in as_completed(pending):
                yield done.result()


def _copy(target: Path) -> Path:
    target.mkdir()
    for name in _COPIED:
        shutil.copytree(
            ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in _FILES:
        shutil.copy(ROOT / name, target / name)
    return target


def _try(change: Break, copies: SimpleQueue[Path]) -> Verdict:
    copy = copies.get()
    try:
        with _applied(change, copy):
            return _test(change, copy)
    finally:
        copies.put(copy)


@contextmanager
def _applied(change: Break, copy: Path) -> Iterator[None]:
    path = copy / change.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(broken(whole, change), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(whole, encoding="utf-8")


def _test(change: Break, copy: Path) -> Verdict:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += ["--timeout=60", "--no-header", *change.tests]
    # Without compiled files: two versions of one second would be taken for one.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    started_s = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(change, True, f"no end in {_LIMIT_S:g} s", _LIMIT_S)
    took_s = time.monotonic() - started_s
    lines = [x for x in done.stdout.splitlines() if x.startswith(("FAILED", "ERROR"))]
    if done.returncode in _NOTHING_RUN:
        raise CannotBreak(f"'{change.name}': pytest did not run: {done.stdout[-500:]}")
    # A timeout kills pytest itself, with another code and no line.
    by = lines[0].split(" - ")[0] if lines else f"pytest ended with {done.returncode}"
    return Verdict(change, done.returncode != 0, by, took_s)
