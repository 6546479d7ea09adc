from __future__ import annotations

import _thread
import math
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from types import FrameType

import pytest

from hal.base import Channel, Clock, SystemClock, Threads, ThreadSafeFlag
from hal.base import thread_safe as thread_safe_module
from hal.testing import Interleaver, SimulationOver, Stuck

SEEDS = range(60)
PREEMPT = 0.1


def run_all(sim: Interleaver, *functions: Callable[[], None]) -> None:
    """Run each function on a thread of its own until all have ended."""

    def main() -> None:
        threads = [sim.start(f"t{n}", fn) for n, fn in enumerate(functions)]
        for thread in threads:
            thread.join()

    sim.run(main)


def in_turns(seed: int) -> tuple[list[str], Interleaver]:
    """Return the order in which three threads came to their steps."""
    sim = Interleaver(seed)
    order: list[str] = []

    def steps(name: str) -> None:
        for _ in range(4):
            order.append(name)
            sim.yield_now()

    run_all(sim, *(partial(steps, name) for name in "abc"))
    return order, sim


def preempting(seed: int, preempt: float = PREEMPT, **limits: float) -> Interleaver:
    patience_s = limits.get("patience_s", 10.0)
    files = [__file__] if preempt else []
    return Interleaver(seed, preempt=preempt, files=files, patience_s=patience_s)


def test_the_same_seed_gives_the_same_order() -> None:
    first_order, first = in_turns(5)
    again_order, again = in_turns(5)

    assert first_order == again_order
    assert first.digest == again.digest
    assert first.switches == again.switches > 10
    assert first.seed == 5


def test_other_seeds_give_other_orders() -> None:
    runs = [in_turns(seed) for seed in SEEDS]

    assert len({tuple(order) for order, _ in runs}) > 50
    assert len({sim.digest for _, sim in runs}) > 50


def test_the_same_seed_preempts_at_the_same_bytecodes() -> None:
    assert lost_update(3, PREEMPT) == lost_update(3, PREEMPT)
    assert len({lost_update(seed, PREEMPT) for seed in SEEDS}) > 50


def test_is_a_clock_and_a_source_of_threads() -> None:
    sim = Interleaver(0)
    clock: Clock = sim
    threads: Threads = sim
    inbox: Channel[int] = threads.channel()

    def main() -> int:
        thread = threads.start("putter", lambda: inbox.put(7))
        got = inbox.get()
        thread.join()
        assert not thread.is_alive()
        assert thread.ident != threading.get_ident()
        return got

    assert sim.run(main) == 7
    assert inbox.empty()
    assert clock.wall_s() - clock.monotonic_s() == 1.7e9


# Races: each is seen with preemption, and not without.


def lost_update(seed: int, preempt: float) -> tuple[int, str]:
    sim = preempting(seed, preempt)
    counter = [0]

    def add() -> None:
        counter[0] += 1

    run_all(sim, add, add)
    return counter[0], sim.digest


def zero_test(seed: int, preempt: float) -> int:
    """Two threads count down; who comes to zero finishes. Return who thought so."""
    sim = preempting(seed, preempt)
    owed = [2]
    finished: list[None] = []

    def claim() -> None:
        owed[0] -= 1
        if owed[0] == 0:
            finished.append(None)

    run_all(sim, claim, claim)
    return len(finished)


def lost_wake_up(seed: int, preempt: float) -> bool:
    """Clear the event after the look: return whether somebody slept for ever."""
    sim = preempting(seed, preempt)
    news: list[int] = []
    event = threading.Event()

    def listen() -> None:
        while not news:
            event.clear()
            sim.wait(event, math.inf)

    def tell() -> None:
        news.append(1)
        event.set()

    try:
        run_all(sim, listen, tell)
    except Stuck:
        return True
    return False


def test_a_lost_update_is_found_with_preemption_only() -> None:
    assert {lost_update(seed, 0.0)[0] for seed in SEEDS} == {2}
    assert {lost_update(seed, PREEMPT)[0] for seed in SEEDS} == {1, 2}


def test_a_zero_test_that_is_not_one_step_is_found_with_preemption_only() -> None:
    assert {zero_test(seed, 0.0) for seed in SEEDS} == {1}
    assert {zero_test(seed, PREEMPT) for seed in SEEDS} >= {1, 2}


