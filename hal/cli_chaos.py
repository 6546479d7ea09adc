"""What the command line says of faults that are caused on purpose."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hal.acquisition import RunStatus
from hal.app import Application
from hal.app import Plan as Configured


class ChaosTold:
    """The report of a rehearsal, if this is one.

    Runs on: main.
    """

    def __init__(self, app: Application) -> None:
        self._rehearsal = app.rehearsal
        self._clock = app.system.clock
        self._begun_s = self._clock.monotonic_s()

    def begins(self) -> Iterator[str]:
        """Yield what the user is to know before anything goes wrong."""
        if self._rehearsal is not None:
            count = len(self._rehearsal.chaos.faults)
            yield (
                f"faults are caused on purpose ({count} of {self._rehearsal.chaos.file}"
                f", seed {self._rehearsal.chaos.seed})"
            )

    def notes(self, notes: str) -> str:
        """Return the notes of a film, which say how it came about."""
        said = "; ".join(self.begins())
        return f"{notes}\n{said}" if notes and said else notes or said

    def tell(self, status: RunStatus) -> tuple[list[str], dict[str, object]]:
        """Return what it cost, as lines and as more of the JSON object."""
        if self._rehearsal is None:
            return [], {}
        from hal.testing import chaos

        report = chaos.make_report(
            status,
            self._rehearsal.caused(),
            seed=self._rehearsal.chaos.seed,
            file=self._rehearsal.chaos.file,
            since_s=self._since_s(status),
            cameras=self._rehearsal.cameras,
        )
        lines = chaos.report_lines(report)
        return lines, {"chaos": msgspec.to_builtins(report)}

    def _since_s(self, status: RunStatus) -> float:
        """Return when the run began, on the monotonic clock."""
        if status.started_at_s is None:
            return self._begun_s
        ago_s = self._clock.wall_s() - status.started_at_s
        return self._clock.monotonic_s() - ago_s


def chaos_lines(configured: Configured) -> Iterator[str]:
    """Yield what `hal check` says of the faults of a configuration."""
    if configured.chaos is not None:
        yield (
            f"{configured.chaos.file}: ok: faults {len(configured.chaos.faults)}, "
            f"seed {configured.chaos.seed}"
        )
        for fault in configured.chaos.faults:
            when = (
                f"probability {fault.probability:g}"
                if not fault.at
                else "at " + ", ".join(map(str, fault.at))
            )
            where = f" in {fault.call}" if fault.call else ""
            yield f"  {fault.module}: {fault.kind}{where}, {when}"
