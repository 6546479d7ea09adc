"""One simulated world: its devices, its own time, and chance that repeats."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from hal.base import DeviceError, Value
from modules.simulation.world import layout
from modules.simulation.world.device_state import DeviceState
from modules.simulation.world.file_lock import locked
from modules.simulation.world.kinds import FIELDS, XY_STAGE, Z_STAGE
from modules.simulation.world.parameters import SimWorld
from modules.simulation.world.state_file import StateFile

_THERMAL_PERIOD_S: Final = 600.0
_NM_PER_UM: Final = 1000.0


class World:
    """What the devices of one simulated microscope have in common.

    Runs on: any, in any process; what a device publishes is its own to write.

    Guarantees:
        Its time passes only while a camera exposes, by the exposure time. Nothing in
        it depends on wall time, or on who asks for what in which order.
    """

    def __init__(self, file: StateFile) -> None:
        self.file = file
        self.settings = SimWorld(**file.parameters)
        """What it was made with."""
        self._devices: dict[str, DeviceState] = {}
        self._seen = 0

    @classmethod
    def create(cls, path: Path, **parameters: Value) -> World:
        """Return the world whose state is at `path`, made there if there is none.

        Raises:
            ParameterError: A parameter is unknown or out of limits, or the file belongs
                to a world with others.
            DeviceError: The file cannot be made.
        """
        SimWorld(**parameters).make_state(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> World:
        """Return the world whose state is at `path`.

        Raises:
            DeviceError: There is none.
        """
        return cls(StateFile(path))

    @property
    def path(self) -> Path:
        """The file of its state."""
        return self.file.path

    @property
    def seed(self) -> int:
        """What all its chance comes from."""
        return self.settings.seed

    def device(self, name: str, kind: str) -> DeviceState:
        """Return what the device `name` publishes; a new one gets its first values.

        Raises:
            DeviceError: It is of another kind, or there is no room for one more.
        """
        known = self.devices().get(name)
        if known is None:
            with locked(self.path):
                known = self.devices().get(name)
                if known is None:
                    known = self._add(name, kind)
        if known.kind != kind:
            raise DeviceError(
                f"'{name}' is a {known.kind} in the world of {self.path}, not a {kind}"
            )
        return known

    def devices(self) -> dict[str, DeviceState]:
        """Return all devices by name, in the order in which they came."""
        names = self.file.devices["name"]
        while self._seen < layout.DEVICES and names[self._seen]:
            device = DeviceState(self.file, self._seen)
            self._devices[device.name] = device
            self._seen += 1
        return self._devices

    def of_kind(self, kind: str) -> list[DeviceState]:
        """Return all devices of one kind, by ordinal."""
        return [device for device in self.devices().values() if device.kind == kind]

    def clock_s(self) -> float:
        """Return how long the cameras have exposed so far, all together, seconds."""
        while (count := self.file.count) > 0:
            last = self.file.exposure(count)
            if last is not None:
                return float(last["clock_s"][0]) + float(last["exposure_s"][0])
        return 0.0

    def drift_um(self, clock_s: float | None = None) -> tuple[float, float, float]:
        """Return how far the sample has drifted since the world began, micrometres.

        It creeps in one direction, which the seed decides, and swings about that with
        a period of ten minutes, as with the temperature of a room.
        """
        speed_um_s = self.settings.drift_nm_s / _NM_PER_UM
        if speed_um_s == 0.0:
            return 0.0, 0.0, 0.0
        t_s = self.clock_s() if clock_s is None else clock_s
        angle, tilt, phase = self.random("drift").uniform(0.0, 2 * math.pi, 3)
        swing = 2 * math.pi / _THERMAL_PERIOD_S
        along = t_s + (math.sin(swing * t_s + phase) - math.sin(phase)) / swing / 2
        across = speed_um_s * along
        return (
            across * math.cos(angle),
            across * math.sin(angle),
            across * math.cos(tilt) / 2,
        )

    def position_um(self) -> tuple[float, float]:
        """Return where in the sample the optical axis is, without drift."""
        places = [stage.read() for stage in self.of_kind(XY_STAGE)]
        x_um = math.fsum(place["x_um"] for place in places)
        return x_um, math.fsum(place["y_um"] for place in places)

    def defocus_um(self, clock_s: float | None = None) -> float:
        """Return how far the focus is above the sample's plane; 0 is in focus."""
        at = math.fsum(stage["z_um"] for stage in self.of_kind(Z_STAGE))
        return at - self.drift_um(clock_s)[2]

    def random(
        self, purpose: str, ordinal: int = 0, count: int = 0
    ) -> np.random.Generator:
        """Return a source of chance that is the same for the same arguments, always.

        Philox counts instead of stepping: its numbers are a function of key and
        counter (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011).

        Args:
            purpose: What for; different purposes are independent of each other.
            ordinal: Which device or tile.
            count: How often before; a frame's or a move's number.
        """
        key = np.array([self.seed, zlib.crc32(purpose.encode())], np.uint64)
        # The lowest 64 bits count the numbers drawn here.
        counter = np.array([0, count, ordinal & 0xFFFF_FFFF_FFFF_FFFF, 0], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def _add(self, name: str, kind: str) -> DeviceState:
        if kind not in FIELDS:
            raise DeviceError(
                f"'{kind}' is no kind of device: expected one of {', '.join(FIELDS)}"
            )
        used = len(self.devices())
        if used == layout.DEVICES or len(name.encode()) > layout.NAME_BYTES:
            raise DeviceError(
                f"'{name}' cannot enter the world of {self.path}: it has room for "
                f"{layout.DEVICES} devices with names of {layout.NAME_BYTES} characters"
            )
        ordinal = len(self.of_kind(kind))
        slot = self.file.devices[used]
        slot["kind"] = kind.encode()
        slot["ordinal"] = ordinal
        slot["banks"][0, : len(FIELDS[kind])] = tuple(FIELDS[kind].values())
        # Last, because it is what makes the slot visible.
        slot["name"] = name.encode()
        return self.devices()[name]
