"""Killed at random moments under traffic: every message ends once, HAL works on."""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

import pytest

from hal.kernel import Delivery, Message, System
from tests.isolation.bench import add, ask, done, gateway, until
from tests.isolation.puppets import Do, DoAsJob, DoAtOnce, Happened, Puppet

# A stopped process takes its deadline to be found; the others take milliseconds.
SIGNALS = [*5 * [signal.SIGKILL, signal.SIGSEGV], signal.SIGSTOP]


class Traffic:
    """Sends, and counts how often each message has ended."""

    def __init__(self, system: System, seed: int) -> None:
        self.sent: list[Delivery] = []
        self._ends: Counter[str] = Counter()
        self._system = system
        self._random = random.Random(seed)

    def send_some(self) -> None:
        """Send a few messages of all kinds."""
        kinds: list[Callable[[int], Message]] = [
            lambda _: Do("answer"),
            lambda _: DoAtOnce("answer"),
            lambda _: DoAsJob("sleep 0.002"),
            lambda n: Do(f"tell {n}"),
            lambda _: Do("raise"),
        ]
        for number in range(self._random.randint(1, 8)):
            message = self._random.choice(kinds)(number)
            self._send(message, to=self._random.choice(["puppet", "other"]))
        self._send(Happened("test", len(self.sent)))

    def _send(self, message: Message, to: str | None = None) -> None:
        def ended(delivery: Delivery) -> None:
            self._ends[str(delivery.id)] += 1

        self.sent.append(
            self._system.broker.send(
                message,
                principal="script:test",
                to=to,
                deadline_s=60.0,
                on_complete=ended,
            )
        )

    def check(self) -> Counter[str]:
        """Fail unless all has ended, once; return how."""
        outcomes: Counter[str] = Counter()
        for delivery in self.sent:
            done(delivery)
            until(lambda d=delivery: self._ends[str(d.id)])  # type: ignore[misc]
            assert self._ends[str(delivery.id)] == 1
            for name, ticket in delivery.tickets.items():
                assert ticket.how is not None
                outcomes[ticket.how] += 1
                failed = [e for e in delivery.errors if e.source == name]
                assert not (failed and name in delivery.responses)
        return outcomes


class Neighbour:
    """Asks a module of HAL's own process all the time, and notes how long it takes."""

    def __init__(self, system: System) -> None:
        self.took_s: list[float] = []
        self._system = system
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="neighbour")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.wait(0.01):
            asked_s = time.monotonic()
            assert ask(self._system, Do("answer"), "neighbour") == 42
            self.took_s.append(time.monotonic() - asked_s)


def kill_many(system: System, kills: int, seed: int) -> str:
    """Kill a child again and again; return how long it was missing, for people."""
    chosen = random.Random(seed)
    traffic = Traffic(system, seed)
    took_s: dict[str, list[float]] = {}
    for _ in range(kills):
        until_s = time.monotonic() + chosen.uniform(0.0, 0.1)
        while time.monotonic() < until_s:
            traffic.send_some()
            time.sleep(0.002)
        before = gateway(system, "puppet")
        how = chosen.choice(SIGNALS)
        os.kill(before.pid, how)
        killed_s = time.monotonic()
        for _ in range(3):
            traffic.send_some()
        until(lambda b=before: system.module("puppet").generation > b.generation)  # type: ignore[misc]
        until(lambda: system.module("puppet").state == "started")
        assert ask(system, Do("answer"), "puppet", deadline_s=60.0) == 42
        took_s.setdefault(how.name, []).append(time.monotonic() - killed_s)
    told = [f"{len(traffic.sent)} messages, tickets {dict(traffic.check())}"]
    for name, times in took_s.items():
        median_s = statistics.median(times)
        told.append(f"{name}: {median_s:.2f} s median, {max(times):.2f} s worst")
    return "; ".join(told)


@pytest.mark.parametrize(
    "kills",
    [15, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
)
def test_every_message_ends_once_however_often_it_is_killed(
    system: System, kills: int
) -> None:
    system.add(Puppet, "neighbour")
    for name in ("puppet", "other"):
        add(system, name, deadline_s=2.0)
    system.start()

    with Neighbour(system) as neighbour:
        told = kill_many(system, kills, seed=5)

    waited_s = sorted(neighbour.took_s)
    p99_s = waited_s[int(0.99 * len(waited_s))]
    sys.stdout.write(
        f"{kills} kills: {told}; a neighbour answered after "
        f"{statistics.median(waited_s) * 1e3:.1f} ms median, {p99_s * 1e3:.1f} ms p99"
    )
    assert system.module("puppet").generation == kills + 1
    assert system.module("other").generation == 1
