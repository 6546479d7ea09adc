"""R2, R14, R42, R97, R99: a module that dies is made safe, and begun anew or failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest

from hal.base import DeviceError, ErrorRecord, ModuleState
from hal.kernel import (
    CommitParameters,
    How,
    Module,
    ModuleStateChanged,
    ProposeParameters,
    RestartPolicy,
    Strategy,
    System,
    SystemMode,
    SystemModeChanged,
    handles,
)
from hal.testing import FakeClock
from tests.kernel.bench import (
    HANG_S,
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
from tests.kernel.supervised import (
    EAGER,
    Ledger,
    Pooled,
    Script,
    Scripted,
    add_scripted,
    both_dispatchers,
    check_outcomes,
    die,
    ended_once,
    module_of,
    until_failed,
    until_generation,
)
from tests.kernel.vocabulary import Act, ActAtOnce, Noted

ONCE = RestartPolicy(intensity=1, backoff_s=0.01)
NEVER = RestartPolicy(intensity=0)
CLEAN_UP_S = 0.3


@pytest.fixture
def _short_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what modules do about their end little time."""
    monkeypatch.setattr("hal.kernel.aside.ASIDE_S", CLEAN_UP_S)


class Observer(Module):
    """Notes what it is told of states and modes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.told: list[tuple[str, str, str]] = []
        self.modes: list[str] = []

    @handles(ModuleStateChanged)
    def on_state(self, msg: ModuleStateChanged) -> None:
        self.told.append((msg.module, msg.state, msg.reason))

    @handles(SystemModeChanged)
    def on_mode(self, msg: SystemModeChanged) -> None:
        self.modes.append(msg.mode)


def raise_error(text: str) -> Callable[[Scripted], object]:
    """Return what raises `text` in whatever module does it."""

    def raising(_module: Scripted) -> object:
        raise DeviceError(text)

    return raising


def kill(system: System, name: str) -> None:
    """Have a module give itself up, and wait until it is replaced or has failed."""
    dying = system.module(name)
    system.send(Act("die"), to=name)
    until(
        lambda: (
            system.module(name) is not dying or dying.seat.state is ModuleState.FAILED
        )
    )


# -- policy -------------------------------------------------------------------------


def test_pauses_double_up_to_the_longest_and_the_first_restart_is_at_once() -> None:
    policy = RestartPolicy(backoff_s=0.5, most_s=3.0)

    assert [policy.pause_s(ends) for ends in range(7)] == [
        *(0.0, 0.0, 0.5, 1.0, 2.0, 3.0),
        3.0,
    ]
    assert RestartPolicy(backoff_s=0.0).pause_s(9) == 0.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic_s=1_000.0)


@pytest.fixture
def slow_system(clock: FakeClock) -> Iterator[System]:
    """A system whose time passes when the test says so."""
    system = System(clock=clock)
    system.run_kernel()
    yield system
    stopping = threading.Thread(target=system.stop)
    stopping.start()
    while stopping.is_alive():  # for it waits on the same clock
        clock.advance(0.01)
        stopping.join(0.005)


def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let time pass in steps that are no pause of the machine."""
    for _ in range(round(seconds * 2)):
        until(lambda: clock.waiting >= 2)  # timers and watchdog
        clock.advance(0.5)


def test_the_pause_before_a_restart_is_kept(
    clock: FakeClock, slow_system: System
) -> None:
    system = slow_system
    policy = RestartPolicy(intensity=5, period_s=1_000.0, backoff_s=10.0)
    script = add_scripted(system, "bad", restart=policy)
    kill(system, "bad")
    assert system.module("bad").generation == 2  # the first time at once

    for generation, pause_s in ((3, 10.0), (4, 20.0), (5, 40.0)):
        dying = module_of(system, "bad")
        system.send(Act("die"), to="bad")
        until(lambda: ("let go", dying.generation) in script.calls)  # noqa: B023
        until(lambda: not dying.seat.ghosts)  # noqa: B023
        queued = system.send(Noted("test", generation), to="bad", deadline_s=1_000.0)
        pass_time(clock, pause_s - 1.0)
        assert system.module("bad") is dying
        assert dying.state is ModuleState.RESTARTING
        assert dying.reason == "the lamp has burst"
        assert not queued.complete
        pass_time(clock, 2.5)
        until_generation(system, "bad", generation)
        assert done(queued).errors == ()


