"""What the tests of the ring share: numbered frames, waiting, and a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hal.base import StateError, SystemClock
from hal.frames import FrameInfo, FrameRing, LosslessReader

SHAPE = (4, 6)
PATIENCE_S = 10.0


def info(index: int) -> FrameInfo:
    return FrameInfo(
        camera="camera1",
        index=index,
        event_index=index,
        host_s=float(index),
        exposure_s=0.01,
        shape=SHAPE,
        dtype="uint16",
    )


def put(ring: FrameRing, index: int, timeout_s: float = 0.0) -> bool:
    slot = ring.reserve(timeout_s)
    if slot is None:
        return False
    slot.fill(index)
    ring.put(info(index))
    return True


def take(reader: LosslessReader) -> int:
    frame = reader.next(PATIENCE_S)
    assert frame is not None
    value = frame.info.index
    assert (frame.pixels == value).all()
    reader.release()
    return value


def wait_until(condition: Callable[[], bool]) -> None:
    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic_s() + PATIENCE_S
    while not condition():
        assert clock.monotonic_s() < deadline_s, "condition never came true"
        pause.wait(0.001)


class Background:
    """Runs one call on a thread and keeps what it returned or raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.result: object = None
        self.error: StateError | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except StateError as exc:
            self.error = exc

    def join(self) -> object:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.result


class Waits:
    """How many threads of this process wait at a ring."""

    def __init__(self) -> None:
        self.now = 0
        self._lock = threading.Lock()

    def change(self, by: int) -> None:
        with self._lock:
            self.now += by
