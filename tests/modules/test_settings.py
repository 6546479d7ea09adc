"""Changes of parameters: all of them or none, and whoever refuses is named."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hal.base import (
    Carrier,
    DeviceError,
    HalError,
    ModuleDead,
    ParameterError,
    Unhandled,
    Value,
)
from hal.kernel import DescribeParameters, ParameterList, ParametersChanged
from hal.messages import SetParameters
from hal.testing import Part, RunningHal, running_hal, wait_until
from modules.cameras.camera import CameraModule
from tests.modules.bench import ScriptedCamera, camera_part, sim_part

Values = dict[str, dict[str, Value]]


def present(hal: RunningHal, module: str, name: str) -> Value:
    answer = hal.ask(DescribeParameters(), to=module)
    assert isinstance(answer, ParameterList)
    return next(spec.value for spec in answer.specs if spec.name == name)


def two(first: ScriptedCamera, second: ScriptedCamera) -> tuple[Part, Part]:
    return camera_part(first, "first"), camera_part(second, "second")


def test_parameters_of_several_modules_change_together(carrier: Carrier | None) -> None:
    with running_hal(sim_part("first"), sim_part("second"), carrier=carrier) as hal:
        changes: Values = {
            "first": {"exposure_s": 0.5, "block_s": 3.0},
            "second": {"binning": 2},
        }

        answer = hal.ask(SetParameters(changes))

        assert answer == changes
        assert present(hal, "first", "exposure_s") == 0.5
        assert present(hal, "first", "block_s") == 3.0
        assert present(hal, "second", "binning") == 2
        told = {
            event.module: dict(event.values)
            for event in hal.probe.heard(ParametersChanged)
        }
        assert told == changes


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"binning": 99}, "second: .*binning"),
        ({"exposure_s": "long"}, "second: .*exposure_s"),
        ({"exposre_s": 0.1}, "second: unknown parameter 'exposre_s'.*did you mean"),
        ({"roi_x_px": 9, "roi_width_px": 99}, "second: region of"),
    ],
)
def test_one_that_refuses_is_named_and_nothing_has_changed(
    wrong: dict[str, Value], words: str, carrier: Carrier | None
) -> None:
    with running_hal(sim_part("first"), sim_part("second"), carrier=carrier) as hal:
        with pytest.raises(ParameterError, match=words):
            hal.ask(SetParameters({"first": {"exposure_s": 0.5}, "second": wrong}))

        assert present(hal, "first", "exposure_s") == 0.01
        assert hal.probe.heard(ParametersChanged) == ()


def test_what_was_proposed_and_refused_elsewhere_is_forgotten() -> None:
    with running_hal(sim_part("first"), sim_part("second")) as hal:
        with pytest.raises(ParameterError):
            hal.ask(
                SetParameters({"first": {"exposure_s": 1.0}, "second": {"binning": 0}})
            )

        for name in ("first", "second"):
            module = hal.module(name, CameraModule)
            wait_until(lambda module=module: module._proposals == {})


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        ("cammera1", Unhandled, "no module 'cammera1'; did you mean 'camera1'"),
        ("settings", ParameterError, "settings has no parameters"),
        ("recorder", ParameterError, "recorder: unknown parameter"),
    ],
)
def test_modules_without_such_parameters_are_told(
    module: str, error: type[HalError], words: str
) -> None:
    with running_hal(sim_part()) as hal, pytest.raises(error, match=words):
        hal.ask(SetParameters({"camera1": {"binning": 2}, module: {"x": 1}}))


def test_a_value_that_is_not_a_change_is_taken() -> None:
    with running_hal(sim_part()) as hal:
        same: Values = {"camera1": {"exposure_s": 0.01, "binning": 1}}

        assert hal.ask(SetParameters(same)) == same


def test_when_a_device_fails_the_others_are_set_back() -> None:
    first, second = ScriptedCamera(), ScriptedCamera()
    with running_hal(*two(first, second)) as hal:
        second.on_apply = DeviceError("no answer")

        with pytest.raises(DeviceError, match="second: no answer"):
            hal.ask(
                SetParameters({"first": {"gain": 5.0}, "second": {"exposure_s": 0.5}})
            )

        assert first.gain == 1.0
        assert second.exposure_s == 0.01
        last = {e.module: e.values for e in hal.probe.heard(ParametersChanged)}
        assert last["first"] == {"gain": 1.0}


def test_what_the_module_of_the_failing_device_took_itself_is_set_back() -> None:
    driver = ScriptedCamera()
    with running_hal(camera_part(driver)) as hal:
        driver.on_apply = DeviceError("no answer")

        with pytest.raises(DeviceError):
            hal.ask(SetParameters({"camera1": {"block_s": 5.0, "gain": 2.0}}))

        assert present(hal, "camera1", "block_s") == 30.0
        assert present(hal, "camera1", "gain") == 1.0


def test_a_device_that_cannot_be_set_back_is_not_waited_for_by_the_others() -> None:
    first, second = ScriptedCamera(), ScriptedCamera()
    third = ScriptedCamera()
    parts = (*two(first, second), camera_part(third, "third"))
    with running_hal(*parts) as hal:

        def fail_from_now_on() -> None:
            second.on_apply = DeviceError("second broke")
            raise DeviceError("third broke")

        third.on_apply = fail_from_now_on

        with pytest.raises(DeviceError, match="third broke"):
            hal.ask(
                SetParameters({n: {"gain": 2.0} for n in ("first", "second", "third")})
            )

        assert first.gain == 1.0
        assert second.gain == 2.0  # the log says so
        second.on_apply = third.on_apply = None


def test_changes_are_made_one_after_the_other() -> None:
    first, second = ScriptedCamera(), ScriptedCamera()
    with running_hal(*two(first, second)) as hal:
        sent = [
            hal.send(SetParameters({n: {"gain": gain} for n in ("first", "second")}))
            for gain in (float(g) for g in range(10))
        ]
        for delivery in sent:
            delivery.wait()
            delivery.result()

        # Never a mixture of two changes.
        assert first.gain == second.gain == 9.0
        told = [
            (e.module, e.values["gain"]) for e in hal.probe.heard(ParametersChanged)
        ]
        expected = [
            (name, float(gain)) for gain in range(10) for name in ("first", "second")
        ]
        assert told == expected


def test_a_module_that_has_stopped_is_told_as_what_it_is() -> None:
    with running_hal(sim_part("first"), sim_part("second")) as hal:
        hal.system.broker.remove("second", "second has stopped")

        with pytest.raises(ModuleDead, match="second has stopped"):
            hal.ask(
                SetParameters({"first": {"gain": 1.0}, "second": {"exposure_s": 0.5}})
            )


def test_a_device_that_hangs_is_told_and_the_others_are_set_back(
    gate: threading.Event,
) -> None:
    first, second = ScriptedCamera(), ScriptedCamera()
    first_part, second_part = two(first, second)
    with running_hal(first_part, second_part._replace(deadline_s=0.3)) as hal:
        hang: Callable[[], object] = lambda: (gate.wait(60.0), None)[1]  # noqa: E731
        second.on_apply = hang

        with pytest.raises(HalError, match="second: job 'set parameters' of second"):
            hal.ask(SetParameters({"first": {"gain": 2.0}, "second": {"gain": 2.0}}))

        assert first.gain == 1.0
        gate.set()
