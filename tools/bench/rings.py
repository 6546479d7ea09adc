"""What a ring costs its writer, and how soon its readers have a frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from bench.elsewhere import following
from bench.marking_camera import noise
from bench.pairing import Scale, paired
from bench.raw_files import MemoryCopies
from bench.report import Line
from hal.frames import FrameInfo, FrameRing

COPY_BUDGET: Final = 0.7
SIDES_PX: Final = (2048, 512)
_RING_BYTES: Final = 64 * 2**20
_PATIENCE_S: Final = 20.0
_MB, _US = 1e6, 1e6
_SAME, _OTHER = "reader in this process", "reader in another process"


def measure_copy(scale: Scale) -> Iterator[Line]:
    """Yield the rate at which frames are copied into a ring that is being read."""
    for side_px in SIDES_PX:
        frame = noise(side_px)
        slots = _RING_BYTES // frame.nbytes
        count = scale.pick(2**30, 2**25) // frame.nbytes
        copies = MemoryCopies(side_px, slots)
        for reader in (_OTHER, _SAME):
            what = f"producer's copy, {side_px}x{side_px}, {reader}"
            budget = COPY_BUDGET if reader == _OTHER else None

            def fill(
                frame: np.ndarray = frame,
                slots: int = slots,
                count: int = count,
                reader: str = reader,
            ) -> float:
                ring = FrameRing("bench", frame.shape, frame.dtype, slots)
                with following(ring, in_process=reader == _SAME):
                    for index in range(slots):  # each page is new to both once
                        put(ring, frame, index)
                    started_s = time.perf_counter()
                    for index in range(slots, slots + count):
                        put(ring, frame, index)
                    took_s = time.perf_counter() - started_s
                    ring.end()
                return count * frame.nbytes / took_s

            def copy(
                frame: np.ndarray = frame,
                count: int = count,
                copies: MemoryCopies = copies,
            ) -> float:
                return count * frame.nbytes / copies.s(count)

            found = paired(fill, copy, scale.rounds)
            yield Line(
                "ring",
                what,
                found.ratio,
                "memcpy",
                at_least=budget,
                stated=f"{found.measured / frame.nbytes:.0f} fps, "
                f"{found.measured / _MB:.0f} MB/s, "
                f"memcpy {found.baseline / _MB:.0f} MB/s",
            )


def measure_latency(scale: Scale) -> Iterator[Line]:
    """Yield how long after it was put a frame is in its reader's hands."""
    for side_px in SIDES_PX:
        for reader in (_OTHER, _SAME):
            what = f"frame to its reader, {side_px}x{side_px}, {reader}"
            latencies = _latencies_s(side_px, scale.pick(1000, 20), reader == _SAME)
            p50, p99 = np.percentile(latencies, (50, 99))
            yield Line(
                "latency",
                what,
                float(p50) / 1e-3,
                "1 ms",
                stated=f"p50 {p50 * _US:.0f} us, p99 {p99 * _US:.0f} us, "
                f"most {max(latencies) * _US:.0f} us, of {len(latencies)} frames",
            )


def put(ring: FrameRing, frame: np.ndarray, index: int) -> None:
    """Copy a frame into a ring; it carries the time when that was done."""
    slot = ring.reserve(_PATIENCE_S)
    if slot is None:
        raise RuntimeError(f"the ring is held up by {ring.lagging()}")
    np.copyto(slot, frame)
    ring.put(
        FrameInfo(
            camera="bench",
            index=index,
            event_index=index,
            host_s=time.monotonic(),
            exposure_s=0.01,
            shape=ring.shape,
            dtype="uint16",
        )
    )


def _latencies_s(side_px: int, count: int, in_process: bool) -> list[float]:
    frame = noise(side_px)
    slots = _RING_BYTES // frame.nbytes
    ring = FrameRing("bench", frame.shape, frame.dtype, slots)
    with following(ring, in_process=in_process) as follower:
        for index in range(count):
            put(ring, frame, index)
            time.sleep(0.004)
        ring.end()
    if len(follower.latencies_s) != count:
        raise RuntimeError(f"{len(follower.latencies_s)} of {count} frames came")
    return follower.latencies_s
