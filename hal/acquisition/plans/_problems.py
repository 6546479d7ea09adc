"""What stands against running a plan, each kind of it once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hal.base import Record, Value

_MOST: Final = 100


class PlanProblem(Record, frozen=True, kw_only=True):
    """One reason why a plan cannot be run."""

    text: str
    """All of it in words."""
    event: int | None = None
    """Number of the first event that has it, counted from 0; None for the whole."""
    index: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Of that event."""
    part: int | None = None
    """Number of the part of the plan it is in."""
    field: str = ""
    """What has to be changed: `x_um`, `channel`, `interval_s`, `disk` ..."""
    value: Value | None = None
    limit: Value | None = None
    """What the microscope can do: the nearest possible value."""


class Problems:
    """Collects problems; the first hundred, since the rest is more of the same.

    Runs on: any one thread.
    """

    def __init__(self) -> None:
        self._found: list[PlanProblem] = []
        self._left_out = 0

    def add(
        self,
        text: str,
        *,
        field: str,
        event: int | None = None,
        index: Mapping[str, int] | None = None,
        part: int | None = None,
        value: Value | None = None,
        limit: Value | None = None,
    ) -> None:
        """Keep a problem; the place of its event is put before `text`."""
        if len(self._found) >= _MOST:
            self._left_out += 1
            return
        place = ""
        if event is not None:
            at = ", ".join(f"{axis}={n}" for axis, n in (index or {}).items())
            place = f"event {event} ({at}): " if at else f"event {event}: "
        elif part is not None:
            place = f"part {part}: "
        self._found.append(
            PlanProblem(
                text=place + text,
                event=event,
                index=dict(index or {}),
                part=part,
                field=field,
                value=value,
                limit=limit,
            )
        )

    def listed(self) -> tuple[PlanProblem, ...]:
        """Return the problems, and how many more there were."""
        if self._left_out:
            more = PlanProblem(text=f"{self._left_out} more problems", field="")
            return (*self._found, more)
        return tuple(self._found)
