"""Sees to what becomes of a module that cannot go on: made safe, and begun anew.

One thread decides; it runs no code of a module. What modules do about their own end,
and the constructors of their successors, run on threads of their own with a deadline.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from graphlib import TopologicalSorter
from typing import Final

from hal.base import (
    HAL,
    Channel,
    ErrorRecord,
    ModuleDead,
    ModuleState,
    WorkerTimeout,
    get_logger,
)
from hal.kernel.actor import ModuleActor
from hal.kernel.aside import Aside
from hal.kernel.context import Context
from hal.kernel.delivery import Delivery
from hal.kernel.leases import SystemMode
from hal.kernel.message import Message
from hal.kernel.protocol import (
    ConfigureModule,
    MakeSafe,
    RunLost,
    StartModule,
    SystemModeChanged,
)
from hal.kernel.restart import Strategy
from hal.kernel.seat import Seat

log = get_logger(module="hal")

_LIFE: Final[tuple[type[Message], ...]] = (ConfigureModule, StartModule)


class Supervisor:
    """Restarts modules as their policies say, and gives up those that keep failing.

    Runs on: `died`, `came_back`, `restart` any; the rest on its own thread, except
    where it says so.

    Guarantees:
        A successor begins only when nobody else takes from its mailbox any more.
        Everything a given-up generation owes completes as `ModuleDead`.
        More than `intensity` restarts in `period_s`: the module is `failed`, and so
        is what waits for it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._news: Channel[Callable[[], object] | None] = context.threads.channel()
        self._deaths: dict[str, deque[float]] = {}
        self._why: dict[str, ErrorRecord] = {}
        self._cleaning: set[ModuleActor] = set()
        # Seats whose module was given up; whether a successor is on its way.
        self._orphaned: dict[str, bool] = {}
        self._asked_for: set[str] = set()
        # Who is to restart once that module is up again, in order.
        self._to_follow: dict[str, list[str]] = {}
        self._stopping = False
        self.all_ended = threading.Event()
        """Set, once HAL stops, when every module has ended and was made safe."""
        self._has_ended = False
        self._aside = Aside(context, self._tell)
        # One for each piece of news that was not dealt with to its end.
        self._open: deque[bool] = deque()

    def start(self) -> None:
        """Begin to listen."""
        self._thread = self._context.threads.start("hal/supervisor", self._run)

    def begin_stop(self) -> None:
        """Restart nothing any more; who has no successor yet gets none.

        Returns when that is settled, so that the caller sees who lives; bounded by 1 s.

        Runs on: main thread.
        """
        settled = threading.Event()
        self._stopping = True
        self._tell(self._close_empty_seats)
        self._tell(settled.set)
        self._context.clock.wait(settled, 1.0)

    def stop(self) -> None:
        """End; bounded by 2 s. Any thread.

        Where a call still hangs, its thread ends when that has come back and the device
        was let go of.
        """
        self._tell(self._close_empty_seats)
        self._has_ended = True
        looked = threading.Event()
        # Only then is it known of all that was given up whether a call hangs in it.
        self._tell(looked.set)
        self._tell(self._end_if_free)
        self._context.clock.wait(looked, 1.0)
        if not self._is_haunted():
            self._thread.join(1.0)

    def _end_if_free(self) -> None:
        if self._has_ended and not self._is_haunted():
            self._news.put(None)

    def _is_haunted(self) -> bool:
        return any(seat.ghosts for seat in self._context.seats.values())

    def _is_cleaning(self) -> bool:
        """Whether modules are still on their way out."""
        seats = list(self._context.seats.values())
        is_dying = any(s.module.is_given_up and not s.module.is_buried for s in seats)
        is_open = not all(seat.is_closed for seat in seats)
        return is_dying or is_open or bool(self._open) or bool(self._cleaning)

    def died(self, actor: ModuleActor, error: ErrorRecord) -> None:
        """See to the end of `actor`, and to its successor; returns at once."""
        if self._context.uplink is not None:
            self._context.uplink.given_up(actor.name, error)
        self._tell(partial(self._bury, actor, error))

    def came_back(self, actor: ModuleActor) -> None:
        """Look whether a generation given up has left its calls; returns at once."""
        self._tell(partial(self._look_at, actor))

    def has_left(self, actor: ModuleActor, why: str) -> None:
        """See to what a module leaves that was stopped in order; returns at once."""
        self._tell(partial(self._end_leases, actor, why))

    def restart(self, name: str) -> None:
        """Begin module `name` anew, also one that has failed; returns at once."""
        self._tell(partial(self._restart, self._context.seats[name]))

    def occupy(self, actor: ModuleActor) -> None:
        """Give `actor` its seat: the first one at once, a successor when it is time.

        Runs on: who started the actor.
        """
        seat = actor.seat
        if seat.occupant is not None:
            self._tell(partial(self._seat, actor))
            if self._has_ended:  # and looks at no more news
                actor.dissolve()
            return
        seat.occupant = actor
        self._context.broker.add(seat)
        actor.take_seat()

    def _run(self) -> None:
        while (call := self._news.get()) is not None:
            try:
                call()
            except Exception as exc:
                # Nobody supervises the supervisor: it goes on, and says so.
                log.error("supervisor failed", exc_info=exc)
            self._open.pop()
            if self._stopping and not self._is_cleaning():
                self.all_ended.set()

    def _tell(self, call: Callable[[], object]) -> None:
        """Have `call` made on the supervisor's thread."""
        self._open.append(True)
        self._news.put(call)

    # -- an end -------------------------------------------------------------------

    def _bury(self, actor: ModuleActor, error: ErrorRecord) -> None:
        seat, doing = actor.seat, actor.doing
        hung = error.kind == WorkerTimeout.__name__
        self._context.trace.record(
            "given up",
            module=seat.name,
            generation=actor.generation,
            why=error.text,
            doing=doing,
        )
        # Of a hang whoever waited is told, with the dump.
        why = "it hangs" if hung else error.text
        log.warning("module given up", name=seat.name, why=why, doing=doing)
        # A ghost before anything else: whoever asks finds the device held.
        is_free = not doing and not seat.ghosts
        seat.ghosts = (*seat.ghosts, actor)
        self._why[seat.name] = error
        seat.claim_dead(actor.dissolve(), f"{seat.name} was given up: {error.text}")
        seat.set_state(ModuleState.HUNG if hung else ModuleState.RESTARTING, error.text)
        self._end_leases(actor, f"{seat.name} was given up: {error.text}")
        self._orphaned[seat.name] = False
        self._cleaning.add(actor)
        actor.is_buried = True
        if self._stopping:  # nobody will come to what waits for it
            self._succeed(seat)

        def clean_up() -> None:
            make_safe = partial(actor.make_safe, hung=hung, is_free=is_free)
            actor.contained("make safe", make_safe)
            actor.contained("emergency cleanup", actor.emergency_cleanup)

        self._aside.call(actor, "make safe", clean_up, partial(self._is_safe, actor))

    def _is_safe(self, actor: ModuleActor, has_ended: bool) -> None:
        if has_ended:
            self._cleaning.discard(actor)
            self._look_at(actor)
        is_first = actor.seat.ghosts[:1] == (actor,)
        if actor.doing or not has_ended or not is_first:
            self._succeed(actor.seat)

    def _look_at(self, actor: ModuleActor) -> None:
        """Have a ghost let go of what it owns, if it is out of its calls.

        One after the other, the oldest first: they share what they let go of.
        """
        is_first = actor.seat.ghosts[:1] == (actor,)
        if not is_first or actor in self._cleaning or actor.doing:
            return
        self._cleaning.add(actor)
        let_go = partial(actor.contained, "let go", actor.let_go)
        self._aside.call(actor, "let go", let_go, partial(self._has_let_go, actor))

    def _has_let_go(self, actor: ModuleActor, has_ended: bool) -> None:
        seat = actor.seat
        if has_ended:
            self._cleaning.discard(actor)
            seat.ghosts = tuple(ghost for ghost in seat.ghosts if ghost is not actor)
            occupant = seat.module
            if seat.ghosts:
                self._look_at(seat.ghosts[0])
            elif not occupant.is_given_up:
                occupant.post_own(occupant.device_is_free)
            self._end_if_free()
        self._succeed(seat)

    def _end_leases(self, actor: ModuleActor, why: str) -> None:
        """End the runs this module conducted; what they used is made safe."""
        lost = self._context.leases.release_kept_by(actor.name)
        for lease in lost:
            for name in lease.modules:
                self._send(MakeSafe(), to=name)
            self._send(RunLost(lease.run_id, why))
        if lost and self._context.leases.set_mode(SystemMode.IDLE):
            self._context.trace.record("mode", mode=SystemMode.IDLE, run="")
            self._send(SystemModeChanged(SystemMode.IDLE, ""))

    # -- a successor --------------------------------------------------------------

    def _succeed(self, seat: Seat) -> None:
        """Begin the next generation in a while, or give the module up."""
        if self._orphaned.get(seat.name) is not False:
            return
        self._orphaned[seat.name] = True
        if self._context.uplink is not None:
            self._context.uplink.cleaned_up(seat.name)  # successors are made there
            return
        if self._stopping:
            self._close(seat, f"{seat.name} has stopped")
            return
        if seat.name in self._asked_for:
            self._asked_for.discard(seat.name)
            self._build(seat)
            return
        if seat.module.is_refused:
            self._fail(seat, self._why[seat.name].text)
            return
        policy, now_s = seat.policy, self._context.clock.monotonic_s()
        deaths = self._deaths.setdefault(seat.name, deque())
        deaths.append(now_s)
        while deaths[0] < now_s - policy.period_s:
            deaths.popleft()
        if len(deaths) > policy.intensity:
            count, why = f"{len(deaths)} ends", self._why[seat.name].text
            text = f"given up after {count} in {policy.period_s:g} s; the last: {why}"
            self._fail(seat, text)
            return
        again = partial(self._tell, partial(self._build, seat))
        self._context.timers.after(policy.pause_s(len(deaths)), again)

    def _build(self, seat: Seat) -> None:
        if seat.name not in self._orphaned:
            return
        if self._stopping:
            self._close(seat, f"{seat.name} has stopped")
            return
        # A constructor is a module's code. One that comes back after its time finds
        # that the seat expects a later generation.
        seat.generation += 1
        seat.set_state(ModuleState.RESTARTING, seat.reason)
        generation = seat.generation
        failed: list[ErrorRecord] = []

        def build() -> None:
            try:
                seat.start_module(self._context)
            except BaseException as exc:
                failed.append(ErrorRecord.from_exception(exc, seat.name))
                log.error("module not made", name=seat.name, exc_info=exc)

        def built(has_ended: bool) -> None:
            # Or it came at the last moment, and sits there already.
            is_seated = seat.module.generation == generation
            if generation != seat.generation or is_seated or (has_ended and not failed):
                return
            hangs = ModuleDead("its constructor hangs")
            error = (
                failed[0] if failed else ErrorRecord.from_exception(hangs, seat.name)
            )
            self._why[seat.name] = error
            seat.set_state(ModuleState.RESTARTING, error.text)
            seat.generation += 1  # what comes of this one comes too late
            self._orphaned[seat.name] = False
            self._succeed(seat)

        thread_name = f"{seat.name}/{generation}/start"
        self._aside.start(seat.name, thread_name, "make module", build, built)

    def _seat(self, actor: ModuleActor) -> None:
        seat = actor.seat
        is_late = actor.generation != seat.generation or self._stopping
        if is_late or seat.name not in self._orphaned:
            actor.dissolve()
            return
        del self._orphaned[seat.name]
        seat.occupant = actor
        seat.restarts += 1
        text = f"{seat.name} restarted before it began"
        seat.claim_dead(seat.mailbox.withdraw(_is_about_life), text)
        actor.is_admitting = False
        actor.take_seat()
        self._bring_up(actor, 0)

    def _bring_up(self, actor: ModuleActor, lived: int) -> None:
        """Have `actor` live through what the others have; `lived` steps it has."""
        if actor.is_given_up:
            return
        if lived < actor.seat.phase:

            def done(delivery: Delivery) -> None:
                self._tell(partial(self._has_lived_through, actor, delivery))
                self._tell(partial(self._bring_up, actor, lived + 1))

            limit_s = actor.deadline_s + 1.0
            self._send(_LIFE[lived](), to=actor.name, deadline_s=limit_s, then=done)
            return
        if actor.seat.state is ModuleState.RESTARTING:  # it was never configured
            actor.set_state(ModuleState.LOADED)
        actor.post_own(actor.admit)
        self._context.trace.record(
            "restarted", module=actor.name, generation=actor.generation
        )
        followers = self._to_follow.pop(actor.name, [])
        if not followers and actor.seat.policy.strategy is Strategy.REST_FOR_ONE:
            followers = self._dependents(actor.name)
        if followers:
            self._to_follow[followers[0]] = followers[1:]
            self._restart(self._context.seats[followers[0]])

    def _has_lived_through(self, actor: ModuleActor, delivery: Delivery) -> None:
        """Say why a successor is no better off, if it did not say so itself."""
        if delivery.errors and actor.seat.state is ModuleState.RESTARTING:
            actor.set_state(ModuleState.DEGRADED, delivery.errors[0].text)

    def _dependents(self, name: str) -> list[str]:
        """Return the modules that need `name`, directly or not, in order of start."""
        seats = self._context.seats
        order = TopologicalSorter({seat.name: seat.requires for seat in seats.values()})
        found = [name]
        for other in order.static_order():
            if other in seats and any(n in found for n in seats[other].requires):
                found.append(other)
        return found[1:]

    def _restart(self, seat: Seat) -> None:
        occupant = seat.module
        if seat.name in self._orphaned or self._stopping:
            return  # it is on its way, or never will be
        if seat.is_closed:
            self._revive(seat)
        elif occupant.is_given_up:
            return  # the news of it is behind this
        elif occupant.actor_stopped.is_set():
            # Stopped in order, and about to close its mailbox.
            self._context.timers.after(0.01, partial(self.restart, seat.name))
        else:
            self._asked_for.add(seat.name)
            why = ModuleDead(f"a restart of {seat.name} was asked for")
            error = ErrorRecord.from_exception(why, HAL)
            occupant.post_own(partial(occupant.give_up, error))

    def _revive(self, seat: Seat) -> None:
        """Begin a module anew that has failed or was stopped."""
        occupant = seat.module
        if occupant not in seat.ghosts and occupant.doing:
            seat.ghosts = (*seat.ghosts, occupant)
        seat.reopen()
        self._context.broker.add(seat)
        self._deaths.pop(seat.name, None)
        self._asked_for.add(seat.name)
        self._orphaned[seat.name] = False
        self._succeed(seat)

    def _fail(self, seat: Seat, reason: str) -> None:
        log.error("module failed", name=seat.name, reason=reason)
        self._close(seat, f"{seat.name} has failed: {reason}")
        seat.set_state(ModuleState.FAILED, reason)

    def _close(self, seat: Seat, text: str) -> None:
        self._orphaned.pop(seat.name, None)
        self._context.broker.remove(seat.name, text)
        seat.close(text)

    def _close_empty_seats(self) -> None:
        for name in list(self._orphaned):
            self._close(self._context.seats[name], f"{name} has stopped")

    # -- helpers ------------------------------------------------------------------

    def _send(
        self,
        message: Message,
        *,
        to: str | None = None,
        deadline_s: float | None = None,
        then: Callable[[Delivery], None] | None = None,
    ) -> None:
        self._context.broker.send(
            message, principal=HAL, to=to, deadline_s=deadline_s, on_complete=then
        )


def _is_about_life(item: object) -> bool:
    return isinstance(item, Delivery) and isinstance(
        item.message, ConfigureModule | StartModule
    )
