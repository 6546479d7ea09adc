"""A real kernel with its trace file on, and a count of what is in that file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hal.base import set_log_sink, wire_name
from hal.kernel import Delivery, How, Message, Safeguards, System

PRINCIPAL: Final = "script:bench"
PATIENCE_S: Final = 60.0
"""Given to every message: what is queued on purpose must not count as late."""


@contextmanager
def running_system(
    safeguards: Safeguards | None = None,
) -> Iterator[tuple[System, Path]]:
    """Run a kernel; yield it and its log folder, which is deleted afterwards."""
    # A thread left behind may still write its dump while the folder is deleted.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        system = System(log_folder=Path(name), safeguards=safeguards)
        previous_sink = set_log_sink(system.trace.log)
        system.run_kernel()
        try:
            yield system, Path(name)
        finally:
            system.stop()
            set_log_sink(previous_sink)


def post(system: System, message: Message, to: str | None = None) -> Delivery:
    """Send with a deadline that no queue of a benchmark reaches."""
    return system.send(message, principal=PRINCIPAL, to=to, deadline_s=PATIENCE_S)


def finish(deliveries: list[Delivery], tickets: int) -> None:
    """Wait until all are complete, each with so many tickets, all done.

    Raises:
        RuntimeError: Not so; what was measured is worth nothing.
    """
    for delivery in reversed(deliveries):  # after the last, few are left to wait for
        if not delivery.complete and not delivery.wait(PATIENCE_S):
            raise RuntimeError(f"{delivery.type} never completed")
    for delivery in deliveries:
        done = [t for t in delivery.tickets.values() if t.how is How.DONE]
        if len(done) != tickets:
            raise RuntimeError(
                f"{delivery.type}: {len(done)} of {tickets} tickets are done; "
                f"{delivery.errors[:1]}"
            )


class TraceCount:
    """Counts one type of message in trace files, as they grow."""

    def __init__(self, folder: Path, message_type: type[Message]) -> None:
        name = wire_name(message_type.__name__)
        # As far as the version: a "slow handler" in the log names its type as well.
        self._needle = f'"type":"{name}","version":'.encode()
        self._folder = folder
        self._read: dict[Path, int] = {}
        self.count = 0
        self.gaps = 0
        """Records that say that others were lost."""

    def wait_for(self, count: int) -> None:
        """Return when exactly so many lines are in the files.

        Raises:
            RuntimeError: They are not there in time, are more, or some were lost.
        """
        give_up_s = time.perf_counter() + PATIENCE_S
        while self.count != count:
            self._look()
            is_late = time.perf_counter() > give_up_s
            if self.gaps or self.count > count or is_late:
                raise RuntimeError(
                    f"{self.count} of {count} lines in the trace, {self.gaps} gaps"
                )
            time.sleep(0.01)

    def _look(self) -> None:
        for path in sorted(self._folder.glob("trace_*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines = file.read()
            # A line that is still being written is left for the next look.
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            self.count += whole.count(self._needle)
            self.gaps += whole.count(b'"kind":"gap"')


def ask_in_turn(
    system: System, message: Callable[[int], Message], to: str, count: int
) -> float:
    """Ask `count` times, each when the answer before has come; return the seconds."""
    started_s = time.perf_counter()
    for number in range(count):
        delivery = system.send(message(number), to=to)
        delivery.wait()
        delivery.result()
    return time.perf_counter() - started_s


def took_to_ask_around(delivery: Delivery) -> float:
    """Return what an `Asker` says that its questions took, in seconds."""
    delivery.wait()
    took_s = delivery.result()
    assert isinstance(took_s, float)
    return took_s