def test_a_lost_wake_up_is_found_with_preemption_only() -> None:
    assert not any(lost_wake_up(seed, 0.0) for seed in SEEDS)
    assert any(lost_wake_up(seed, PREEMPT) for seed in SEEDS)


def test_no_race_is_found_where_a_lock_prevents_it() -> None:
    for seed in SEEDS:
        sim = preempting(seed)
        counter, lock = [0], threading.Lock()

        def add(counter: list[int] = counter, lock: threading.Lock = lock) -> None:
            with lock:
                counter[0] += 1

        run_all(sim, add, add, add)

        assert counter == [3]


def test_re_entrant_locks_and_conditions_wait_in_turns_too() -> None:
    for seed in SEEDS:
        sim = preempting(seed)
        counter, outer = [0], threading.RLock()
        inner = threading.Condition()

        def add(
            counter: list[int] = counter,
            outer: threading.RLock = outer,
            inner: threading.Condition = inner,
        ) -> None:
            with outer, outer, inner:
                counter[0] += 1

        run_all(sim, add, add, add)

        assert counter == [3]


def crossed_locks(seed: int) -> str:
    sim = preempting(seed)
    left, right = threading.Lock(), threading.Lock()

    def one() -> None:
        with left, right:
            pass

    def other() -> None:
        with right, left:
            pass

    try:
        run_all(sim, one, other)
    except Stuck as stuck:
        return str(stuck)
    return ""


def test_locks_taken_in_two_orders_are_found() -> None:
    found = [text for text in map(crossed_locks, SEEDS) if text]

    assert 0 < len(found) < len(SEEDS)
    assert "'t0' waits for a lock" in found[0]
    assert "'t1' waits for a lock" in found[0]
    assert "with left, right:" in found[0]


@pytest.mark.parametrize("seed", range(20))
def test_a_flag_of_hal_goes_to_one_thread_under_every_order(seed: int) -> None:
    """Real code, which waits by its clock and has locks of its own."""
    files = [__file__, str(thread_safe_module.__file__)]
    sim = Interleaver(seed, preempt=0.05, files=files)
    flag = ThreadSafeFlag(sim)
    got: list[bool] = []

    def take() -> None:
        got.append(flag.wait_and_clear(5.0))

    run_all(sim, take, take, flag.set)

    assert sorted(got) == [False, True]
    assert sim.monotonic_s() == 5.0


# Time


def test_a_thousand_seconds_pass_in_no_time() -> None:
    sim, real = Interleaver(0), SystemClock()
    began_s = real.monotonic_s()
    never = threading.Event()

    def tick() -> None:
        for _ in range(100):
            assert not sim.wait(never, 10.0)

    run_all(sim, tick, tick)

    assert sim.monotonic_s() == 1000.0
    assert sim.wall_s() == 1.7e9 + 1000.0
    assert real.monotonic_s() - began_s < 1.0


def test_waits_end_in_the_order_of_their_times() -> None:
    for seed in SEEDS:
        sim, order = Interleaver(seed), list[tuple[str, float]]()

        def sleep(
            name: str,
            for_s: float,
            sim: Interleaver = sim,
            order: list[tuple[str, float]] = order,
        ) -> None:
            sim.wait(threading.Event(), for_s)
            order.append((name, sim.monotonic_s()))

        run_all(sim, partial(sleep, "late", 3.0), partial(sleep, "soon", 1.0))

        assert order == [("soon", 1.0), ("late", 3.0)]


def test_time_stands_still_while_a_thread_can_run() -> None:
    sim = Interleaver(0)

    def main() -> None:
        sim.start("sleeper", lambda: forever(sim, 1.0))
        for _ in range(50):
            sim.yield_now()
        assert sim.monotonic_s() == 0.0

    sim.run(main)


def test_an_event_ends_a_wait_before_its_time() -> None:
    sim, event = Interleaver(0), threading.Event()

    def main() -> tuple[bool, float]:
        def set_it() -> None:
            sim.wait(threading.Event(), 2.0)
            event.set()

        sim.start("setter", set_it)
        return sim.wait(event, 60.0), sim.monotonic_s()

    assert sim.run(main) == (True, 2.0)


def test_an_alarm_of_a_wait_that_is_over_wakes_nobody() -> None:
    sim, event, never = Interleaver(0), threading.Event(), threading.Event()

    def main() -> float:
        sim.start("setter", event.set)
        assert sim.wait(event, 1.0)
        assert not sim.wait(never, 5.0)
        return sim.monotonic_s()

    assert sim.run(main) == 5.0


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, math.nan])
def test_to_wait_for_no_time_gives_others_a_turn(timeout_s: float) -> None:
    sim, event = Interleaver(0), threading.Event()

    def main() -> None:
        sim.start("setter", event.set)
        while not sim.wait(event, timeout_s):
            pass

    sim.run(main)

    assert sim.monotonic_s() == 0.0


