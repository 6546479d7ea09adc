"""R16, R30, R99, R106: start in order, stop in reverse, bounded whatever happens."""

from __future__ import annotations

import threading
import time
from typing import Any

import pykka
import pytest

from hal.base import Cancelled, ModuleState, ParameterError, StartError
from hal.kernel import (
    ConfigureModule,
    ModuleStateChanged,
    StartModule,
    StopModule,
    System,
    handles,
)
from tests.kernel.bench import (
    Probe,
    Records,
    add,
    add_module,
    answers,
    done,
    has_thread,
    of_kind,
    only_error,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, Noted

STEPS: list[tuple[str, str]] = []


class Stepping(Probe):
    """Notes its steps; `faults` says what goes wrong in which one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faults: dict[str, Any] = {}

    def step(self, name: str) -> None:
        STEPS.append((name, self.name))
        self.faults.get(name, lambda: None)()

    def on_configure(self, msg: ConfigureModule) -> None:
        self.step("configure")
        super().on_configure(msg)

    def on_start_module(self, msg: StartModule) -> None:
        self.step("start")
        super().on_start_module(msg)

    def on_stop_module(self, msg: StopModule) -> None:
        self.step("stop")
        super().on_stop_module(msg)


@pytest.fixture(autouse=True)
def steps() -> list[tuple[str, str]]:
    STEPS.clear()
    return STEPS


def raise_it() -> None:
    raise ValueError("boom")


def test_all_are_configured_before_any_starts_and_stopped_in_reverse(
    system: System, steps: list[tuple[str, str]]
) -> None:
    modules = [add_module(system, Stepping, name) for name in ("a", "b", "c")]

    assert system.start([["a"], ["b"], ["c"]]) == ()
    assert [module.state for module in modules] == [ModuleState.STARTED] * 3
    assert system.stop() == ()

    assert steps == [
        *(("configure", name) for name in "abc"),
        *(("start", name) for name in "abc"),
        *(("stop", name) for name in "cba"),
    ]
    assert [module.state for module in modules] == [ModuleState.STOPPED] * 3


@pytest.mark.parametrize("step", ["configure", "start"])
def test_what_goes_wrong_at_start_is_returned_and_the_others_start(
    system: System, step: str
) -> None:
    bad, good = (add_module(system, Stepping, name) for name in ("bad", "good"))
    bad.faults[step] = raise_it

    (problem,) = system.start()

    assert (problem.source, problem.kind) == ("bad", "HandlerFailed")
    assert good.state is ModuleState.STARTED
    assert bad.state is not ModuleState.STARTED


def test_a_module_that_raises_in_stop_hinders_nobody(
    system: System, steps: list[tuple[str, str]]
) -> None:
    modules = [add_module(system, Stepping, name) for name in ("a", "b", "c")]
    modules[1].faults["stop"] = raise_it
    system.start([["a"], ["b"], ["c"]])

    (problem,) = system.stop()

    assert problem.source == "b"
    assert steps[-3:] == [("stop", "c"), ("stop", "b"), ("stop", "a")]
    until(lambda: not any(has_thread(module) for module in modules))


def test_modules_that_hang_in_stop_are_left_behind_in_bounded_time(
    system: System, gate: threading.Event, steps: list[tuple[str, str]]
) -> None:
    names = ["a", "b", "c", "d"]
    modules = [add_module(system, Stepping, name) for name in names]
    for module in modules[1:]:
        module.faults["stop"] = lambda: wait_for(gate)
    system.start([[name] for name in names])
    started_s = time.monotonic()

    problems = system.stop(budget_s=1.2)

    assert time.monotonic() - started_s < 1.2 + 1.5
    assert {problem.source for problem in problems} == {"b", "c", "d"}
    assert steps[-4:] == [("stop", name) for name in "dcba"]
    assert modules[0].state is ModuleState.STOPPED
    assert set(system.left_behind()) == {"b", "c", "d"}
    gate.set()
    # Once out of their call, their threads end.
    until(lambda: not any(has_thread(module) for module in modules))


@pytest.mark.parametrize("where", ["handler", "job"])
def test_stop_does_not_wait_for_a_module_at_work_far_from_its_deadline(
    system: System, gate: threading.Event, where: str
) -> None:
    bad = add(system, "bad", deadline_s=600.0)
    good = add(system, "good")
    bad.acts["handler"] = lambda: wait_for(gate)
    bad.acts["job"] = lambda: bad.run_job(lambda: wait_for(gate))
    system.start()
    at_work = system.send(Act(where), to="bad", deadline_s=600.0)
    until(lambda: bad.busy_with)
    queued = [system.send(Noted("queued", n), deadline_s=600.0) for n in range(5)]
    asked = bad.actor_ref.ask("pykka", block=False)
    started_s = time.monotonic()

    system.stop(budget_s=1.0)

    assert time.monotonic() - started_s < 3.0
    assert good.state is ModuleState.STOPPED
    assert at_work.tickets["bad"].how == "dead"
    # Those queued behind a job were cancelled by the stop; a handler that does not
    # come back leaves nobody to do so.
    expected = "cancelled" if where == "job" else "dead"
    assert {delivery.tickets["bad"].how for delivery in queued} == {expected}
    with pytest.raises(Cancelled if where == "job" else pykka.ActorDeadError):
        asked.get(timeout=5.0)
    gate.set()
    until(lambda: not has_thread(bad))
    assert bad.seen == []


def test_stopping_twice_is_fine_and_what_is_sent_afterwards_completes(
    system: System,
) -> None:
    add(system, "probe")
    system.start()
    assert system.stop() == ()
    assert system.stop() == ()

    assert only_error(system.send(Act("answer"), to="probe")).kind == "ModuleDead"
    assert done(system.send(Noted("late", 1))).errors == ()


def test_what_is_held_or_chained_when_hal_stops_completes_too(
    system: System, gate: threading.Event
) -> None:
    bad = add(system, "bad", deadline_s=600.0)
    bad.acts["hang"] = lambda: wait_for(gate)
    system.start()
    system.send(Act("hang"), sync=True, deadline_s=600.0)
    until(lambda: bad.busy_with)
    held = system.send(Act("answer"), sync=True, deadline_s=600.0)
    chain = system.broker.send_chain((Act("answer"), Act("answer")), principal="hal")

    system.stop(budget_s=0.6)

    for delivery in (held, *chain):
        assert only_error(delivery).kind in ("ModuleDead", "Unhandled")
    assert system.broker.open_deliveries() == []


def test_a_module_added_after_the_start_is_stopped_as_well(
    system: System, steps: list[tuple[str, str]]
) -> None:
    add_module(system, Stepping, "first")
    system.start([["first"]])
    late = add_module(system, Stepping, "late")

    system.stop()

    assert steps[-2:] == [("stop", "late"), ("stop", "first")]
    until(lambda: not has_thread(late))


def test_a_name_is_given_once(system: System) -> None:
    first = add(system, "probe")

    with pytest.raises(StartError, match="'probe' already"):
        system.add(Probe, "probe")

    assert system.modules == (first,)
    assert answers(system, "probe")


def test_a_module_that_cannot_be_made_leaves_nothing(system: System) -> None:
    before = threading.active_count()

    with pytest.raises(ParameterError, match="no_such"):
        system.add(Probe, "probe", no_such=1)

    add(system, "other")
    assert system.modules[0].name == "other"
    assert threading.active_count() == before + 1


def test_every_change_of_state_is_told_to_modules_and_trace(
    system: System, records: Records
) -> None:
    class Listening(Probe):
        @handles(ModuleStateChanged)
        def on_state(self, msg: ModuleStateChanged) -> None:
            self.seen.append((msg.module, msg.state, 0))

    listener = add_module(system, Listening, "listener")
    add(system, "probe")
    system.start()

    mine = [("probe", "configured", 0), ("probe", "started", 0)]
    until(lambda: [s for s in listener.seen if s[0] == "probe"] == mine)
    until(lambda: len(of_kind(records, "state", module="probe")) == 2)
    first, second = of_kind(records, "state", module="probe")
    assert (first["was"], first["state"]) == ("loaded", "configured")
    assert (second["was"], second["state"]) == ("configured", "started")


def test_loops_are_asked_to_end_when_their_module_stops(system: System) -> None:
    probe = add(system, "probe")

    def beat(loop: Any) -> None:
        while not loop.wait(0.02):
            loop.beat()

    probe.acts["loop"] = lambda: probe.run_loop(beat, stall_s=5.0, what="loop") and None
    system.start()
    done(system.send(Act("loop")))

    system.stop()

    until(lambda: "probe/1/loop" not in {t.name for t in threading.enumerate()})
