"""Setting up a Micro-Manager camera: properties, region, exposure, and its limits.

Everything here gets the core and runs on the thread that owns it. The core answers many
questions only for its current camera, so that is set first (`make_current`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hal.base import ParameterError, UnsupportedError, did_you_mean, one_of

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    1: np.dtype(np.uint8),
    2: np.dtype(np.uint16),
}
_HOUR_S: Final = 3600.0


class Chip(NamedTuple):
    """What an open camera says about itself."""

    width_px: int
    height_px: int
    dtype: np.dtype[Any]
    binnings: Mapping[int, str]
    """The camera's word for each binning factor; without the property, 1 alone."""
    max_exposure_s: float
    """An hour where the camera does not say."""


class Region(NamedTuple):
    """A part of the sensor, in the pixels of its binning."""

    x: int
    y: int
    width: int
    height: int


def parse_properties(text: str) -> dict[str, str]:
    """Return what 'Name=value;Name=value' says, in order.

    Raises:
        ParameterError: A piece without a name or without '='.
    """
    pairs: dict[str, str] = {}
    for piece in filter(None, (piece.strip() for piece in text.split(";"))):
        name, equals, value = piece.partition("=")
        if not name.strip() or not equals:
            raise ParameterError(
                f"properties: '{piece}': expected Name=value, separated by ';'"
            )
        pairs[name.strip()] = value.strip()
    return pairs


def make_current(core: CMMCorePlus, label: str) -> None:
    """Make `label` the camera that the core's questions are about."""
    if core.getCameraDevice() != label:
        core.setCameraDevice(label)


def set_properties(core: CMMCorePlus, label: str, pairs: Mapping[str, str]) -> None:
    """Set device properties.

    Raises:
        ParameterError: No such property or value; lists those there are.
    """
    known = core.getDevicePropertyNames(label)
    for name, value in pairs.items():
        if name not in known:
            raise ParameterError(
                f"properties: '{label}' has no '{name}': expected one of "
                f"{one_of(known)}{did_you_mean(name, known)}"
            )
        allowed = core.getAllowedPropertyValues(label, name)
        if allowed and value not in allowed:
            raise ParameterError(
                f"properties: {name}={value}: expected one of "
                f"{one_of(allowed)}{did_you_mean(value, allowed)}"
            )
        core.setProperty(label, name, value)


def read_chip(core: CMMCorePlus, label: str) -> Chip:
    """Return what the camera is; leaves it with its whole sensor, unbinned.

    Raises:
        UnsupportedError: Its pixels are not 8 or 16 bit grey.
    """
    make_current(core, label)
    binnings = _binnings(core, label)
    core.clearROI()
    _set_binning(core, label, binnings, 1)
    core.clearROI()
    size, components = core.getBytesPerPixel(), core.getNumberOfComponents()
    if components != 1 or size not in _DTYPES:
        raise UnsupportedError(
            f"Micro-Manager camera '{label}': its pixels are {size} bytes in "
            f"{components} component(s): expected 8 or 16 bit grey, which "
            "properties='PixelType=16bit' asks for with many cameras"
        )
    return Chip(
        core.getImageWidth(),
        core.getImageHeight(),
        _DTYPES[size],
        binnings,
        _max_exposure_s(core, label),
    )


def set_region(
    core: CMMCorePlus, label: str, chip: Chip, factor: int, region: Region
) -> Region:
    """Set binning and region; return the region that the camera made of it."""
    make_current(core, label)
    core.clearROI()
    _set_binning(core, label, chip.binnings, factor)
    core.clearROI()
    if region != Region(*core.getROI(label)):
        core.setROI(label, *region)
    return Region(*core.getROI(label))


def set_exposure(core: CMMCorePlus, label: str, exposure_s: float) -> float:
    """Set the exposure; return the one that the camera made of it, in seconds."""
    core.setExposure(label, exposure_s * 1e3)
    got_s = core.getExposure(label) / 1e3
    # Properties are text with four decimals: what differs less was not rounded.
    return exposure_s if math.isclose(got_s, exposure_s, abs_tol=1e-7) else got_s


def _binnings(core: CMMCorePlus, label: str) -> dict[int, str]:
    if "Binning" not in core.getDevicePropertyNames(label):
        return {1: ""}
    # Some cameras say "2", some "2x2"; some list none and take any number.
    words = core.getAllowedPropertyValues(label, "Binning")
    found = {int(match[0]): word for word in words if (match := re.match(r"\d+", word))}
    return found or {factor: str(factor) for factor in (1, 2, 4, 8)}


def _set_binning(
    core: CMMCorePlus, label: str, binnings: Mapping[int, str], factor: int
) -> None:
    word = binnings.get(factor, "")
    if word:
        core.setProperty(label, "Binning", word)


def _max_exposure_s(core: CMMCorePlus, label: str) -> float:
    if "Exposure" not in core.getDevicePropertyNames(label):
        return _HOUR_S
    if not core.hasPropertyLimits(label, "Exposure"):
        return _HOUR_S
    return core.getPropertyUpperLimit(label, "Exposure") / 1e3
