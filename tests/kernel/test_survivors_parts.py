"""Single parts of the kernel, at corners that a whole system rarely reaches."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest

from hal.base import (
    Cancelled,
    DeliveryId,
    ErrorRecord,
    Leased,
    ModuleDead,
    SystemThreads,
    Unhandled,
)
from hal.kernel import (
    Access,
    Broker,
    Delivery,
    How,
    Lane,
    Leases,
    Loop,
    Mailbox,
    Message,
    Request,
    Timers,
)
from hal.kernel.broker import PUMP_LIMIT
from hal.kernel.dispatch import POOL_MOST, POOL_THREADS, Pool
from hal.kernel.mailbox import Posted, Taken
from hal.kernel.waits import Waits, blocking_module
from hal.kernel.worker import Job
from hal.testing import FakeClock
from tests.kernel.bench import done, until, wait_for
from tests.kernel.vocabulary import Noted, Whimsical, Whispered

GONE = ErrorRecord.from_exception(ModuleDead("gone"), "stage")


# -- jobs ---------------------------------------------------------------------------


def test_a_job_given_up_before_it_began_is_not_run() -> None:
    moves: list[str] = []
    ended: list[Job] = []
    expired: list[ErrorRecord] = []
    job = Job(
        "stage",
        lambda: moves.append("moved"),
        what="move",
        deadline_s=1.0,
        delivery=None,
        then=None,
        context=contextvars.Context(),
        clock=FakeClock(),
        on_end=ended.append,
        on_expire=lambda _job, error: expired.append(error),
    )

    job.expire(GONE)
    job.run()

    assert moves == []
    assert isinstance(job.error, Cancelled)
    assert (ended, expired) == ([job], [GONE])


def test_a_loop_given_up_ends_at_its_next_beat_and_is_told_whose_it_was() -> None:
    beats: list[str] = []
    loop = Loop(
        "camera",
        lambda loop: beats.append("ran"),
        what="grab",
        stall_s=1.0,
        context=contextvars.Context(),
        clock=FakeClock(),
        serve=lambda is_ending: None,
        on_end=lambda loop, error, late: None,
    )
    loop.beat()

    loop.give_up()

    assert loop.stopping.is_set()
    with pytest.raises(Cancelled, match="'grab' of camera was given up"):
        loop.beat()


def test_a_loop_that_ends_after_it_stalled_ends_late() -> None:
    ends: list[tuple[ErrorRecord | None, bool]] = []
    gate = threading.Event()
    loop = Loop(
        "camera",
        lambda loop: wait_for(gate),
        what="grab",
        stall_s=1.0,
        context=contextvars.Context(),
        clock=FakeClock(),
        serve=lambda is_ending: None,
        on_end=lambda loop, error, late: ends.append((error, late)),
    )
    loop.start(partial(SystemThreads().start, "camera/1/loop"))

    loop.expire(GONE)
    assert ends == [(GONE, False)]
    gate.set()

    until(lambda: len(ends) == 2)
    assert ends == [(GONE, False), (None, True)]


# -- timers -------------------------------------------------------------------------


class NotingClock(FakeClock):
    """Notes how long was to be waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waits_s.append(timeout_s)
        return super().wait(event, timeout_s)


def test_timers_with_nothing_to_do_sleep() -> None:
    clock = NotingClock()
    timers = Timers(clock)

    timers.start()
    until(lambda: clock.waiting)

    assert clock.waits_s == [60.0]
    timers.stop()


def test_the_log_keeps_the_stack_of_a_timer_that_raises(logged: list[Any]) -> None:
    timers = Timers(FakeClock())
    timers.start()

    def fail() -> None:
        raise ValueError("no such tick")

    timers.after(0.0, fail)

    until(lambda: logged)
    timers.stop()
    (entry,) = logged
    assert entry["event"] == "timer failed"
    assert "ValueError: no such tick" in str(entry)


# -- mailboxes ----------------------------------------------------------------------


def test_who_rests_during_a_job_is_told_of_what_a_stop_has_cancelled() -> None:
    mailbox = Mailbox()
    told: list[bool] = []
    mailbox.on_waiting = lambda: told.append(True)
    mailbox.post(Lane.NORMAL, "move")
    mailbox.post(Lane.URGENT, "stop", is_stop=True)
    assert mailbox.take(normal=False) == Taken("stop")

    mailbox.rest(normal=False)

    assert told == [True]
    assert mailbox.take(normal=False) == Taken("move", is_cancelled=True)


def test_who_rests_during_a_job_is_left_alone_by_what_it_cannot_take() -> None:
    mailbox = Mailbox()
    told: list[bool] = []
    mailbox.on_waiting = lambda: told.append(True)
    mailbox.post(Lane.NORMAL, "move")
    mailbox.post(Lane.DISPLAY, "shown", key="view")

    mailbox.rest(normal=False)

    assert told == []
    assert mailbox.take(normal=False) is None


def test_pykka_gets_what_waits_and_never_waits_itself() -> None:
    mailbox = Mailbox()
    assert mailbox.get() is None
    assert mailbox.empty()

    mailbox.post(Lane.NORMAL, "move")

    assert not mailbox.empty()
    assert mailbox.get() == "move"


# -- the pool -----------------------------------------------------------------------


class Held:
    """An actor that holds its thread until it is let go."""

    thread_name, is_over = "actor/1", False

    def __init__(self) -> None:
        self.is_in = threading.Event()
        self.let_go = threading.Event()
        self.is_of_use = True

    def turn(self) -> bool:
        self.is_in.set()
        assert self.let_go.wait(60.0)
        return self.is_of_use


