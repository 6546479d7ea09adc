"""Values that no microscope could use, refused before anything is made of them."""

from __future__ import annotations

import math

from hal.acquisition.plans.events import (
    AnyEvent,
    StagedEvent,
    StimulationEvent,
    WaitEvent,
)
from hal.base import PlanError


def check_seconds(field: str, value: object, *, above_zero: bool = False) -> None:
    """Refuse what is no time span.

    Raises:
        PlanError: Not a finite number from 0, or above it.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    expected = "above 0" if above_zero else "from 0"
    if not is_number or not math.isfinite(float(value)):  # type: ignore[arg-type]
        raise PlanError(f"{field}={value!r}: expected a number of seconds {expected}")
    low = float(value)  # type: ignore[arg-type]
    if low < 0 or (above_zero and low == 0):
        raise PlanError(f"{field}={value!r}: expected a number of seconds {expected}")


def check_number(field: str, value: float | None) -> None:
    """Refuse infinities and what is no number.

    Raises:
        PlanError: It is one of them.
    """
    if value is not None and not math.isfinite(value):
        raise PlanError(f"{field}={value!r}: expected a finite number")


def check_event(number: int, event: object) -> None:
    """Refuse an event with impossible values.

    Raises:
        PlanError: With its number, the field, and what was expected.
    """
    where = f"event {number}: "
    if not isinstance(event, AnyEvent):
        raise PlanError(f"{where}{type(event).__name__} is no kind of event")
    for axis, at in event.index.items():
        if at < 0:
            raise PlanError(f"{where}index {axis}={at}: expected a number from 0")
    if event.min_start_time_s is not None:
        check_seconds(f"{where}min_start_time_s", event.min_start_time_s)
    if isinstance(event, WaitEvent):
        check_seconds(f"{where}duration_s", event.duration_s)
    if isinstance(event, StagedEvent):
        for name in ("x_um", "y_um", "z_um"):
            check_number(f"{where}{name}", getattr(event, name))
        if event.exposure_s is not None:
            check_seconds(f"{where}exposure_s", event.exposure_s, above_zero=True)
    if isinstance(event, StimulationEvent):
        check_seconds(f"{where}duration_s", event.duration_s, above_zero=True)
        check_seconds(f"{where}deadline_s", event.deadline_s, above_zero=True)
        for name in ("mask_from", "projector"):
            if not getattr(event, name):
                raise PlanError(f"{where}{name}='': expected the name of a module")
