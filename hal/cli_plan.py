"""What `hal check` says of a plan: all that is known without hardware."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import msgspec

from hal.acquisition import (
    CameraAbility,
    ChannelAbility,
    ChannelName,
    load_plan,
    preflight,
)
from hal.app import Plan as Configured
from hal.base import ParameterSpec

_ANYWHERE = -math.inf, math.inf


def plan_lines(file: str, configured: Configured) -> Iterator[str]:
    """Yield what a plan comes to on the microscope of a configuration.

    Raises:
        PlanError: It cannot be read; or names channels or cameras that are not
            configured, or has times that cannot be kept on any microscope.
        StartError: A package that reads plans is not installed.
    """
    plan = load_plan(file)
    rig = _ConfiguredRig(configured)
    found = preflight(plan, rig)
    told = tuple(each for each in found.problems if not rig.may_have(each.field))
    msgspec.structs.replace(found, problems=told).require(file)
    yield f"{file}: ok"
    yield f"  {_count(plan.n_events, 'event')}, {_count(plan.n_images, 'image')}"
    if plan.sizes:
        axes = ", ".join(f"{axis}={size}" for axis, size in plan.sizes.items())
        yield f"  axes: {axes}"
    if found.duration_s is not None:
        yield f"  takes at least {found.duration_s:.6g} s by its own times"


def _count(number: int | None, what: str) -> str:
    if number is None:
        return f"{what}s without end"
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class _ConfiguredRig:
    """The names of a configuration as `Abilities`: no limits, and no time for moves."""

    focus_devices: tuple[str, ...] = ()
    stage = ""
    focus_drive = ""
    free_bytes: int | None = None
    copies = 1

    def __init__(self, configured: Configured) -> None:
        by_role: dict[str, list[str]] = {}
        self.devices: dict[str, bool] = {}
        self.channels: dict[ChannelName, ChannelAbility] = {}
        for module in configured.modules:
            name = module.spec.name
            role = getattr(module.module_class, "role", "")
            self.devices[name] = True
            by_role.setdefault(role, []).append(name)
            if role == "channel":
                label = ChannelName.read(str(module.values.get("label") or name))
                camera = str(module.values.get("camera", ""))
                self.channels[label] = ChannelAbility(camera=camera)
        any_exposure = CameraAbility(exposure_s=0.0, high_exposure_s=math.inf)
        self.cameras = dict.fromkeys(by_role.get("camera", ()), any_exposure)
        self.camera = next(iter(self.cameras), "")
        self.analyses = tuple(by_role.get("analysis", ()))
        self.projectors = tuple(by_role.get("projector", ()))
        self._has_stage, self._has_z = "stage" in by_role, "z" in by_role

    def may_have(self, field: str) -> bool:
        """Whether `field` is `module.parameter` of a module that is configured."""
        device, dot, _ = field.partition(".")
        return bool(dot) and device in self.devices

    def xy_um(self) -> tuple[float, float] | None:
        """Return None: nobody knows without hardware."""
        return None

    def z_um(self) -> float | None:
        """Return None: nobody knows without hardware."""
        return None

    def xy_limits_um(self) -> tuple[float, float, float, float] | None:
        """Return no limits; None without a stage."""
        return (*_ANYWHERE, *_ANYWHERE) if self._has_stage else None

    def z_limits_um(self) -> tuple[float, float] | None:
        """Return no limits; None without a focus drive."""
        return _ANYWHERE if self._has_z else None

    def parameters(self, device: str) -> Mapping[str, ParameterSpec] | None:
        """Return nothing; None if there is no such module."""
        return {} if device in self.devices else None

    def time_to_move_xy_s(
        self, start_um: tuple[float, float], end_um: tuple[float, float]
    ) -> float | None:
        """Return 0."""
        return 0.0

    def time_to_move_z_s(self, start_um: float, end_um: float) -> float | None:
        """Return 0."""
        return 0.0

    def time_to_change_channel_s(
        self, start: ChannelName | None, end: ChannelName
    ) -> float | None:
        """Return 0."""
        return 0.0

    def time_to_light_s(self, channel: ChannelName | None) -> float | None:
        """Return 0."""
        return 0.0

    def time_to_focus_s(self, device: str) -> float | None:
        """Return 0."""
        return 0.0
