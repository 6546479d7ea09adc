"""Finds what is past its deadline: handlers, jobs, loops, and messages nobody took.

One thread looks at everything twenty times a second. What is late is given up, with the
stacks of all threads attached, and HAL carries on; no thread is ever killed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from hal.base import Clock, ErrorRecord, WorkerTimeout, get_logger
from hal.kernel.broker import Broker
from hal.kernel.delivery import Delivery, How, Ticket
from hal.kernel.dump_folder import DumpFolder
from hal.kernel.thread_dump import dump_threads
from hal.kernel.trace import Trace

TICK_S: Final = 0.05

log = get_logger(module="hal")


class Activity(Protocol):
    """Something a module is doing that must end, or beat, in time.

    Runs on: `expire` watchdog, once; it must not block.
    """

    @property
    def module(self) -> str:
        """Name of the module."""

    @property
    def kind(self) -> str:
        """`handler`, `job` or `loop`."""

    @property
    def what(self) -> str:
        """What it is about, for people."""

    @property
    def delivery_id(self) -> str | None:
        """Short id of the message behind it."""

    @property
    def started_s(self) -> float:
        """When it began, or beat last."""

    @property
    def deadline_at_s(self) -> float:
        """When it is late."""

    def expire(self, error: ErrorRecord) -> None:
        """Give it up: claim its ticket with `error`, tell its module."""


class Watchdog:
    """Watches activities and open deliveries; dumps and gives up what is late.

    Runs on: `watch`, `unwatch` any; the rest on its own thread.
    """

    def __init__(
        self,
        broker: Broker,
        trace: Trace,
        clock: Clock,
        dump_folder: Path | None = None,
        blocker: Callable[[str], str] = lambda _module: "",
    ) -> None:
        self._broker = broker
        self._trace = trace
        self._clock = clock
        self._folder = DumpFolder(dump_folder, clock)
        self._blocker = blocker
        self._watched: dict[int, Activity] = {}
        self._last_scan_s = clock.monotonic_s()
        self._skipped = False
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="hal/watchdog", daemon=True
        )

    def start(self) -> None:
        """Begin to scan."""
        self._last_scan_s = self._clock.monotonic_s()
        self._thread.start()

    def stop(self) -> None:
        """End the scanning; bounded by 2 s."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def watch(self, activity: Activity) -> None:
        """Give `activity` up if it is not unwatched before its deadline."""
        self._watched[id(activity)] = activity

    def unwatch(self, activity: Activity) -> None:
        """Stop watching; harmless if it was given up meanwhile."""
        self._watched.pop(id(activity), None)

    def scan(self) -> None:
        """Look at everything once."""
        now_s = self._clock.monotonic_s()
        paused_s = now_s - self._last_scan_s
        self._last_scan_s = now_s
        # A suspended machine makes everything look late at once. One scan is skipped,
        # so that whoever was about to end gets the time to do so.
        if paused_s > 1.0 + 2 * TICK_S and not self._skipped:
            self._skipped = True
            return
        self._skipped = False
        late = [a for a in list(self._watched.values()) if now_s > a.deadline_at_s]
        if late:
            dump = dump_threads()
            path = self._folder.write(dump, late[0].module)
            for activity in late:
                if self._watched.pop(id(activity), None) is not None:
                    self._give_up(activity, now_s, dump, path)
        self._broker.waits.break_circles()
        for delivery in self._broker.open_deliveries():
            if delivery.accepted and now_s > delivery.deadline_at_s:
                self._expire(delivery, now_s)

    def _run(self) -> None:
        while not self._clock.wait(self._stop, TICK_S):
            try:
                self.scan()
            except Exception as exc:
                # Nobody watches the watchdog: it goes on, and says so.
                log.error("watchdog scan failed", exc_info=exc)

    def _give_up(self, late: Activity, now_s: float, dump: str, path: str) -> None:
        age_s = now_s - late.started_s
        verb = "has not beaten for" if late.kind == "loop" else "has been going on for"
        text = f"{late.kind} '{late.what}' of {late.module} {verb} {age_s:.2f} s"
        error = ErrorRecord(
            kind="WorkerTimeout",
            text=text + (f"; stacks of all threads in {path}" if path else ""),
            source=late.module,
            dump=dump,
            data={"age_s": age_s, "dump_file": path, "activity": late.kind},
        )
        self._trace.record(
            "late",
            module=late.module,
            activity=late.kind,
            what=late.what,
            id=late.delivery_id,
            deadline_s=late.deadline_at_s - late.started_s,
            age_s=age_s,
            dump=path,
        )
        late.expire(error)

    def _expire(self, delivery: Delivery, now_s: float) -> None:
        if not delivery.tickets:
            self._broker.expire(delivery, self._waited(delivery, "", now_s))
            return
        for name in delivery.pending:
            ticket = delivery.tickets[name]
            if now_s > ticket.deadline_at_s:
                self._expire_ticket(delivery, ticket, now_s)

    def _expire_ticket(self, delivery: Delivery, ticket: Ticket, now_s: float) -> None:
        error = self._waited(delivery, ticket.receiver, now_s)
        if delivery.claim(ticket.receiver, How.TIMEOUT, "watchdog", error=error):
            self._trace.record(
                "late",
                module=ticket.receiver,
                activity="delivery",
                what=delivery.type,
                id=str(delivery.id),
                deadline_s=ticket.deadline_at_s - ticket.queued_s,
                age_s=now_s - ticket.queued_s,
                dump="",
            )

    def _waited(self, delivery: Delivery, receiver: str, now_s: float) -> ErrorRecord:
        waited_s = now_s - delivery.sent_s
        if receiver:
            text = f"{receiver} did not end '{delivery.type}' within {waited_s:.2f} s"
            text += self._blocker(receiver)
        else:
            text = f"'{delivery.type}' was held back for {waited_s:.2f} s by a barrier"
        exc = WorkerTimeout(text, age_s=waited_s)
        return ErrorRecord.from_exception(exc, receiver or delivery.principal)
