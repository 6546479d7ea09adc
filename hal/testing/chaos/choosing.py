"""Whether this call goes wrong: by number, by chance from a seed, or by order."""

from __future__ import annotations

import hashlib
import threading
from typing import Final, NamedTuple

import msgspec

from hal.base import Clock, get_logger
from hal.testing.chaos.fault import Arrangement, Fault
from hal.testing.chaos.journal import GOOD_FRAME, Caused, Counts, Journal
from hal.testing.chaos.kinds import FaultKind, usual_calls

_ORDERS_READ: Final = 0
"""Which count says how much of the orders was carried out."""
_EACH: Final = 2


class Chosen(NamedTuple):
    """A fault that is to be caused now."""

    fault: Fault
    call: str
    number: int
    """Which of the calls it could have been; 0 where it was ordered."""


class FaultChooser:
    """Says for each call of one driver what goes wrong in it.

    Runs on: any.

    Guarantees:
        Whether call number n goes wrong depends on the seed, the module, the fault and
        n, on nothing else; numbers go on when the process has died.
    """

    def __init__(self, arrangement: Arrangement, calls: dict[str, str]) -> None:
        """Begin to count.

        Args:
            arrangement: What may go wrong.
            calls: Those of the driver, as `calls_of` says.
        """
        self._arrangement = arrangement
        self._calls = calls
        self._journal = Journal(arrangement.journal)
        self._orders = arrangement.path("orders")
        self._lock = threading.RLock()
        # Made with the first call: a driver is made before it has a folder.
        self._known_counts: Counts | None = None
        self._frames_noted = 0
        self.is_idle = not arrangement.faults and self._orders is None
        """Whether nothing can go wrong."""
        self.log = get_logger(module=arrangement.module or "chaos")

    def may(self, kind: FaultKind) -> bool:
        """Whether some fault of that kind was planned."""
        return any(fault.kind == kind for fault in self._arrangement.faults)

    def choose(self, call: str) -> Chosen | None:
        """Count a call; return what goes wrong in it."""
        if self.is_idle:
            return None
        chosen: Chosen | None = None
        for at, fault in enumerate(self._arrangement.faults):
            if not self._is_meant(fault, call):
                continue
            number = self._counts.add(1 + _EACH * at)
            if chosen is None and self._happens(at, fault, number):
                self._counts.add(2 + _EACH * at)
                chosen = Chosen(fault, call, number)
        return chosen or self._ordered(call)

    def note(self, chosen: Chosen, clock: Clock, frame: int | None = None) -> None:
        """Note that it is caused now."""
        fault = chosen.fault
        self._journal.note(
            Caused(
                t_s=clock.monotonic_s(),
                module=self._arrangement.module,
                kind=fault.kind,
                call=chosen.call,
                number=chosen.number,
                frame=frame,
            )
        )
        self.log.info(
            "fault caused", fault=fault.kind, call=chosen.call, number=chosen.number
        )

    def good_frame(self, clock: Clock, frame: int | None) -> None:
        """Note a frame if it is the first since something went wrong."""
        if self.is_idle or self._journal.size == self._frames_noted:
            return
        self._journal.note(
            Caused(
                t_s=clock.monotonic_s(),
                module=self._arrangement.module,
                kind=GOOD_FRAME,
                frame=frame,
            )
        )
        self._frames_noted = self._journal.size

    def caused(self) -> list[Caused]:
        """Return what was noted so far, of all modules that share the folder."""
        return self._journal.read()

    @property
    def _counts(self) -> Counts:
        with self._lock:
            if self._known_counts is None:
                size = 1 + _EACH * len(self._arrangement.faults)
                self._known_counts = Counts(self._arrangement.path("counts"), size)
            return self._known_counts

    def _is_meant(self, fault: Fault, call: str) -> bool:
        if fault.call:
            return fault.call == call
        return call in usual_calls(fault.kind, self._calls)

    def _happens(self, at: int, fault: Fault, number: int) -> bool:
        if fault.times and self._counts.get(2 + _EACH * at) >= fault.times:
            return False
        if fault.at:
            return number in fault.at
        return self._draw(at, number) < fault.probability

    def _draw(self, at: int, number: int) -> float:
        """Return a number from 0 to 1 that is always the same for the same call."""
        told = self._arrangement
        text = f"{told.seed} {told.module} {at} {number}".encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2.0**64

    def _ordered(self, call: str) -> Chosen | None:
        """Return the next order, if it is for this call."""
        if self._orders is None:
            return None
        with self._lock:
            try:
                read = self._counts.get(_ORDERS_READ)
                if self._orders.stat().st_size <= read:
                    return None
                with self._orders.open("rb") as file:
                    file.seek(read)
                    line = file.readline()
            except FileNotFoundError:
                return None
            if not line.endswith(b"\n"):  # still being written
                return None
            fault = msgspec.json.decode(line, type=Fault)
            if not self._is_meant(fault, call):
                return None
            self._counts.add(_ORDERS_READ, len(line))
            return Chosen(fault, call, 0)
