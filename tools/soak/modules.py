"""Modules of the soak: they answer, and at times do what modules must not."""

from __future__ import annotations

import sys
import threading
from typing import Annotated, ClassVar

import msgspec

from hal.kernel import Dispatching, Event, Lane, Loop, Module, Request, handles

HANG_S = 0.25
"""How long what hangs takes to come back: longer than `DEADLINE_S`."""
DEADLINE_S = 0.1


class SoakWork(Request, frozen=True):
    """Do something, well or badly."""

    deadline_s: ClassVar[float] = 10.0
    how: str
    number: Annotated[int, msgspec.Meta(ge=0)] = 0


class SoakNews(Event, frozen=True):
    """News for everybody."""

    number: int


class SoakPicture(Event, frozen=True):
    """News of which only the latest counts."""

    lane: ClassVar[Lane] = Lane.DISPLAY
    number: int


class SoakHurry(Request, frozen=True):
    """A request that overtakes."""

    lane: ClassVar[Lane] = Lane.URGENT


class SoakWorker(Module):
    """Does as it is told."""

    @handles(SoakNews)
    def on_said(self, msg: SoakNews) -> None:
        """Listen."""

    @handles(SoakPicture)
    def on_shown(self, msg: SoakPicture) -> None:
        """Look."""

    @handles(SoakHurry)
    def on_hurry_up(self, msg: SoakHurry) -> int:
        """Answer at once."""
        return self.generation

    @handles(SoakWork)
    def on_work(self, msg: SoakWork) -> object:
        """Answer, or misbehave."""
        match msg.how:
            case "answer":
                return msg.number
            case "job":
                self.run_job(lambda: msg.number)
            case "loop":
                self.run_loop(_beat_a_little, stall_s=5.0, what="loop")
            case "send":
                self.send(SoakNews(msg.number))
            case "raise":
                raise ValueError("as told")
            case "exit":
                sys.exit(1)
            case "fail":
                self.fail(RuntimeError("as told"))
            case "hang":
                threading.Event().wait(HANG_S)
            case "hang in job":
                self.run_job(lambda: threading.Event().wait(HANG_S))
            case "hang in loop":
                self.run_loop(_hang, stall_s=DEADLINE_S, what="loop")
            case _:
                raise AssertionError(msg.how)
        return None


class PooledSoakWorker(SoakWorker):
    """The same on a shared thread."""

    dispatching: ClassVar[Dispatching] = Dispatching.POOL


def _beat_a_little(loop: Loop) -> None:
    for _ in range(3):
        loop.beat()
        if loop.wait(0.01):
            return


def _hang(_loop: Loop) -> None:
    threading.Event().wait(HANG_S)