def test_only_ends_within_the_period_count(
    clock: FakeClock, slow_system: System
) -> None:
    system = slow_system
    policy = RestartPolicy(intensity=2, period_s=60.0, backoff_s=0.0)
    add_scripted(system, "bad", restart=policy)

    for generation in range(2, 10):
        kill(system, "bad")
        assert system.module("bad").generation == generation
        pass_time(clock, 30.5)

    kill(system, "bad")
    kill(system, "bad")
    assert until_failed(system, "bad") == (
        "given up after 3 ends in 60 s; the last: the lamp has burst"
    )


@pytest.mark.parametrize("intensity", [0, 1, 3])
def test_more_ends_than_the_intensity_are_the_last(
    system: System, intensity: int
) -> None:
    policy = RestartPolicy(intensity=intensity, backoff_s=0.001)
    script = add_scripted(system, "bad", restart=policy)

    for _ in range(intensity + 1):
        kill(system, "bad")

    reason = until_failed(system, "bad")
    assert f"given up after {intensity + 1} ends" in reason
    assert script.generations_of("make") == [*range(1, intensity + 2)]


# -- failed -------------------------------------------------------------------------


@both_dispatchers
def test_a_failed_module_says_why_to_its_queue_and_to_new_senders(
    system: System, gate: threading.Event, records: Records, kind: type[Scripted]
) -> None:
    observer = add_module(system, Observer, "observer")
    ledger = Ledger(system)
    script = add_scripted(system, "bad", kind, restart=NEVER, deadline_s=HANG_S)
    good = add_scripted(system, "good", kind)
    script.acts["hang"] = lambda _: wait_for(gate)
    hung = ledger.send(Act("hang"), to="bad")
    queued = [ledger.send(Noted("test", n), to="bad") for n in range(20)]
    broadcast = ledger.send(Noted("test", 20))

    reason = until_failed(system, "bad")

    assert "handler 'act' of bad has been going on for" in reason
    assert only_error(hung).kind == "WorkerTimeout"
    for delivery in [*queued, ledger.send(Noted("test", 21), to="bad")]:
        error = only_error(delivery)
        assert (error.kind, error.source) in (
            ("ModuleDead", "bad"),
            ("ModuleDead", "script:test"),
        )
        assert reason in error.text
    assert [error.source for error in done(broadcast).errors] == ["bad"]
    event = done(ledger.send(Noted("test", 22)))
    assert (list(event.tickets), event.errors) == (["good"], ())
    ledger.check()
    assert [number for number, _ in good.seen] == [20, 22]
    assert script.seen == []
    until(lambda: ("bad", "failed", reason) in observer.told)
    gate.set()
    until(lambda: not system.left_behind())
    assert system.module("bad").state is ModuleState.FAILED
    until(lambda: of_kind(records, "state", module="bad", state="failed"))
    assert ended_once(records)


def test_a_request_by_class_alone_finds_the_module_that_is_left(
    system: System,
) -> None:
    add_scripted(system, "bad", restart=NEVER)
    add(system, "good")
    kill(system, "bad")
    until_failed(system, "bad")

    assert done(system.send(Act("answer"))).result() == 42


def test_a_module_that_fails_gives_its_stop_no_trouble(
    system: System, records: Records
) -> None:
    add_scripted(system, "bad", restart=NEVER)
    add_scripted(system, "good")
    kill(system, "bad")
    until_failed(system, "bad")

    problems = system.stop()

    assert {problem.kind for problem in problems} <= {"ModuleDead"}
    assert system.module("good").state is ModuleState.STOPPED
    assert system.left_behind() == ()


# -- a restart that was asked for ---------------------------------------------------


