"""A module with a driver: opened and closed on the worker, degraded, parameters."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hal.base import (
    DeviceError,
    Float,
    LinkError,
    ModuleState,
    Parametrized,
    Text,
    Value,
)
from hal.kernel import (
    CommitParameters,
    DescribeParameters,
    DeviceModule,
    DropParameters,
    Loop,
    ParameterList,
    ParametersChanged,
    ProposeParameters,
    System,
    handles,
)
from tests.kernel.bench import (
    HANG_S,
    Probe,
    Records,
    add_module,
    done,
    of_kind,
    only_error,
    successor,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, Measured


class Meter(Parametrized):
    """A driver that notes on which thread it is called, and fails as told."""

    identity = "Maker Meter 1"
    is_simulated = True
    gain = Float(1.0, low=0.0, high=10.0, live=True, help="Amplification.")
    range_v = Float(5.0, low=0.0, high=100.0, help="Full scale.")

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self.calls: list[tuple[str, str]] = []
        self.faults: dict[str, BaseException] = {}

    def note(self, call: str) -> None:
        self.calls.append((call, threading.current_thread().name))
        if call in self.faults:
            raise self.faults[call]

    def open(self) -> None:
        self.note("open")

    def close(self) -> None:
        self.note("close")

    def halt(self) -> None:
        self.note("halt")

    def abandon(self) -> None:
        self.note("abandon")

    def safe_state(self) -> None:
        self.note("safe state")

    def apply(self, changed: Any) -> Any:
        self.note("apply")
        return {name: round(value, 1) for name, value in changed.items()}


class MeterModule(DeviceModule[Meter], Probe):
    driver_kind = Meter
    title = Text("meter", help="What people call it.")

    @handles(Act)
    def on_act(self, msg: Act) -> object:
        if msg.what == "measure":
            device = self.device
            self.run_job(lambda: Measured("voltage", device.gain))
            return None
        return self.acts[msg.what]()


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def module(system: System, meter: Meter) -> MeterModule:
    module = add_module(system, MeterModule, "meter", driver=meter)
    assert isinstance(module, MeterModule)
    return module


def beating(loop: Loop) -> None:
    while not loop.wait(0.02):
        loop.beat()
        loop.serve_jobs()


def change(system: System, **values: Value) -> tuple[Any, Any]:
    """Propose and commit; return both deliveries."""
    proposed = done(system.send(ProposeParameters("t1", dict(values)), to="meter"))
    if proposed.errors:
        return proposed, None
    return proposed, done(system.send(CommitParameters("t1"), to="meter"))


def test_the_driver_is_opened_and_closed_on_the_worker(
    system: System, module: MeterModule, meter: Meter
) -> None:
    assert system.start() == ()
    assert module.state is ModuleState.STARTED
    assert done(system.send(Act("measure"))).result() == Measured("voltage", 1.0)

    assert system.stop() == ()

    # Closed before it is opened: a connection that was lost may still be half there.
    assert [call for call, _ in meter.calls] == ["close", "open", "halt", "close"]
    threads = {thread for call, thread in meter.calls if call != "halt"}
    assert threads == {"meter/1/worker"}
    assert module.state is ModuleState.STOPPED


def test_a_device_that_does_not_answer_leaves_its_module_degraded(
    system: System, module: MeterModule, meter: Meter
) -> None:
    meter.faults["open"] = LinkError("no answer on COM3", port="COM3")

    (problem,) = system.start()

    assert (problem.kind, problem.source) == ("LinkError", "meter")
    assert problem.data == {"port": "COM3"}
    assert (module.state, module.reason) == (
        ModuleState.DEGRADED,
        "no answer on COM3",
    )
    error = only_error(system.send(Act("measure")))
    assert (error.kind, error.text) == (
        "StateError",
        "meter is degraded: no answer on COM3",
    )
    del meter.faults["open"]
    assert done(system.send(Act("answer"))).result() == 42


@pytest.mark.parametrize("exc", [RuntimeError("defect"), SystemExit("defect")])
def test_a_defect_of_the_driver_at_open_is_the_reason_it_gives(
    system: System, module: MeterModule, meter: Meter, exc: BaseException
) -> None:
    meter.faults["open"] = exc

    (problem,) = system.start()

    assert problem.kind == "HandlerFailed"
    assert module.state is ModuleState.DEGRADED
    assert "defect" in module.reason
    assert "defect" in only_error(system.send(Act("measure"))).text


@pytest.mark.parametrize("call", ["halt", "close"])
def test_a_driver_that_fails_while_stopping_is_closed_and_reported(
    system: System,
    module: MeterModule,
    meter: Meter,
    logged: list[Any],
    call: str,
) -> None:
    system.start()
    meter.faults[call] = DeviceError(f"no {call}")

    problems = system.stop()

    assert [call for call, _ in meter.calls][-2:] == ["halt", "close"]
    told = [problem.text for problem in problems] + [str(entry) for entry in logged]
    assert any(f"no {call}" in text for text in told)


def test_the_driver_is_closed_after_the_loop_has_ended(
    system: System, module: MeterModule, meter: Meter
) -> None:
    def grab(loop: Loop) -> None:
        beating(loop)
        meter.note("loop ended")

    module.acts["grab"] = lambda: (
        module.run_loop(grab, stall_s=5.0, what="grab", serves_jobs=True) and None
    )
    system.start()
    done(system.send(Act("grab")))

    assert system.stop() == ()

    calls = [call for call, _ in meter.calls]
    assert calls == ["close", "open", "halt", "loop ended", "close"]


def hung_in_driver(
    system: System, module: MeterModule, gate: threading.Event
) -> MeterModule:
    """Have a call into the driver hang; return the generation that comes after it."""
    module.deadline_s = HANG_S
    module.acts["hang"] = lambda: module.run_job(lambda: wait_for(gate))
    system.start()
    assert only_error(system.send(Act("hang"))).kind == "WorkerTimeout"
    again = successor(system, module, state="degraded")
    assert isinstance(again, MeterModule)
    return again


def test_while_a_call_hangs_in_the_driver_its_work_is_refused_with_the_reason(
    system: System, module: MeterModule, meter: Meter, gate: threading.Event
) -> None:
    again = hung_in_driver(system, module, gate)
    held = "the device is still held by generation 1, in job 'act'"
    assert again.reason == held

    error = only_error(system.send(Act("measure")))

    assert (error.kind, error.text) == ("StateError", f"meter is degraded: {held}")
    assert done(system.send(Act("answer"))).result() == 42  # handlers go on
    assert [call for call, _ in meter.calls] == ["close", "open", "halt", "abandon"]
    gate.set()
    until(lambda: again.state is ModuleState.STARTED)
    assert done(system.send(Act("measure"))).result() == Measured("voltage", 1.0)


def test_while_a_call_hangs_in_the_driver_no_value_is_set_beside_it(
    system: System, module: MeterModule, meter: Meter, gate: threading.Event
) -> None:
    hung_in_driver(system, module, gate)

    _, committed = change(system, gain=2.0)

    assert "apply" not in [call for call, _ in meter.calls]
    assert "still held by generation 1" in committed.errors[0].text


def test_parameters_are_proposed_then_committed_and_read_back(
    system: System, module: MeterModule, meter: Meter, records: Records
) -> None:
    class Listening(Probe):
        @handles(ParametersChanged)
        def on_changed(self, msg: ParametersChanged) -> None:
            self.values_seen = (msg.module, msg.values)

    listener = add_module(system, Listening, "listener")
    system.start()
    proposed = done(
        system.send(ProposeParameters("t1", {"gain": 2.34, "title": "x"}), to="meter")
    )
    assert proposed.errors == ()
    assert (meter.gain, module.title) == (1.0, "meter")  # nothing touched yet

    committed = done(system.send(CommitParameters("t1"), to="meter"))

    assert committed.result() == {"gain": 2.3, "title": "x"}
    assert (meter.gain, module.title) == (2.3, "x")
    assert ("apply", "meter/1/worker") in meter.calls
    until(lambda: hasattr(listener, "values_seen"))
    assert listener.values_seen == ("meter", {"gain": 2.3, "title": "x"})
    until(lambda: of_kind(records, "parameters", module="meter"))


def test_a_refused_proposal_changes_nothing(
    system: System, module: MeterModule, meter: Meter
) -> None:
    system.start()

    for wrong in ({"gain": 11.0}, {"title": 3}, {"gian": 1.0}, {"gain": True}):
        proposed, _ = change(system, range_v=1.0, **wrong)
        assert [error.kind for error in proposed.errors] == ["ParameterError"]

    assert (meter.values(), module.title) == ({"gain": 1.0, "range_v": 5.0}, "meter")
    error = only_error(system.send(ProposeParameters("t", {"gian": 1.0}), to="meter"))
    assert "did you mean 'gain'?" in error.text


def test_a_dropped_or_unknown_proposal_cannot_be_committed(
    system: System, module: MeterModule, meter: Meter
) -> None:
    system.start()
    done(system.send(ProposeParameters("t1", {"gain": 2.0}), to="meter"))
    done(system.send(DropParameters("t1"), to="meter"))
    done(system.send(DropParameters("never proposed"), to="meter"))

    for transaction in ("t1", "unknown"):
        error = only_error(system.send(CommitParameters(transaction), to="meter"))
        assert error.kind == "ParameterError"
        assert "nothing was proposed" in error.text
    assert meter.gain == 1.0


def test_while_a_loop_runs_only_live_parameters_change(
    system: System, module: MeterModule, meter: Meter
) -> None:
    module.acts["grab"] = lambda: (
        module.run_loop(beating, stall_s=5.0, what="grab", serves_jobs=True) and None
    )
    system.start()
    done(system.send(Act("grab")))

    refused, _ = change(system, range_v=1.0)
    _, live = change(system, gain=3.0)

    assert "range_v cannot change while the device is running" in refused.errors[0].text
    assert live.result() == {"gain": 3.0}
    assert ("apply", "meter/1/worker") in meter.calls
    module.loops[0].stop()
    until(lambda: not module.loops)
    assert change(system, range_v=1.0)[1].result() == {"range_v": 1.0}


def test_a_device_that_does_not_take_a_value_is_reported_and_keeps_the_old(
    system: System, module: MeterModule, meter: Meter
) -> None:
    system.start()
    meter.faults["apply"] = DeviceError("refused")

    _, committed = change(system, gain=2.0)

    assert [error.kind for error in committed.errors] == ["DeviceError"]
    assert meter.gain == 1.0


def test_describe_lists_parameters_of_module_and_device(
    system: System, module: MeterModule
) -> None:
    described = done(system.send(DescribeParameters(), to="meter")).result()

    assert isinstance(described, ParameterList)
    assert (described.identity, described.simulated) == ("Maker Meter 1", True)
    assert [spec.name for spec in described.specs] == ["title", "gain", "range_v"]