def test_a_thread_added_to_the_pool_stays_while_actors_wait() -> None:
    pool = Pool(SystemThreads())
    pool.start()
    held = [Held() for _ in range(POOL_THREADS + 2)]
    for actor in held:
        pool.schedule(actor)
    first, last = held[POOL_THREADS], held[POOL_THREADS + 1]
    until(lambda: pool.check() or first.is_in.is_set())  # type: ignore[func-returns-value]

    first.let_go.set()

    until(last.is_in.is_set)
    for actor in held:
        actor.let_go.set()
    pool.stop()


def test_a_pool_that_replaced_many_threads_still_grows() -> None:
    pool = Pool(SystemThreads())
    pool.start()
    hung = [Held() for _ in range(POOL_MOST // 2)]
    for actor in hung:
        actor.is_of_use = False
        pool.schedule(actor)
        until(actor.is_in.is_set)
        pool.write_off()

    held = [Held() for _ in range(POOL_THREADS + 1)]
    for actor in held:
        pool.schedule(actor)

    until(lambda: pool.check() or held[-1].is_in.is_set())  # type: ignore[func-returns-value]
    for actor in [*hung, *held]:
        actor.let_go.set()
    pool.stop()


# -- the broker's end ---------------------------------------------------------------


class Silent:
    """Takes every message and answers none."""

    name = "stage"

    def __init__(self) -> None:
        self.posted = 0

    def handles_type(self, message_type: type[Message]) -> bool:
        return True

    def post(self, delivery: Delivery) -> Posted:
        self.posted += 1
        return Posted(True)


def test_what_is_open_when_the_broker_stops_ends_as_dead() -> None:
    broker = Broker()
    broker.add(Silent())
    delivery = broker.send(Noted("test", 1), principal="script:test", deadline_s=60.0)
    assert delivery.pending == ("stage",)

    broker.stop()

    assert delivery.complete
    ticket = delivery.tickets["stage"]
    assert (ticket.how, ticket.by) == (How.DEAD, "broker")
    (error,) = delivery.errors
    assert (error.kind, error.text) == ("ModuleDead", "HAL has stopped")
    assert broker.open_deliveries() == []


def test_the_router_ends_a_long_pump_and_is_there_for_the_next() -> None:
    broker, stage = Broker(), Silent()
    broker.add(stage)
    broker.start()
    # No receiver ends anything here, so that nobody else comes by to pump.
    for round_number in range(1, 4):
        broker._pumping.acquire()
        for number in range(PUMP_LIMIT + 50):
            broker.send(Noted("queued", number), principal="script:test")
        broker._pumping.release()
        broker.pump()
        until(lambda n=round_number: stage.posted == n * (PUMP_LIMIT + 50))  # type: ignore[misc]

    broker.stop()


# -- routes and leases --------------------------------------------------------------


def test_a_module_removed_twice_stops_no_other_message() -> None:
    broker = Broker()

    broker.remove("nobody", "never was")

    assert done(broker.send(Whispered(), principal="script:test")).errors == ()
    refused = done(broker.send(Whimsical(), principal="script:test", to="nobody"))
    with pytest.raises(Unhandled, match="there is no module 'nobody'"):
        refused.result()


def test_a_refusal_names_module_holder_and_run_for_programs() -> None:
    leases = Leases()
    leases.take("script:ann", "run1", ("stage",), keeper="runner")

    with pytest.raises(Leased) as caught:
        leases.take("script:bob", "run2", ("stage",), keeper="runner")

    expected: dict[str, Any] = {
        "module": "stage",
        "holder": "script:ann",
        "run_id": "run1",
    }
    assert caught.value.data == expected


class Nudge(Request, frozen=True):
    access: ClassVar[Access] = Access.RUN


def delivery_of(message: Message) -> Delivery:
    return Delivery(
        DeliveryId("0" * 26, "main", 1),
        message,
        principal="script:bob",
        clock=FakeClock(),
        deadline_s=5.0,
    )


def test_who_disturbs_a_run_is_told_which_module_it_holds() -> None:
    leases = Leases()
    leases.take("script:ann", "run1", ("stage",), keeper="runner")

    with pytest.raises(Leased, match="stage is in use by run run1 of script:ann") as e:
        leases.check("stage", delivery_of(Nudge()))

    assert e.value.data["module"] == "stage"


# -- waits --------------------------------------------------------------------------


def in_job_of(module: str, call: Callable[[], None]) -> None:
    """Call `call` as a job of `module` is called."""
    context = contextvars.Context()
    context.run(blocking_module.set, module)
    context.run(call)


def test_a_wait_that_is_over_closes_no_circle() -> None:
    to_b, to_a = delivery_of(Nudge()), delivery_of(Nudge())
    owed = {id(to_b): ("b",), id(to_a): ("a",)}
    broken: list[Delivery] = []
    waits = Waits(
        lambda delivery: owed[id(delivery)],
        lambda delivery, _error: broken.append(delivery),
    )

    def wait_for_b() -> None:
        with waits.waiting(to_b):
            pass

    def wait_for_a() -> None:
        with waits.waiting(to_a):
            waits.break_circles()

    in_job_of("a", wait_for_b)
    in_job_of("b", wait_for_a)
    assert broken == []

    def wait_for_both() -> None:
        with waits.waiting(to_b):
            in_job_of("b", wait_for_a)

    in_job_of("a", wait_for_both)
    assert to_a in broken