# Threads


def test_threads_start_threads() -> None:
    for seed in SEEDS:
        sim, seen = Interleaver(seed), list[int]()

        def nest(depth: int, sim: Interleaver = sim, seen: list[int] = seen) -> None:
            seen.append(depth)
            if depth:
                thread = sim.start(f"depth {depth}", partial(nest, depth - 1))
                thread.join()

        sim.run(partial(nest, 5))

        assert seen == [5, 4, 3, 2, 1, 0]


def test_join_gives_up_in_simulated_time() -> None:
    sim, never = Interleaver(0), threading.Event()

    def main() -> None:
        thread = sim.start("sleeper", lambda: void(sim.wait(never, 10.0)))
        thread.join(0)
        thread.join(4.0)
        assert (thread.is_alive(), sim.monotonic_s()) == (True, 4.0)
        thread.join(60.0)
        assert (thread.is_alive(), sim.monotonic_s()) == (False, 10.0)
        thread.join()

    sim.run(main)


def test_a_join_that_gave_up_does_not_end_a_later_wait() -> None:
    sim, never = Interleaver(0), threading.Event()

    def main() -> None:
        thread = sim.start("sleeper", lambda: void(sim.wait(never, 10.0)))
        thread.join(4.0)
        assert not sim.wait(never, 60.0)
        assert sim.monotonic_s() == 64.0

    sim.run(main)


def test_a_thread_that_has_ended_is_gone_when_the_next_one_runs() -> None:
    sim, local = Interleaver(0), threading.local()
    gone: list[str] = []

    class SlowToGo:
        def __del__(self) -> None:
            SystemClock().wait(threading.Event(), 0.05)
            gone.append("gone")

    def short() -> None:
        local.value = SlowToGo()

    def main() -> None:
        sim.start("short", short).join()
        assert gone == ["gone"]
        assert "short" not in [t.name for t in threading.enumerate()]

    sim.run(main)


def test_a_thread_cannot_join_itself() -> None:
    sim = Interleaver(0)
    inbox: Channel[Callable[[], None]] = sim.channel()

    def main() -> None:
        thread = sim.start("loop", lambda: inbox.get()())
        inbox.put(thread.join)
        thread.join()

    with pytest.raises(ExceptionGroup) as caught:
        sim.run(main)
    assert "'loop' waits for its own end" in str(caught.value.exceptions[0])


def test_threads_are_real_and_have_names_and_contexts() -> None:
    sim = Interleaver(0)
    principal: ContextVar[str] = ContextVar("principal", default="nobody")
    principal.set("test")
    seen: list[tuple[str, str, bool]] = []

    def look() -> None:
        here = threading.current_thread()
        seen.append((here.name, principal.get(), here.daemon))
        principal.set(here.name)

    def main() -> None:
        look()
        sim.start("helper", look).join()
        seen.append(("main", principal.get(), True))

    sim.run(main)

    # As with threads of the machine, a new one begins with an empty context.
    assert seen == [
        ("main", "test", True),
        ("helper", "nobody", True),
        ("main", "main", True),
    ]
    assert principal.get() == "test"


# The end


def forever(sim: Interleaver, each_s: float = math.inf) -> None:
    while True:
        sim.wait(threading.Event(), each_s)


def void(_: object) -> None:
    pass


@pytest.mark.parametrize("preempt", [0.0, PREEMPT])
def test_what_still_waits_at_the_end_is_ended(preempt: float) -> None:
    sim = preempting(1, preempt)
    ended: list[str] = []
    empty: Channel[int] = sim.channel()

    def hang(how: Callable[[], object]) -> None:
        try:
            how()
        except SimulationOver as exc:
            ended.append(str(exc))
            raise

    def main() -> None:
        sim.start("a", partial(hang, partial(forever, sim)))
        sim.start("b", partial(hang, partial(forever, sim, 1.0)))
        c = sim.start("c", partial(hang, empty.get))
        sim.start("d", partial(hang, c.join))
        sim.wait(threading.Event(), 10.0)
        sim.start("e", lambda: None)

    sim.run(main)

    assert [text.split()[0] for text in ended] == ["'a'", "'b'", "'c'", "'d'"]
    assert sim.errors == ()
    names = {thread.name for thread in threading.enumerate()}
    assert names.isdisjoint({"main", *"abcde"})


