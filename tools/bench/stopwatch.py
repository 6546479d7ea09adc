"""How long a film takes until its last frame is stored, and what that costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import psutil

from hal.acquisition import RunState
from hal.base import Value
from hal.kernel import Context, Module, handles
from hal.messages import FramesStored, RunStatusChanged


class Lap(NamedTuple):
    """What a stopwatch has seen of a film."""

    stored_at_s: float
    """Wall time when the last frame was acknowledged."""
    cpu_s: float
    """Of HAL and all its processes, since exposure began."""


class Stopwatch(Module):
    """Hears when every camera has its last frame stored; one film at a time.

    Runs on: actor; `expect`, `wait` any.
    """

    role = "stopwatch"

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._waiting_for: dict[str, int] = {}
        self._cpu_s: float | None = None
        self._processes: list[psutil.Process] = []
        self._lap: Lap | None = None
        self._ended = threading.Event()

    def expect(self, cameras: tuple[str, ...], frames: int) -> None:
        """Be ready for a film."""
        # Looked for now: that takes longer than anything below may.
        this = psutil.Process()
        self._processes = [this, *this.children(recursive=True)]
        self._ended.clear()
        self._lap, self._cpu_s = None, None
        self._waiting_for = dict.fromkeys(cameras, frames - 1)

    def wait(self, timeout_s: float) -> Lap | None:
        """Return what was seen, once all is stored; None if it never was."""
        self._ended.wait(timeout_s)
        return self._lap

    @handles(RunStatusChanged)
    def on_status(self, msg: RunStatusChanged) -> None:
        """Note when exposure begins; a film that fails is waited for no more."""
        if msg.status.state is RunState.RUNNING and self._cpu_s is None:
            self._cpu_s = cpu_s(self._processes)
        if msg.status.state.is_terminal:
            self._ended.set()

    @handles(FramesStored)
    def on_stored(self, msg: FramesStored) -> None:
        """See whether this was the last of them."""
        if self._waiting_for.get(msg.camera) != msg.last:
            return
        del self._waiting_for[msg.camera]
        if not self._waiting_for:
            used_s = cpu_s(self._processes) - (self._cpu_s or 0.0)
            self._lap = Lap(time.time(), used_s)
            self._ended.set()


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Return the processor time of processes, as far as they live."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue  # it has just ended
        total += times.user + times.system
    return total
