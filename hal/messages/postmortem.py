"""Post-mortem bundles: what is kept of a run that failed."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Record
from hal.kernel import Event, Request


class MakePostmortem(Request, frozen=True):
    """Gather what is known of a run; answers with a `Postmortem`.

    Of a run whose bundle there is already, the answer says where. Of a run that has
    ended in an error, it is made without having been asked for.
    """

    deadline_s: ClassVar[float] = 60.0
    run_id: str


class Postmortem(Record, frozen=True, kw_only=True):
    """What became of a bundle."""

    run_id: str
    path: str = ""
    """The file; empty if there is none."""
    why_not: str = ""


class PostmortemWritten(Event, frozen=True):
    """The bundle of a run is there, or could not be made."""

    run_id: str
    postmortem: Postmortem
