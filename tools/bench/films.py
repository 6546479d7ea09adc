"""Films of several sizes, cameras and formats, against writing the same bytes raw."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench.marking_camera import MarkingCamera
from bench.pairing import Scale, paired
from bench.raw_files import MemoryCopies, raw_write_s
from bench.report import Line
from bench.stopwatch import Lap, Stopwatch
from hal.acquisition import RunState, RunStatus
from hal.base import StateError
from hal.frames import FrameRing, FrameRings, LatestReader
from hal.storage import WRITERS
from hal.testing import RunningHal, part, running_hal
from modules.cameras.camera import CameraModule

BUDGETS: Final = {"dax": 0.9, "ome-tiff": 0.9, "ome-zarr": 0.7}
"""In memory, of a loop that writes raw: one camera of the larger frames."""
SIDES_PX: Final = (2048, 512)
CAMERAS: Final = (1, 2, 4)
DISPLAY_HZ: Final = 30.0
PATIENCE_S: Final = 120.0
_BYTES: Final = 2**29
_QUICK_BYTES: Final = 2**23
_MB, _GB = 1e6, 1e9


class Shot(NamedTuple):
    """One film, measured."""

    s: float
    """From the start of exposure to the last frame stored, or to the failed end."""
    cpu_s: float
    status: RunStatus

    @property
    def lost(self) -> int:
        """Frames that were planned and are not stored."""
        counts = self.status.frames.values()
        return sum((c.planned or 0) - c.stored for c in counts)


def measure(where: str, folder: Path, scale: Scale) -> Iterator[Line]:
    """Yield what films to a folder cost; with a display only to memory."""
    for side_px in SIDES_PX:
        for cameras in CAMERAS:
            yield from _measure_size(where, folder, scale, side_px, cameras)


def _measure_size(
    where: str, folder: Path, scale: Scale, side_px: int, cameras: int
) -> Iterator[Line]:
    frame_bytes = 2 * side_px**2
    frames = max(2, scale.pick(_BYTES, _QUICK_BYTES) // frame_bytes // cameras)
    all_bytes = frames * cameras * frame_bytes
    copies = MemoryCopies(side_px, slots=max(2, 2**26 // frame_bytes))
    memcpy_mb_s: list[float] = []

    def raw() -> float:
        memcpy_mb_s.append(copies.mb_s(max(2, frames // 4)))
        return all_bytes / raw_write_s(folder, side_px, cameras, frames)

    with filming(side_px, cameras) as hal:
        for name in WRITERS:
            for is_shown in (False, True) if where == "memory" else (False,):
                cpu: list[float] = []

                def film(
                    name: str = name,
                    is_shown: bool = is_shown,
                    cpu: list[float] = cpu,
                ) -> float:
                    shot = shoot(hal, folder, frames, name, is_shown=is_shown)
                    if shot.status.state is not RunState.DONE:
                        raise RuntimeError(f"the film failed: {shot.status}")
                    cpu.append(shot.cpu_s / all_bytes * _GB)
                    return all_bytes / shot.s

                memcpy_mb_s.clear()
                if not scale.quick:
                    film()  # what is imported and taken at first is paid once
                    cpu.clear()
                found = paired(film, raw, scale.rounds)
                is_due = side_px == SIDES_PX[0] and cameras == 1 and not is_shown
                fps = found.measured / frame_bytes / cameras
                yield Line(
                    where,
                    f"{name}, {side_px}x{side_px}, {cameras} camera"
                    f"{'s' if cameras > 1 else ''}{', shown' if is_shown else ''}",
                    found.ratio,
                    "raw os.write",
                    at_least=BUDGETS.get(name)
                    if is_due and where == "memory"
                    else None,
                    stated=f"{fps:.0f} fps each, {found.measured / _MB:.0f} MB/s, "
                    f"{median(cpu):.2f} CPU s/GB, raw {found.baseline / _MB:.0f} "
                    f"MB/s, memcpy {median(memcpy_mb_s):.0f} MB/s",
                )


@contextmanager
def filming(side_px: int, cameras: int, fps: float = 0.0) -> Iterator[RunningHal]:
    """Run a HAL with so many cameras, its trace on, and a stopwatch."""
    parts = [
        part(
            f"camera{number}",
            CameraModule,
            driver=MarkingCamera(side_px=side_px, fps=fps),
        )
        for number in range(1, cameras + 1)
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as logs:
        watch = part("stopwatch", Stopwatch)
        with running_hal(*parts, watch, log_folder=Path(logs)) as hal:
            yield hal


def shoot(
    hal: RunningHal, folder: Path, frames: int, format_name: str, *, is_shown: bool
) -> Shot:
    """Take a film and remove it.

    Raises:
        RuntimeError: It does not end.
    """
    watch = hal.module("stopwatch", Stopwatch)
    cameras = watch.context.names_of_role("camera")
    watch.expect(cameras, frames)
    target = Path(tempfile.mkdtemp(dir=folder, prefix="bench_frames_"))
    try:
        run = hal.film(target, frames, formats=(format_name,))
        with displaying(hal, cameras if is_shown else ()):
            lap = watch.wait(PATIENCE_S)
        status = run.wait(PATIENCE_S)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    if status is None or status.started_at_s is None or status.finished_at_s is None:
        raise RuntimeError(f"the film never ended: {run.status}")
    if lap is None:
        lap = Lap(status.finished_at_s, 0.0)
    return Shot(lap.stored_at_s - status.started_at_s, lap.cpu_s, status)


@contextmanager
def displaying(hal: RunningHal, cameras: tuple[str, ...]) -> Iterator[None]:
    """Copy the newest frame of each camera, as often as a display does."""
    rings = hal.system.services[FrameRings]
    assert isinstance(rings, FrameRings)
    end = threading.Event()
    viewers = [
        threading.Thread(target=_display, args=(rings.get(camera), end), daemon=True)
        for camera in cameras
    ]
    for viewer in viewers:
        viewer.start()
    try:
        yield
    finally:
        end.set()
        for viewer in viewers:
            viewer.join(PATIENCE_S)


def _display(ring: FrameRing, end: threading.Event) -> None:
    try:
        reader: LatestReader = ring.open_reader("display", lossless=False)
    except StateError:
        return  # the film was over first
    with reader:
        while not end.wait(1.0 / DISPLAY_HZ) and not reader.at_end:
            reader.latest()
