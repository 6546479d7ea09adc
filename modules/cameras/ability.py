"""What a camera is able to."""

from __future__ import annotations

from hal.acquisition import CameraAbility
from hal.devices import Camera


def camera_ability(camera: Camera) -> CameraAbility:
    """Return what exposures a camera can make and how long its frames take.

    Of its times only those at the exposure that is set now are known.

    Runs on: any; touches no hardware.
    """
    specs = {spec.name: spec for spec in camera.specs()}
    exposure_s, limits = camera.exposure_s, specs["exposure_s"]
    height, width = camera.frame_shape
    period_s = camera.frame_period_s() if camera.times_are_exact else None
    return CameraAbility(
        exposure_s=exposure_s,
        low_exposure_s=0.0 if limits.low is None else limits.low,
        high_exposure_s=camera.max_exposure_s if limits.high is None else limits.high,
        readout_s=0.0 if period_s is None else max(0.0, period_s - exposure_s),
        frame_period_s=period_s,
        frame_bytes=height * width * camera.dtype.itemsize,
    )
