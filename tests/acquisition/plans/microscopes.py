"""A microscope for preflight, of plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hal.acquisition.plans import (
    Abilities,
    CameraAbility,
    ChannelAbility,
    ChannelName,
)
from hal.base import ParameterSpec

DAPI, FITC = ChannelName("DAPI"), ChannelName("FITC")


def spec(name: str, kind: str, **limits: object) -> ParameterSpec:
    return ParameterSpec(name=name, kind=kind, value=0, default=0, **limits)


@dataclass
class Scope:
    """Everything takes a round time: see the defaults."""

    devices: dict[str, bool] = field(
        default_factory=lambda: dict.fromkeys(
            ("camera1", "camera2", "stage", "focus", "lamp", "wheel"), True
        )
    )
    cameras: dict[str, CameraAbility] = field(
        default_factory=lambda: {
            "camera1": CameraAbility(
                exposure_s=0.1,
                low_exposure_s=0.001,
                high_exposure_s=5.0,
                readout_s=0.05,
                frame_period_s=0.1,
                frame_bytes=1000,
            ),
            "camera2": CameraAbility(exposure_s=0.2, frame_bytes=500),
        }
    )
    camera: str = "camera1"
    channels: dict[ChannelName, ChannelAbility] = field(
        default_factory=lambda: {
            DAPI: ChannelAbility(
                devices=("lamp", "wheel"), power_mw=2.0, lit_area_cm2=0.001
            ),
            FITC: ChannelAbility(devices=("lamp", "wheel")),
        }
    )
    focus_devices: tuple[str, ...] = ("lock",)
    analyses: tuple[str, ...] = ()
    projectors: tuple[str, ...] = ()
    free_bytes: int | None = 10**9
    copies: int = 1
    has_stage: bool = True
    move_xy_s: float | None = 1.0
    move_z_s: float | None = 0.25
    change_s: float | None = 0.5
    light_s: float | None = 0.0
    asked: int = 0

    @property
    def stage(self) -> str:
        return "stage" if self.has_stage else ""

    @property
    def focus_drive(self) -> str:
        return "focus" if self.has_stage else ""

    def xy_um(self) -> tuple[float, float] | None:
        return (0.0, 0.0) if self.has_stage else None

    def z_um(self) -> float | None:
        return 0.0 if self.has_stage else None

    def xy_limits_um(self) -> tuple[float, float, float, float] | None:
        return (-1000.0, 1000.0, -500.0, 500.0) if self.has_stage else None

    def z_limits_um(self) -> tuple[float, float] | None:
        return (-100.0, 100.0) if self.has_stage else None

    def parameters(self, device: str) -> Mapping[str, ParameterSpec] | None:
        if device != "lamp":
            return None
        listed = (
            spec("power", "float", low=0.0, high=100.0),
            spec("pulses", "int", low=1.0),
            spec("on", "bool"),
            spec("mode", "choice", choices=("cw", "pulsed")),
            spec("label", "text"),
        )
        return {each.name: each for each in listed}

    def time_to_move_xy_s(
        self, start_um: tuple[float, float], end_um: tuple[float, float]
    ) -> float | None:
        self.asked += 1
        return self.move_xy_s

    def time_to_move_z_s(self, start_um: float, end_um: float) -> float | None:
        return self.move_z_s

    def time_to_change_channel_s(
        self, start: ChannelName | None, end: ChannelName
    ) -> float | None:
        return self.change_s

    def time_to_light_s(self, channel: ChannelName | None) -> float | None:
        return self.light_s

    def time_to_focus_s(self, device: str) -> float | None:
        return 2.0


_: Abilities = Scope()
