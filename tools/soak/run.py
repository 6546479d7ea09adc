"""The soak itself: sends, waits, and measures from time to time."""

from __future__ import annotations

import gc
import random
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil

from hal.base import set_log_sink
from hal.kernel import Delivery, How, ModuleStatistics, RestartPolicy, System
from soak.modules import (
    DEADLINE_S,
    PooledSoakWorker,
    SoakHurry,
    SoakNews,
    SoakPicture,
    SoakWork,
    SoakWorker,
)

MODULES = 8
IN_FLIGHT = 200
"""So many messages are on their way before the oldest is waited for."""
_HARMLESS = ("answer", "job", "loop", "send")
_HARMFUL = ("raise", "exit", "fail", "hang", "hang in job", "hang in loop")
_HARM = 0.002
"""How likely a message does harm: some restarts a second, among thousands of others."""
_PATIENCE_S = 30.0


class Sample(msgspec.Struct, frozen=True):
    """What the process uses, and what it has done by then."""

    after_s: float
    messages: int
    restarts: int
    threads: int
    files: int
    rss_mb: float
    objects: int


class Broken(Exception):
    """A guarantee did not hold."""


class Soak:
    """Random traffic between modules that misbehave now and then.

    Runs on: the caller's thread.
    """

    def __init__(self, seed: int, pause_s: float = 0.0) -> None:
        """Begin with nothing sent.

        Args:
            seed: Of the traffic.
            pause_s: What to wait after each hundred messages, to leave the machine
                to others.
        """
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._sent: deque[Delivery] = deque()
        self.messages = 0
        self.outcomes: Counter[str] = Counter()

    def run(self, duration_s: float, sample_s: float) -> Iterator[Sample]:
        """Send for so long; yield a sample every `sample_s`, the last at the end.

        Raises:
            Broken: A message did not complete, or a module answers no more.
        """
        # A thread that comes back late may still write its dump.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            system = System(log_folder=Path(folder))
            previous_sink = set_log_sink(system.trace.log)
            system.run_kernel()
            try:
                yield from self._run(system, duration_s, sample_s)
            finally:
                system.stop()
                set_log_sink(previous_sink)

    def _run(
        self, system: System, duration_s: float, sample_s: float
    ) -> Iterator[Sample]:
        policy = RestartPolicy(intensity=10**9, backoff_s=0.0)
        for number in range(MODULES):
            kind = PooledSoakWorker if number % 2 else SoakWorker
            system.add(kind, f"m{number}", deadline_s=DEADLINE_S, restart=policy)
        system.start()
        began_s = time.monotonic()
        next_s = began_s + sample_s
        while (now_s := time.monotonic()) < began_s + duration_s:
            for _ in range(100):
                self._step(system)
            time.sleep(self._pause_s)
            if now_s >= next_s:
                next_s += sample_s
                yield self._sample(system, began_s)
        yield self._sample(system, began_s)

    def _step(self, system: System) -> None:
        rng = self._random
        kind = rng.random()
        name = f"m{rng.randrange(MODULES)}"
        number = self.messages
        if kind < _HARM:
            self._send(system, SoakWork(rng.choice(_HARMFUL)), name)
        elif kind < 0.5:
            self._send(system, SoakWork(rng.choice(_HARMLESS), number), name)
        elif kind < 0.6:
            self._send(system, SoakHurry(), name)
        elif kind < 0.7:
            self._send(system, SoakPicture(number), None)
        elif kind < 0.71:
            self._send(system, SoakNews(number), None, sync=True)
        elif kind < 0.72:
            chain = tuple(SoakNews(number) for _ in range(3))
            sent = system.broker.send_chain(chain, principal="script:soak")
            self._sent.extend(sent)
            self.messages += len(sent)
        else:
            self._send(system, SoakNews(number), None)
        while len(self._sent) > IN_FLIGHT:
            self._check(self._sent.popleft())

    def _send(
        self,
        system: System,
        message: SoakWork | SoakHurry | SoakNews | SoakPicture,
        to: str | None,
        *,
        sync: bool = False,
    ) -> None:
        self._sent.append(
            system.broker.send(message, principal="script:soak", to=to, sync=sync)
        )
        self.messages += 1

    def _check(self, delivery: Delivery) -> None:
        if not delivery.wait(_PATIENCE_S):
            raise Broken(f"'{delivery.type}' ({delivery.id}) never completed")
        for ticket in delivery.tickets.values():
            if ticket.how is None:
                raise Broken(f"{ticket.receiver} has no outcome for '{delivery.type}'")
            self.outcomes[ticket.how] += 1

    def _sample(self, system: System, began_s: float) -> Sample:
        while self._sent:
            self._check(self._sent.popleft())
        self._wait_for_calm(system)
        # What was said is kept until the trace has written it: that is no growth.
        _wait_until(lambda: not system.trace.backlog, "the trace is not written")
        gc.collect()
        process = psutil.Process()
        statistics = system.statistics()
        return Sample(
            after_s=round(time.monotonic() - began_s, 1),
            messages=self.messages,
            restarts=sum(module.restarts for module in statistics),
            threads=process.num_threads(),
            files=process.num_fds() if psutil.POSIX else process.num_handles(),
            rss_mb=round(process.memory_info().rss / 2**20, 2),
            objects=len(gc.get_objects()),
        )

    def _wait_for_calm(self, system: System) -> None:
        """Return when every module answers and nothing hangs any more.

        Raises:
            Broken: That does not happen.
        """
        _wait_until(
            lambda: (
                not (system.left_behind() or any(map(_is_at_work, system.statistics())))
            ),
            "the modules do not come to rest",
        )
        for number in range(MODULES):
            answer = system.send(SoakWork("answer", number), to=f"m{number}")
            self._check(answer)
            if [ticket.how for ticket in answer.tickets.values()] != [How.DONE]:
                raise Broken(f"m{number} answers no more: {answer.errors}")


def _wait_until(ready: Callable[[], bool], what: str) -> None:
    """Return when `ready`.

    Raises:
        Broken: That does not happen.
    """
    give_up_s = time.monotonic() + _PATIENCE_S
    while not ready():
        if time.monotonic() > give_up_s:
            raise Broken(what)
        time.sleep(0.01)


def _is_at_work(module: ModuleStatistics) -> bool:
    return module.state != "started" or bool(module.busy_with) or module.queued > 0
