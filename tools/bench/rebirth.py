"""How long a process takes to be there, and to be there again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from bench.across import add_isolated
from bench.pairing import Scale, paired
from bench.report import Line
from bench.systems import PATIENCE_S, running_system
from bench.vocabulary import Echo
from hal.isolation import Gateway
from hal.kernel import System


def measure_start(scale: Scale) -> Iterator[Line]:
    """Yield the time from `add` to the first answer, against that of bare Python."""

    def bare() -> float:
        started_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)
        return time.perf_counter() - started_s

    def start() -> float:
        with running_system() as (system, _):
            started_s = time.perf_counter()
            add_isolated(system, "answerer")
            system.start()
            _ask(system)
            return time.perf_counter() - started_s

    found = paired(start, bare, scale.pick(2 * scale.rounds, 1))
    yield Line(
        "start",
        "added to first answer",
        found.ratio,
        "python -c 'import numpy'",
        stated=f"{found.measured * 1e3:.0f} ms, bare {found.baseline * 1e3:.0f} ms",
    )


def measure_kill(scale: Scale) -> Iterator[Line]:
    """Yield the time from SIGKILL to the next answer, against that of a first start."""
    kills = scale.pick(4 * scale.rounds, 2)
    took_s: list[float] = []
    seen_s: list[float] = []
    with running_system() as (system, _):
        add_isolated(system, "answerer")
        started_s = time.perf_counter()
        system.start()
        _ask(system)
        first_s = time.perf_counter() - started_s
        for _ in range(kills):
            gateway = system.module("answerer")
            assert isinstance(gateway, Gateway)
            killed_s = time.perf_counter()
            subprocess.run(["kill", "-9", str(gateway.pid)], check=True)
            while not gateway.is_given_up:
                time.sleep(0.0002)
            seen_s.append(time.perf_counter() - killed_s)
            _successor(system, gateway)
            took_s.append(time.perf_counter() - killed_s)
    yield Line(
        "kill",
        "killed to next answer",
        median(took_s) / first_s,
        "the first start",
        stated=f"median {median(took_s) * 1e3:.0f} ms, worst {max(took_s) * 1e3:.0f}",
    )
    yield Line(
        "kill",
        "killed to given up",
        median(seen_s) / 0.05,
        "50 ms",
        at_most=1.0,
        stated=f"median {median(seen_s) * 1e3:.1f} ms, worst {max(seen_s) * 1e3:.1f}",
    )


def _successor(system: System, before: Gateway) -> Gateway:
    give_up_s = time.perf_counter() + PATIENCE_S
    while True:
        module = system.module("answerer")
        assert isinstance(module, Gateway)
        if module.generation > before.generation and module.state == "started":
            _ask(system)
            return module
        if time.perf_counter() > give_up_s:
            raise RuntimeError(f"no successor: {module.state} {module.reason}")
        time.sleep(0.0005)


def _ask(system: System) -> None:
    delivery = system.send(Echo(1), to="answerer", deadline_s=PATIENCE_S)
    delivery.wait()
    delivery.result()
