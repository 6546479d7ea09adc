"""The recorder: films opened, frames stored, files finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from hal.acquisition import EventRow
from hal.base import ErrorRecord, Record
from hal.frames import FilmLayout, LedgerCounts
from hal.kernel import Event, ParameterList, Request
from hal.messages.camera import CameraArmed


class OpenRecording(Request, frozen=True):
    """Create the files of a film; answers with a `RecordingOpened`."""

    deadline_s: ClassVar[float] = 30.0
    run_id: str
    cameras: tuple[CameraArmed, ...]
    """And feeds, each with the frames planned of it."""
    frames: int | None
    """Planned frames of the run; None until stopped."""
    directory: str
    name: str | None
    formats: tuple[str, ...]
    overwrite: bool
    notes: str
    stage_um: tuple[float, float] | None
    """Where the stage was at the start."""
    parameters: tuple[ParameterList, ...]
    """Of all modules, for the sidecar."""
    has_events: bool = False
    """Whether there will be a table of events: the run follows a plan."""
    layouts: Mapping[str, FilmLayout] = msgspec.field(default_factory=dict)
    """How the frames of a camera lie along the axes of the plan, where they do."""


class ResumeRecording(Request, frozen=True):
    """Go on with a film whose recorder has ended; answers with a `RecordingOpened`.

    What is stored already is acknowledged once more.
    """

    deadline_s: ClassVar[float] = 60.0
    opened_by: OpenRecording
    base: str
    """Name of the film, as the answer to that said."""


class RecordEvents(Request, frozen=True):
    """Add rows to the table of events beside the film, in the order given.

    Rows of events that have one are passed over, so that they may be sent again.
    """

    run_id: str
    rows: tuple[EventRow, ...]


class RecordingOpened(Record, frozen=True):
    """The files of a film are there, empty."""

    base: str
    """Name of the film."""
    files: tuple[str, ...]
    """Full paths, the sidecar last."""


class FramesStored(Event, frozen=True):
    """The recorder has acknowledged a batch of frames."""

    run_id: str
    camera: str
    first: int
    """Index in the run, counted from 0 at `StartRun`."""
    last: int


class RecordingFailed(Event, frozen=True):
    """The recorder cannot store any more frames of a camera; the rest is readable.

    Whoever answers True tells the user of its error.
    """

    run_id: str
    camera: str
    error: ErrorRecord


class FinishRecording(Request, frozen=True):
    """Store what is still on its way, close and verify all files, write the sidecar.

    Answers with a `RecordingFinished`.
    """

    deadline_s: ClassVar[float] = 3600.0
    run_id: str
    state: str
    """How the run ended: `done`, `error` or `cancelled`."""
    drain_s: float
    """How long to wait for cameras that have not said that they ended."""


class RecordingFinished(Record, frozen=True):
    """What a film came to."""

    files: tuple[str, ...]
    """Full paths of what is there, the sidecar last."""
    frames: dict[str, LedgerCounts]
    """The account of each camera."""
    problems: tuple[ErrorRecord, ...]
    """What went wrong: why a camera's frames were not all stored, then at the end
    (closing, verifying, the sidecar)."""
