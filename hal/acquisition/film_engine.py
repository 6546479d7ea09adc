"""Runs a film: all cameras expose by themselves until there are enough frames."""

from __future__ import annotations

import math
from collections.abc import Callable

from hal.acquisition.plan import FilmPlan
from hal.acquisition.rig import Rig
from hal.acquisition.run_engine import RunEngine
from hal.acquisition.run_status import RunStatus
from hal.base import Clock, RunError


class FilmEngine(RunEngine):
    """One film; see `RunEngine`."""

    def __init__(
        self,
        run_id: str,
        plan: FilmPlan,
        cameras: tuple[str, ...],
        rig: Rig,
        clock: Clock,
        report: Callable[[RunStatus], None],
        *,
        deadline_s: float | None = None,
    ) -> None:
        """Begin with a film that is pending.

        Args:
            run_id: Its identity.
            plan: How many frames.
            cameras: Of which cameras.
            rig: The microscope.
            clock: Whose time counts.
            report: Called with each new status.
            deadline_s: The run fails when it exposes for longer.
        """
        planned = dict.fromkeys(cameras, plan.frames)
        super().__init__(run_id, planned, rig, clock, report)
        self._plan = plan
        self._deadline_s = deadline_s
        self._give_up_s = math.inf
        self._change()

    @property
    def plan(self) -> FilmPlan:
        """The film."""
        return self._plan

    def _conduct(self) -> None:
        self._change(started_at_s=self._clock.wall_s())
        if self._deadline_s is not None:
            self._give_up_s = self._clock.monotonic_s() + self._deadline_s
        self._start_all()
        self._follow()

    def _check_modules(self) -> None:
        super()._check_modules()
        if self._clock.monotonic_s() > self._give_up_s:
            raise RunError(f"the run took longer than {self._deadline_s:g} s")

    def _counted(self) -> dict[str, object]:
        counts = self.progress.counts()
        stored = [counts[name].stored for name in self._cameras]
        return {
            "n_events_total": self._plan.frames,
            "n_events_consumed": min(stored, default=0),
        }
