"""Drivers and modules as a user's own package would have them."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from hal.base import Bool, Choice, Float, Int, ParameterError, Parametrized, Text
from hal.devices import Camera, Device, InWorld, SimulatedWorld


class Lamp(Device):
    """Shines.

    More about it.
    """

    simulated_by: ClassVar[str] = "lab_parts.SimLamp"

    power_mw = Float(1.0, unit="mW", low=0.0, high="max_mw", help="Power.")
    pulses = Int(1, low=1, high=100, help="How many.")
    inverted = Bool(False, help="The other way round.")
    colour = Choice("blue", choices=("blue", "red"), help="Which.")
    port = Text("COM1", help="Serial port.")
    floor_mw = Float(-1e6, low=0.0, help="The default stands for none.")
    low_mw = Float(0.0, unit="mW", low=0.0, help="Must not be above power_mw.")

    max_mw = 50.0

    def check_together(self, values):
        if values["low_mw"] > values["power_mw"]:
            raise ParameterError("low_mw is above power_mw")


class SimLamp(Device):
    """Pretends to shine."""

    is_simulated: ClassVar[bool] = True

    power_mw = Float(1.0, unit="mW", low=0.0, high=1000.0, help="Power.")
    speed = Float(1.0, help="Only the simulation has it.")


class LabWorld(SimulatedWorld):
    """A world with nothing in it."""

    cells = Int(1, low=0, help="How many.")

    def make_state(self, path):
        """Make an empty file."""
        path.touch()


class WorldLamp(InWorld, Lamp):
    """Shines in a world."""

    is_simulated: ClassVar[bool] = True


class LampBase(Device):
    """Not complete."""

    @abstractmethod
    def flash(self) -> None:
        """Flash once."""


class NeedyLamp(Lamp):
    """Needs packages."""

    needs: ClassVar[tuple[str, ...]] = ("json", "no_such_sdk.core")
    serial = Int(low=1, help="Number on the back; nobody can guess it.")
    note = Text(help="Has no default; may be empty.")


class LonelyLamp(Lamp):
    """Nothing pretends to be it."""

    simulated_by: ClassVar[str] = ""


class MisledLamp(Lamp):
    """Its simulation does not exist."""

    simulated_by: ClassVar[str] = "lab_parts.Nowhere"


class WronglyLedLamp(Lamp):
    """Its simulation is real."""

    simulated_by: ClassVar[str] = "lab_parts.LonelyLamp"


class BrokenLamp(Lamp):
    """Its constructor is wrong."""

    def __init__(self, **values):
        raise SystemExit("on fire\nreally")


class Wheel(Device):
    """Another kind."""

    slot = Int(1, low=1, high="slots", help="Where it stands.")

    @property
    def slots(self) -> int:
        """How many there are."""
        return 6


class LampModule(Parametrized):
    """Speaks for a lamp."""

    driver_kind: ClassVar[type] = Device

    patience_s = Float(1.0, unit="s", low=0.1, high=10.0, help="How long it waits.")

    def __init__(self, **values):
        raise AssertionError("a module's constructor must not run here")


class LabCamera(Camera):
    """Has a kind."""

    sensor_width_px = 4
    sensor_height_px = 4

    def start(self, frames):
        """Begin."""

    def read_into(self, out, timeout_s):
        """Read."""

    def stop(self):
        """End."""


class OnlySimModule(LampModule):
    """Takes one kind only."""

    driver_kind: ClassVar[type] = SimLamp


class WheelModule(LampModule):
    """Takes wheels only."""

    driver_kind: ClassVar[type] = Wheel


class PlainModule(Parametrized):
    """Has no driver."""

    retries = Int(3, low=0, high=9, help="How often.")


class GreedyModule(Parametrized):
    """Uses a name that is taken."""

    deadline_s = Float(1.0, help="Taken.")


class PowerModule(LampModule):
    """Has a parameter of the same name as its driver."""

    power_mw = Float(1.0, help="Same name.")


def function():
    """Is not a class."""


class Unrelated:
    """Has no parameters."""
