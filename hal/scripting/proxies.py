"""What modules of each role can do for a script.

A role that is not listed has the proxy that all have: parameters, state, `send`.
"""

from __future__ import annotations

from typing import Final, TypeVar

from hal.base import HalError
from hal.kernel import Message
from hal.messages import (
    FocusReading,
    GetFocus,
    GetLight,
    GetStagePosition,
    GetTemperature,
    GetZPosition,
    HaltMotion,
    LightState,
    MoveFilterWheel,
    MoveStage,
    MoveStageBy,
    MoveZ,
    MoveZBy,
    SetLight,
    SetShutter,
    SetTemperature,
    StagePosition,
    TemperatureState,
    ZPosition,
)
from hal.scripting.frame_source import FrameSourceProxy
from hal.scripting.plain import plain
from hal.scripting.proxy import ModuleProxy

A = TypeVar("A")


class _MovingProxy(ModuleProxy):
    """Something that moves."""

    def halt(self) -> None:
        """Stop moving, now; the move that goes on fails with `Halted`."""
        self.send(HaltMotion())

    def _move(self, message: Message) -> object:
        """Wait for a move; whatever interrupts the wait stops the motion as well."""
        try:
            return self.send(message)
        except HalError:
            raise
        except BaseException:
            self.halt()
            raise


class StageProxy(_MovingProxy):
    """An XY stage."""

    @property
    def position(self) -> StagePosition:
        """Where it is: `x_um` and `y_um`, micrometres in stage coordinates."""
        return _expect(StagePosition, self.send(GetStagePosition()))

    def move(self, x_um: float, y_um: float) -> StagePosition:
        """Move to a position; return where it has arrived.

        Raises:
            LimitError: Outside its travel; nothing has moved.
            Leased: A run uses it.
        """
        return _expect(StagePosition, self._move(MoveStage(plain(x_um), plain(y_um))))

    def move_by(self, dx_um: float, dy_um: float) -> StagePosition:
        """Move by a distance; as `move`."""
        by = MoveStageBy(plain(dx_um), plain(dy_um))
        return _expect(StagePosition, self._move(by))


class ZProxy(_MovingProxy):
    """A z stage."""

    @property
    def position(self) -> ZPosition:
        """Where it is: `z_um`, micrometres."""
        return _expect(ZPosition, self.send(GetZPosition()))

    def move(self, z_um: float) -> ZPosition:
        """Move to a height; return where it has arrived.

        Raises:
            LimitError: Outside its travel; nothing has moved.
            Leased: A run uses it.
        """
        return _expect(ZPosition, self._move(MoveZ(plain(z_um))))

    def move_by(self, dz_um: float) -> ZPosition:
        """Move by a height; as `move`."""
        return _expect(ZPosition, self._move(MoveZBy(plain(dz_um))))


class LightProxy(ModuleProxy):
    """A laser, LED or lamp."""

    def on(self, power_mw: float | None = None) -> LightState:
        """Switch on, with that power or the one it had."""
        answer = self.send(SetLight(power_mw=plain(power_mw), is_on=True))
        return _expect(LightState, answer)

    def off(self) -> LightState:
        """Switch off; the power is kept."""
        return _expect(LightState, self.send(SetLight(is_on=False)))

    def read(self) -> LightState:
        """Return what it does: `power_mw` and `is_on`."""
        return _expect(LightState, self.send(GetLight()))


class ShutterProxy(ModuleProxy):
    """A shutter."""

    def open(self) -> None:
        """Open it; returns when it is open."""
        self.send(SetShutter(is_open=True))

    def close(self) -> None:
        """Close it; returns when it is closed."""
        self.send(SetShutter(is_open=False))


class FilterWheelProxy(ModuleProxy):
    """A filter wheel."""

    def move_to(self, filter: int | str) -> int:
        """Bring a filter into the light, by name or slot (from 1); return the slot."""
        return _expect(int, self.send(MoveFilterWheel(plain(filter))))


class TemperatureProxy(ModuleProxy):
    """A thermometer, or a controller of temperature."""

    def read(self) -> TemperatureState:
        """Measure: `temperature_c`, `target_c`, `is_reached`."""
        return _expect(TemperatureState, self.send(GetTemperature()))

    def set_target(self, target_c: float | None) -> TemperatureState:
        """Begin to hold a temperature, or none; getting there takes its time.

        Raises:
            UnsupportedError: It only measures.
        """
        answer = self.send(SetTemperature(plain(target_c)))
        return _expect(TemperatureState, answer)


class FocusProxy(ModuleProxy):
    """A focus sensor."""

    def read(self) -> FocusReading:
        """Measure: `offset_um`, `signal_sum`, `is_good`."""
        return _expect(FocusReading, self.send(GetFocus()))


def _expect(kind: type[A], answer: object) -> A:
    assert isinstance(answer, kind)
    return answer


PROXIES: Final[dict[str, type[ModuleProxy]]] = {
    "camera": FrameSourceProxy,
    "feed": FrameSourceProxy,
    "filter_wheel": FilterWheelProxy,
    "focus": FocusProxy,
    "light": LightProxy,
    "shutter": ShutterProxy,
    "stage": StageProxy,
    "temperature": TemperatureProxy,
    "z": ZProxy,
}
"""By the role of the module."""