def test_a_thread_that_never_had_a_turn_is_ended_unrun() -> None:
    ran: list[int] = []
    for seed in SEEDS:
        sim = Interleaver(seed)
        sim.run(
            lambda sim=sim, seed=seed: void(sim.start("t", lambda: ran.append(seed)))
        )

    assert 0 < len(ran) < len(SEEDS)


def test_a_thread_that_catches_the_end_is_told_again_at_each_step() -> None:
    sim = Interleaver(0)
    told: list[str] = []
    full: Channel[int] = sim.channel()

    def stubborn() -> None:
        full.put(1)
        steps: list[Callable[[], object]] = [
            partial(forever, sim),
            full.get,
            sim.yield_now,
            lambda: sim.start("too late", lambda: None),
            lambda: sim.wait(threading.Event(), 0.0),
        ]
        for step in steps:
            try:
                step()
            except BaseException as exc:  # noqa: BLE001 - as an actor loop does
                told.append(type(exc).__name__)
        raise ValueError("broken cleanup says nothing about the test")

    def main() -> None:
        sim.start("stubborn", stubborn)
        sim.wait(threading.Event(), 1.0)

    sim.run(main)

    assert told == ["SimulationOver"] * 5
    assert sim.errors == ()


def test_a_thread_that_never_ends_is_named_with_its_stack() -> None:
    sim, release = Interleaver(3), threading.Event()

    def swallows_everything() -> None:
        while not release.is_set():
            with suppress(BaseException):
                forever(sim)

    def main() -> None:
        sim.start("swallower", swallows_everything)
        sim.wait(threading.Event(), 1.0)

    try:
        with pytest.raises(Stuck, match="threads that do not end") as caught:
            sim.run(main)
    finally:
        release.set()

    assert "'swallower'" in str(caught.value)
    assert "in swallows_everything" in str(caught.value)
    assert "clock.py" not in str(caught.value)
    assert re.search(r"was told 1\d\d times to end", str(caught.value))
    assert "seed=3" in "".join(caught.value.__notes__)


def test_the_cleanup_of_a_thread_is_not_stopped_at_each_bytecode() -> None:
    sim = Interleaver(0, preempt=1.0, files=[__file__])
    cleaned: list[int] = []

    def careful() -> None:
        try:
            forever(sim)
        finally:
            for n in range(20):
                cleaned.append(n)

    def main() -> None:
        sim.start("careful", careful)
        sim.wait(threading.Event(), 1.0)

    sim.run(main)

    assert cleaned == list(range(20))


def test_a_thread_stopped_in_the_middle_gives_its_lock_back_at_the_end() -> None:
    sim, lock = preempting(2), threading.Lock()

    def busy() -> None:
        while True:
            with lock:
                pass

    def main() -> None:
        sim.start("busy", busy)
        for _ in range(100):
            pass

    sim.run(main)

    assert not lock.locked()


def test_a_cleanup_does_not_wait_for_a_lock_of_a_thread_that_ends_later() -> None:
    sim, lock = preempting(0, 1e-9), threading.Lock()
    ended: list[str] = []

    def cleans_up_with_the_lock() -> None:
        try:
            forever(sim)
        finally:
            try:
                with lock:
                    ended.append("had the lock")
            finally:
                ended.append("first")

    def keeps_the_lock() -> None:
        with lock:
            try:
                forever(sim)
            finally:
                ended.append("second")

    def main() -> None:
        sim.start("first", cleans_up_with_the_lock)
        sim.start("second", keeps_the_lock)
        sim.wait(threading.Event(), 1.0)

    sim.run(main)

    assert ended == ["first", "second"]


def test_nothing_is_left_that_traces() -> None:
    before = sys.gettrace(), threading.gettrace()

    lost_update(1, PREEMPT)

    assert (sys.gettrace(), threading.gettrace()) == before


def test_what_traced_a_thread_before_traces_it_after() -> None:
    sim = preempting(0, 1.0)

    def preempted() -> None:
        pass

    seen: list[str] = []
    before = threading.gettrace()

    def coverage(frame: FrameType, _event: str, _arg: object) -> None:
        seen.append(frame.f_code.co_name)

    threading.settrace(coverage)
    try:
        sim.run(preempted)
    finally:
        threading.settrace(before)

    assert "_main" in seen  # before the function
    assert "preempted" not in seen
    assert "_leave" in seen  # after it


