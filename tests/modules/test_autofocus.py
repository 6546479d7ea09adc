"""The focus is found by what a sensor says, and left where it was if it is not."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hal.acquisition import ImageEvent, RunState
from hal.acquisition.plans import AutofocusEvent, explicit
from hal.base import (
    Carrier,
    DeviceError,
    DeviceTimeout,
    Halted,
    LimitError,
    ParameterError,
    UnsupportedError,
)
from hal.devices import FocusSensor
from hal.messages import (
    FindFocus,
    FocusFound,
    GetZPosition,
    HaltMotion,
    MoveZ,
    SetParameters,
    ZMoved,
    ZPosition,
)
from hal.testing import Part, RunningHal, part, running_hal, wait_until
from modules.focus import autofocus
from modules.focus.autofocus import AutofocusModule
from modules.focus.focus_sensor import FocusSensorModule
from modules.simulation.focus_quadrant import SimFocusQuadrant
from modules.simulation.focus_spots import SimFocusSpots
from modules.simulation.world import SimWorld
from modules.simulation.z_stage import SimZStage
from modules.stages.z_stage import ZStageModule
from tests.modules.bench import PATIENCE_S, sim_part

TOLERANCE_UM = 0.05
FAST = {"speed_um_s": 1e6, "travel_um": 1000.0}


class Scope:
    """A sensor and a focus drive that see the same sample."""

    def __init__(
        self,
        state: Path,
        kind: type[Any] = SimFocusQuadrant,
        drive: type[Any] = SimZStage,
        **values: Any,
    ) -> None:
        SimWorld().make_state(state)
        at_home = {"z_low_um", "home_um"} & values.keys()
        of_drive = {name: values.pop(name) for name in at_home}
        self.sensor = kind(world="sample", **values)
        self.z = drive(world="sample", **FAST, **of_drive)
        for name, driver in (("qpd", self.sensor), ("z", self.z)):
            driver.enter(state, name)

    def parts(self, **values: Any) -> list[Part]:
        return [
            part("z", ZStageModule, driver=self.z),
            part("qpd", FocusSensorModule, driver=self.sensor),
            part("autofocus", AutofocusModule, **values),
        ]


@pytest.fixture
def make_scope(tmp_path: Path) -> Callable[..., Scope]:
    states = itertools.count()
    return lambda *a, **v: Scope(tmp_path / f"world{next(states)}", *a, **v)


def z_um(hal: RunningHal) -> float:
    at = hal.ask(GetZPosition())
    assert isinstance(at, ZPosition)
    return at.z_um


def find(hal: RunningHal, **values: Any) -> FocusFound:
    found = hal.ask(FindFocus(**values))
    assert isinstance(found, FocusFound)
    return found


@pytest.mark.parametrize("kind", [SimFocusQuadrant, SimFocusSpots])
def test_focus_is_found_from_above_and_below(
    make_scope: Callable[..., Scope], kind: type[Any], carrier: Carrier | None
) -> None:
    with running_hal(*make_scope(kind).parts(), carrier=carrier) as hal:
        for start_um in (5.0, -5.0, 0.0, 20.0):
            hal.ask(MoveZ(start_um))

            found = find(hal)

            assert abs(found.offset_um) <= TOLERANCE_UM
            assert abs(found.z_um) <= TOLERANCE_UM
            assert z_um(hal) == pytest.approx(found.z_um)


def test_focus_is_found_though_readings_are_noisy(
    make_scope: Callable[..., Scope],
) -> None:
    scope = make_scope(noise_um=0.02)
    with running_hal(*scope.parts()) as hal:
        hal.ask(MoveZ(5.0))
        assert abs(find(hal).z_um) < 0.2


def refused(
    scope: Scope, start_um: float, error: type[Exception], words: str, **values: Any
) -> None:
    """See a search fail, and the focus be where it was."""
    tries = values.pop("tries", 0)
    with running_hal(*scope.parts(**values)) as hal:
        hal.ask(MoveZ(start_um))
        with pytest.raises(error, match=words):
            find(hal, tries=tries)
        assert z_um(hal) == start_um


def test_focus_too_far_away_is_an_error_and_the_drive_goes_back(
    make_scope: Callable[..., Scope],
) -> None:
    words = "more than 10 um away, which is as far as range_um allows"
    refused(make_scope(), 30.0, DeviceError, words, range_um=10.0)


def test_without_light_nothing_moves(make_scope: Callable[..., Scope]) -> None:
    scope = make_scope(SimFocusSpots)
    moves: list[float] = []
    start_move = scope.z.start_move
    scope.z.start_move = lambda z_um: (moves.append(z_um), start_move(z_um))
    words = "qpd sees too little light to follow"
    refused(scope, 100.0, DeviceError, words, tries=2)
    assert moves == [100.0]


@pytest.mark.parametrize("values", [{"full_sum": 0.0}, {"min_sum": 1e6}])
def test_light_too_weak_for_the_sensor_is_no_light(
    make_scope: Callable[..., Scope], values: dict[str, float]
) -> None:
    refused(make_scope(**values), 2.0, DeviceError, "too little light")


def test_a_drive_at_its_limit_is_told_and_not_tried_again(
    make_scope: Callable[..., Scope],
) -> None:
    refused(
        make_scope(z_low_um=3.0, home_um=4.0), 4.0, LimitError, "expected 3 to", tries=3
    )


class Stubborn(SimFocusQuadrant):
    """Says the same whatever happens."""

    def _do_read(self, timeout_s: float) -> tuple[float | None, float] | None:
        return 0.3, 1000.0


def test_a_sensor_that_never_sees_it_get_better_is_an_error(
    make_scope: Callable[..., Scope],
) -> None:
    words = "still 0.300 um out of focus after 50 moves, expected 0.05 um"
    refused(make_scope(Stubborn), 2.0, DeviceError, words)


class Flickering(SimFocusQuadrant):
    """Fails in readings that a test counts down."""

    failures = 0
    calls = 0

    def _do_read(self, timeout_s: float) -> tuple[float | None, float] | None:
        self.calls += 1
        if self.calls > 1 and self.failures:
            self.failures -= 1
            raise DeviceError("flicker")
        return super()._do_read(timeout_s)


def test_a_search_that_fails_begins_again_as_often_as_it_may(
    make_scope: Callable[..., Scope],
) -> None:
    scope = make_scope(Flickering)
    with running_hal(*scope.parts()) as hal:
        hal.ask(MoveZ(5.0))
        scope.sensor.failures = 2
        assert abs(find(hal, tries=2).z_um) <= TOLERANCE_UM

        hal.ask(MoveZ(5.0))
        scope.sensor.calls, scope.sensor.failures = 0, 3
        with pytest.raises(DeviceError, match="flicker"):
            find(hal, tries=2)
        assert scope.sensor.failures == 0
        assert z_um(hal) == 5.0


class Stuck(SimZStage):
    """Moves once."""

    left = 2

    def _do_start_move(self, z_um: float) -> None:
        self.left -= 1
        if self.left < 0:
            raise DeviceError("no power")
        super()._do_start_move(z_um)


def test_the_first_error_counts_when_the_way_back_fails_too(
    make_scope: Callable[..., Scope],
    capsys: pytest.CaptureFixture[str],
) -> None:
    scope = make_scope(Flickering, Stuck)
    scope.sensor.failures = 1
    with running_hal(*scope.parts()) as hal:
        hal.ask(MoveZ(5.0))
        with pytest.raises(DeviceError, match="flicker"):
            find(hal, tries=0)
    assert "focus not where it was before why=z: no power" in capsys.readouterr().err


class Gated(SimFocusQuadrant):
    """Lets a test do something at its second reading."""

    at_second: Callable[[], object] = staticmethod(lambda: None)
    calls = 0

    def _do_read(self, timeout_s: float) -> tuple[float | None, float] | None:
        self.calls += 1
        if self.calls == 2:
            self.at_second()
        return super()._do_read(timeout_s)


@pytest.mark.parametrize("to", ["autofocus", "z"])
def test_halt_ends_a_search_and_the_focus_stays(
    make_scope: Callable[..., Scope], to: str
) -> None:
    scope = make_scope()
    with running_hal(*scope.parts()) as hal:
        scope.z.speed_um_s = 1e6
        hal.ask(MoveZ(5.0))
        scope.z.speed_um_s = 0.5  # so that the first move takes seconds
        search = hal.send(FindFocus())
        wait_until(lambda: 4.0 < scope.z.position_um() < 5.0, PATIENCE_S)

        hal.send(HaltMotion(), to=to).wait()

        search.wait()
        with pytest.raises(Halted):
            search.result()
        assert 3.0 < scope.z.position_um() < 5.0
        assert not hal.probe.heard(ZMoved)[1:]


def test_halt_between_two_moves_ends_a_search_too(
    make_scope: Callable[..., Scope], gate: threading.Event
) -> None:
    scope = make_scope(Gated)
    reading = threading.Event()

    def wait() -> None:
        reading.set()
        gate.wait(PATIENCE_S)

    scope.sensor.at_second = wait
    with running_hal(*scope.parts()) as hal:
        hal.ask(MoveZ(5.0))
        search = hal.send(FindFocus())
        assert reading.wait(PATIENCE_S)
        hal.ask(HaltMotion(), to="autofocus")
        gate.set()

        search.wait()
        with pytest.raises(Halted, match="the search for the focus was halted"):
            search.result()

        scope.sensor.calls = 2
        assert abs(find(hal).z_um) <= TOLERANCE_UM  # the next one is not


def test_a_search_ends_in_time(
    make_scope: Callable[..., Scope], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autofocus, "SEARCH_PART", 0.001)
    slow = make_scope(Stubborn)
    slow.z.settle_s = 0.2
    with running_hal(*slow.parts()) as hal:
        hal.ask(MoveZ(2.0))
        with pytest.raises(DeviceTimeout, match="not found in time"):
            find(hal)
        assert z_um(hal) == 2.0


def test_there_is_no_offset_motor(make_scope: Callable[..., Scope]) -> None:
    with (
        running_hal(*make_scope().parts()) as hal,
        pytest.raises(UnsupportedError, match="autofocus has no offset motor"),
    ):
        find(hal, motor_offset_um=3.0)


def test_parts_that_are_not_there_are_refused_with_the_nearest_name(
    make_scope: Callable[..., Scope],
) -> None:
    for values, words in (
        ({"sensor": "qdp"}, "sensor='qdp': expected one of qpd; did you mean 'qpd'?"),
        ({"z": "zz"}, "z='zz': expected one of z; did you mean 'z'?"),
    ):
        with running_hal(*make_scope().parts(**values)) as hal:
            (problem,) = hal.problems
            assert problem.text == words
    other: FocusSensor = SimFocusQuadrant()
    two = part("other", FocusSensorModule, driver=other)
    with running_hal(two, *make_scope().parts()) as hal:
        (problem,) = hal.problems
        assert problem.text == "sensor='': expected one of other, qpd"
        with pytest.raises(ParameterError, match="expected one of other, qpd"):
            find(hal)


def af(p: int, z_um: float) -> AutofocusEvent:
    return AutofocusEvent(index={"p": p}, z_um=z_um)


def image(p: int, z_um: float) -> ImageEvent:
    return ImageEvent(index={"p": p}, z_um=z_um)


def test_a_plan_finds_the_focus_and_goes_on_from_there(
    make_scope: Callable[..., Scope], tmp_path: Path
) -> None:
    """The plan says 3 where 0 is in focus; so its 4 is 1, and its 2 is -1."""
    plan = explicit([af(0, 3.0), image(0, 3.0), image(0, 4.0), image(0, 2.0)])
    with running_hal(sim_part(exposure_s=0.001), *make_scope().parts()) as hal:
        run = hal.run(tmp_path, plan)
        status = run.wait(PATIENCE_S)
        assert status is not None
        assert status.state is RunState.DONE, status
        assert status.frames["camera1"].stored == 3
        heard = [moved.z_um for moved in hal.probe.heard(ZMoved)]

    assert heard[0] == 3.0
    assert [round(z_um, 1) for z_um in heard[-3:]] == [0.0, 1.0, -1.0]


def test_a_plan_whose_focus_is_not_found_says_why(
    make_scope: Callable[..., Scope], tmp_path: Path
) -> None:
    plan = explicit([af(0, 100.0), image(0, 100.0)])
    with running_hal(sim_part(), *make_scope(SimFocusSpots).parts()) as hal:
        status = hal.run(tmp_path, plan).wait(PATIENCE_S)
        assert status is not None
        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert "qpd sees too little light to follow" in status.fatal_error.text
        assert z_um(hal) == 100.0


def test_nothing_moves_after_a_run_that_was_cancelled_while_it_focused(
    make_scope: Callable[..., Scope],
    tmp_path: Path,
) -> None:
    scope = make_scope()
    with running_hal(sim_part(), *scope.parts()) as hal:
        hal.ask(MoveZ(40.0))
        scope.z.speed_um_s = 0.5
        run = hal.run(tmp_path, explicit([AutofocusEvent(index={"p": 0}), image(0, 0)]))
        wait_until(lambda: scope.z.position_um() < 40.0, PATIENCE_S)

        run.cancel()

        status = run.wait(PATIENCE_S)
        assert status is not None
        assert status.state is RunState.CANCELLED
        before_um = z_um(hal)  # answered when the move has ended
        assert before_um > 30.0
        assert scope.z.position_um() == before_um
        hal.ask(SetParameters({"autofocus": {"range_um": 5.0}}))  # it is free again
