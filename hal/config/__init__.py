"""What an XML file says: loading, checking, and finding the classes it names."""

from hal.config.builder import BuiltModule, resolve
from hal.config.catalog import Need, ParameterInfo, PluginInfo, list_plugins
from hal.config.changes import Change, read_settings
from hal.config.loader import load
from hal.config.order import start_order
from hal.config.place import Place, one_line, printable
from hal.config.plugins import DRIVERS, MODULES, WORLDS, find_class
from hal.config.problems import ConfigErrors, StartErrors, each
from hal.config.spec import DriverSpec, HalSpec, ModuleSpec, WorldSpec
from hal.config.worlds import BuiltWorld, resolve_worlds
from hal.config.xml import Element, read_xml

__all__ = [
    "DRIVERS",
    "MODULES",
    "WORLDS",
    "BuiltModule",
    "BuiltWorld",
    "Change",
    "ConfigErrors",
    "DriverSpec",
    "Element",
    "HalSpec",
    "ModuleSpec",
    "Need",
    "ParameterInfo",
    "Place",
    "PluginInfo",
    "StartErrors",
    "WorldSpec",
    "each",
    "find_class",
    "list_plugins",
    "load",
    "one_line",
    "printable",
    "read_settings",
    "read_xml",
    "resolve",
    "resolve_worlds",
    "start_order",
]
