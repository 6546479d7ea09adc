"""What a module says of itself: its parameters, and failures a person must hear of."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from hal.base import (
    DeviceError,
    ErrorRecord,
    ModuleState,
    Parametrized,
    SafeStateCall,
    Value,
)
from hal.kernel import (
    ConfigureModule,
    DescribeParameters,
    DeviceModule,
    Module,
    OpenDevice,
    ParameterList,
    System,
    handles,
)
from tests.kernel.bench import add, add_module, done, successor, until, wait_for
from tests.kernel.supervised import Scripted, add_scripted
from tests.kernel.vocabulary import Act, Noted


class Herald(Module):
    """Answers `Noted` as it was told to."""

    answer: object = True

    @handles(Noted)
    def on_noted(self, msg: Noted) -> object:
        return self.answer


def test_a_module_without_a_device_has_no_identity(system: System) -> None:
    add(system, "probe")

    listed = done(system.send(DescribeParameters(), to="probe")).result()

    assert listed == ParameterList("probe", "", False, ())


def test_what_a_module_sends_is_no_barrier_unless_it_says_so(system: System) -> None:
    probe = add(system, "probe")

    assert not done(probe.send(Noted("probe", 1))).sync
    assert done(probe.send(Noted("probe", 2), sync=True)).sync


@pytest.mark.parametrize(
    ("answer", "told_by"), [(True, "herald"), (False, None), ("yes", None)]
)
def test_the_log_of_a_failure_says_who_told_a_person(
    system: System, logged: list[Any], answer: object, told_by: str | None
) -> None:
    herald = add_module(system, Herald, "herald")
    herald.answer = answer
    probe = add_module(system, Module, "camera")
    error = ErrorRecord.from_exception(DeviceError("unplugged"), "camera")

    probe.send_failure(Noted("camera", 1), "the run failed", error, run="run1")

    until(lambda: [e for e in logged if e["event"] == "the run failed"])
    (entry,) = [e for e in logged if e["event"] == "the run failed"]
    assert entry.get("told_by") == told_by
    assert (entry["why"], entry["error_kind"]) == ("unplugged", "DeviceError")
    assert (entry["module"], entry["run"]) == ("camera", "run1")


class Bulb(Parametrized):
    """A driver that can be unplugged."""

    def __init__(self) -> None:
        super().__init__()
        self.is_unplugged = False

    def open(self) -> None:
        if self.is_unplugged:
            raise DeviceError("the bulb is unplugged")

    def close(self) -> None:
        pass

    def halt(self) -> None:
        pass

    def abandon(self) -> None:
        pass

    def safe_state(self) -> None:
        pass

    def outside_safe_state(self) -> SafeStateCall | None:
        return None

    def apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        return {}


class BulbModule(DeviceModule[Bulb]):
    driver_kind = Bulb


@pytest.mark.parametrize(
    ("phase", "state"), [(1, ModuleState.CONFIGURED), (2, ModuleState.STARTED)]
)
def test_a_device_that_is_back_puts_its_module_where_the_others_are(
    system: System, phase: int, state: ModuleState
) -> None:
    bulb = Bulb()
    bulb.is_unplugged = True
    module = add_module(system, BulbModule, "bulb", driver=bulb)
    done(system.send(ConfigureModule(), to="bulb"))
    until(lambda: module.state is ModuleState.DEGRADED)
    assert module.reason == "the bulb is unplugged"
    module.seat.phase = phase
    bulb.is_unplugged = False

    assert done(system.send(OpenDevice(), to="bulb")).errors == ()

    assert (module.state, module.reason) == (state, "")


def test_a_stop_waits_until_what_is_given_up_was_made_safe(system: System) -> None:
    script = add_scripted(system, "lamp")
    begun, is_safe = threading.Event(), threading.Event()

    def take_a_while(_module: Scripted) -> None:
        begun.set()
        threading.Event().wait(0.4)
        is_safe.set()

    script.hooks["make safe"] = take_a_while
    system.send(Act("die"), to="lamp")
    assert begun.wait(20.0)

    system.stop()

    assert is_safe.is_set()


def test_a_restart_asked_for_while_a_module_stops_comes_after_its_end(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "lamp", deadline_s=60.0)
    first = system.module("lamp")
    script.acts["hold"] = lambda _: wait_for(gate)
    held = system.send(Act("hold"), to="lamp", deadline_s=60.0)
    until(lambda: script.inside)
    first.actor_stopped.set()  # as pykka's stop does, while it is still at work

    system.restart("lamp")
    until(lambda: not system.supervisor._open)
    assert system.module("lamp") is first
    gate.set()

    assert done(held).tickets["lamp"].by == "handler"
    successor(system, first, state="loaded")
    assert done(system.send(Act("answer"), to="lamp")).result() == 42