@both_dispatchers
def test_a_running_module_is_begun_anew_when_asked_for(
    system: System, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "module", kind, restart=NEVER)
    assert system.start() == ()
    first = module_of(system, "module")

    for generation in (2, 3, 4):  # it is no failure: no intensity counts
        system.restart("module")
        until_generation(system, "module", generation)
        until(lambda: system.module("module").state is ModuleState.STARTED)

    assert answers(system, "module")
    assert script.generations_of("make safe") == [1, 2, 3]
    assert script.generations_of("let go") == [1, 2, 3]
    until(lambda: not has_thread(first))
    assert system.left_behind() == ()


def test_an_unknown_module_cannot_be_restarted(system: System) -> None:
    add_scripted(system, "module")
    with pytest.raises(KeyError, match="nobody"):
        system.restart("nobody")
    assert answers(system, "module")


@both_dispatchers
def test_a_failed_module_is_revived_when_asked_for(
    system: System, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "bad", kind, restart=ONCE)
    system.start()
    for _ in range(2):
        kill(system, "bad")
    until_failed(system, "bad")

    system.restart("bad")
    until(lambda: system.module("bad").state is ModuleState.STARTED)

    assert answers(system, "bad")
    assert done(system.send(Noted("test", 1))).errors == ()  # hears events again
    assert script.seen == [(1, 3)]
    # Its past is forgiven: it may end as often as any other.
    kill(system, "bad")
    until_generation(system, "bad", 4)
    assert answers(system, "bad")


def test_a_restart_asked_for_while_one_is_under_way_counts_once(
    system: System,
) -> None:
    policy = RestartPolicy(intensity=2, period_s=60.0, backoff_s=0.2)
    add_scripted(system, "bad", restart=policy)
    kill(system, "bad")
    system.send(Act("die"), to="bad")
    until(lambda: system.module("bad").is_given_up)
    system.restart("bad")
    until_generation(system, "bad", 3)
    assert answers(system, "bad")

    kill(system, "bad")

    assert "given up after 3 ends" in until_failed(system, "bad")


# -- its constructor and its start --------------------------------------------------


def twice(deed: Callable[[Scripted], object]) -> Callable[[Scripted], object]:
    """Return what does `deed` in generation 2 only."""
    return lambda module: deed(module) if module.generation == 2 else None


def test_a_constructor_that_raises_is_tried_again(system: System) -> None:
    script = add_scripted(system, "bad")
    script.hooks["make"] = twice(raise_error("no memory"))
    queued = Ledger(system)
    system.send(Act("die"), to="bad")
    sent = [queued.send(Noted("test", number), to="bad") for number in range(10)]

    final = until_generation(system, "bad", 3)

    queued.check()
    assert all(delivery.errors == () for delivery in sent)
    assert script.generations_of("make")[0:2] == [1, 2]
    assert final.generation == script.generations_of("make")[-1]
    assert answers(system, "bad")


def test_a_constructor_that_always_raises_fails_its_module(system: System) -> None:
    policy = RestartPolicy(intensity=3, backoff_s=0.001)
    script = add_scripted(system, "bad", restart=policy)
    script.hooks["make"] = raise_error("no memory")

    kill(system, "bad")

    assert "given up after 4 ends" in until_failed(system, "bad")
    assert len(script.generations_of("make")) == 4
    error = only_error(system.send(Act("answer"), to="bad"))
    assert error.kind == "ModuleDead"


