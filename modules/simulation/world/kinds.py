"""What each kind of device tells the world about itself."""

from __future__ import annotations

from typing import Final

XY_STAGE: Final = "xy_stage"
Z_STAGE: Final = "z_stage"
LIGHT_SOURCE: Final = "light_source"
SHUTTER: Final = "shutter"
FILTER_WHEEL: Final = "filter_wheel"
FOCUS_SENSOR: Final = "focus_sensor"
TEMPERATURE: Final = "temperature"
CAMERA: Final = "camera"
PROJECTOR: Final = "projector"

EVERYTHING_NM: Final = 1e6
"""A pass band from 0 to this lets all light through."""

FIELDS: Final[dict[str, dict[str, float]]] = {
    XY_STAGE: {
        "x_um": 0.0,
        "y_um": 0.0,
        **dict.fromkeys(("drive_x_um", "drive_y_um"), 0.0),
        **dict.fromkeys(("pushed_x_um", "pushed_y_um"), 0.0),
        **dict.fromkeys(("error_x_um", "error_y_um"), 0.0),
        "moves": 0.0,
    },
    Z_STAGE: {
        "z_um": 0.0,
        "drive_z_um": 0.0,
        "pushed_z_um": 0.0,
        "error_z_um": 0.0,
        "moves": 0.0,
    },
    LIGHT_SOURCE: {
        "wavelength_nm": 488.0,
        "bandwidth_nm": 0.0,
        "power_mw": 0.0,
        "is_on": 0.0,
    },
    SHUTTER: {"is_open": 0.0},
    FILTER_WHEEL: {"slot": 1.0, "low_nm": 0.0, "high_nm": EVERYTHING_NM},
    FOCUS_SENSOR: {"offset_um": 0.0, "quality": 0.0, "readings": 0.0},
    TEMPERATURE: {"temperature_c": 22.0, "readings": 0.0},
    CAMERA: {"films": 0.0},
    PROJECTOR: {"is_dark": 1.0},
}
"""Numbers of each kind of device, with the value a new device has."""
