"""R45: how deep a module's queue is, how slow it is, how often it was begun anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hal.base import ModuleState
from hal.kernel import ModuleStatistics, RestartPolicy, System
from hal.testing import FakeClock
from tests.kernel.bench import (
    HANG_S,
    Records,
    done,
    of_kind,
    only_error,
    until,
    wait_for,
)
from tests.kernel.supervised import (
    Scripted,
    add_scripted,
    both_dispatchers,
    until_generation,
)
from tests.kernel.vocabulary import Act, ActAtOnce, Noted


def sample(system: System, name: str) -> ModuleStatistics:
    """Return how one module is doing."""
    (found,) = [s for s in system.statistics() if s.module == name]
    return found


@both_dispatchers
def test_the_queue_is_as_deep_as_what_waits_in_all_lanes(
    system: System, gate: threading.Event, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "busy", kind)
    script.acts["wait"] = lambda _: wait_for(gate)
    assert sample(system, "busy").queued == 0
    waiting = system.send(Act("wait"))
    until(lambda: script.inside)

    for number in range(7):
        system.send(Noted("test", number))
    urgent = system.send(ActAtOnce("answer"))

    assert sample(system, "busy").queued == 8
    gate.set()
    for delivery in (waiting, urgent, system.send(Act("answer"))):
        done(delivery)
    assert sample(system, "busy").queued == 0
    until(lambda: sample(system, "busy").handled == 10)


@both_dispatchers
def test_it_tells_what_a_module_does_on_which_thread(
    system: System, gate: threading.Event, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "busy", kind)
    script.acts |= {
        "wait": lambda _: wait_for(gate),
        "job": lambda module: module.run_job(lambda: wait_for(gate), what="homing"),
        "thread": lambda _: threading.current_thread().name,
    }
    assert sample(system, "busy").busy_with == ""
    thread = done(system.send(Act("thread"))).result()
    done(system.send(ActAtOnce("job"), deadline_s=0.1))
    assert sample(system, "busy").busy_with == "in job 'homing'"
    gate.set()
    until(lambda: sample(system, "busy").busy_with == "")
    gate.clear()
    waiting = system.send(Act("wait"))
    until(lambda: script.inside)

    doing = sample(system, "busy")

    assert doing.busy_with == "in handler of 'act'"
    assert doing.thread == thread == "busy/1"
    gate.set()
    done(waiting)


def test_slow_handlers_are_counted_and_named(system: System, logged: list[Any]) -> None:
    script = add_scripted(system, "slow")
    pause = threading.Event()
    script.acts["slow"] = lambda _: pause.wait(0.05)

    for _ in range(3):
        done(system.send(Act("slow")))

    until(lambda: sample(system, "slow").slow >= 3)
    warnings = [entry for entry in logged if entry["event"] == "slow handler"]
    assert [entry["type"] for entry in warnings].count("act") >= 3
    assert all(entry["took_s"] > 0.01 for entry in warnings)


def test_the_slowest_is_that_since_the_snapshot_before(system: System) -> None:
    script = add_scripted(system, "slow")
    pause = threading.Event()
    script.acts["slow"] = lambda _: pause.wait(0.2)
    handled = sample(system, "slow").handled
    done(system.send(Act("slow")))
    # Its ticket ends before it is counted.
    found: list[ModuleStatistics] = []

    def is_counted() -> bool:
        found.append(sample(system, "slow"))
        return found[-1].handled > handled

    until(is_counted)

    assert max(snapshot.slowest_s for snapshot in found) >= 0.2
    assert sample(system, "slow").slowest_s == 0.0


@both_dispatchers
def test_counts_go_on_over_the_generations(
    system: System, gate: threading.Event, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "bad", kind, deadline_s=HANG_S)
    script.acts["hang"] = lambda _: wait_for(gate)
    system.start()
    for number in range(5):
        done(system.send(Noted("test", number)))
    handled = sample(system, "bad").handled
    assert handled >= 5

    only_error(system.send(Act("hang")))
    until_generation(system, "bad", 2)
    until(lambda: sample(system, "bad").state is ModuleState.STARTED)
    done(system.send(Act("answer")))

    now = sample(system, "bad")
    assert (now.generation, now.restarts, now.thread) == (2, 1, "bad/2")
    assert now.handled >= handled + 2


def test_a_failed_module_is_in_the_statistics_too(system: System) -> None:
    add_scripted(system, "bad", restart=RestartPolicy(intensity=0))
    system.send(Act("die"))

    until(lambda: sample(system, "bad").state is ModuleState.FAILED)

    assert sample(system, "bad").restarts == 0


def test_a_snapshot_cannot_be_changed(system: System) -> None:
    add_scripted(system, "module")
    done(system.send(Act("answer")))
    snapshot = sample(system, "module")

    with pytest.raises(AttributeError):
        snapshot.queued = 5  # type: ignore[misc]
    done(system.send(Act("answer")))

    assert snapshot != sample(system, "module")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic_s=100.0)


@pytest.fixture
def slow_system(clock: FakeClock) -> Iterator[System]:
    """A system whose time passes when the test says so."""
    system = System(clock=clock)
    system.run_kernel()
    yield system
    system.stop()


def test_the_trace_notes_them_every_five_seconds(
    slow_system: System, clock: FakeClock
) -> None:
    system, records = slow_system, Records()
    system.trace.listen(records.append)
    for name in ("one", "two"):
        add_scripted(system, name)
    done(system.send(Act("answer"), to="one"))

    for count in (1, 2):
        until(lambda: clock.waiting >= 2)
        clock.advance(4.9)
        until(lambda: clock.waiting >= 2)
        assert len(of_kind(records, "statistics")) == count - 1
        clock.advance(0.2)
        until(lambda count=count: len(of_kind(records, "statistics")) == count)  # type: ignore[misc]

    modules = of_kind(records, "statistics")[0]["modules"]
    assert [module["module"] for module in modules] == ["one", "two"]
    assert set(modules[0]) == set(ModuleStatistics.__struct_fields__)
    assert modules[0]["state"] == "loaded"
    assert modules[0]["thread"] == "one/1"
