"""Phases: parts of an experiment that analysis and people call by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from hal.base import PlanError, Record, did_you_mean, one_of

_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class Phase(Record, frozen=True):
    """A phase of a plan."""

    id: str
    """What programs call it."""
    name: str = ""
    """What people read; empty for its id."""


def phase_of(said: Mapping[str, object]) -> Phase | None:
    """Return the phase that `phase_id` and `phase_name` say; None where neither does.

    Raises:
        PlanError: A name without an id, or one of them is no text or not usable.
    """
    phase_id, name = said.get("phase_id"), said.get("phase_name")
    for key, value in (("phase_id", phase_id), ("phase_name", name)):
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise PlanError(f"{key}={value!r}: expected some text")
    if phase_id is None:
        if name is not None:
            # Whoever looks the phase up later does it by id, in the middle of a run.
            raise PlanError(f"phase_name={name!r} has no phase_id beside it")
        return None
    if not _ID.fullmatch(str(phase_id)):
        raise PlanError(
            f"phase_id={phase_id!r}: expected a letter, then letters, digits, "
            "'_', '-' or '.'"
        )
    return Phase(str(phase_id), "" if name is None else str(name))


def check_phases(phases: Iterable[Phase], used: Iterable[str]) -> tuple[Phase, ...]:
    """Return each phase once.

    Args:
        phases: Those that are declared; one may be declared again with the same name.
        used: Ids that events and parts name.

    Raises:
        PlanError: Two names for one id, or an id that is used and not declared.
    """
    known: dict[str, Phase] = {}
    for phase in phases:
        phase_of({"phase_id": phase.id, "phase_name": phase.name or None})
        before = known.setdefault(phase.id, phase)
        if before.name != phase.name:
            raise PlanError(
                f"phase '{phase.id}' has two names: {before.name!r} and {phase.name!r}"
            )
    for phase_id in used:
        if phase_id and phase_id not in known:
            raise PlanError(
                f"unknown phase '{phase_id}': expected one of {one_of(known)}"
                f"{did_you_mean(phase_id, known)}"
            )
    return tuple(known.values())