# Failures


def test_what_main_raises_is_raised_with_the_seed() -> None:
    sim = Interleaver(11)

    def main() -> None:
        sim.start("hangs", partial(forever, sim))
        raise KeyError("from main")

    with pytest.raises(KeyError, match="from main") as caught:
        sim.run(main)

    assert any("seed=11" in note for note in caught.value.__notes__)
    assert any(sim.digest in note for note in caught.value.__notes__)


def test_what_threads_raise_is_raised_at_the_end() -> None:
    sim = Interleaver(12)

    def fail(error: BaseException) -> None:
        raise error

    def main() -> None:
        bad = sim.start("bad", partial(fail, ValueError("first")))
        worse = sim.start("worse", partial(fail, SystemExit("second")))
        bad.join()
        worse.join()

    with pytest.raises(BaseExceptionGroup, match="simulated threads") as caught:
        sim.run(main)

    assert caught.value.exceptions == sim.errors
    assert [str(error) for error in sim.errors] == ["first", "second"]
    assert sim.errors[1].__notes__ == ["in the simulated thread 'worse'"]
    assert "seed=12" in caught.value.__notes__[0]


def test_an_error_of_main_comes_with_those_of_threads() -> None:
    sim = Interleaver(0)

    def fail() -> None:
        raise ValueError("the cause")

    def main() -> None:
        sim.start("bad", fail).join()
        raise AssertionError("the effect")

    with pytest.raises(AssertionError, match="the effect") as caught:
        sim.run(main)

    assert any(
        "the cause" in note and "'bad'" in note for note in caught.value.__notes__
    )


def test_a_deadlock_shows_who_waits_where() -> None:
    sim = Interleaver(21)
    requests: Channel[int] = sim.channel()
    answers: Channel[int] = sim.channel()

    def server() -> None:
        requests.get()

    def client_in_need() -> None:
        answers.get()

    def main() -> None:
        sim.start("server", server)
        sim.start("client", client_in_need).join()

    with pytest.raises(Stuck, match="deadlock") as caught:
        sim.run(main)

    text = str(caught.value)
    assert "'server' waits for an item" in text
    assert "requests.get()" in text
    assert "in client_in_need" in text
    assert "'main' waits for the end of 'client'" in text
    assert "self._relay" not in text
    assert "seed=21" in "".join(caught.value.__notes__)


def test_a_deadlock_by_a_dead_thread_says_how_it_died() -> None:
    sim = Interleaver(0)
    answers: Channel[int] = sim.channel()

    def server() -> None:
        raise ZeroDivisionError("no answer")

    def main() -> None:
        sim.start("server", server)
        answers.get()

    with pytest.raises(Stuck) as caught:
        sim.run(main)

    assert any("no answer" in note for note in caught.value.__notes__)


def test_threads_that_run_in_circles_are_stopped() -> None:
    sim = Interleaver(0, max_switches=500)

    with pytest.raises(Stuck, match="max_switches=500") as caught:
        sim.run(partial(forever, sim, 1.0))

    assert sim.switches == 500
    assert "in forever" in str(caught.value)


def test_a_thread_that_waits_for_something_real_is_named() -> None:
    sim = Interleaver(0, patience_s=0.2)
    lock = threading.Lock()

    def keeps_the_lock() -> None:
        with lock:
            forever(sim)

    def wants_the_lock() -> None:
        sim.wait(threading.Event(), 1.0)
        with lock:
            SystemClock().wait(threading.Event(), 0.05)

    def main() -> None:
        victim = sim.start("victim", wants_the_lock)
        sim.start("holder", keeps_the_lock)
        victim.join()

    with pytest.raises(Stuck, match=r"'victim' has not given .* for 0\.2 s") as caught:
        sim.run(main)

    text = str(caught.value)
    assert "'victim' runs" in text
    assert "in wants_the_lock" in text
    assert "'holder' waits for an event" in text
    assert "in keeps_the_lock" in text
    assert not lock.locked()


def test_a_thread_that_computes_for_ever_is_named_and_ended() -> None:
    sim = preempting(0, 1e-9, patience_s=0.2)

    def compute() -> None:
        while True:
            pass

    with pytest.raises(Stuck, match="'busy' has not given others a turn"):
        sim.run(lambda: sim.start("busy", compute).join())


