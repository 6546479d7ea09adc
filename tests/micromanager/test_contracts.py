from __future__ import annotations

from hal.testing.contracts import (
    CameraContract,
    FilterWheelContract,
    ShutterContract,
    XYStageContract,
    ZStageContract,
)
from modules.micromanager import (
    MMCamera,
    MMFilterWheel,
    MMShutter,
    MMXYStage,
    MMZStage,
)


class TestMMCamera(CameraContract):
    long_exposure_s = 0.4
    binnings = (1, 2, 4, 8)

    def make_device(self) -> MMCamera:
        # Its default picture of waves is saturated when binned: a constant.
        return MMCamera(config="demo", properties="Mode=Noise")


class TestMMCameraOf8Bit(CameraContract):
    long_exposure_s = 0.4

    def make_device(self) -> MMCamera:
        return MMCamera(config="demo", properties="PixelType=8bit;Mode=Noise")


class TestMMXYStage(XYStageContract):
    def make_device(self) -> MMXYStage:
        return MMXYStage(config="demo")


class TestMMZStage(ZStageContract):
    def make_device(self) -> MMZStage:
        return MMZStage(config="demo")


class TestMMShutter(ShutterContract):
    def make_device(self) -> MMShutter:
        return MMShutter(config="demo")


class TestMMFilterWheel(FilterWheelContract):
    def make_device(self) -> MMFilterWheel:
        return MMFilterWheel(config="demo", device="Emission")
