"""All modules of one process: started in order of need, stopped in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import pykka

from hal.base import (
    HAL,
    Carrier,
    Clock,
    ErrorRecord,
    IdSource,
    SafeStateCall,
    StartError,
    SystemClock,
    SystemThreads,
    Threads,
    WorkerTimeout,
)
from hal.kernel.broker import Broker
from hal.kernel.context import Context
from hal.kernel.delivery import Delivery, How
from hal.kernel.dispatch import Pool
from hal.kernel.heartbeat import Heartbeat
from hal.kernel.leases import Leases
from hal.kernel.message import Message
from hal.kernel.module import Module
from hal.kernel.protocol import ConfigureModule, StartModule, StopModule
from hal.kernel.restart import USUAL_POLICY, RestartPolicy
from hal.kernel.safeguards import Safeguards
from hal.kernel.seat import Seat
from hal.kernel.sentinel import Sentinel
from hal.kernel.statistics import ModuleStatistics
from hal.kernel.supervisor import Supervisor
from hal.kernel.timers import Timers
from hal.kernel.trace import Trace
from hal.kernel.trace_file import TraceFile
from hal.kernel.uplink import Uplink
from hal.kernel.watchdog import Watchdog
from hal.kernel.wire import Wire

SAMPLE_S: Final = 5.0
"""How often the trace notes how modules are doing."""


class System:
    """The kernel with its modules.

    Runs on: main thread, except `send` (any).

    Guarantees:
        `stop` returns within `budget_s`, whatever modules do, and may be repeated.
        A module that hangs is left behind on its daemon thread, never waited for.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        threads: Threads | None = None,
        log_folder: Path | None = None,
        process: str = "main",
        carrier: Carrier | None = None,
        safeguards: Safeguards | None = None,
        uplink: Uplink | None = None,
        session: str | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Create the kernel; nothing runs yet.

        Args:
            clock: Source of all time.
            threads: Source of all threads; the machine's own if None.
            log_folder: Where trace and dumps go; nowhere if None.
            process: What this process is called in ids and files.
            carrier: What messages go through.
            safeguards: Heartbeat and sentinel of a real process; needs `log_folder`.
            uplink: The way to the system this process is only part of.
            session: Its session; a new one if None.
            trace: Takes the place of a trace of its own.
        """
        self.clock = clock or SystemClock()
        threads = threads or SystemThreads()
        self.ids = IdSource(process, session)
        file = None
        if log_folder is not None and trace is None:
            file = TraceFile(log_folder, self.ids.session, process, self.clock)
        self.trace_file = file
        self.trace = trace or Trace(self.clock, file)
        self.broker = Broker(
            clock=self.clock,
            ids=self.ids,
            trace=self.trace,
            wire=Wire(carrier),
            threads=threads,
            uplink=uplink,
        )
        self._heartbeat: Heartbeat | None = None
        self.sentinel: Sentinel | None = None
        if safeguards is not None and log_folder is not None:
            self._guard(safeguards, log_folder, process)
        pool = Pool(threads)
        self.watchdog = Watchdog(
            self.broker,
            self.trace,
            self.clock,
            log_folder,
            blocker=self._blocker,
            threads=threads,
            at_each_tick=(pool.check,),
            heartbeat=self._heartbeat,
            hasten=self.sentinel.hasten if self.sentinel else lambda _due_at_s: None,
        )
        self.timers = Timers(self.clock, threads)
        self.leases = Leases()
        self.services: dict[type, object] = {}
        self._context = Context(
            broker=self.broker,
            clock=self.clock,
            threads=threads,
            trace=self.trace,
            timers=self.timers,
            watchdog=self.watchdog,
            leases=self.leases,
            pool=pool,
            services=self.services,
            uplink=uplink,
        )
        self.supervisor = self._context.supervisor = Supervisor(self._context)
        self._order: list[list[str]] = []
        self._running = False

    def provide(self, service: object, kind: type[Any] | None = None) -> None:
        """Offer `service` to modules, by `kind`, or else its own class."""
        self.services[kind or type(service)] = service

    def run_kernel(self) -> None:
        """Start the kernel's own threads; needed before any module is added."""
        self._running = True
        self.trace.start()
        self.broker.start()
        self.timers.start()
        self._context.pool.start()
        self.supervisor.start()
        if self._heartbeat is not None:
            self._heartbeat.enable()
        self.watchdog.start()
        if self.sentinel is not None:
            self.sentinel.start()
        self.timers.after(SAMPLE_S, self._sample)

    def add(
        self,
        module_class: type[Module],
        name: str,
        *,
        deadline_s: float = 5.0,
        requires: Sequence[str] = (),
        restart: RestartPolicy = USUAL_POLICY,
        generation: int = 1,
        **arguments: Any,
    ) -> pykka.ActorRef[Module]:
        """Create a module and start its actor; `start` brings it to life.

        Args:
            module_class: What to create.
            name: Instance name, unique.
            deadline_s: Default deadline of its handlers and jobs.
            requires: Names of the modules it cannot do without.
            restart: What to do when it hangs or dies.
            generation: Which one it is, if others lived in other processes.
            arguments: Parameters of the module, and `driver` if it takes one.

        Raises:
            StartError: There is a module of that name already.
        """
        seats = self._context.seats
        if name in seats:
            raise StartError(f"there is a module '{name}' already")
        seats[name] = seat = Seat(
            name,
            module_class,
            self.broker,
            self.trace,
            deadline_s=deadline_s,
            arguments=arguments,
            requires=tuple(requires),
            policy=restart,
        )
        seat.generation = generation
        try:
            return cast("pykka.ActorRef[Module]", seat.start_module(self._context))
        except BaseException:
            del seats[name]
            raise

    @property
    def modules(self) -> tuple[Module, ...]:
        """All modules, in the order they were added, in their present generations."""
        return tuple(self.module(name) for name in self._context.seats)

    def module(self, name: str) -> Module:
        """Return the module of that name, in its present generation."""
        module = self._context.seats[name].module
        assert isinstance(module, Module)
        return module

    def statistics(self) -> tuple[ModuleStatistics, ...]:
        """Return how each module is doing now.

        Runs on: any.
        """
        seats = list(self._context.seats.values())
        return tuple(seat.statistics() for seat in seats if seat.occupant is not None)

    def restart(self, name: str) -> None:
        """Begin a module anew, also one that has failed; returns at once.

        Raises:
            KeyError: There is none of that name.
        """
        self.supervisor.restart(name)

    def send(
        self,
        message: Message,
        *,
        principal: str = HAL,
        to: str | None = None,
        sync: bool = False,
        deadline_s: float | None = None,
    ) -> Delivery:
        """Send a message from outside the modules; returns at once."""
        return self.broker.send(
            message, principal=principal, to=to, sync=sync, deadline_s=deadline_s
        )

    def start(
        self, layers: Sequence[Sequence[str]] | None = None
    ) -> tuple[ErrorRecord, ...]:
        """Configure all modules, then start them; return what went wrong.

        Args:
            layers: Names in order of need; those of one layer are configured side by
                side. One layer with all modules if None.
        """
        order = [list(self._context.seats)] if layers is None else layers
        self._order = [list(layer) for layer in order]
        done: list[Delivery] = []
        for phase, step in enumerate((ConfigureModule, StartModule), start=1):
            for layer in order:
                for name in layer:
                    self._context.seats[name].phase = phase
                # A successor on its way lives through it on the supervisor's word.
                living = [n for n in layer if self.module(n).is_admitting]
                done += self._tell(living, step, None)
        if self.sentinel is not None:
            self.sentinel.beat()
        return _errors(done)

    def stop(self, budget_s: float = 3.0) -> tuple[ErrorRecord, ...]:
        """Stop all modules in reverse order, then the kernel; return what went wrong.

        Every module gets its share of the budget; one that does not stop in it is
        left behind, and the rest are stopped all the same.
        """
        if not self._running:
            return ()
        self._running = False
        give_up_s = self.clock.monotonic_s() + budget_s
        self.supervisor.begin_stop()
        done: list[Delivery] = []
        for layer in reversed([*self._order, self._unordered()]):
            left_s = max(0.1, give_up_s - self.clock.monotonic_s())
            # What was given up, the supervisor sees to.
            living = [name for name in layer if not self.module(name).is_given_up]
            done += self._tell(living, StopModule, min(left_s, budget_s / 2))
            for name in living:
                self._retire(self._context.seats[name], done)
        left_s = give_up_s - self.clock.monotonic_s()
        self.clock.wait(self.supervisor.all_ended, max(0.0, left_s))
        self.supervisor.stop()
        self.watchdog.stop()  # it may add threads to the pool
        self._context.pool.stop()
        # The sentinel first: it must not ask for a dump when nobody can give one.
        if self.sentinel is not None:
            self.sentinel.stop()
        self.watchdog.stop()
        if self._heartbeat is not None:
            self._heartbeat.disable()
        self.timers.stop()
        self.broker.stop()
        self.trace.stop()
        return _errors(done)

    def outside_safe_states(self) -> list[SafeStateCall]:
        """Return what a sentinel can do for the devices that are open; any thread."""
        calls = [s.outside_safe_state for s in list(self._context.seats.values())]
        return [call for call in calls if call is not None]

    def children(self) -> dict[str, tuple[int, float]]:
        """Return the processes modules have of their own; any thread.

        By name of the module: its process, and how long it may live on without HAL.
        """
        modules = [seat.occupant for seat in list(self._context.seats.values())]
        return {m.name: (m.pid, m.end_s) for m in modules if m is not None and m.pid}

    def left_behind(self) -> tuple[str, ...]:
        """Return the modules whose threads still hang in a call."""
        return tuple(
            seat.name
            for seat in self._context.seats.values()
            if seat.ghosts or seat.module.busy_with
        )

    def _guard(self, safeguards: Safeguards, folder: Path, process: str) -> None:
        if safeguards.heartbeat:
            name = f"{self.ids.session[-6:].lower()}_{process}"
            self._heartbeat = Heartbeat(folder, name, self.clock)
        if safeguards.sentinel:
            self.sentinel = Sentinel(
                safeguards,
                folder,
                self.clock,
                self._heartbeat,
                self.outside_safe_states,
                self.children,
                lambda: self.watchdog.earliest_s(),
            )

    def _unordered(self) -> list[str]:
        """Return the modules that `start` was not told of: added later, for example."""
        ordered = {name for layer in self._order for name in layer}
        return [name for name in self._context.seats if name not in ordered]

    def _tell(
        self,
        names: Sequence[str],
        make: Callable[[], Message],
        deadline_s: float | None,
    ) -> list[Delivery]:
        sent = [
            self.send(
                make(),
                to=name,
                deadline_s=deadline_s or self._context.seats[name].deadline_s + 1.0,
            )
            for name in names
        ]
        for delivery in sent:
            delivery.wait()
        return sent

    def _sample(self) -> None:
        """Note in the trace how the modules are doing; on the timers' thread."""
        modules = [msgspec.to_builtins(sample) for sample in self.statistics()]
        self.trace.record("statistics", modules=modules)
        self.timers.after(SAMPLE_S, self._sample)

    def _retire(self, seat: Seat, done: Sequence[Delivery]) -> None:
        """End the actor; one that is still at work is given up."""
        module = seat.module
        self.broker.remove(seat.name, f"{seat.name} has stopped")
        stuck = any(
            ticket.receiver == seat.name and ticket.how is How.TIMEOUT
            for delivery in done
            for ticket in delivery.tickets.values()
        )
        if stuck:
            doing = module.doing or "busy"
            why = WorkerTimeout(f"{seat.name} has not stopped in time, {doing}")
            module.give_up(ErrorRecord.from_exception(why, seat.name))
        else:
            module.actor_ref.stop(block=False)

    def _blocker(self, name: str) -> str:
        """Return why module `name` may be silent, to follow other text."""
        seat = self._context.seats.get(name)
        if seat is None or seat.occupant is None:
            return ""
        if seat.occupant.is_given_up:
            return f"; {name} is {seat.state}: {seat.reason}"
        doing = seat.occupant.busy_with
        return f"; {name} is {doing}" if doing else ""


def _errors(deliveries: Sequence[Delivery]) -> tuple[ErrorRecord, ...]:
    return tuple(error for delivery in deliveries for error in delivery.errors)
