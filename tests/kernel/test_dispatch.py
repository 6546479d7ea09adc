"""R45, R107: handlers run one at a time, on threads that hung ones never exhaust."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hal.base import Channel, SystemThreads, Thread
from hal.kernel import Delivery, Dispatching, Module, System
from hal.kernel.dispatch import POOL_MOST, POOL_THREADS, Pinned, Pool
from tests.kernel.bench import (
    HANG_S,
    add,
    done,
    has_thread,
    in_threads,
    only_error,
    until,
    wait_for,
)
from tests.kernel.supervised import (
    Pooled,
    Scripted,
    add_scripted,
    both_dispatchers,
    module_of,
    until_generation,
)
from tests.kernel.vocabulary import Act, Noted


class Counted:
    """Threads that are counted while they live."""

    def __init__(self) -> None:
        self.alive: list[str] = []
        self.started = 0
        self._machine = SystemThreads()

    def start(self, name: str, fn: Callable[[], None]) -> Thread:
        self.alive.append(name)
        self.started += 1

        def run() -> None:
            fn()
            self.alive.remove(name)

        return self._machine.start(name, run)

    def channel(self) -> Channel[Any]:
        return self._machine.channel()


class Turns:
    """An actor that holds its thread until it is let go."""

    thread_name, is_over = "actor/1", False

    def __init__(self) -> None:
        self.is_in = threading.Event()
        self.let_go = threading.Event()
        self.ended = threading.Event()
        self.is_of_use = True
        self.ran_on = ""

    def turn(self) -> bool:
        self.ran_on = threading.current_thread().name
        self.is_in.set()
        assert self.let_go.wait(60.0)
        self.ended.set()
        return self.is_of_use


@pytest.fixture
def threads() -> Counted:
    return Counted()


def pool_of(threads: Counted) -> Pool:
    pool = Pool(threads)
    pool.start()
    return pool


def end(pool: Pool, threads: Counted) -> None:
    """Stop the pool; fail if a thread stays."""
    pool.stop()
    until(lambda: threads.alive == [])


def hold_up(pool: Pool, count: int) -> list[Turns]:
    """Give the pool so many turns that do not end."""
    held = [Turns() for _ in range(count)]
    for actor in held:
        pool.schedule(actor)
    return held


# -- the pool -----------------------------------------------------------------------


def test_a_pool_with_nothing_to_do_does_not_grow(threads: Counted) -> None:
    pool = pool_of(threads)

    for _ in range(100):
        pool.check()

    assert threads.alive == ["hal/pool"] * POOL_THREADS
    end(pool, threads)


def test_a_pool_grows_while_it_is_held_up_and_shrinks_again(threads: Counted) -> None:
    pool = pool_of(threads)
    held = hold_up(pool, POOL_THREADS)
    until(lambda: all(actor.is_in.is_set() for actor in held))
    pool.check()
    assert threads.started == POOL_THREADS  # nobody waits

    waiting = hold_up(pool, 3)
    for actor in waiting:
        until(lambda actor=actor: pool.check() or actor.is_in.is_set())  # type: ignore[func-returns-value,misc]
    assert len(threads.alive) == POOL_THREADS + 3

    for actor in [*held, *waiting]:
        actor.let_go.set()
    until(lambda: len(threads.alive) == POOL_THREADS)
    end(pool, threads)


def test_a_pool_that_is_busy_but_moves_on_does_not_grow(threads: Counted) -> None:
    pool = pool_of(threads)

    for _ in range(20):
        held = hold_up(pool, POOL_THREADS + 1)
        pool.check()
        for actor in held:
            actor.let_go.set()
        for actor in held:
            assert actor.ended.wait(20.0)

    assert threads.started == POOL_THREADS
    end(pool, threads)


def test_a_pool_grows_only_so_far(threads: Counted) -> None:
    pool = pool_of(threads)
    held = hold_up(pool, POOL_MOST + 10)

    until(lambda: pool.check() or len(threads.alive) == POOL_MOST)  # type: ignore[func-returns-value]
    for _ in range(20):
        pool.check()

    assert len(threads.alive) == POOL_MOST
    for actor in held:
        actor.let_go.set()
    for actor in held:
        assert actor.ended.wait(20.0)
    until(lambda: len(threads.alive) == POOL_THREADS)
    end(pool, threads)


def test_a_thread_written_off_is_replaced_and_ends_when_it_is_back(
    threads: Counted,
) -> None:
    pool = pool_of(threads)
    hung = hold_up(pool, 20)
    for actor in hung:
        assert actor.is_in.wait(20.0)
        actor.is_of_use = False
        pool.write_off()

    (last,) = hold_up(pool, 1)
    assert last.is_in.wait(20.0)
    last.let_go.set()
    assert len(threads.alive) == POOL_THREADS + 20

    for actor in hung:
        actor.let_go.set()
    until(lambda: len(threads.alive) == POOL_THREADS)
    end(pool, threads)


def test_a_pool_that_was_stopped_starts_no_thread_any_more(threads: Counted) -> None:
    """The watchdog still ticks when the pool is stopped: nobody would end that one."""
    pool = pool_of(threads)
    held = hold_up(pool, POOL_THREADS)
    until(lambda: all(actor.is_in.is_set() for actor in held))
    pool.stop()

    for _ in range(5):
        pool.check()  # what waits is the order to end
    started = threads.started
    for actor in held:
        actor.let_go.set()
    end(pool, threads)

    assert started == POOL_THREADS


def test_a_thread_of_the_pool_is_named_after_whom_it_serves(threads: Counted) -> None:
    pool = pool_of(threads)
    (actor,) = hold_up(pool, 1)
    actor.let_go.set()
    assert actor.ended.wait(20.0)

    assert actor.ran_on == "actor/1"
    end(pool, threads)


def test_a_pinned_thread_ends_with_its_actor(threads: Counted) -> None:
    pinned, actor = Pinned(threads, "actor/1"), Turns()
    actor.let_go.set()
    pinned.schedule(actor)
    assert actor.ended.wait(20.0)
    assert threads.alive == ["actor/1"]

    actor.is_over = True
    pinned.schedule(actor)

    until(lambda: threads.alive == [])


# -- in a system --------------------------------------------------------------------


def pool_threads() -> int:
    """Return how many threads of a pool have nothing to do."""
    return [thread.name for thread in threading.enumerate()].count("hal/pool")


def test_modules_have_a_thread_of_their_own_unless_they_say_otherwise(
    system: System,
) -> None:
    assert Module.dispatching is Dispatching.PINNED
    scripts = [
        add_scripted(system, name, kind)
        for name, kind in (("own", Scripted), ("shared", Pooled))
    ]
    ran_on: dict[str, set[int]] = {"own": set(), "shared": set()}
    for script in scripts:
        script.acts["where"] = lambda m: ran_on[m.name].add(threading.get_ident())

    for _ in range(20):
        for name in ran_on:
            done(system.send(Act("where"), to=name))

    assert len(ran_on["own"]) == 1
    assert not ran_on["own"] & ran_on["shared"]
    assert has_thread(module_of(system, "own"))
    until(lambda: not has_thread(module_of(system, "shared")))  # only in its turns
    until(lambda: pool_threads() == POOL_THREADS)


def test_more_hung_modules_than_threads_do_not_stop_the_others(
    system: System, gate: threading.Event
) -> None:
    names = [f"bad{number}" for number in range(3 * POOL_THREADS)]
    for name in names:
        script = add_scripted(system, name, Pooled, deadline_s=HANG_S)
        script.acts["hang"] = lambda _: wait_for(gate)
    add_scripted(system, "good", Pooled)

    hung = [system.send(Act("hang"), to=name) for name in names]
    for delivery in hung:
        assert only_error(delivery).kind == "WorkerTimeout"

    for name in (*names, "good"):
        assert done(system.send(Act("answer"), to=name)).result() == 42
    for name in names:
        until_generation(system, name, 2)
    gate.set()
    until(lambda: not system.left_behind())
    until(lambda: pool_threads() == POOL_THREADS)


def test_handlers_that_are_merely_slow_hold_up_nobody_for_long(
    system: System, gate: threading.Event
) -> None:
    """Long before they count as hung, the pool has grown by what it lacks."""
    names = [f"slow{number}" for number in range(3 * POOL_THREADS)]
    for name in names:
        script = add_scripted(system, name, Pooled, deadline_s=60.0)
        script.acts["wait"] = lambda _: wait_for(gate)
    add_scripted(system, "good", Pooled)
    slow = [system.send(Act("wait"), to=name, deadline_s=60.0) for name in names]

    started_s = time.monotonic()
    assert done(system.send(Act("answer"), to="good")).result() == 42
    assert time.monotonic() - started_s < 3.0

    gate.set()
    for delivery in slow:
        assert done(delivery).errors == ()
    until(lambda: pool_threads() == POOL_THREADS)
    assert system.left_behind() == ()


@both_dispatchers
@pytest.mark.usefixtures("_switching_often")
def test_a_module_is_never_on_two_threads_at_once(
    system: System, kind: type[Scripted]
) -> None:
    scripts = {name: add_scripted(system, name, kind) for name in ("a", "b", "c")}
    unsafe = dict.fromkeys(scripts, 0)

    def count(module: Scripted) -> None:
        before = unsafe[module.name]
        sum(range(20))  # time for another thread to spoil it
        unsafe[module.name] = before + 1

    for script in scripts.values():
        script.acts["count"] = count
    sent: list[list[Delivery]] = [[] for _ in range(6)]

    def send(number: int) -> None:
        for _ in range(100):
            sent[number] += [system.send(Act("count"), to=name) for name in scripts]
            # Alone, at times: an actor that rests is woken by several at once.
            if len(sent[number]) % 7 == 0:
                done(sent[number][-1])

    in_threads(6, send)
    for delivery in itertools.chain.from_iterable(sent):
        assert done(delivery).errors == ()

    assert unsafe == dict.fromkeys(scripts, 600)
    assert [script.most_inside for script in scripts.values()] == [1, 1, 1]


@pytest.mark.usefixtures("_switching_often")
def test_a_sender_is_heard_in_its_order_on_shared_threads(system: System) -> None:
    scripts = [add_scripted(system, name, Pooled) for name in ("a", "b")]

    def send(number: int) -> None:
        for n in range(150):
            system.send(Noted("test", 1_000 * number + n))

    in_threads(4, send)
    for name in ("a", "b"):
        done(system.send(Act("answer"), to=name))

    heard = [[number for number, _ in script.seen] for script in scripts]
    assert heard[0] == heard[1]
    for number in range(4):
        one = [n - 1_000 * number for n in heard[0] if n // 1_000 == number]
        assert one == list(range(150))


def test_a_flooded_module_does_not_keep_its_neighbours_waiting(
    system: System, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hal.kernel.dispatch.POOL_MOST", POOL_THREADS)  # no help
    names = [f"flooded{number}" for number in range(POOL_THREADS)]
    for name in names:
        script = add_scripted(system, name, Pooled, deadline_s=60.0)
        script.acts |= {
            "wait": lambda _: wait_for(gate),
            "work": lambda _: sum(range(2_000)),
        }
    add_scripted(system, "quiet", Pooled)
    flood = [system.send(Act("wait"), to=name) for name in names]
    for name in names:
        flood += [
            system.send(Act("work"), to=name, deadline_s=60.0) for _ in range(3_000)
        ]
    quiet = system.send(Act("answer"), to="quiet")
    left: list[int] = []
    system.broker.send(
        Act("answer"),
        principal="script:test",
        to="quiet",
        on_complete=lambda _: left.extend(
            len(module_of(system, name).seat.mailbox) for name in names
        ),
    )

    gate.set()

    assert done(quiet).result() == 42
    for delivery in flood:
        assert done(delivery).errors == ()
    assert min(left) > 2_000


@both_dispatchers
def test_a_stopped_module_leaves_no_thread(
    system: System, kind: type[Scripted]
) -> None:
    add_scripted(system, "module", kind)
    add(system, "other")
    module = module_of(system, "module")
    assert done(system.send(Act("answer"), to="module")).result() == 42

    assert module.actor_ref.stop() is True

    until(lambda: not has_thread(module))
    error = only_error(system.send(Act("answer"), to="module"))
    assert error.kind == "ModuleDead"
    assert done(system.send(Act("answer"), to="other")).result() == 42