@pytest.mark.usefixtures("_short_clean_up")
def test_a_constructor_that_hangs_is_left_and_comes_too_late(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad")
    script.hooks["make"] = twice(lambda _: wait_for(gate))
    system.send(Act("die"), to="bad")

    third = until_generation(system, "bad", 3)
    assert answers(system, "bad")
    gate.set()
    until(lambda: not has_thread_named("bad/2"))
    for _ in range(5):
        assert answers(system, "bad")

    assert module_of(system, "bad") is third
    assert third.state is not ModuleState.FAILED
    # The one that came too late is known to nobody.
    assert known_to_pykka() == [third.actor_ref]


def has_thread_named(beginning: str) -> bool:
    """Whether there is a thread whose name begins like this."""
    return any(t.name.startswith(beginning) for t in threading.enumerate())


def known_to_pykka() -> list[pykka.ActorRef[Any]]:
    """Return the scripted modules that pykka knows."""
    refs = pykka.ActorRegistry.get_all()
    return [ref for ref in refs if issubclass(ref.actor_class, Scripted)]


@pytest.mark.usefixtures("_short_clean_up")
def test_a_constructor_that_always_hangs_fails_its_module(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad", restart=ONCE)
    script.hooks["make"] = lambda _: wait_for(gate)

    kill(system, "bad")

    assert "given up after 2 ends" in until_failed(system, "bad")


@both_dispatchers
def test_a_module_whose_start_raises_is_begun_anew_and_then_failed(
    system: System, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "bad", kind, restart=ONCE)
    script.hooks["on start"] = raise_error("cannot begin")

    kill(system, "bad")

    reason = until_failed(system, "bad")
    assert reason.endswith("the last: cannot begin")
    assert script.generations_of("on start") == [1, 2]


def test_a_start_that_hangs_is_given_up(system: System, gate: threading.Event) -> None:
    script = add_scripted(system, "bad", deadline_s=HANG_S)
    script.hooks["on start"] = twice(lambda _: wait_for(gate))
    system.send(Act("die"), to="bad")

    until_generation(system, "bad", 3)

    assert answers(system, "bad")


# -- its life -----------------------------------------------------------------------


@both_dispatchers
def test_a_successor_lives_through_what_its_predecessor_had(
    system: System, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "bad", kind, title="given")
    order: list[str] = []
    script.acts["note"] = lambda module: order.append(f"act {module.generation}")
    for hook in ("on start", "configure", "start module"):
        script.hooks[hook] = lambda m, hook=hook: order.append(f"{hook} {m.generation}")  # type: ignore[misc]
    system.start()
    system.send(Act("die"), to="bad")
    done(system.send(Act("note"), to="bad"))

    assert order == [
        *("on start 1", "configure 1", "start module 1"),
        *("on start 2", "configure 2", "start module 2", "act 2"),
    ]
    assert system.module("bad").state is ModuleState.STARTED


def test_a_successor_has_the_values_its_predecessor_was_given(
    system: System,
) -> None:
    add_scripted(system, "bad", title="from the file")
    system.start()
    assert module_of(system, "bad").title == "from the file"
    change = ProposeParameters("t1", {"title": "from a person"})
    assert done(system.send(change, to="bad")).errors == ()
    assert done(system.send(CommitParameters("t1"), to="bad")).errors == ()

    for generation in (2, 3):
        kill(system, "bad")
        assert until_generation(system, "bad", generation).title == "from a person"


def test_a_module_that_dies_while_it_is_configured_begins_anew(
    system: System,
) -> None:
    script = add_scripted(system, "bad")
    add_scripted(system, "good")
    script.hooks["configure"] = lambda m: die(m) if m.generation == 1 else None

    problems = system.start()

    assert {problem.source for problem in problems} <= {"bad"}
    until(lambda: system.module("bad").generation == 2)
    until(lambda: system.module("bad").state is ModuleState.STARTED)
    assert system.module("good").state is ModuleState.STARTED
    assert answers(system, "bad")


def test_a_module_that_hangs_while_it_is_configured_begins_anew(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad", deadline_s=HANG_S)
    script.hooks["configure"] = lambda m: wait_for(gate) if m.generation == 1 else None

    problems = system.start()

    assert "WorkerTimeout" in {problem.kind for problem in problems}
    until(lambda: system.module("bad").state is ModuleState.STARTED)
    assert system.module("bad").generation == 2
    assert answers(system, "bad")


def test_life_that_waited_for_the_one_before_is_not_lived_twice(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad", deadline_s=60.0)

    def hang_then_die(module: Scripted) -> None:
        wait_for(gate)
        die(module)

    script.acts["hang"] = hang_then_die
    system.send(ActAtOnce("hang"), to="bad", deadline_s=60.0)
    until(lambda: script.inside)
    starting = threading.Thread(target=system.start)
    starting.start()
    until(lambda: not system.module("bad").seat.mailbox.empty())
    gate.set()
    starting.join(20.0)

    until(lambda: system.module("bad").state is ModuleState.STARTED)
    assert system.module("bad").generation == 2
    assert answers(system, "bad")
    assert script.generations_of("configure") == [2]
    assert script.generations_of("start module") == [2]


def test_a_module_that_was_only_loaded_is_loaded_again(system: System) -> None:
    script = add_scripted(system, "bad")

    kill(system, "bad")

    until(lambda: system.module("bad").state is ModuleState.LOADED, timeout_s=5.0)
    assert script.generations_of("configure") == []


# -- strategies ---------------------------------------------------------------------


def chain(system: System, strategy: Strategy) -> dict[str, Script]:
    """Add `base`, two that need it, one that needs those, and one that does not."""
    policy = RestartPolicy(strategy=strategy, intensity=9, backoff_s=0.0)
    scripts = {
        name: add_scripted(system, name, requires=requires, restart=policy)
        for name, requires in (
            ("top", ("left", "right")),
            ("left", ("base",)),
            ("right", ("base",)),
            ("base", ()),
            ("apart", ()),
        )
    }
    assert system.start([["base", "apart"], ["left", "right"], ["top"]]) == ()
    return scripts


def test_rest_for_one_begins_those_anew_that_need_it_in_order(system: System) -> None:
    scripts = chain(system, Strategy.REST_FOR_ONE)
    order: list[str] = []
    for name, script in scripts.items():
        script.hooks["start module"] = lambda _, name=name: order.append(name)  # type: ignore[misc]

    kill(system, "base")

    until(lambda: len(order) == 4)
    assert (order[0], order[-1]) == ("base", "top")
    assert sorted(order[1:3]) == ["left", "right"]
    generations = {module.name: module.generation for module in system.modules}
    assert generations == {"base": 2, "left": 2, "right": 2, "top": 2, "apart": 1}
    for name in scripts:
        assert answers(system, name)


def test_one_for_one_leaves_those_alone_that_need_it(system: System) -> None:
    scripts = chain(system, Strategy.ONE_FOR_ONE)

    kill(system, "base")
    until(lambda: system.module("base").state is ModuleState.STARTED)
    for name in scripts:
        assert answers(system, name)

    generations = {module.name: module.generation for module in system.modules}
    assert generations == {"base": 2, "left": 1, "right": 1, "top": 1, "apart": 1}


# -- stop ---------------------------------------------------------------------------


def stop_in_time(system: System, budget_s: float = 3.0) -> None:
    """Stop; fail if that takes longer than it may."""
    started_s = time.monotonic()
    system.stop(budget_s)
    assert time.monotonic() - started_s < budget_s + 0.5


def test_a_stop_during_the_pause_before_a_restart_ends_what_waits(
    system: System,
) -> None:
    ledger = Ledger(system)
    policy = RestartPolicy(backoff_s=20.0)
    script = add_scripted(system, "bad", restart=policy)
    system.start()
    kill(system, "bad")
    second = module_of(system, "bad")
    ledger.send(Act("die"), to="bad")
    until(lambda: second.is_given_up and not second.seat.ghosts)
    waiting = [ledger.send(Noted("test", number), to="bad") for number in range(10)]

    stop_in_time(system)

    ledger.check()
    assert {only_error(delivery).kind for delivery in waiting} == {"ModuleDead"}
    assert script.generations_of("make") == [1, 2]
    assert known_to_pykka() == []


def test_a_stop_while_a_constructor_hangs_leaves_nothing(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad")
    ledger = Ledger(system)
    at_it = threading.Event()

    def hang(_module: Scripted) -> None:
        at_it.set()
        wait_for(gate)

    script.hooks["make"] = twice(hang)
    ledger.send(Act("die"), to="bad")
    assert at_it.wait(20.0)
    waiting = ledger.send(Act("answer"), to="bad")

    stop_in_time(system)

    assert only_error(waiting).kind == "ModuleDead"
    gate.set()
    until(lambda: not has_thread_named("bad/"))
    ledger.check()
    assert known_to_pykka() == []


@pytest.mark.parametrize("hook", ["make safe", "emergency cleanup", "let go"])
def test_a_stop_while_an_end_hangs_is_in_time(
    system: System, gate: threading.Event, hook: str
) -> None:
    script = add_scripted(system, "bad")
    at_it = threading.Event()

    def hang(_module: Scripted) -> None:
        at_it.set()
        wait_for(gate)

    script.hooks[hook] = hang
    system.send(Act("die"), to="bad")
    assert at_it.wait(20.0)

    stop_in_time(system)


def test_a_module_given_up_just_before_the_stop_does_not_keep_the_supervisor(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad", deadline_s=60.0)
    script.acts["hang"] = lambda _: wait_for(gate)
    system.send(Act("hang"), to="bad")
    until(lambda: system.module("bad").busy_with)
    supervisor, busy = system.supervisor, threading.Event()
    supervisor._tell(lambda: wait_for(busy))
    hangs = ErrorRecord(kind="WorkerTimeout", text="hangs", source="bad")
    system.module("bad").give_up(hangs)

    stopping = threading.Thread(target=supervisor.stop)
    stopping.start()
    until(lambda: supervisor._has_ended)
    busy.set()

    # It waits for its thread only where no call keeps that: else for a second or more.
    stopping.join(0.9)
    assert not stopping.is_alive()


def test_a_stop_of_a_hung_module_makes_it_safe_and_cleans_up(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad", deadline_s=60.0)
    add_scripted(system, "good")
    script.acts["hang"] = lambda _: wait_for(gate)
    hung = system.send(Act("hang"), to="bad")
    until(lambda: system.module("bad").busy_with)

    stop_in_time(system)

    assert only_error(hung).kind == "ModuleDead"
    assert script.generations_of("make safe, hung") == [1]
    assert script.generations_of("emergency cleanup") == [1]
    assert script.generations_of("make") == [1]
    assert system.module("good").state is ModuleState.STOPPED
    assert system.left_behind() == ("bad",)


# -- made safe ----------------------------------------------------------------------


@both_dispatchers
@pytest.mark.parametrize("end", ["handler hangs", "job hangs", "loop hangs", "dies"])
def test_a_module_given_up_is_made_safe_and_cleaned_up_before_its_successor_begins(
    system: System, gate: threading.Event, kind: type[Scripted], end: str
) -> None:
    script = add_scripted(system, "bad", kind, deadline_s=HANG_S)
    script.acts |= {
        "handler hangs": lambda _: wait_for(gate),
        "job hangs": lambda m: m.run_job(lambda: wait_for(gate)),
        "loop hangs": lambda m: (
            m.run_loop(lambda _: wait_for(gate), stall_s=HANG_S, what="grab") and None
        ),
        "dies": die,
    }
    system.send(Act(end), to="bad")
    until_generation(system, "bad", 2)
    hooks = [hook for hook, _ in script.calls]
    hung = end != "dies"

    # Whether a module that gives itself up is still in its handler is a matter of luck.
    safe = hooks[2] if not hung else "make safe, hung"
    assert hooks[:5] == [
        *("make", "on start", safe, "emergency cleanup"),
        "make" if hung else hooks[4],
    ]
    assert ("let go", 1) not in script.calls or not hung
    gate.set()
    until(lambda: ("let go", 1) in script.calls)
    until(lambda: not system.left_behind())
    assert len(script.generations_of("let go")) == 1


@pytest.mark.parametrize("hook", ["make safe", "emergency cleanup", "let go"])
@pytest.mark.parametrize("exc", [RuntimeError("defect"), SystemExit("defect")])
def test_what_raises_at_its_end_is_contained_and_the_rest_is_done(
    system: System, logged: list[Any], hook: str, exc: BaseException
) -> None:
    script = add_scripted(system, "bad")

    def defect(_module: Scripted) -> object:
        raise exc

    script.hooks |= {hook: defect, f"{hook}, hung": defect}
    kill(system, "bad")
    until_generation(system, "bad", 2)

    assert answers(system, "bad")
    until(lambda: not system.left_behind())
    called = {name.removesuffix(", hung") for name, n in script.calls if n == 1}
    assert called >= {"make safe", "emergency cleanup", "let go"}
    failed = [entry for entry in logged if entry["event"] == "failed"]
    assert [entry["what"] for entry in failed] == [hook]


@pytest.mark.usefixtures("_short_clean_up")
@pytest.mark.parametrize("hook", ["make safe", "emergency cleanup", "let go"])
def test_what_hangs_at_its_end_holds_nobody_up_for_long(
    system: System, gate: threading.Event, logged: list[Any], hook: str
) -> None:
    script = add_scripted(system, "bad")
    add_scripted(system, "good")
    script.hooks |= {
        name: lambda m: wait_for(gate) if m.generation == 1 else None
        for name in (hook, f"{hook}, hung")
    }
    started_s = time.monotonic()
    system.send(Act("die"), to="bad")
    assert answers(system, "good", within_s=0.5)

    assert answers(system, "bad")

    assert time.monotonic() - started_s < CLEAN_UP_S + 2.0
    assert system.left_behind() == ("bad",)
    assert [e["name"] for e in logged if e["event"] == "takes too long"] == ["bad"]
    gate.set()
    until(lambda: not system.left_behind())
    assert system.module("bad").generation == 2


def test_a_module_that_gives_itself_up_in_a_long_handler_is_forgotten_in_the_end(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad")

    def die_slowly(module: Scripted) -> None:
        die(module)
        wait_for(gate)

    script.acts["die slowly"] = die_slowly
    system.send(Act("die slowly"), to="bad")
    until_generation(system, "bad", 2)
    assert answers(system, "bad")

    gate.set()

    until(lambda: not system.left_behind(), timeout_s=5.0)
    assert script.generations_of("let go") == [1]


@both_dispatchers
@pytest.mark.parametrize("where", ["job", "loop"])
def test_a_module_can_give_itself_up_in_a_job_or_loop(
    system: System, kind: type[Scripted], where: str
) -> None:
    script = add_scripted(system, "bad", kind)
    first = module_of(system, "bad")

    go = threading.Event()

    def die_later() -> None:
        assert go.wait(60.0)
        until(lambda: first.seat.mailbox._resting)
        die(first)

    script.acts |= {
        "job": lambda m: m.run_job(die_later),
        "loop": lambda m: (
            m.run_loop(lambda _: die_later(), stall_s=5.0, what="grab") and None
        ),
    }
    delivery = system.send(Act(where), to="bad")
    assert done(system.send(ActAtOnce("answer"), to="bad")).result() == 42
    go.set()
    until_generation(system, "bad", 2)

    assert answers(system, "bad")
    check_outcomes(done(delivery))
    until(lambda: not system.left_behind(), timeout_s=5.0)
    until(lambda: not has_thread(first), timeout_s=5.0)


# -- runs, chains and barriers ------------------------------------------------------


@pytest.mark.parametrize("end", ["dies", "hangs"])
def test_a_run_whose_conductor_dies_is_over_and_its_devices_are_made_safe(
    system: System, gate: threading.Event, end: str
) -> None:
    observer = add_module(system, Observer, "observer")
    lamp, other = add_scripted(system, "lamp"), add_scripted(system, "other")
    script = add_scripted(system, "conductor", Pooled, deadline_s=HANG_S)
    script.acts |= {"dies": die, "hangs": lambda _: wait_for(gate)}
    system.leases.take("gui", "run1", ("lamp",), keeper="conductor")
    system.leases.take("gui", "run2", ("other",), keeper="observer")
    system.leases.set_mode(SystemMode.ACQUIRING)

    system.send(Act(end), to="conductor")
    until(lambda: lamp.generations_of("told to make safe") == [1])

    assert system.leases.mode is SystemMode.IDLE
    until(lambda: observer.modes == ["idle"])
    system.leases.take("cli", "run3", ("lamp",), keeper="observer")  # free again
    assert system.leases.release("run2") == ("other",)  # not touched
    assert answers(system, "conductor")
    assert other.generations_of("told to make safe") == []


@pytest.mark.parametrize("end", ["dies", "hangs", "fails"])
def test_a_barrier_does_not_wait_for_the_dead(
    system: System, gate: threading.Event, end: str
) -> None:
    ledger = Ledger(system)
    policy = NEVER if end == "fails" else EAGER
    script = add_scripted(system, "bad", deadline_s=HANG_S, restart=policy)
    good = add_scripted(system, "good")
    script.acts |= {"dies": die, "fails": die, "hangs": lambda _: wait_for(gate)}
    ledger.send(Act(end), to="bad")
    barrier = ledger.send(Noted("test", 1), sync=True, deadline_s=15.0)
    behind = ledger.send(Noted("test", 2), to="good", deadline_s=15.0)

    assert done(behind).errors == ()
    assert barrier.complete

    ledger.check()
    assert [number for number, _ in good.seen] == [1, 2]


@pytest.mark.parametrize("end", ["dies", "hangs", "fails"])
def test_a_chain_goes_on_when_a_link_dies(
    system: System, gate: threading.Event, end: str
) -> None:
    policy = NEVER if end == "fails" else EAGER
    script = add_scripted(system, "bad", deadline_s=HANG_S, restart=policy)
    script.acts |= {"dies": die, "fails": die, "hangs": lambda _: wait_for(gate)}

    chained = system.broker.send_chain(
        (Act(end), Noted("test", 1), Noted("test", 2)), principal="hal", to="bad"
    )

    for delivery in chained:
        check_outcomes(done(delivery))
    if end == "fails":
        assert script.seen == []
    else:
        assert script.seen == [(1, 2), (2, 2)] or script.seen[1] == (2, 2)


def test_a_message_for_a_module_that_dies_as_it_comes_ends_once(
    system: System, records: Records
) -> None:
    """Its target dies between routing and delivery, in every way luck offers."""
    ledger = Ledger(system)
    policy = RestartPolicy(intensity=20, backoff_s=0.0)
    scripts = [add_scripted(system, f"bad{n}", restart=policy) for n in range(2)]
    over = threading.Event()

    def sender(number: int) -> None:
        while not over.is_set():
            sent = [ledger.send(Noted("test", number)) for _ in range(5)]
            sent.append(ledger.send(Act("answer"), to=f"bad{number}"))
            for delivery in sent:
                done(delivery)

    threads = [threading.Thread(target=sender, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        for name in ("bad0", "bad1"):
            while system.module(name).state is not ModuleState.FAILED:
                done(ledger.send(ActAtOnce("die"), to=name))
    finally:
        over.set()
        for thread in threads:
            thread.join(20.0)

    ledger.check()
    for script in scripts:
        # Restarted again and again, and each message was handled once, if at all.
        assert script.generations_of("make") == [*range(1, 22)]
    hows = {
        ticket.how for delivery in ledger.sent for ticket in delivery.tickets.values()
    }
    assert {How.DONE, How.DEAD} <= hows
    until(lambda: of_kind(records, "given up"))
    assert ended_once(records)


def test_a_module_that_gives_itself_up_twice_is_given_up_once(
    system: System, records: Records
) -> None:
    script = add_scripted(system, "bad", restart=EAGER)

    def fail_twice(module: Scripted) -> None:
        module.fail(ValueError("first"))
        module.fail(ValueError("second"))

    script.acts["fail twice"] = fail_twice
    system.start()

    error = only_error(system.send(Act("fail twice"), to="bad"))

    assert error.text.endswith("ValueError: first")
    until(lambda: system.module("bad").state is ModuleState.STARTED)
    assert answers(system, "bad")
    until(lambda: of_kind(records, "restarted", module="bad"))
    assert len(of_kind(records, "given up", module="bad")) == 1
    assert script.generations_of("make") == [1, 2]
