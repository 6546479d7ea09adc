"""Messages and modules that the kernel benchmarks are made of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from hal.kernel import Dispatching, Event, Lane, Loop, Module, Request, handles


class Ticked(Event, frozen=True):
    """What is broadcast."""

    number: int


class Echo(Request, frozen=True):
    """Answer with the number."""

    number: int


class AskAround(Request, frozen=True):
    """In a job, ask the answerer so many times; answer with the seconds it took."""

    count: int


class TakeStep(Request, frozen=True):
    """Work of a millisecond; 10,000 of them wait in a queue."""


class Occupy(Request, frozen=True):
    """Start a job that lasts until `HaltSteps`."""

    computing: bool


class HaltSteps(Request, frozen=True):
    """The stop; answers with the time at which its handler began."""

    lane: ClassVar[Lane] = Lane.URGENT
    cancels_queued: ClassVar[bool] = True


class HangNow(Request, frozen=True):
    """Do what was put into `hang`, in a `handler`, `job` or `loop`."""

    where: str


class Listener(Module):
    """Hears every tick."""

    @handles(Ticked)
    def on_ticked(self, msg: Ticked) -> None:
        """Do nothing: the cost is the kernel's alone."""


class PooledListener(Listener):
    """The same on a thread of the pool."""

    dispatching: ClassVar[Dispatching] = Dispatching.POOL


class Answerer(Module):
    """Answers at once."""

    @handles(Echo)
    def on_echo(self, msg: Echo) -> int:
        """Answer."""
        return msg.number


class Asker(Module):
    """Asks from a job, as a module that needs another does."""

    @handles(AskAround)
    def on_ask_around(self, msg: AskAround) -> None:
        """Ask, and ask again."""
        self.run_job(partial(self._ask_many, msg.count), deadline_s=60.0)

    def _ask_many(self, count: int) -> float:
        started_s = time.perf_counter()
        for number in range(count):
            self.ask(Echo(number), to="answerer")
        return time.perf_counter() - started_s


class Stepper(Module):
    """Has a queue of short steps, or a long job, and is told to stop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gate = threading.Event()
        self.steps = 0
        self._halted = threading.Event()

    @handles(TakeStep)
    def on_step(self, msg: TakeStep) -> None:
        """Work for a millisecond; not before the gate is open."""
        self.gate.wait(60.0)
        self.steps += 1
        time.sleep(0.001)

    @handles(Occupy)
    def on_occupy(self, msg: Occupy) -> None:
        """Keep the normal lane closed by a job."""
        self._halted.clear()
        job = self._compute if msg.computing else partial(self._halted.wait, 60.0)
        self.run_job(job, deadline_s=60.0)

    @handles(HaltSteps)
    def on_halt(self, msg: HaltSteps) -> float:
        """Say when this began."""
        began_s = time.perf_counter()
        self._halted.set()
        return began_s

    def _compute(self) -> None:
        while not self._halted.is_set():
            pass


class Hanger(Module):
    """Hangs as it was told to."""

    hang: Callable[[], object]

    @handles(HangNow)
    def on_hang(self, msg: HangNow) -> object:
        """Hang in the handler, in a job or in a loop."""
        if msg.where == "job":
            self.run_job(self.hang, deadline_s=self.deadline_s)
        elif msg.where == "loop":
            self.run_loop(self._hang_in_loop, stall_s=self.deadline_s, what="loop")
        else:
            self.hang()
        return None

    def _hang_in_loop(self, loop: Loop) -> None:
        self.hang()
