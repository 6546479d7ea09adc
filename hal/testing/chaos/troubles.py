"""Causes what was chosen, around the calls of one driver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from hal.base import Clock, LinkError, SystemClock
from hal.devices import Device, FrameStamp
from hal.testing.chaos.choosing import Chosen, FaultChooser
from hal.testing.chaos.dying import die
from hal.testing.chaos.frames import FrameTroubles
from hal.testing.chaos.kinds import BEGINS, DEADLY, ENDS, ERRORS, FaultKind

_HANG_S: Final = 60.0
_SLOW_S: Final = 1.0
_WORKS: Final = ("open", "close")
"""Calls that need no connection to be there."""
_leaked: list[bytearray] = []


class Troubles:
    """What goes wrong with one driver.

    Runs on: as the driver's calls.

    Guarantees:
        A driver with no faults is called as if nothing were here.
        A call that the driver makes of itself, within another, is none of its own.
    """

    def __init__(self, chooser: FaultChooser) -> None:
        self._chooser = chooser
        self._frames = FrameTroubles(chooser)
        self._inside = threading.local()
        self._is_cut = False
        self._cut_until_s = 0.0
        self._for_ever = threading.Event()

    def call(
        self, device: Device, call: str, go_on: Callable[[], Any], *, first: int = 0
    ) -> Any:
        """Make a call of the driver, or something else instead.

        Args:
            device: The driver.
            call: What is called.
            go_on: Makes the call.
            first: Index of the first frame that the call is about.
        """
        if self._chooser.is_idle or self._is_inside:
            return go_on()
        self._inside.yes = True
        try:
            if call in BEGINS:
                self._frames.begin(first)
            elif call in ENDS:
                self._frames.end()
            return self._call(device, call, go_on)
        finally:
            self._inside.yes = False

    def read(
        self,
        device: Device,
        out: np.ndarray[Any, Any],
        timeout_s: float,
        read: Callable[[float], FrameStamp | None],
    ) -> FrameStamp | None:
        """Fetch a frame into `out`, or something else instead."""
        if self._chooser.is_idle or self._is_inside:
            return read(timeout_s)
        self._inside.yes = True
        try:
            self._require_link(device, "read_into")
            before = self._before
            return self._frames.read(device, out, timeout_s, read, before)
        finally:
            self._inside.yes = False

    @property
    def _is_inside(self) -> bool:
        return bool(getattr(self._inside, "yes", False))

    def _call(self, device: Device, call: str, go_on: Callable[[], Any]) -> Any:
        self._require_link(device, call)
        chosen = self._chooser.choose(call)
        if chosen is None:
            return go_on()
        if chosen.fault.kind == FaultKind.NO_TRIGGER:
            begun = go_on()
            self._chooser.note(chosen, clock_of(device))
            self._frames.is_quiet = True
            return begun
        if chosen.fault.kind == FaultKind.LIE:
            told = go_on()
            self._chooser.note(chosen, clock_of(device))
            return _beside(told, chosen.fault.um)
        self._before(device, chosen)
        return go_on()

    def _require_link(self, device: Device, call: str) -> None:
        if not self._is_cut or call == "close":
            return
        if call == "open":
            left_s = self._cut_until_s - clock_of(device).monotonic_s()
            if left_s <= 0.0:
                self._is_cut = False
                return
        raise LinkError(f"{type(device).__name__}: caused on purpose: disconnected")

    def _before(self, device: Device, chosen: Chosen) -> None:
        """Cause what happens before a call is made, or instead of it."""
        fault, clock = chosen.fault, clock_of(device)
        self._chooser.note(chosen, clock)
        kind = fault.kind
        if kind in DEADLY:
            die(kind, fault.code)
        elif kind in (FaultKind.HANG, FaultKind.SLOW):
            usual_s = _HANG_S if kind == FaultKind.HANG else _SLOW_S
            clock.wait(self._for_ever, fault.lasts_s(usual_s))
        elif kind == FaultKind.LEAK:
            # Not zeros, which need no memory.
            _leaked.append(bytearray(b"\1") * int(fault.megabytes * 1e6))
        elif kind == FaultKind.DISCONNECT:
            self._is_cut = True
            self._cut_until_s = clock.monotonic_s() + fault.lasts_s(0.0)
            self._require_link(device, chosen.call if chosen.call not in _WORKS else "")
        elif kind == FaultKind.RAISE:
            place = f"call {chosen.number} of {chosen.call}"
            what = type(device).__name__
            raise ERRORS[fault.error](f"{what}: caused on purpose in {place}")


def clock_of(device: Device) -> Clock:
    """Return whose time counts for a driver."""
    clock: Clock = getattr(device, "clock", _CLOCK)
    return clock


_CLOCK: Final = SystemClock()


def _beside(told: Any, um: float) -> Any:
    if isinstance(told, tuple):
        return (told[0] + um, *told[1:])
    return told + um
