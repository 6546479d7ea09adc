"""What a trace says about one run, gathered line by line."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

import msgspec

from hal.postmortem.case import Case
from hal.postmortem.configuration import CONFIGURATION, Configuration
from hal.postmortem.moments import Moment, Rank, first_traceback, moment_of
from hal.postmortem.session import TraceLine, seconds, text

BEFORE_S: Final = 30.0
"""So long before a run the evidence begins."""
AFTER_S: Final = 30.0
_KEPT: Final = 20_000
_LATE_KEPT: Final = 100


class Late(NamedTuple):
    """Something that took longer than it might."""

    wall_s: float
    module: str
    activity: str
    what: str
    id: str
    age_s: float
    deadline_s: float
    dump: str
    """File with the stacks of all threads, if one was written."""

    @property
    def dump_name(self) -> str:
        """Name of that file, on whatever system it was written."""
        return self.dump.replace("\\", "/").rpartition("/")[2]


class ModuleEnd(NamedTuple):
    """The state a module was in when the evidence ends."""

    state: str
    reason: str


class Story:
    """Hears the lines of a trace, and keeps what tells what happened.

    Runs on: one thread at a time; bounded in memory, whatever the trace holds.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.moments: deque[Moment] = deque(maxlen=_KEPT)
        self.lates: list[Late] = []
        self.modules: dict[str, ModuleEnd] = {}
        """As they were when the run ended."""
        self.senders: dict[str, str] = {}
        """By id of what was late: who had asked for it."""
        self.configuration = Configuration()
        self.versions: dict[str, str] = {}
        self.first_trouble: Moment | None = None
        self.first_traceback = ""
        """Of the first trouble, where something was raised."""
        self.ended_in_order = False
        """Whether HAL's own process said goodbye."""

    def add(self, line: TraceLine) -> None:
        """Take in one line of the time of the run."""
        record, kind = line.record, line.record["kind"]
        is_late = line.wall_s > self.case.ended_s + AFTER_S
        if kind == "late":
            self._add_late(line)
        elif kind == "state" and line.wall_s <= self.case.ended_s + 1.0:
            state = ModuleEnd(text(record, "state"), text(record, "reason"))
            self.modules[text(record, "module")] = state
        elif kind == "footer" and line.part.process == "main":
            self.ended_in_order = True
        elif kind == "delivery":
            self._add_sender(record)
        moment = None if is_late else moment_of(line)
        if moment is None:
            return
        self.moments.append(moment)
        if moment.rank is Rank.TROUBLE and self._is_of_run(line):
            first = self.first_trouble
            # Of two that tell of one thing, the record of the watchdog comes first.
            if first is None or line.wall_s < first.wall_s:
                self.first_trouble = moment._replace(wall_s=line.wall_s)
                self.first_traceback = first_traceback(record)

    def begin(self, line: TraceLine) -> None:
        """Take in one of the first lines of the session."""
        if line.record["kind"] == CONFIGURATION:
            told = {k: v for k, v in line.record.items() if k not in ("kind", "t_s")}
            try:
                self.configuration = msgspec.convert(told, Configuration)
            except msgspec.ValidationError:
                return  # of another version of HAL
        elif line.record["kind"] == "state":
            state = ModuleEnd(text(line.record, "state"), text(line.record, "reason"))
            self.modules.setdefault(text(line.record, "module"), state)

    def last_moments(self, before: int = 12, after: int = 40) -> list[Moment]:
        """Return what led to the first trouble, and what came of it, in order.

        Where nothing went wrong, the last that is known.
        """
        ordered = sorted(self.moments)
        first = self.first_trouble
        if first is None:
            return ordered[-(before + after) :]
        earlier = [m for m in ordered if m.wall_s < first.wall_s]
        later = [m for m in ordered if m.wall_s >= first.wall_s]
        until_s = max(first.wall_s, self.case.ended_s) + 1.0
        bad = [m for m in later if m.rank is not Rank.ORDINARY and m.wall_s < until_s]
        return sorted({*earlier[-before:], *bad[:after]})

    def _is_of_run(self, line: TraceLine) -> bool:
        # A module that had been degraded before did not end it; nor did the stop.
        is_sleepy = line.record["kind"] == "state"
        within = self.case.began_s - 1.0 <= line.wall_s <= self.case.ended_s + 1.0
        return within and not is_sleepy

    def _add_late(self, line: TraceLine) -> None:
        record = line.record
        if len(self.lates) < _LATE_KEPT:
            self.lates.append(
                Late(
                    wall_s=line.wall_s,
                    module=text(record, "module"),
                    activity=text(record, "activity"),
                    what=text(record, "what"),
                    id=text(record, "id"),
                    age_s=seconds(record, "age_s", 0.0),
                    deadline_s=seconds(record, "deadline_s", 0.0),
                    dump=text(record, "dump"),
                )
            )

    def _add_sender(self, record: dict[str, Any]) -> None:
        tickets = record.get("tickets") or []
        if any(isinstance(t, dict) and t.get("how") == "timeout" for t in tickets):
            self.senders[text(record, "id")] = text(record, "from")
