"""A request to another process and its answer, against a bare pipe and in process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from typing import Final, Protocol

from bench.pairing import Paired, Scale, paired
from bench.report import Line
from bench.systems import (
    ask_in_turn,
    finish,
    post,
    running_system,
    took_to_ask_around,
)
from bench.vocabulary import Answerer, AskAround, Asker, Echo
from hal.isolation import Hosts, Launch, gateway_class
from hal.kernel import RestartPolicy, System

BUDGET: Final = 6.0
_BYTES: Final = 100
_ECHO: Final = """
import sys
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[1]))
try:
    while True:
        pipe.send_bytes(pipe.recv_bytes())
except EOFError:
    pass
"""


def measure(scale: Scale) -> Iterator[Line]:
    """Yield what a round trip to another process costs."""
    count = scale.pick(250, 20)
    rounds = scale.pick(8 * scale.rounds, 1)
    with echoing() as pipe, running_system() as (system, _):
        add_isolated(system, "answerer")
        system.add(Answerer, "neighbour")
        system.add(Asker, "asker")
        system.start()

        def raw() -> float:
            data = bytes(_BYTES)
            started_s = time.perf_counter()
            for _ in range(count):
                pipe.send_bytes(data)
                pipe.recv_bytes()
            return time.perf_counter() - started_s

        def outside(name: str) -> float:
            return ask_in_turn(system, Echo, name, count)

        def job() -> float:
            return took_to_ask_around(post(system, AskAround(count), "asker"))

        def burst() -> float:
            started_s = time.perf_counter()
            finish([post(system, Echo(n), "answerer") for n in range(count)], 1)
            return time.perf_counter() - started_s

        asked = paired(lambda: outside("answerer"), raw, rounds)
        by_job = paired(job, raw, rounds)
        beside = paired(
            lambda: outside("answerer"), lambda: outside("neighbour"), rounds
        )
        queued = paired(burst, raw, rounds)
    yield _line("asked from outside", asked, count, "raw pipe", BUDGET)
    yield _line("a module's job asks it", by_job, count, "raw pipe", BUDGET)
    yield _line("asked from outside", beside, count, "in process")
    yield _line("queued, one at a time in the child", queued, count, "raw pipe")


def add_isolated(system: System, name: str) -> None:
    """Add an `Answerer` in a process of its own."""
    if Hosts not in system.services:
        system.provide(Hosts(system))
    # How often it may die is not what is measured.
    at_once = RestartPolicy(intensity=1_000_000, backoff_s=0.0)
    system.add(
        gateway_class(Answerer), name, restart=at_once, launch=Launch(name, Answerer)
    )


class RawPipe(Protocol):
    """An end of Python's own pipe, which has another name on Windows."""

    def send_bytes(self, data: bytes) -> None:
        """Send."""

    def recv_bytes(self) -> bytes:
        """Receive."""


@contextmanager
def echoing() -> Iterator[RawPipe]:
    """Yield Python's own pipe to a process that sends back whatever it gets."""
    ours, theirs = Pipe()
    number = theirs.fileno()
    with (
        ours,
        subprocess.Popen(
            [sys.executable, "-c", _ECHO, str(number)], pass_fds=[number]
        ) as process,
    ):
        theirs.close()
        yield ours
        ours.close()
        process.wait()


def _line(
    what: str, found: Paired, count: int, of: str, budget: float | None = None
) -> Line:
    return Line(
        "round_trip",
        what,
        found.ratio,
        of,
        at_most=budget,
        stated=f"{found.measured / count * 1e6:.0f} us, "
        f"{of} {found.baseline / count * 1e6:.0f} us",
    )
