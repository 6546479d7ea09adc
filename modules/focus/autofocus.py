"""The autofocus module: brings the sample into focus by what a focus sensor says."""

from __future__ import annotations

import threading
from functools import partial
from typing import Final, NamedTuple

from hal.base import (
    Cancelled,
    DeviceError,
    DeviceTimeout,
    Float,
    HalError,
    Halted,
    LimitError,
    ParameterError,
    StateError,
    Text,
    UnsupportedError,
    Value,
    did_you_mean,
    one_of,
)
from hal.kernel import (
    ConfigureModule,
    Context,
    DescribeParameters,
    Module,
    ParameterList,
    handles,
)
from hal.messages import (
    FindFocus,
    FocusFound,
    FocusReading,
    GetFocus,
    GetZPosition,
    HaltMotion,
    MoveZ,
    ZPosition,
)

SEARCH_PART: Final = 0.5
"""Of the time there is; the rest is for the move that has begun, and the way back."""
_MOVES: Final = 50
"""So many moves are one try: a sensor sees far distances shorter than they are."""
_HOPELESS: Final = (Halted, LimitError, StateError, UnsupportedError)
"""What another try does not change."""


class _Parts(NamedTuple):
    """What one search uses."""

    sensor: str
    z: str
    least_sum: float
    """Less light than this tells nothing about the focus."""
    give_up_s: float


class AutofocusModule(Module):
    """Moves the focus until the sensor says that it is where it should be.

    A search that fails leaves the focus where it was before, unless it was halted.

    Runs on: actor.
    """

    role = "autofocus"

    sensor = Text("", help="Name of the focus sensor; empty for the only one.")
    z = Text("", help="Name of the z stage; empty for the only one.")
    tolerance_um = Float(
        0.05,
        unit="um",
        low=0.001,
        high=10.0,
        live=True,
        help="How far off is in focus.",
    )
    range_um = Float(
        50.0,
        unit="um",
        low=0.1,
        high=1000.0,
        live=True,
        help="So far from where it began it moves at the most.",
    )

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._halted = threading.Event()
        self._searching = ""
        """The z stage that is moved now."""

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        """See whether there is a sensor, and a stage."""
        self._only("sensor", self.sensor, "focus")
        self._only("z", self.z, "z")
        super().on_configure(msg)

    @handles(FindFocus)
    def on_find(self, msg: FindFocus) -> None:
        """Search on the worker."""
        if msg.motor_offset_um is not None:
            raise UnsupportedError(f"{self.name} has no offset motor")
        give_up_s = self.clock.monotonic_s() + SEARCH_PART * msg.deadline_s
        sensor = self._only("sensor", self.sensor, "focus")
        z = self._only("z", self.z, "z")
        self._halted.clear()
        self.run_job(
            partial(self._find, sensor, z, give_up_s, msg.tries),
            deadline_s=msg.deadline_s,
            what="find focus",
        )

    @handles(HaltMotion)
    def on_halt(self, msg: HaltMotion) -> None:
        """End the search; the stage stops where it is."""
        self._halted.set()
        if self._searching:
            self.send(HaltMotion(), to=self._searching)

    def _find(self, sensor: str, z: str, give_up_s: float, tries: int) -> FocusFound:
        parts = _Parts(sensor, z, self._least_sum(sensor), give_up_s)
        self._searching = z
        try:
            return self._search(parts, tries)
        finally:
            self._searching = ""

    def _search(self, parts: _Parts, tries: int) -> FocusFound:
        """Try, and try again; go back if nothing helps.

        Runs on: worker.
        """
        before_um = self._z_um(parts)
        while True:
            try:
                return self._approach(parts, before_um)
            except (Halted, Cancelled):
                raise  # somebody wants it to stay
            except HalError as exc:
                self._go_back(parts, before_um)
                late = self.clock.monotonic_s() > parts.give_up_s
                hopeless = isinstance(exc, _HOPELESS)
                if not tries or late or hopeless or not isinstance(exc, DeviceError):
                    raise
                tries -= 1
                self.log.warning("focus not found, trying again", why=exc.text)

    def _go_back(self, parts: _Parts, before_um: float) -> None:
        """Move where the search began; why it failed matters more than if this does."""
        try:
            if self._z_um(parts) != before_um:
                self._move(parts, before_um)
        except (Halted, Cancelled):
            raise
        except HalError as exc:
            self.log.warning("focus not where it was before", why=str(exc))

    def _approach(self, parts: _Parts, before_um: float) -> FocusFound:
        z_um = before_um
        for _ in range(_MOVES):
            if self.clock.monotonic_s() > parts.give_up_s:
                raise DeviceTimeout("the focus was not found in time")
            reading = self._read(parts)
            assert reading.offset_um is not None
            # A sensor that is far from focus is right about the direction at least.
            if reading.is_good and abs(reading.offset_um) <= self.tolerance_um:
                return FocusFound(z_um, reading.offset_um)
            target_um = z_um - reading.offset_um
            if abs(target_um - before_um) > self.range_um:
                raise DeviceError(
                    f"the focus is more than {self.range_um:g} um away, "
                    "which is as far as range_um allows"
                )
            z_um = self._move(parts, target_um)
        raise DeviceError(
            f"still {reading.offset_um:.3f} um out of focus after "
            f"{_MOVES} moves, expected {self.tolerance_um:g} um at the most"
        )

    def _read(self, parts: _Parts) -> FocusReading:
        self._check_halted()
        reading = self.ask(GetFocus(), to=parts.sensor)
        assert isinstance(reading, FocusReading)
        is_dark = reading.signal_sum < parts.least_sum or reading.signal_sum <= 0.0
        is_unclear = not reading.is_good and (
            reading.offset_um is not None
            and abs(reading.offset_um) <= self.tolerance_um
        )
        if reading.offset_um is None or is_dark or is_unclear:
            raise DeviceError(
                f"{parts.sensor} sees too little light to follow "
                f"(sum {reading.signal_sum:g}, expected at least {parts.least_sum:g})"
            )
        return reading

    def _move(self, parts: _Parts, z_um: float) -> float:
        self._check_halted()
        at = self.ask(MoveZ(z_um), to=parts.z)
        assert isinstance(at, ZPosition)
        return at.z_um

    def _z_um(self, parts: _Parts) -> float:
        at = self.ask(GetZPosition(), to=parts.z)
        assert isinstance(at, ZPosition)
        return at.z_um

    def _check_halted(self) -> None:
        if self._halted.is_set():
            raise Halted("the search for the focus was halted")

    def _least_sum(self, sensor: str) -> float:
        """Return how much light the sensor takes for enough, if it says so."""
        listed = self.ask(DescribeParameters(), to=sensor)
        assert isinstance(listed, ParameterList)
        values = {spec.name: spec.value for spec in listed.specs}
        return float(values.get("min_sum", 0.0))

    def _only(self, parameter: str, name: str, role: str) -> str:
        """Return the module that is meant.

        Raises:
            ParameterError: There is none of that name, or several and no name.
        """
        known = self.context.names_of_role(role)
        if name in known:
            return name
        if not name and len(known) == 1:
            return known[0]
        raise ParameterError(
            f"{parameter}='{name}': expected one of {one_of(known)}"
            f"{did_you_mean(name, known)}"
        )
