"""Drivers of whatever Micro-Manager can drive, through its own core.

Needs the packages of `pip install 'halscope[micromanager]'`.
"""

from modules.micromanager.camera import MMCamera
from modules.micromanager.filter_wheel import MMFilterWheel
from modules.micromanager.shutter import MMShutter
from modules.micromanager.xy_stage import MMXYStage
from modules.micromanager.z_stage import MMZStage

__all__ = ["MMCamera", "MMFilterWheel", "MMShutter", "MMXYStage", "MMZStage"]
