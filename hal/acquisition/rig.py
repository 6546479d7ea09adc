"""What the engine needs of a microscope, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from hal.acquisition.approach import Change
from hal.acquisition.event_row import EventRow
from hal.acquisition.plans import (
    CameraRegion,
    ChannelName,
    Plan,
    StimulationEvent,
)
from hal.base import ErrorRecord
from hal.frames import LedgerCounts, PackedMask


class Armed(msgspec.Struct, frozen=True):
    """What a camera or feed says that is ready for a film."""

    exposure_s: float
    frames: int | None
    """How many frames there will be of it; None until stopped."""


class FinishedFilm(msgspec.Struct, frozen=True):
    """What the recorder says at the end of a film."""

    files: tuple[str, ...]
    frames: dict[str, LedgerCounts]
    problems: tuple[ErrorRecord, ...]


class Rig(Protocol):
    """The microscope as every run sees it.

    Runs on: the engine's thread; every call may block, and has a deadline of its own.
    All raise `HalError` when the microscope cannot.
    """

    def feeds(self, cameras: tuple[str, ...]) -> Mapping[str, str]:
        """Return the feeds that are saved with these cameras, each with its camera.

        A feed that is made of another one comes after it.
        """

    def arm(self, camera: str, frames: int | None, *, on_request: bool) -> Armed:
        """Get a camera or feed ready for so many frames.

        Args:
            camera: Which one.
            frames: Of the camera, or of the camera a feed is made of; None for no end.
            on_request: Whether the camera exposes only for `PlanRig.take`.
        """

    def begin_analyses(self) -> Mapping[str, ErrorRecord | None]:
        """Have those who watch the armed cameras begin; return why some cannot.

        Raises:
            HalError: The plan needs one of them.
        """

    def end_analyses(self) -> tuple[ErrorRecord, ...]:
        """Have them look at all frames that came, and end; return what failed."""

    def open_recording(self) -> tuple[str, ...]:
        """Create the files; return their paths."""

    def resume_recording(self) -> None:
        """Go on with the files after the recorder has ended and begun anew."""

    def start(self, camera: str) -> None:
        """Let an armed camera expose, or an armed feed take what its source brings."""

    def stop(self, camera: str) -> None:
        """End the film of a camera or feed and wait until it stands still."""

    def finish_recording(self, state: str, drain_s: float) -> FinishedFilm:
        """Store what is on its way, close, verify, and write the sidecar."""


class Taken(msgspec.Struct, frozen=True):
    """Frames that were asked for and have come."""

    count: int
    began_s: float
    """When the first exposure began, on the monotonic clock."""
    error: ErrorRecord | None = None
    """Why those after them did not come."""


class Reached(msgspec.Struct, frozen=True):
    """Where the stage and the focus say they are; None where nothing was moved."""

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None


class PlanRig(Rig, Protocol):
    """The microscope as a run sees it that follows a plan.

    Runs on: the engine's thread, but for what says otherwise; as `Rig`.
    """

    def remember(self, plan: Plan) -> None:
        """Note the state of what a plan changes, for `restore`; before `arm`."""

    def set_region(self, camera: str, region: CameraRegion) -> None:
        """Set the part of the sensor that is read out; before `arm`."""

    def change(self, change: Change) -> Reached:
        """Bring about a state of the microscope; return when all of it is true."""

    def light(self, channel: ChannelName, *, on: bool) -> None:
        """Let the light of a channel onto the sample, or no more."""

    def take(
        self, camera: str, frame: int, event: int, count: int, exposure_s: float | None
    ) -> Taken:
        """Expose frames one after the other.

        Args:
            camera: Which one.
            frame: Index of the first in the film of this camera.
            event: Number of the first one's event in the plan.
            count: How many.
            exposure_s: None for the exposure that is set.
        """

    def call_off(self, camera: str) -> None:
        """Have `take` return after the frame that is being exposed; does not wait."""

    def focus(self, device: str, tries: int, motor_offset_um: float | None) -> float:
        """Find the focus; return its z."""

    def mask(self, number: int, event: StimulationEvent) -> PackedMask:
        """Return where an analysis wants light, after all frames so far.

        Raises:
            HalError: It does not say, or not in time.
        """

    def project(self, projector: str, mask: PackedMask, duration_s: float) -> None:
        """Let light through where the mask says, for that long; then all is dark."""

    def catch_up(self) -> tuple[ErrorRecord, ...]:
        """Return when all analyses have seen all frames so far; or what failed."""

    def note(self, rows: tuple[EventRow, ...]) -> None:
        """Have the recorder keep what became of events; does not wait."""

    def rest(self) -> tuple[ErrorRecord, ...]:
        """Put out all light of the plan and stop what moves; return what failed."""

    def restore(self) -> tuple[ErrorRecord, ...]:
        """Set back what `remember` noted, and `set_region`; return what failed."""
