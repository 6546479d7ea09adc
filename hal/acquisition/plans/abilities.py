"""What preflight needs to know of a microscope, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from hal.acquisition.plans.events import ChannelName
from hal.base import ParameterSpec, Record


class CameraAbility(Record, frozen=True, kw_only=True):
    """A camera, as it is set now."""

    exposure_s: float
    """Used where a plan says nothing."""
    low_exposure_s: float = 0.0
    high_exposure_s: float = 60.0
    readout_s: float = 0.0
    """From the end of an exposure until the frame is there, when triggered singly."""
    frame_period_s: float | None = None
    """From one frame of a film to the next; None for exposure and readout."""
    frame_bytes: int = 0
    """Of one frame in one file."""


class ChannelAbility(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, and the light it puts on the sample."""

    devices: tuple[str, ...] = ()
    """Modules it uses: lights, wheels, shutters."""
    camera: str = ""
    """The camera it needs; empty for any."""
    power_mw: float | None = None
    """Light at the sample while it is on; None if nobody measured it."""
    lit_area_cm2: float | None = None
    """Area of the sample that it falls on; None if nobody measured it."""
    problem: str = ""
    """Why it cannot be used as it is configured; empty if it can."""


class Abilities(Protocol):
    """A microscope as preflight sees it; a snapshot, asked on one thread.

    Times are None where no model of the device is known: a driver whose
    `times_are_exact` is False states the longest time it may take, which is none.
    """

    @property
    def devices(self) -> Mapping[str, bool]:
        """Every module of the rig by name, and whether it works now."""

    @property
    def cameras(self) -> Mapping[str, CameraAbility]:
        """Cameras by name."""

    @property
    def camera(self) -> str:
        """The camera of events that name none; empty if there is none."""

    @property
    def stage(self) -> str:
        """The module that moves x and y; empty without one."""

    @property
    def focus_drive(self) -> str:
        """The module that moves z; empty without one."""

    @property
    def channels(self) -> Mapping[ChannelName, ChannelAbility]:
        """Channels that are configured."""

    @property
    def focus_devices(self) -> tuple[str, ...]:
        """Names of what can focus by itself."""

    @property
    def analyses(self) -> tuple[str, ...]:
        """Names of what can say where to stimulate."""

    @property
    def projectors(self) -> tuple[str, ...]:
        """Names of what can bring light to parts of the sample."""

    @property
    def free_bytes(self) -> int | None:
        """Space where the data go; None if nobody knows."""

    @property
    def copies(self) -> int:
        """In how many files each frame is written."""

    def xy_um(self) -> tuple[float, float] | None:
        """Return where the stage is; None without one that works."""

    def z_um(self) -> float | None:
        """Return where the focus drive is; None without one that works."""

    def xy_limits_um(self) -> tuple[float, float, float, float] | None:
        """Return low x, high x, low y, high y; None as `xy_um`."""

    def z_limits_um(self) -> tuple[float, float] | None:
        """Return low and high z; None as `z_um`."""

    def parameters(self, device: str) -> Mapping[str, ParameterSpec] | None:
        """Return what may be set on a device; None if there is no such device."""

    def time_to_move_xy_s(
        self, start_um: tuple[float, float], end_um: tuple[float, float]
    ) -> float | None:
        """Return how long a move takes, settling included."""

    def time_to_move_z_s(self, start_um: float, end_um: float) -> float | None:
        """Return how long a move takes, settling included."""

    def time_to_change_channel_s(
        self, start: ChannelName | None, end: ChannelName
    ) -> float | None:
        """Return how long it takes until filters and powers are those of a channel."""

    def time_to_light_s(self, channel: ChannelName | None) -> float | None:
        """Return how long it takes to let light through, or to stop it."""

    def time_to_focus_s(self, device: str) -> float | None:
        """Return how long it takes to find the focus."""
