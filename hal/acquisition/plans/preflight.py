"""Whether a plan can be run, how long it takes, and what it costs; nothing moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hal.acquisition.plans._estimate import Estimate
from hal.acquisition.plans._problems import PlanProblem, Problems
from hal.acquisition.plans.abilities import Abilities
from hal.acquisition.plans.events import ChannelName
from hal.acquisition.plans.plan import Plan
from hal.base import PlanError, Record

SLACK_S: Final = 1e-6
"""An interval shorter than needed by less than this is one."""
_SPARE_BYTES: Final = 16 * 2**20


class IntervalEstimate(Record, frozen=True):
    """An interval of a plan, and how short it could be."""

    part: int
    """Number of the part of the plan, counted from 0."""
    phase: str
    interval_s: float
    smallest_s: float
    """What its longest timepoint takes."""

    @property
    def is_possible(self) -> bool:
        """Whether all of a timepoint fits into it."""
        return self.smallest_s <= self.interval_s + SLACK_S


class LightDose(Record, frozen=True):
    """The light of one channel on the sample."""

    channel: str
    lit_s: float
    """Over the whole plan."""
    most_lit_s: float
    """At the place that gets most of it."""
    energy_mj: float | None
    """Over the whole plan, in mW s; None where the power is not known."""
    most_j_per_cm2: float | None
    """At the place that gets most; None where power or lit area is not known."""


class Preflight(Record, frozen=True, kw_only=True):
    """What is known of a plan before it is run."""

    problems: tuple[PlanProblem, ...]
    """Why it cannot be run; each kind of mistake once, the first event that has it."""
    warnings: tuple[str, ...]
    """What was not known, or looks unintended."""
    assumptions: tuple[str, ...]
    """How times were added up."""
    duration_s: float | None
    """None for endless. Too short where a time model is missing: see `warnings`."""
    intervals: tuple[IntervalEstimate, ...]
    n_events: int | None
    n_images: int | None
    """Frames of all cameras together; None for endless."""
    n_bytes: int | None
    """All files together, pixels only; None for endless."""
    doses: tuple[LightDose, ...]

    @property
    def is_ok(self) -> bool:
        """Whether nothing is known that stands against running it."""
        return not self.problems

    def require(self, source: str = "") -> None:
        """Refuse the plan if there is a problem.

        Args:
            source: File of the plan, for the error.

        Raises:
            PlanError: With the first problem, and the number of others.
        """
        if self.problems:
            more = len(self.problems) - 1
            rest = f" (and {more} more)" if more else ""
            raise PlanError(f"{self.problems[0].text}{rest}", file=source or None)


def preflight(plan: Plan, abilities: Abilities) -> Preflight:
    """Return whether `plan` can be run on a microscope, and what it takes.

    A sequence that repeats is looked at until it does; everything else event by event,
    about a million in two to five seconds. Nothing is sent to any device.

    Runs on: any; only calls `abilities`.
    """
    problems = Problems()
    estimate = Estimate(plan, abilities, problems)
    estimate.run()
    intervals = tuple(
        IntervalEstimate(part, plan.parts[part].phase, interval_s, busy_s)
        for (part, interval_s), busy_s in sorted(estimate.intervals.items())
    )
    for each in intervals:
        if not each.is_possible:
            problems.add(
                f"interval_s={each.interval_s:g}: a timepoint takes "
                f"{each.smallest_s:.6g} s: expected at least that",
                field="interval_s",
                value=each.interval_s,
                limit=each.smallest_s,
                part=each.part,
            )
    endless = plan.n_events is None
    n_bytes = None if endless else estimate.n_bytes
    duration_s = None if endless else estimate.now_s
    _check_disk(n_bytes, abilities, problems)
    if (
        plan.deadline_s is not None
        and duration_s is not None
        and duration_s > plan.deadline_s
    ):
        problems.add(
            f"deadline_s={plan.deadline_s:g}: the plan takes {duration_s:.6g} s",
            field="deadline_s",
            value=plan.deadline_s,
            limit=duration_s,
        )
    return Preflight(
        problems=problems.listed(),
        warnings=tuple(estimate.warnings),
        assumptions=ASSUMPTIONS,
        duration_s=duration_s,
        intervals=intervals,
        n_events=plan.n_events,
        n_images=None if endless else estimate.n_images,
        n_bytes=n_bytes,
        doses=_doses(estimate.lit_s, abilities),
    )


ASSUMPTIONS: Final = (
    "an event waits for its time, then moves x and y, moves z, changes the channel, "
    "lets light through, exposes, stops the light and reads out, one after the other",
    "a film overlaps exposure and readout as its camera does",
    "setting properties takes no time, nor does waiting for the mask of a stimulation",
    "light falls on the sample during exposures, and in between where the shutter "
    "is kept open",
)
"""How `preflight` adds up times and light."""


def _check_disk(n_bytes: int | None, abilities: Abilities, problems: Problems) -> None:
    free = abilities.free_bytes
    if n_bytes is not None and free is not None and n_bytes + _SPARE_BYTES > free:
        problems.add(
            f"disk: the plan writes {n_bytes / 1e6:.1f} MB, expected at most the "
            f"{max(0, free - _SPARE_BYTES) / 1e6:.1f} MB that are free",
            field="disk",
            value=float(n_bytes),
            limit=float(free),
        )


def _doses(
    lit_s: Mapping[tuple[ChannelName, float | None, float | None], float],
    abilities: Abilities,
) -> tuple[LightDose, ...]:
    total: dict[ChannelName, float] = {}
    most: dict[ChannelName, float] = {}
    for (channel, _, _), seconds in lit_s.items():
        total[channel] = total.get(channel, 0.0) + seconds
        most[channel] = max(most.get(channel, 0.0), seconds)
    found = []
    for channel, seconds in total.items():
        light = abilities.channels.get(channel)
        power_mw = light.power_mw if light is not None else None
        area_cm2 = light.lit_area_cm2 if light is not None else None
        energy_mj = None if power_mw is None else power_mw * seconds
        most_j_per_cm2 = None
        if power_mw is not None and area_cm2:
            most_j_per_cm2 = power_mw * most[channel] / 1000 / area_cm2
        found.append(
            LightDose(str(channel), seconds, most[channel], energy_mj, most_j_per_cm2)
        )
    return tuple(found)
