"""How soon after its deadline a hang is dumped, whatever it hangs in.

The dump is looked for as a file of the log folder that names the hanging function, so
it does not matter which layer of the watchdog wrote it; the time of such a file is that
of its stacks.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from bench.pairing import Scale
from bench.report import Line
from bench.systems import PATIENCE_S, post, running_system
from bench.vocabulary import Hanger, HangNow
from hal.base import ModuleState
from hal.kernel import Safeguards

BUDGET: Final = 1.2
LATEST_S: Final = 1.0
"""After the hang; what was held in C is written down when it is over."""
GUARDED: Final = Safeguards()
BEGUN_S: Final = 0.3
"""By then the sentinel is there, which sees the calls that keep the interpreter."""


def hang_in_sleep(hang_s: float) -> None:
    """Sleep."""
    time.sleep(hang_s)


def hang_on_lock(hang_s: float) -> None:
    """Wait for a lock that nobody gives back."""
    lock = threading.Lock()
    with lock:
        lock.acquire(timeout=hang_s)


def hang_in_python(hang_s: float) -> None:
    """Compute without any call that lets others run."""
    end_s = time.perf_counter() + hang_s
    while time.perf_counter() < end_s:
        pass


def hang_in_serial_read(hang_s: float) -> None:
    """Wait for a byte that a device does not send for so long."""
    if sys.platform == "win32":
        raise NotImplementedError("there are no pseudo terminals here")
    device, port = os.openpty()
    late = threading.Timer(hang_s, os.write, (device, b"\n"))
    late.start()
    os.read(port, 1)
    late.join()
    os.close(device)
    os.close(port)


def hang_in_c(hang_s: float) -> None:
    """Be in C code that has let go of the interpreter."""
    trial = 20_000
    started_s = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"", b"", trial)
    took_s = time.perf_counter() - started_s
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(trial * hang_s / took_s))


def hang_in_c_with_gil(hang_s: float) -> None:
    """Be in C code that keeps the interpreter, as a careless driver does."""
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(int(hang_s * 1e3))
    else:
        ctypes.PyDLL(None).usleep(int(hang_s * 1e6))


def hang_in_regex(hang_s: float) -> None:
    """Match a pattern that tries all of 2**n ways, and keeps the interpreter."""
    length = 16
    took_s = math.inf
    for _ in range(3):  # one that was interrupted would make the hang too short
        started_s = time.perf_counter()
        re.match(r"(a+)+$", "a" * length + "b")
        took_s = min(took_s, time.perf_counter() - started_s)
    length += math.ceil(math.log2(hang_s / took_s))
    re.match(r"(a+)+$", "a" * length + "b")


HOLDERS: Final = (hang_in_c_with_gil, hang_in_regex)
CASES: Final[tuple[tuple[str, str, Callable[[float], None]], ...]] = (
    ("sleep, in a job", "job", hang_in_sleep),
    ("sleep, in a handler", "handler", hang_in_sleep),
    ("sleep, in a loop", "loop", hang_in_sleep),
    ("lock", "job", hang_on_lock),
    ("pure Python loop", "job", hang_in_python),
    ("serial read", "job", hang_in_serial_read),
    ("C without the GIL", "job", hang_in_c),
    ("C with the GIL", "job", hang_in_c_with_gil),
    ("regex backtracking", "job", hang_in_regex),
)


def measure(scale: Scale) -> Iterator[Line]:
    """Yield the time from the beginning of a hang to its dump, over the deadline."""
    deadline_s = scale.pick(0.5, 0.1)
    # Some ticks longer than the deadline, or a busy machine sees no hang at all.
    hang_s = scale.pick(1.25, 0.45)
    for what, where, hang in CASES:
        rounds = scale.pick(max(1, min(3, scale.rounds)), 1)
        found = [_dumped(where, hang, deadline_s, hang_s) for _ in range(rounds)]
        ratios = [dumped for dumped in found if dumped is not None]
        stated = f"deadline {deadline_s:g} s"
        if ratios:
            stated += f", max {max(ratios):.2f}"
        if len(ratios) < len(found):
            stated += f", no dump in {len(found) - len(ratios)} of {len(found)}"
        yield Line(
            "hang",
            what,
            median(ratios) if len(ratios) == len(found) else None,
            "deadline",
            at_most=BUDGET,
            stated=stated,
        )
    yield _by_sentinel(scale, deadline_s)


def _by_sentinel(scale: Scale, silence_s: float) -> Line:
    """Return how soon a second process has the stacks of one that is held in C."""
    safeguards = Safeguards(standstill_s=silence_s)
    hang_s = scale.pick(2.0, 1.0)
    took = _dumped("job", hang_in_c_with_gil, PATIENCE_S, hang_s, safeguards)
    return Line(
        "hang",
        "GIL held, asked for by the sentinel",
        None if took is None else took * PATIENCE_S / silence_s,
        "silence",
        stated=f"after {silence_s:g} s without a beat",
        # Quickly measured, it may still be starting.
        not_covered=scale.quick,
    )


def _dumped(
    where: str,
    hang: Callable[[float], None],
    deadline_s: float,
    hang_s: float,
    safeguards: Safeguards = GUARDED,
) -> float | None:
    """Return when the dump was written, in deadlines; None if there is none."""
    began_s: list[float] = []
    ended = threading.Event()

    def hang_once() -> None:
        began_s.append(time.time())
        try:
            hang(hang_s)
        finally:
            ended.set()

    with running_system(safeguards) as (system, folder):
        system.add(Hanger, "hanger", deadline_s=deadline_s)
        system.start()
        if hang in HOLDERS:
            time.sleep(BEGUN_S)
        hanger = system.module("hanger")
        assert isinstance(hanger, Hanger)
        hanger.hang = hang_once
        post(system, HangNow(where), "hanger").wait(PATIENCE_S)
        ended.wait(PATIENCE_S)
        while hanger.state is ModuleState.HUNG:  # until it has noticed
            time.sleep(0.005)
        give_up_s = time.perf_counter() + LATEST_S
        while (written_s := _written_s(folder, hang.__name__)) is None:
            if time.perf_counter() > give_up_s:
                break
            time.sleep(0.005)
    return None if written_s is None else (written_s - began_s[0]) / deadline_s


def _written_s(folder: Path, function: str) -> float | None:
    """Return the wall time of the first file that shows `function` on a stack."""
    found = [
        path.stat().st_mtime
        for path in folder.glob("dump_*.txt")
        if f"in {function}" in path.read_text(encoding="utf-8", errors="replace")
    ]
    return min(found, default=None)
