"""The record of what happened: one line per message, state, frame batch, log entry.

The threads that work only append a tuple to a ring in memory; one log thread renders
and writes, so that tracing costs them a tenth of a microsecond. After SIGKILL of the
process at most the last `FLUSH_S` are missing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hal.base import Clock, get_logger
from hal.kernel.delivery import Delivery
from hal.kernel.message import Message
from hal.kernel.trace_file import TraceFile

FLUSH_S: Final = 0.1
RING_SIZE: Final = 100_000
_FIELD_BYTES: Final = 2_000

Listener = Callable[[Mapping[str, object]], None]

log = get_logger(module="hal")


class Trace:
    """Collects records from all threads and writes them to a file, if it has one.

    Runs on: `delivery`, `record`, `log` any; they never block.

    Guarantees:
        Records are written in the order they were made.
        A ring that overflows writes a record of how many were lost.
    """

    def __init__(self, clock: Clock, file: TraceFile | None = None) -> None:
        self._clock = clock
        self._file = file
        self._ring: deque[tuple[str, object]] = deque()
        self._lost = 0
        self._stop = threading.Event()
        self._listeners: tuple[Listener, ...] = ()
        self._thread = threading.Thread(target=self._run, name="hal/trace", daemon=True)
        self.failure: OSError | None = None
        """Why nothing is written any more (disk full), if so."""

    @property
    def backlog(self) -> int:
        """How many records wait to be written; any thread."""
        return len(self._ring)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and the footer; bounded by 2 s."""
        self.record("footer")
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def listen(self, listener: Listener) -> None:
        """Also hand every rendered record to `listener`, on the log thread.

        One that raises is logged and hears no more.
        """
        self._listeners = (*self._listeners, listener)

    def delivery(self, delivery: Delivery) -> None:
        """Note a completed delivery."""
        self._append("delivery", delivery)

    def record(self, kind: str, **data: object) -> None:
        """Note anything else, with the time of now."""
        self._append(kind, {"t_s": self._clock.monotonic_s(), **data})

    def frames(
        self, step: str, camera: str, run_id: str, first: int, last: int
    ) -> None:
        """Note a batch of frames that was `received` or `stored`, by index."""
        self.record(
            "frames", camera=camera, run=run_id, first=first, last=last, step=step
        )

    def log(self, record: Mapping[str, object]) -> None:
        """Note a log entry (the sink of `hal.base.set_log_sink`)."""
        self._append("log", {**record, "t_s": self._clock.monotonic_s()})

    def _append(self, kind: str, data: object) -> None:
        if len(self._ring) >= RING_SIZE:
            self._lost += 1
        else:
            self._ring.append((kind, data))

    def _run(self) -> None:
        while not self._stop.is_set():
            # Real time on purpose: a frozen test clock must not hold back the log.
            self._stop.wait(FLUSH_S)
            self._flush_contained()
        self._flush_contained()
        if self._file is not None:
            self._file.close()

    def _flush_contained(self) -> None:
        try:
            self._flush()
        except Exception as exc:
            log.error("trace records lost", exc_info=exc)

    def _flush(self) -> None:
        lines = []
        for _ in range(len(self._ring)):
            kind, data = self._ring.popleft()
            lines.append(self._render(kind, data))
        if self._lost:
            lost, self._lost = self._lost, 0
            gap = {"t_s": self._clock.monotonic_s(), "lost": lost}
            lines.append(self._render("gap", gap))
        if self._file is None or self.failure is not None:
            return
        try:
            self._file.write(lines)
        except OSError as exc:
            # The experiment goes on without its log; `failure` tells the user.
            self.failure = exc

    def _render(self, kind: str, data: object) -> Mapping[str, object]:
        if isinstance(data, Delivery):
            body = describe(data)
        else:
            assert isinstance(data, dict)
            body = data
        record = {**body, "kind": kind}
        for listener in self._listeners:
            try:
                listener(record)
            except Exception as exc:
                self._listeners = tuple(x for x in self._listeners if x != listener)
                log.error("trace listener failed", exc_info=exc)
        return record


def describe(delivery: Delivery) -> dict[str, object]:
    """Return a completed delivery as the plain data of its trace record."""
    return {
        "id": str(delivery.id),
        "type": delivery.type,
        "version": delivery.message.version,
        "from": delivery.principal,
        "cause": None if delivery.cause is None else str(delivery.cause),
        "run": delivery.run_id,
        "lane": delivery.lane,
        "sync": delivery.sync,
        "sent_s": delivery.sent_s,
        "done_s": delivery.done_s,
        "deadline_s": delivery.deadline_s,
        "fields": _fields(delivery.message),
        "tickets": msgspec.to_builtins(list(delivery.tickets.values())),
        "errors": [msgspec.to_builtins(error) for error in delivery.errors],
    }


def _fields(message: Message) -> object:
    try:
        fields = msgspec.to_builtins(message)
        size = len(msgspec.json.encode(fields))
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        # An invalid message, refused before anybody got it, may hold anything.
        return {"(not plain data)": type(exc).__name__}
    if size > _FIELD_BYTES:
        return {"(too long)": str(fields)[:_FIELD_BYTES]}
    return fields
