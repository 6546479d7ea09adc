"""Finds what is past its deadline: handlers, jobs, loops, and messages nobody took.

One thread looks at everything twenty times a second. What is late is given up, with the
stacks of all threads attached, and HAL carries on; no thread is ever killed. While a
call in C holds the interpreter, the heartbeat takes the stacks in its place.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from hal.base import (
    Clock,
    ErrorRecord,
    SystemThreads,
    Thread,
    Threads,
    WorkerTimeout,
    get_logger,
)
from hal.kernel.broker import Broker
from hal.kernel.delivery import Delivery, How, Ticket
from hal.kernel.dump_folder import DumpFolder, Kept
from hal.kernel.heartbeat import Heartbeat, Standstill
from hal.kernel.thread_dump import dump_threads
from hal.kernel.trace import Trace

TICK_S: Final = 0.05
_STILL_S: Final = 4 * TICK_S
"""A look that comes later than this was kept from coming."""
_PAUSE_S: Final = 1.0 + 2 * TICK_S

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

    Runs on: `watch`, `unwatch`, `earliest_s` any; the rest on its own thread.
    """

    def __init__(
        self,
        broker: Broker,
        trace: Trace,
        clock: Clock,
        dump_folder: Path | None = None,
        blocker: Callable[[str], str] = lambda _module: "",
        threads: Threads | None = None,
        at_each_tick: Sequence[Callable[[], None]] = (),
        heartbeat: Heartbeat | None = None,
        hasten: Callable[[float], None] = lambda _due_at_s: None,
    ) -> None:
        self._broker = broker
        self._trace = trace
        self._clock = clock
        self._folder = DumpFolder(dump_folder, clock)
        self._blocker = blocker
        self._heartbeat = heartbeat
        self._hasten = hasten
        self._watched: dict[int, Activity] = {}
        self._last_scan_s = clock.monotonic_s()
        self._skipped = False
        self._stop = threading.Event()
        self._at_each_tick = at_each_tick
        self._threads = threads or SystemThreads()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to scan."""
        self._last_scan_s = self._clock.monotonic_s()
        self._thread = self._threads.start("hal/watchdog", self._run)

    def stop(self) -> None:
        """End the scanning; bounded by 2 s."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def watch(self, activity: Activity) -> None:
        """Give `activity` up if it is not unwatched before its deadline."""
        self._watched[id(activity)] = activity
        self._hasten(activity.deadline_at_s)

    def unwatch(self, activity: Activity) -> None:
        """Stop watching; harmless if it was given up meanwhile."""
        self._watched.pop(id(activity), None)

    def earliest_s(self) -> float:
        """Return the earliest deadline of anything at work; `inf` if nothing is."""
        due_s = [activity.deadline_at_s for activity in list(self._watched.values())]
        return min(due_s, default=math.inf)

    def scan(self) -> None:
        """Look at everything once."""
        stood = self._standstill()
        now_s = self._clock.monotonic_s()
        paused_s = now_s - self._last_scan_s
        self._last_scan_s = now_s
        late = [a for a in list(self._watched.values()) if now_s > a.deadline_at_s]
        if stood is None and (late or paused_s > _PAUSE_S):
            stood = self._standstill()  # it began just after the first look
        # A suspended machine makes everything look late at once. One scan is skipped,
        # so that whoever was about to end gets the time to do so.
        was_paused = paused_s > _PAUSE_S and stood is None
        if was_paused and not self._skipped:
            self._skipped = True
            return
        self._skipped = False
        if late:
            # Who held the GIL is on its stack then, and perhaps no longer now.
            dump = dump_threads() if stood is None else stood[0]
            kept = self._keep(late, dump) if stood is None else stood[1]
            for activity in late:
                if self._watched.pop(id(activity), None) is not None:
                    self._give_up(activity, now_s, dump, kept)
        self._broker.waits.break_circles()
        for delivery in self._broker.open_deliveries():
            if delivery.accepted and now_s > delivery.deadline_at_s:
                self._expire(delivery, now_s)

    def _run(self) -> None:
        while not self._clock.wait(self._stop, TICK_S):
            try:
                for call in self._at_each_tick:
                    call()
                self.scan()
            except Exception as exc:
                # Nobody watches the watchdog: it goes on, and says so.
                log.error("watchdog scan failed", exc_info=exc)

    def _standstill(self) -> tuple[str, Kept] | None:
        """Return stacks written from C since the last look, if there are any."""
        if self._heartbeat is None:
            return None
        found = self._heartbeat.look()
        if found is None:
            return None
        if found.stood_s < _STILL_S:
            kept = self._write(found, "asked for by signal")
            log.info("stacks written", dump=kept.note)
            return found.dump, kept
        kept = self._write(found, "the whole process")
        log.warning("the process stood still", stood_s=found.stood_s, dump=kept.note)
        self._trace.record("standstill", stood_s=found.stood_s, dump=kept.path)
        return found.dump, kept

    def _write(self, found: Standstill, what: str) -> Kept:
        return self._folder.write(found.dump, what, taken_at_wall_s=found.written_at_s)

    def _keep(self, late: list[Activity], dump: str) -> Kept:
        began_s = max(activity.started_s for activity in late)
        return self._folder.write(dump, late[0].module, since_s=began_s)

    def _give_up(self, late: Activity, now_s: float, dump: str, kept: Kept) -> None:
        age_s = now_s - late.started_s
        verb = "has not beaten for" if late.kind == "loop" else "has been going on for"
        text = f"{late.kind} '{late.what}' of {late.module} {verb} {age_s:.2f} s"
        error = ErrorRecord(
            kind="WorkerTimeout",
            text=text + (f"; {kept.note}" if kept.note else ""),
            source=late.module,
            dump=dump,
            data={"age_s": age_s, "dump_file": kept.path, "activity": late.kind},
        )
        self._trace.record(
            "late",
            module=late.module,
            activity=late.kind,
            what=late.what,
            id=late.delivery_id,
            deadline_s=late.deadline_at_s - late.started_s,
            age_s=age_s,
            dump=kept.path,
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
