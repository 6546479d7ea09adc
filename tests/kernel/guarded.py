"""A HAL process of its own, guarded as a real one, with a module that can hang.

Run as a script. It says what happens as JSON lines on stdout and takes orders on stdin;
`Guarded` is its other end, for tests.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.hangs import CASES

from hal.base import SafeStateCall, set_log_sink
from hal.devices import Shutter
from hal.kernel import DeviceModule, Safeguards, System
from tests.kernel.bench import PATIENCE_S, add, until
from tests.kernel.vocabulary import Act

ROOT = Path(__file__).resolve().parents[2]
HANGS = {hang.__name__: hang for _, _, hang in CASES}


class Lamp(Shutter):
    """A device that says how it is made safe from outside."""

    def __init__(self, call: SafeStateCall) -> None:
        super().__init__()
        self._call = call

    def outside_safe_state(self) -> SafeStateCall:
        return self._call

    def _do_set_shutter(self, is_open: bool) -> None:
        pass

    def _do_is_shutter_open(self) -> bool:
        return False

    def _do_halt(self) -> None:
        pass


class LampModule(DeviceModule[Lamp]):
    """Owns one."""

    driver_kind = Lamp


class Guarded:
    """A guarded process as a test sees it.

    Guarantees:
        It is killed at the end of the test, whatever has become of it.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def order(self, what: str) -> None:
        """Tell it what to do."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def said(self, key: str) -> Any:
        """Return what it says under `key`; earlier lines are passed over."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = json.loads(line)
            if key in found:
                return found[key]
        raise AssertionError(f"it ended without a word of '{key}'")

    def ended(self) -> int:
        """Return its exit code."""
        return self.process.wait(PATIENCE_S * 2)

    def report(self) -> list[dict[str, Any]]:
        """Return what its sentinel has reported."""
        return [
            json.loads(line)
            for path in sorted(self.folder.glob("sentinel_*.ndjson"))
            for line in path.read_text().splitlines()
        ]

    def reported(self, event: str) -> list[dict[str, Any]]:
        """Return what its sentinel has reported of one kind, once there is any."""
        until(lambda: [r for r in self.report() if r["event"] == event])
        return [r for r in self.report() if r["event"] == event]


@contextmanager
def guarded(
    folder: Path, *, before: list[str] | None = None, **settings: Any
) -> Iterator[Guarded]:
    """Run one.

    Args:
        folder: Its log folder.
        before: What to put before the command.
        settings: `deadline_s`, `where`, `hang`, `hang_s`, `lamps` and `safeguards`.
    """
    settings = {"folder": str(folder), **settings}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
    with subprocess.Popen(
        [
            *(before or []),
            sys.executable,
            *("-m", "tests.kernel.guarded"),
            json.dumps(settings),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Guarded(process, folder)
        finally:
            process.kill()


def say(**what: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Orders:
    """What a test can have done, by its first word."""

    def __init__(
        self,
        system: System,
        settings: dict[str, Any],
        logged: list[dict[str, Any]],
        records: list[Any],
    ) -> None:
        self.given_up = threading.Event()
        self.system = system
        self.settings = settings
        self.logged = logged
        self.records = records

    def hang_now(self) -> str:
        """Hang; then, unless it is patient, until it was given up."""
        say(hangs=time.time())
        time.sleep(self.settings.get("first_s", 0.0))
        HANGS[self.settings.get("hang", "hang_in_sleep")](
            self.settings.get("hang_s", 1.5)
        )
        if not self.settings.get("is_patient"):
            self.given_up.wait(PATIENCE_S)
        return "ended"

    def hang(self, where: str) -> None:
        """Hang in a `job` or `handler`, or `read` in a job; others have work too."""
        sent = self.system.send(Act(where), to="bad", deadline_s=60.0)
        others = [self.system.send(Act("answer"), to="good") for _ in range(20)]
        sent.wait(PATIENCE_S)
        say(others=[other.wait(PATIENCE_S) and other.responses for other in others])
        say(outcome=sent.responses or [[e.text, e.dump, e.data] for e in sent.errors])
        self.given_up.set()

    def stderr(self, _: str) -> None:
        """Have none any more."""
        sys.stderr = None  # type: ignore[assignment]

    def remove(self, folder: str) -> None:
        """Remove a folder."""
        shutil.rmtree(folder)

    def log(self, event: str) -> None:
        """Tell what was logged, once `event` was."""
        until(lambda: any(entry["event"] == event for entry in self.logged))
        say(log=self.logged)

    def trace(self, kind: str) -> None:
        """Tell the records of a kind, once there are any."""
        until(lambda: any(record["kind"] == kind for record in self.records))
        say(trace=[record for record in self.records if record["kind"] == kind])

    def sentinel(self, before: str) -> None:
        """Tell the sentinel's process, once it is another one."""
        sentinel = self.system.sentinel
        assert sentinel is not None
        until(lambda: sentinel.pid not in (None, int(before)))
        say(sentinel=sentinel.pid)

    def fork(self, _: str) -> None:
        """Fork off a process, which has all that is open here."""
        pid = os.fork()
        if pid == 0:
            signal.pause()
        say(forked=pid)

    def stop(self, _: str) -> None:
        """Stop the system and say what went wrong."""
        say(problems=[str(problem) for problem in self.system.stop()])


def ignores(pid: int, number: int) -> bool:
    """Whether a process ignores a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.split("SigIgn:")[1].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def _read() -> str:
    say(reads=True)
    return sys.stdin.readline()


def run(settings: dict[str, Any]) -> None:
    """Start a system and obey."""
    logged: list[dict[str, Any]] = []
    records: list[Any] = []
    set_log_sink(lambda record: logged.append({k: str(v) for k, v in record.items()}))
    system = System(
        log_folder=Path(settings["folder"]),
        safeguards=Safeguards(**settings.get("safeguards", {})),
    )
    system.run_kernel()
    system.trace.listen(records.append)
    orders = Orders(system, settings, logged, records)
    bad = add(system, "bad", deadline_s=settings.get("deadline_s", 0.5))
    bad.acts["handler"] = orders.hang_now
    bad.acts["job"] = lambda: bad.run_job(orders.hang_now)
    bad.acts["warm up"] = lambda: bad.run_job(lambda: None)
    bad.acts["read"] = lambda: bad.run_job(_read)
    add(system, "good")
    for name, entry, arguments in settings.get("lamps", ()):
        system.add(LampModule, name, driver=Lamp(SafeStateCall(entry, arguments)))
    system.start()
    # So that its worker is there, and known by name, before anything hangs.
    system.send(Act("warm up"), to="bad").wait()
    (names,) = Path(settings["folder"]).glob("heartbeat_*_threads.json")
    until(lambda: "bad/1/worker" in names.read_text())
    sentinel = None if system.sentinel is None else system.sentinel.pid
    until(lambda: sentinel is None or ignores(sentinel, signal.SIGTERM))  # it is there
    say(ready=sentinel)
    while order := sys.stdin.readline().strip():
        verb, _, what = order.partition(" ")
        getattr(orders, verb)(what)


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
    os._exit(0)