def test_an_interrupt_ends_all_threads() -> None:
    sim = Interleaver(0, patience_s=0.5, max_switches=10_000_000)

    def main() -> None:
        sim.start("other", partial(forever, sim, 1.0))
        _thread.interrupt_main()
        forever(sim, 1.0)

    # A shell ignores interrupts on behalf of what it runs in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            sim.run(main)
    finally:
        signal.signal(signal.SIGINT, before)


def test_runs_once() -> None:
    sim = Interleaver(0)
    sim.run(lambda: None)

    with pytest.raises(RuntimeError, match="new Interleaver"):
        sim.run(lambda: None)


@pytest.mark.parametrize(
    ("preempt", "files", "words"),
    [
        (1.5, [__file__], "probability"),
        (math.nan, [__file__], "probability"),
        (0.1, [], "files"),
        (0.1, ["/no/such.py"], "such.py"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    preempt: float, files: list[str], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Interleaver(0, preempt=preempt, files=files)


# From outside


def test_other_threads_may_put_look_and_read_the_time() -> None:
    sim = Interleaver(0)
    inbox: Channel[int] = sim.channel()
    inbox.put(1)
    inbox.put(2)
    event = threading.Event()

    assert inbox.get() == 1
    assert not sim.wait(event, 0.0)
    event.set()
    assert sim.wait(event, 1.0)
    assert sim.monotonic_s() == 0.0
    assert sim.run(inbox.get) == 2


@pytest.mark.parametrize("verb", ["get", "start", "wait", "yield_now"])
def test_other_threads_cannot_wait_in_simulated_time(verb: str) -> None:
    sim = Interleaver(0)
    inbox: Channel[int] = sim.channel()
    calls: dict[str, Callable[[], object]] = {
        "get": inbox.get,
        "start": lambda: sim.start("t", lambda: None),
        "wait": lambda: sim.wait(threading.Event(), 1.0),
        "yield_now": sim.yield_now,
    }

    with pytest.raises(RuntimeError, match=f"{verb}: .* no thread of this"):
        calls[verb]()


@pytest.mark.usefixtures("_switching_often")
def test_no_item_put_from_outside_is_lost() -> None:
    """The getter is woken, or it sees the item before it waits; never neither."""
    sim = Interleaver(0, max_switches=10_000_000)
    inbox: Channel[int] = sim.channel()
    count = 2_000
    outside = threading.Thread(target=lambda: [inbox.put(n) for n in range(count)])

    def main() -> list[int]:
        sim.start("clock", partial(forever, sim, 1.0))  # so that it is no deadlock
        outside.start()
        return [inbox.get() for _ in range(count)]

    assert sim.run(main) == list(range(count))
    outside.join()


def test_an_item_put_just_before_the_getter_waits_is_seen() -> None:
    sim = Interleaver(0)
    inbox: Channel[int] = sim.channel()

    def interrupt(frame: FrameType, _event: str, _arg: object) -> None:
        # As a signal handler may: after `get` found nothing, before it waits.
        if frame.f_code.co_name == "switch":
            sys.settrace(None)
            inbox.put(7)

    def main() -> int:
        sys.settrace(interrupt)
        return inbox.get()

    assert sim.run(main) == 7


def test_a_finalizer_that_waits_in_the_middle_of_a_wait_is_told() -> None:
    sim = Interleaver(0)
    told: list[str] = []

    class Waits:
        def __del__(self) -> None:
            try:
                sim.yield_now()
            except RuntimeError as exc:
                told.append(str(exc))

    class Collects(threading.Event):
        def is_set(self) -> bool:
            Waits()
            return super().is_set()

    # Asked before the wait, where it may; at the switch, where it may not; and after.
    assert not sim.run(lambda: sim.wait(Collects(), 1.0))
    assert len(told) == 1
    assert "__del__" in told[0]


def test_a_join_from_outside_is_a_real_one() -> None:
    sim = Interleaver(0)

    thread = sim.run(lambda: sim.start("short", lambda: None))

    thread.join(5.0)
    assert not thread.is_alive()


def test_code_that_runs_during_a_switch_is_not_preempted() -> None:
    sim = Interleaver(0, preempt=1.0, files=[__file__])

    class Traced(threading.Event):
        def is_set(self) -> bool:
            return super().is_set()

    assert not sim.run(lambda: sim.wait(Traced(), 1.0))
