"""HAL as its users have it: a process with arguments, two outputs and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = Path(__file__).resolve().parent / "plugins"
SIM = ROOT / "xml_configs" / "sim_headless.xml"
DEMO = ROOT / "xml_configs" / "micromanager_demo.xml"
SMALL = (
    *("--set", "camera1.width_px=64"),
    *("--set", "camera1.height_px=64"),
    *("--set", "camera1.exposure_s=0.002"),
)
"""A camera of 8 kB a frame and 500 frames a second."""
_POLL_S = 0.01


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Return what `condition` says as soon as it is true; fail if it is late."""
    give_up_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not (said := condition()):
        assert time.monotonic() < give_up_s, f"not within {timeout_s} s: {what}"
        pause.wait(_POLL_S)
    return said


@dataclass(frozen=True)
class Ended:
    """What a process that has ended left for whoever called it."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout, which is one JSON object."""
        said = json.loads(self.stdout.splitlines()[-1])
        assert isinstance(said, dict)
        return said

    @property
    def complaints(self) -> list[str]:
        """The lines of stderr."""
        return self.stderr.splitlines()


def _hear_signals() -> None:
    """Undo what the tests' own starter may have set: `&` and nohup ignore signals."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass
class Running:
    """A HAL process; output goes to files, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def stderr(self) -> str:
        return self.err.read_text("utf-8")

    def wait_for(self, condition: Callable[[], Any], what: str, s: float = 20.0) -> Any:
        """As `wait_until`, but not longer than the process lives."""

        def look() -> Any:
            alive = self.process.poll() is None
            said = condition()
            assert said or alive, f"ended before {what}:\n{self.stderr}"
            return said

        return wait_until(look, s, f"{what}\n{self.stderr}")

    def wait_for_text(self, text: str, s: float = 20.0) -> None:
        """Return when stderr contains `text`."""
        self.wait_for(lambda: text in self.stderr, f"stderr says {text!r}", s)

    def interrupt(self, number: int = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def modules(self) -> dict[str, psutil.Process]:
        """Return the processes of modules, by the name they have in lists."""
        found = {}
        for process in psutil.Process(self.process.pid).children():
            named = [word for word in process.cmdline() if word.startswith("hal:")]
            found.update({word.removeprefix("hal:"): process for word in named})
        return found

    def kill_all(self) -> None:
        """Kill HAL and all processes of its modules at once."""
        modules = self.modules().values()
        self.process.kill()
        for module in modules:
            module.kill()
        self.process.wait(10.0)
        _gone, alive = psutil.wait_procs(modules, 10.0)
        assert not alive

    def end(self, timeout_s: float) -> Ended:
        """Return what it left, once it has ended by itself."""
        code = self.process.wait(timeout_s)
        return Ended(code, self.out.read_text("utf-8"), self.stderr)


@dataclass
class Hal:
    """Starts HAL processes whose logs stay in the test's own folder."""

    folder: Path
    before: Sequence[str] = ()
    """A command that runs HAL, as `nsenter` does."""
    _running: list[Running] = field(default_factory=list)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def environment(self, **more: str) -> dict[str, str]:
        # A home of its own, because that is where films go if nothing else is said.
        paths = os.pathsep.join([str(ROOT), str(PLUGINS)])
        mine = {"HOME": str(self.folder), "PYTHONPATH": paths, "TERM": "xterm"}
        return {**os.environ, **mine, **more}

    def command(self, *arguments: str | Path) -> list[str]:
        texts = [str(argument) for argument in arguments]
        is_run = not texts or texts[0] not in ("check", "devices", "recover")
        if is_run and "--log-dir" not in texts and texts != ["--help"]:
            texts += ["--log-dir", str(self.logs)]
        return [*self.before, sys.executable, str(ROOT / "hal.py"), *texts]

    def run(self, *arguments: str | Path, timeout_s: float = 60.0) -> Ended:
        """Run HAL to its end."""
        return self.start(*arguments).end(timeout_s)

    def start(self, *arguments: str | Path, **environment: str) -> Running:
        """Start HAL and return at once."""
        number = len(self._running)
        out, err = (self.folder / f"{name}{number}.txt" for name in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=self.environment(**environment),
                cwd=self.folder,
                preexec_fn=_hear_signals if os.name == "posix" else None,
            )
        running = Running(process, out, err)
        self._running.append(running)
        return running

    def kill_all(self) -> None:
        """End what a failed test left running."""
        for running in self._running:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait(10.0)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of everything below `folder`; empty if there is none."""
    return {
        str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        for stat in [path.lstat()]
        if not path.is_dir()
    } | {
        str(path.relative_to(folder)): (0, 0)
        for path in sorted(folder.rglob("*"))
        if path.is_dir()
    }


def trace_records(log_folder: Path) -> list[dict[str, Any]]:
    """Return the records of all traces in a folder; the last line may be torn."""
    records = []
    for path in sorted(log_folder.glob("trace_*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
    return records


def acknowledged(hal: Hal) -> int:
    """Return how many frames the trace says are stored."""
    return max(
        (
            int(record["last"]) + 1
            for record in trace_records(hal.logs)
            if record.get("kind") == "frames" and record.get("step") == "stored"
        ),
        default=0,
    )
