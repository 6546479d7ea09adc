"""HAL for scripts and notebooks: `hal.open`, and what it returns."""

from hal.scripting.frame_source import FrameSourceProxy
from hal.scripting.parameter_table import ParameterTable
from hal.scripting.proxies import (
    FilterWheelProxy,
    FocusProxy,
    LightProxy,
    ShutterProxy,
    StageProxy,
    TemperatureProxy,
    ZProxy,
)
from hal.scripting.proxy import ModuleProxy
from hal.scripting.run import Run
from hal.scripting.scope import Scope, open_scope

__all__ = [
    "FilterWheelProxy",
    "FocusProxy",
    "FrameSourceProxy",
    "LightProxy",
    "ModuleProxy",
    "ParameterTable",
    "Run",
    "Scope",
    "ShutterProxy",
    "StageProxy",
    "TemperatureProxy",
    "ZProxy",
    "open_scope",
]
