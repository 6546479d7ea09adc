"""What a rehearsed experiment would have cost."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hal.acquisition import RunStatus
from hal.testing.chaos.journal import GOOD_FRAME, Caused
from hal.testing.chaos.kinds import FaultKind

_MOST_SHOWN = 20
_EVENTS = "_events.ndjson"


class FaultTold(msgspec.Struct, frozen=True, kw_only=True):
    """One fault in the report."""

    t_s: float
    """Since the start of the run; before it if negative."""
    module: str
    kind: str
    call: str
    number: int
    frame: int | None
    """Index in the run of the frame it happened to."""
    to_next_frame_s: float | None
    """From the fault to the next good frame: of that camera, or of any for another
    module. None if none came."""


class ChaosReport(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, and what that did to the run."""

    seed: int
    file: str
    state: str
    faults: tuple[FaultTold, ...]
    lost: dict[str, tuple[int, ...]]
    """Indices of the frames that are missing, by camera, as the run names them."""
    repeated: dict[str, tuple[int | None, ...]]
    """Indices of frames that were an earlier one once more, by camera."""
    spoiled: dict[str, tuple[int | None, ...]]
    """Indices of frames with wrong pixels, by camera: nobody else can tell."""
    tried_again: int
    """Events that were done in more than one try."""
    passed_over: int
    """Events that were skipped."""
    median_s: float | None
    """From a fault to the next good frame."""
    worst_s: float | None
    without_frame: int
    """Faults after which no good frame came."""


def make_report(
    status: RunStatus,
    caused: Sequence[Caused],
    *,
    seed: int,
    file: str = "",
    since_s: float = 0.0,
    cameras: Iterable[str] = (),
) -> ChaosReport:
    """Return what a run came to.

    Args:
        status: Its last status; its files are read.
        caused: What was noted meanwhile.
        seed: Of the faults.
        file: Where they are written.
        since_s: The moment from which times are counted.
        cameras: The modules that own a camera.
    """
    frames = [each for each in caused if each.kind == GOOD_FRAME]
    own = frozenset(cameras)
    told = tuple(
        FaultTold(
            t_s=round(each.t_s - since_s, 6),
            module=each.module,
            kind=each.kind,
            call=each.call,
            number=each.number,
            frame=each.frame,
            to_next_frame_s=_to_next(each, frames, own),
        )
        for each in caused
        if each.kind != GOOD_FRAME
    )
    times = [t.to_next_frame_s for t in told if t.to_next_frame_s is not None]
    rows = _rows(status)
    return ChaosReport(
        seed=seed,
        file=file,
        state=status.state,
        faults=told,
        lost={name: c.gaps for name, c in status.frames.items() if c.gaps},
        repeated=_frames_with(FaultKind.REPEAT, told),
        spoiled=_frames_with(FaultKind.PIXELS, told),
        tried_again=sum(int(row["tries"]) > 1 for row in rows),
        passed_over=sum(row["outcome"] == "skipped" for row in rows),
        median_s=round(statistics.median(times), 6) if times else None,
        worst_s=max(times, default=None),
        without_frame=len(told) - len(times),
    )


def report_lines(report: ChaosReport) -> list[str]:
    """Return the report for people."""
    where = f" from {report.file}" if report.file else ""
    lines = [f"chaos: {_count(len(report.faults), 'fault')}{where}, seed {report.seed}"]
    for fault in report.faults[:_MOST_SHOWN]:
        call = f"call {fault.number} of " if fault.number else "by order, in "
        frame = "" if fault.frame is None else f", frame {fault.frame}"
        then = "no good frame after it"
        if fault.to_next_frame_s is not None:
            then = f"next good frame after {fault.to_next_frame_s:.3f} s"
        lines.append(
            f"chaos: {fault.t_s:9.3f} s  {fault.module}: {fault.kind} "
            f"({call}{fault.call}{frame}); {then}"
        )
    more = len(report.faults) - _MOST_SHOWN
    if more > 0:
        lines.append(f"chaos: and {more} more: --json has them all")
    for camera, indices in report.lost.items():
        lines.append(f"chaos: {camera}: {_named(indices, 'frame')} lost")
    for camera, places in report.repeated.items():
        lines.append(
            f"chaos: {camera}: an earlier frame once more as {_named(places, 'frame')}"
        )
    for camera, counters in report.spoiled.items():
        lines.append(
            f"chaos: {camera}: {_named(counters, 'frame')} with wrong pixels, which "
            "nobody can see"
        )
    lines.append(
        f"chaos: {_count(report.tried_again, 'event')} tried again, "
        f"{report.passed_over} passed over"
    )
    if report.median_s is not None and report.worst_s is not None:
        lines.append(
            f"chaos: from a fault to the next good frame: median "
            f"{report.median_s:.3f} s, worst {report.worst_s:.3f} s"
        )
    if report.without_frame:
        faults = _count(report.without_frame, "fault")
        lines.append(f"chaos: after {faults} no good frame came")
    lines.append(f"chaos: the run ended in state {report.state}")
    return lines


def _to_next(
    fault: Caused, frames: Sequence[Caused], cameras: frozenset[str]
) -> float | None:
    for frame in frames:
        is_its_own = fault.module not in cameras or frame.module == fault.module
        if frame.t_s > fault.t_s and is_its_own:
            return round(frame.t_s - fault.t_s, 6)
    return None


def _frames_with(
    kind: FaultKind, faults: Iterable[FaultTold]
) -> dict[str, tuple[int | None, ...]]:
    found: dict[str, tuple[int | None, ...]] = {}
    for fault in faults:
        if fault.kind == kind:
            found[fault.module] = (*found.get(fault.module, ()), fault.frame)
    return found


def _rows(status: RunStatus) -> list[Mapping[str, Any]]:
    """Return the rows of the run's table of events."""
    rows: list[Mapping[str, Any]] = []
    for name in status.files:
        if name.endswith(_EVENTS) and Path(name).exists():
            with open(name, "rb") as file:
                rows += [msgspec.json.decode(line) for line in file]
    return rows


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _named(numbers: Sequence[int | None], what: str) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_SHOWN]))
    more = len(numbers) - _MOST_SHOWN
    rest = f" and {more} more" if more > 0 else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {shown}{rest}"
