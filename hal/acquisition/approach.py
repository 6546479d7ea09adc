"""What has to change on a microscope before an event of a plan."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hal.acquisition.plans import ChannelName, DeviceProperty, StagedEvent
from hal.base import Value


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What to bring about, all of it side by side; None for what stays."""

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    channel: ChannelName | None = None
    properties: tuple[DeviceProperty, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether everything stays."""
        return self == _NOTHING


_NOTHING = Change()


class Approach:
    """Remembers what was brought about last, so that only what differs is done.

    Runs on: engine.
    """

    def __init__(self) -> None:
        self.channel: ChannelName | None = None
        """The one that is set."""
        self._at: dict[str, float] = {}
        self._set: dict[tuple[str, str], Value] = {}
        # By position: how far its focus is from what the plan says.
        self._shift_um: dict[int, float] = {}

    def change(self, event: StagedEvent) -> Change:
        """Return what has to be done for `event`."""
        wanted = {"x_um": event.x_um, "y_um": event.y_um, "z_um": self._z_um(event)}
        new = {
            axis: at
            for axis, at in wanted.items()
            if at is not None and self._at.get(axis) != at
        }
        if new.keys() & {"x_um", "y_um"}:
            # A stage is sent to a place, not along one of its axes.
            new |= {a: at for a, at in wanted.items() if at is not None and a != "z_um"}
        return Change(
            channel=None if event.channel == self.channel else event.channel,
            properties=tuple(
                each
                for each in event.properties
                if self._set.get((each.device, each.name)) != each.value
            ),
            **new,
        )

    def took(self, change: Change) -> None:
        """Note that a change has been brought about."""
        for axis in ("x_um", "y_um", "z_um"):
            if (at := getattr(change, axis)) is not None:
                self._at[axis] = at
        if change.channel is not None:
            self.channel = change.channel
        for each in change.properties:
            self._set[each.device, each.name] = each.value

    def forget(self) -> None:
        """Take nothing for granted: a change failed on its way."""
        self.channel = None
        self._at.clear()
        self._set.clear()

    def focused(self, event: StagedEvent, z_um: float) -> None:
        """Note that the focus of an event's position was found at `z_um`."""
        self._at["z_um"] = z_um
        if event.z_um is not None:
            self._shift_um[_position(event.index)] = z_um - event.z_um

    def _z_um(self, event: StagedEvent) -> float | None:
        if event.z_um is None:
            return None
        return event.z_um + self._shift_um.get(_position(event.index), 0.0)


def _position(index: Mapping[str, int]) -> int:
    return index.get("p", 0)
