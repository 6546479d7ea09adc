import math
import threading

import pytest

from hal.base import DeviceError, DeviceTimeout, Halted, LimitError, ParameterError
from hal.devices import XYStage, ZStage
from hal.testing import FakeClock
from hal.testing.contracts._halting import Background


class ManualXYStage(XYStage):
    """Moves when the test says so."""

    error_um = 0.0

    def __init__(self, **values: float) -> None:
        super().__init__(**values)
        self.calls: list[str] = []
        self.at = (0.0, 0.0)
        self.target = (0.0, 0.0)
        self.moving = False
        self.arrives = True
        self.asked = threading.Event()

    def _do_start_move(self, x_um: float, y_um: float) -> None:
        self.calls.append("start")
        self.target = (x_um, y_um)
        self.moving = True
        if self.arrives:
            self.arrive()

    def arrive(self) -> None:
        self.at = (self.target[0], self.target[1] + self.error_um)
        self.moving = False

    def _do_is_moving(self) -> bool:
        self.asked.set()
        return self.moving

    def _do_position(self) -> tuple[float, float]:
        return self.at

    def _do_halt(self) -> None:
        self.calls.append("halt")
        self.moving = False


class FixedZStage(ZStage):
    """Is where the test says."""

    at_um = 0.0
    moving = False

    def _do_start_move(self, z_um: float) -> None:
        pass

    def _do_is_moving(self) -> bool:
        return self.moving

    def _do_position(self) -> float:
        return self.at_um

    def _do_halt(self) -> None:
        self.moving = False


@pytest.fixture
def stage() -> ManualXYStage:
    stage = ManualXYStage()
    stage.open()
    return stage


def test_move_that_does_not_end_is_halted_and_timed_out(stage: ManualXYStage) -> None:
    stage.arrives = False
    stage.set_parameters({"move_timeout_s": 0.05})

    with pytest.raises(DeviceTimeout, match=r"after 0\.05 s; motion was halted"):
        stage.move_and_settle(1.0, 2.0)

    assert stage.calls == ["start", "halt"]
    assert not stage.is_moving()


def test_deadline_is_that_of_its_clock(stage: ManualXYStage) -> None:
    clock = FakeClock()
    stage.clock = clock
    stage.arrives = False
    stage.set_parameters({"move_timeout_s": 3600.0})
    move = Background(lambda: stage.move_and_settle(1.0, 2.0))
    assert stage.asked.wait(5.0)

    while move.is_running:
        clock.advance(100.0)
        move.join(0.01)

    assert isinstance(move.error, DeviceTimeout)
    assert clock.monotonic_s() >= 3600.0


def test_settling_time_begins_on_arrival(stage: ManualXYStage) -> None:
    clock = FakeClock()
    stage.clock = clock
    stage.set_parameters({"settle_s": 5.0})
    move = Background(lambda: stage.move_and_settle(1.0, 2.0))

    while not clock.waiting:
        assert not move.join(0.001)
    clock.advance(4.9)
    assert not move.join(0.05)
    clock.advance(0.2)

    assert move.join(5.0)
    assert move.error is None


@pytest.mark.parametrize("error_um", [1.1, -1.1, math.nan])
def test_wrong_position_after_a_move_is_an_error(
    stage: ManualXYStage, error_um: float
) -> None:
    stage.error_um = error_um

    with pytest.raises(DeviceError, match=r"expected \(5, 6\) within 1 um"):
        stage.move_and_settle(5.0, 6.0)


def test_position_within_tolerance_is_no_error(stage: ManualXYStage) -> None:
    stage.error_um = 0.9

    stage.move_and_settle(5.0, 6.0)

    assert stage.position_um() == (5.0, 6.9)


def test_halt_that_overtakes_the_order_to_move_stops_it_all_the_same(
    stage: ManualXYStage,
) -> None:
    started = stage._do_start_move

    def halted_before(x_um: float, y_um: float) -> None:
        stage.halt()
        started(x_um, y_um)

    stage._do_start_move = halted_before
    stage.arrives = False

    with pytest.raises(Halted):
        stage.start_move(1.0, 2.0)

    assert stage.calls == ["halt", "start", "halt"]
    assert not stage.moving


