"""What a plan is made of: one record for each thing the microscope does."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from hal.base import PlanError, Record, Value


class AfterFailure(enum.StrEnum):
    """What becomes of a run when an event has failed for the last time."""

    ABORT = "abort"
    SKIP = "skip"


class FailurePolicy(Record, frozen=True):
    """What to do about an event that fails: so many more tries, then this."""

    retries: Annotated[int, Meta(ge=0)] = 0
    then: AfterFailure = AfterFailure.ABORT


class ChannelName(msgspec.Struct, frozen=True):
    """How a plan names a set of light, filters and camera."""

    name: str
    group: str = "Channel"

    @classmethod
    def read(cls, label: str) -> ChannelName:
        """Return what `Name` or `Group/Name` means; a name may hold further slashes."""
        group, slash, name = label.partition("/")
        return cls(name.strip(), group.strip()) if slash else cls(label.strip())

    def __str__(self) -> str:
        return self.name if self.group == "Channel" else f"{self.group}/{self.name}"


class DeviceProperty(msgspec.Struct, frozen=True):
    """A parameter of a device, set before the event."""

    device: str
    name: str
    value: Value


class CameraRegion(msgspec.Struct, frozen=True):
    """The part of a sensor that is read out, in unbinned pixels."""

    x_px: Annotated[int, Meta(ge=0)]
    y_px: Annotated[int, Meta(ge=0)]
    width_px: Annotated[int, Meta(ge=0)]
    height_px: Annotated[int, Meta(ge=0)]


class PlannedEvent(Record, frozen=True, kw_only=True):
    """What every kind of event has; a new kind is a subclass of it in `AnyEvent`.

    An engine that does not know a kind treats it as failed: it never passes over it.
    """

    index: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Place along each axis the plan uses: `t`, `p`, `g`, `c`, `z`; counted from 0."""
    min_start_time_s: float | None = None
    """Not before so long after the timer was started; None for as soon as possible."""
    reset_timer: bool = False
    """Start the timer anew with this event, before its own time is waited for."""
    phase: str = ""
    """Id of the phase it belongs to."""
    on_failure: FailurePolicy | None = None
    """None for what the plan says."""

    @property
    def makes_image(self) -> bool:
        """Whether a frame comes of it."""
        return False


class StagedEvent(PlannedEvent, frozen=True, kw_only=True):
    """An event at a place, in a state of the microscope."""

    x_um: float | None = None
    """In stage coordinates; None for where the stage is."""
    y_um: float | None = None
    z_um: float | None = None
    position_name: str = ""
    channel: ChannelName | None = None
    """None for the channel that is set."""
    exposure_s: float | None = None
    """None for the exposure that is set."""
    properties: tuple[DeviceProperty, ...] = ()
    keep_shutter_open: bool = False
    """Leave the light on afterwards, for the next event."""
    camera: str = ""
    """Name of the camera; empty for the one in use."""


class ImageEvent(StagedEvent, frozen=True, kw_only=True):
    """Take one image."""

    @property
    def makes_image(self) -> bool:
        """Always."""
        return True


class AutofocusEvent(StagedEvent, frozen=True, kw_only=True):
    """Find the focus by hardware; no image is taken."""

    device: str = ""
    """Name of the device; empty for the only one."""
    motor_offset_um: float | None = None
    """Where to put the offset motor first; None to leave it."""
    max_retries: Annotated[int, Meta(ge=0)] = 3
    """Its own tries, before the event counts as failed."""


class SetupEvent(StagedEvent, frozen=True, kw_only=True):
    """Bring the microscope into a state before the first image; none is taken."""

    roi: CameraRegion | None = None


class StimulationEvent(StagedEvent, frozen=True, kw_only=True):
    """Let light onto parts of the sample that an analysis has chosen; no image.

    Its channel is the light of the stimulation; afterwards the one before holds again.
    Without a mask in time nothing is lit, and the run goes on.
    """

    mask_from: str
    """Name of the analysis that says where."""
    projector: str
    """Name of the projector that brings the light there."""
    duration_s: Annotated[float, Meta(gt=0)]
    deadline_s: Annotated[float, Meta(gt=0)] = 2.0
    """So long the mask is waited for."""


class WaitEvent(PlannedEvent, frozen=True, kw_only=True):
    """Let time pass; no image, no index.

    It is counted from its scheduled start or from now, whichever is later, so that
    neither a pause nor a slow event before it uses it up.
    """

    duration_s: Annotated[float, Meta(ge=0)]


AnyEvent = ImageEvent | AutofocusEvent | SetupEvent | WaitEvent | StimulationEvent
"""Every kind a list of events may hold."""


def moved(event: PlannedEvent, index: Mapping[str, int], **changes: object) -> AnyEvent:
    """Return `event` at another place of the plan."""
    if not isinstance(event, AnyEvent):
        raise PlanError(f"{type(event).__name__} is no kind of event a plan may hold")
    return msgspec.structs.replace(event, index=index, **changes)
