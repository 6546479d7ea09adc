"""Cameras: getting ready for a film, taking it, and what came."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hal.base import ErrorRecord, Record
from hal.kernel import Access, Event, Lane, Request


class CameraArmed(Record, frozen=True):
    """What a film of this camera will look like; its ring carries the camera's name.

    A feed describes its film in the same way.
    """

    camera: str
    frames: int | None
    """How many there will be; None until stopped."""
    height: int
    """Rows of a frame, in binned pixels."""
    width: int
    """Columns of a frame, in binned pixels."""
    dtype: str
    exposure_s: float
    pixel_size_um: float
    """Size of a binned pixel in the sample."""
    binning: int
    roi_x_px: int
    """First column read out, unbinned."""
    roi_y_px: int
    """First row read out, unbinned."""
    extension: str
    """What its files are told apart by; empty for the usual."""
    simulated: bool
    has_companions: bool = False
    """Whether it wants to write files of its own beside the film's."""
    source: str = ""
    """Of a feed: the camera or feed whose frames it is made of."""


class ArmCamera(Request, frozen=True):
    """Get ready for a film; answers with a `CameraArmed`."""

    access: ClassVar[Access] = Access.RUN
    run_id: str
    frames: Annotated[int, Meta(ge=1)] | None
    """How many the run has of each camera; None to go on until `StopCamera`."""
    source: CameraArmed | None = None
    """For a feed: what the film of its source looks like."""
    on_request: bool = False
    """Whether frames are taken when `TakeFrames` says so."""


class StartCamera(Request, frozen=True):
    """Begin to expose what was armed."""

    access: ClassVar[Access] = Access.RUN
    run_id: str


class TakeFrames(Request, frozen=True):
    """Expose now, for events of a plan, one after the other as fast as it goes.

    Answers with a `FramesTaken` when the last of them is in the ring. Those asked for
    meanwhile wait their turn, each with its own event.
    """

    access: ClassVar[Access] = Access.RUN
    run_id: str
    first: Annotated[int, Meta(ge=0)]
    """Index of the first frame in the film of this camera."""
    event: Annotated[int, Meta(ge=0)]
    """Number in the plan of the event of the first frame; the others follow."""
    count: Annotated[int, Meta(ge=1)] = 1
    exposure_s: Annotated[float, Meta(gt=0)] | None = None
    """None for the exposure that is set."""


class FramesTaken(Record, frozen=True):
    """What came of a `TakeFrames`."""

    count: int
    """Fewer than asked for when they were called off meanwhile."""
    began_s: float
    """When the first exposure began, on the clock of HAL's processes."""
    error: ErrorRecord | None = None
    """Why the next one after them did not come."""


class CallOffFrames(Request, frozen=True):
    """End the `TakeFrames` that is being done after the frame being exposed.

    Harmless when there is none.
    """

    lane: ClassVar[Lane] = Lane.URGENT
    run_id: str


class StopCamera(Request, frozen=True):
    """End the film; completes when the last frame is out and the camera stands still.

    Harmless when that run does not (or no longer) use the camera.
    """

    lane: ClassVar[Lane] = Lane.URGENT
    run_id: str


class WriteCompanions(Request, frozen=True):
    """Write what only the camera knows of that run; answers with `CompanionsWritten`.

    Sent once the film itself is stored and closed.
    """

    deadline_s: ClassVar[float] = 60.0
    run_id: str
    stem: str
    """Full path of the film without its endings."""


class CompanionsWritten(Record, frozen=True):
    """The camera's own files of a film."""

    files: tuple[str, ...]


class FramesReceived(Event, frozen=True):
    """A batch of frames has come from a camera, or was made by a feed."""

    run_id: str
    camera: str
    first: int
    """Index in the run, counted from 0 at `StartRun`."""
    last: int


class CameraFinished(Event, frozen=True):
    """A camera has stopped taking frames for a run.

    Whoever answers True tells the user of its error.
    """

    run_id: str
    camera: str
    frames: int
    """How many came."""
    error: ErrorRecord | None = None
    """Why it could not go on; None when it was meant to end."""
