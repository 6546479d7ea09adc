"""The child processes of one HAL, by name."""

from __future__ import annotations

import threading
from pathlib import Path

from hal.base import SystemThreads, Threads
from hal.frames import OwnRings
from hal.isolation.host import Host
from hal.kernel import System


class Hosts:
    """Starts processes as they are needed.

    Runs on: any.
    """

    def __init__(
        self,
        system: System,
        *,
        rings: OwnRings | None = None,
        log_folder: Path | None = None,
        threads: Threads | None = None,
    ) -> None:
        """Begin without processes.

        Args:
            system: Whose modules live in them.
            rings: What their cameras fill and their recorders read.
            log_folder: Where dumps, and what they print, are kept; nowhere if None.
            threads: Where they are served.
        """
        self._system = system
        self._rings = rings
        self._log_folder = log_folder
        self._threads = threads or SystemThreads()
        self._lock = threading.Lock()
        self._hosts: dict[str, Host] = {}
        self._started: dict[str, int] = {}

    def get(self, name: str, memory_mb: float | None) -> Host:
        """Return the process called `name`; a new one if it is not there, or ending."""
        with self._lock:
            host = self._hosts.get(name)
            if host is None or host.is_ending:
                self._started[name] = number = self._started.get(name, 0) + 1
                host = self._hosts[name] = Host(
                    name,
                    f"{name}.{number}",
                    session=self._system.ids.session,
                    clock=self._system.clock,
                    threads=self._threads,
                    log_folder=self._log_folder,
                    memory_mb=memory_mb,
                    on_noted=self._note,
                    rings=self._rings,
                )
            return host

    def _note(self, record: dict[str, object]) -> None:
        kind = str(record.pop("kind"))
        self._system.trace.record(kind, **record)
