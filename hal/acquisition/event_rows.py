"""The account of a plan's events, on its way to the recorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from hal.acquisition.event_row import EventOutcome, EventRow
from hal.acquisition.plans import (
    AnyEvent,
    AutofocusEvent,
    ImageEvent,
    SetupEvent,
    StagedEvent,
    StimulationEvent,
)
from hal.acquisition.rig import Reached
from hal.acquisition.timetable import Timetable
from hal.base import Clock

_EVERY_S: Final = 0.5
_MOST: Final = 500


class Notebook(Protocol):
    """Where rows are kept."""

    def note(self, rows: tuple[EventRow, ...]) -> None:
        """Keep them; does not wait."""


class EventRows:
    """Makes a row of each event that has begun, and hands them on in batches.

    Runs on: engine.
    """

    def __init__(self, keeper: Notebook, times: Timetable, clock: Clock) -> None:
        self.last_reached = Reached()
        """Where the stage and the focus said they were when they were moved last."""
        self._keeper = keeper
        self._times = times
        self._clock = clock
        self._begun: dict[int, EventRow] = {}
        self._tries: dict[int, int] = {}
        self._ended: list[EventRow] = []
        self._next_frame: dict[str, int] = {}
        self._told_s = clock.monotonic_s()

    def begin(
        self,
        batch: Sequence[tuple[int, AnyEvent]],
        camera_of: Callable[[AnyEvent], str],
    ) -> None:
        """Note events that begin now; each image gets the next index of its camera."""
        now_s = self._clock.monotonic_s()
        for number, event in batch:
            row = EventRow(
                event=number,
                kind=_kind(event),
                outcome=EventOutcome.FAILED,
                index=event.index,
                phase=event.phase,
                due_s=event.min_start_time_s,
                began_s=now_s,
            )
            if isinstance(event, StagedEvent):
                row = msgspec.structs.replace(
                    row,
                    position_name=event.position_name,
                    channel="" if event.channel is None else str(event.channel),
                    exposure_s=event.exposure_s,
                )
            if isinstance(event, ImageEvent):
                camera = camera_of(event)
                frame = self._next_frame.get(camera, 0)
                self._next_frame[camera] = frame + 1
                row = msgspec.structs.replace(row, camera=camera, frame=frame)
            self._begun[number] = row

    def tried(self, number: int) -> None:
        """Note that an event is tried, once more perhaps."""
        self._tries[number] = self._tries.get(number, 0) + 1

    def frame(self, number: int) -> int:
        """Return the index of the frame of an image event."""
        frame = self._begun[number].frame
        assert frame is not None
        return frame

    def reached(self, reached: Reached) -> Reached:
        """Note where stage and focus are, as far as they were moved; return all."""
        axes = msgspec.structs.asdict(reached)
        moved = {axis: at for axis, at in axes.items() if at is not None}
        self.last_reached = msgspec.structs.replace(self.last_reached, **moved)
        return self.last_reached

    def done(
        self,
        number: int,
        reached: Reached | None = None,
        *,
        began_s: float | None = None,
        exposure_s: float | None = None,
    ) -> None:
        """Note that an event was done; times are on the monotonic clock."""
        changes: dict[str, object] = {}
        if began_s is not None:
            changes["began_s"] = began_s
        if exposure_s is not None:
            changes["exposure_s"] = exposure_s
        if reached is not None:
            changes |= msgspec.structs.asdict(reached)
        self._end(number, outcome=EventOutcome.DONE, **changes)

    def failed(self, number: int, outcome: EventOutcome, why: str) -> int | None:
        """Note that an event was not done; return the index of the frame it owes."""
        frame = self._begun[number].frame
        self._end(number, outcome=outcome, why=why)
        return frame

    def flush(self) -> None:
        """Hand on what has gathered."""
        self._told_s = self._clock.monotonic_s()
        rows, self._ended = tuple(self._ended), []
        if rows:
            self._keeper.note(rows)

    def _end(self, number: int, **changes: object) -> None:
        now_s = self._clock.monotonic_s()
        row = msgspec.structs.replace(self._begun.pop(number), **changes)
        self._ended.append(
            msgspec.structs.replace(
                row,
                tries=self._tries.pop(number, 1),
                began_s=self._times.at_s(row.began_s),
                ended_s=self._times.at_s(now_s),
            )
        )
        if now_s - self._told_s >= _EVERY_S or len(self._ended) >= _MOST:
            self.flush()


def _kind(event: AnyEvent) -> str:
    if isinstance(event, ImageEvent):
        return "image"
    if isinstance(event, AutofocusEvent):
        return "autofocus"
    if isinstance(event, StimulationEvent):
        return "stimulation"
    return "setup" if isinstance(event, SetupEvent) else "wait"
