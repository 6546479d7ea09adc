"""Rows of events on their way to the recorder, none lost when it begins anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hal.acquisition import EventRow
from hal.kernel import Delivery, Module
from hal.messages import RecordEvents

_SETTLE_S: Final = 10.0
_LOOK_S: Final = 0.05


class EventTable:
    """Keeps rows until the recorder has acknowledged them.

    Runs on: engine's loop, but for the acknowledgements.
    """

    def __init__(self, run_id: str, module: Module) -> None:
        self._run_id = run_id
        self._module = module
        self._lock = threading.Lock()
        self._unsettled: dict[int, tuple[EventRow, ...]] = {}
        self._count = 0
        self._settled = threading.Event()

    def note(self, rows: tuple[EventRow, ...]) -> None:
        """Send rows; does not wait."""
        self._count += 1
        with self._lock:
            self._unsettled[self._count] = rows
        self._send(self._count, rows)

    def repeat(self) -> None:
        """Send again what was not acknowledged: the recorder is another one now."""
        with self._lock:
            waiting = dict(self._unsettled)
        for number, rows in waiting.items():
            self._send(number, rows)

    def settle(self, beat: Callable[[], None]) -> None:
        """Wait until all is acknowledged, or nothing more will be."""
        clock = self._module.clock
        give_up_s = clock.monotonic_s() + _SETTLE_S
        while self._unsettled and clock.monotonic_s() < give_up_s:
            beat()
            self._settled.clear()
            clock.wait(self._settled, _LOOK_S)

    def _send(self, number: int, rows: tuple[EventRow, ...]) -> None:
        def heard(delivery: Delivery) -> None:
            if delivery.errors:
                self._module.log_failure(delivery)
                return
            with self._lock:
                self._unsettled.pop(number, None)
            self._settled.set()

        self._module.send(
            RecordEvents(self._run_id, rows), run_id=self._run_id, reply=heard
        )