def test_halt_caught_between_two_operations_is_not_lost(stage: ManualXYStage) -> None:
    stopped = stage._do_halt

    def begin_before_the_stop() -> None:
        # What another thread may do after the flag was set: begin, and clear it.
        stage._do_halt = stopped
        stage.arrives = False
        stage.start_move(1.0, 2.0)
        stopped()

    stage._do_halt = begin_before_the_stop
    stage.halt()

    with pytest.raises(Halted):
        stage.wait_until_idle(5.0)


def test_wait_tells_that_the_move_was_halted_only_once(stage: ManualXYStage) -> None:
    stage.arrives = False
    stage.start_move(1.0, 2.0)
    stage.halt()

    with pytest.raises(Halted):
        stage.wait_until_idle(5.0)

    stage.wait_until_idle(5.0)


def test_halt_after_the_wait_is_over_does_not_touch_the_next(
    stage: ManualXYStage,
) -> None:
    stage.start_move(1.0, 2.0)
    stage.wait_until_idle(5.0)
    stage.halt()

    stage.wait_until_idle(5.0)


def test_wait_that_times_out_leaves_the_motion_alone(stage: ManualXYStage) -> None:
    stage.arrives = False
    stage.start_move(1.0, 2.0)

    for timeout_s in (0.03, 0.0, -1.0, math.nan):
        with pytest.raises(DeviceTimeout, match="still moving"):
            stage.wait_until_idle(timeout_s)

    assert stage.calls == ["start"]
    stage.arrive()
    stage.wait_until_idle(5.0)


def test_limits_are_part_of_the_travel(stage: ManualXYStage) -> None:
    stage.set_parameters({"x_low_um": -1.0, "x_high_um": 1.0})

    stage.move_and_settle(1.0, 0.0)
    stage.move_and_settle(-1.0, 0.0)
    with pytest.raises(LimitError, match=r"x=1\.01 um: expected -1 to 1 um") as refused:
        stage.move_and_settle(1.01, 0.0)

    assert refused.value.data["axis"] == "x"
    assert stage.calls == ["start", "start"]


def test_both_targets_are_checked_before_anything_moves(stage: ManualXYStage) -> None:
    with pytest.raises(LimitError, match="y=inf"):
        stage.start_move(1.0, math.inf)

    assert stage.calls == []


@pytest.mark.parametrize("axis", ["x", "y"])
def test_limits_in_the_wrong_order_are_refused(axis: str) -> None:
    wrong = {f"{axis}_low_um": 5.0, f"{axis}_high_um": 4.0}

    with pytest.raises(ParameterError, match=f"{axis}_low_um=5.0 is above"):
        ManualXYStage(**wrong)


def test_limits_of_the_hardware_are_the_default() -> None:
    class Small(ManualXYStage):
        x_min_um, x_max_um = 0.0, 100.0

    stage = Small()
    assert (stage.x_low_um, stage.x_high_um) == (0.0, 100.0)
    with pytest.raises(ParameterError, match="from 0 to 100 um"):
        stage.set_parameters({"x_high_um": 101.0})
    with pytest.raises(ParameterError, match=r"x_low_um=100\.0 is above"):
        Small(x_low_um=100.0, x_high_um=50.0)


def test_wrong_focus_after_a_move_is_an_error() -> None:
    stage = FixedZStage(tolerance_um=0.5)
    stage.open()
    stage.at_um = 9.4

    with pytest.raises(DeviceError, match=r"stopped at 9\.4 um, expected 10"):
        stage.move_and_settle(10.0)

    stage.at_um = 9.6
    stage.move_and_settle(10.0)


def test_focus_that_does_not_arrive_is_halted() -> None:
    stage = FixedZStage(move_timeout_s=0.03)
    stage.open()
    stage.moving = True

    with pytest.raises(DeviceTimeout):
        stage.move_and_settle(10.0)

    assert not stage.moving


def test_limits_of_focus_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"z_low_um=5\.0 is above"):
        FixedZStage(z_low_um=5.0, z_high_um=4.0)
