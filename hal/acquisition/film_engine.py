"""Runs a film: all cameras expose by themselves until there are enough frames."""

from __future__ import annotations

from collections.abc import Callable

from hal.acquisition.plan import FilmPlan
from hal.acquisition.rig import Rig
from hal.acquisition.run_engine import RunEngine
from hal.acquisition.run_status import RunStatus
from hal.base import Clock


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
    ) -> None:
        planned = dict.fromkeys(cameras, plan.frames)
        super().__init__(run_id, planned, rig, clock, report)
        self._plan = plan
        self._change()

    @property
    def plan(self) -> FilmPlan:
        """The film."""
        return self._plan

    def _conduct(self) -> None:
        self._change(started_at_s=self._clock.wall_s())
        self._start_all()
        self._follow()

    def _counted(self) -> dict[str, object]:
        counts = self.progress.counts()
        stored = [counts[name].stored for name in self._cameras]
        return {
            "n_events_total": self._plan.frames,
            "n_events_consumed": min(stored, default=0),
        }
