"""All modules of one process: started in order of need, stopped in reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pykka

from hal.base import (
    HAL,
    Carrier,
    Clock,
    ErrorRecord,
    IdSource,
    ModuleState,
    StartError,
    SystemClock,
)
from hal.kernel.broker import Broker
from hal.kernel.context import Context
from hal.kernel.delivery import Delivery, How
from hal.kernel.leases import Leases
from hal.kernel.message import Message
from hal.kernel.module import Module
from hal.kernel.protocol import ConfigureModule, StartModule, StopModule
from hal.kernel.timers import Timers
from hal.kernel.trace import Trace
from hal.kernel.trace_file import TraceFile
from hal.kernel.watchdog import Watchdog
from hal.kernel.wire import Wire


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
        log_folder: Path | None = None,
        process: str = "main",
        carrier: Carrier | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.ids = IdSource(process)
        file = None
        if log_folder is not None:
            file = TraceFile(log_folder, self.ids.session, process, self.clock)
        self.trace_file = file
        self.trace = Trace(self.clock, file)
        self.broker = Broker(
            clock=self.clock, ids=self.ids, trace=self.trace, wire=Wire(carrier)
        )
        self.watchdog = Watchdog(
            self.broker, self.trace, self.clock, log_folder, blocker=self._blocker
        )
        self.timers = Timers(self.clock)
        self.leases = Leases()
        self.services: dict[type, object] = {}
        self._context = Context(
            self.broker,
            self.clock,
            self.trace,
            self.timers,
            self.watchdog,
            self.leases,
            self.services,
        )
        self._modules: dict[str, Module] = {}
        self._order: list[list[str]] = []
        self._running = False

    def provide(self, service: object) -> None:
        """Offer `service` to modules, by its class."""
        self.services[type(service)] = service

    def run_kernel(self) -> None:
        """Start the kernel's own threads; needed before any module is added."""
        self._running = True
        self.trace.start()
        self.broker.start()
        self.timers.start()
        self.watchdog.start()

    def add(
        self,
        module_class: type[Module],
        name: str,
        *,
        deadline_s: float = 5.0,
        **arguments: object,
    ) -> pykka.ActorRef[Module]:
        """Create a module and start its actor; `start` brings it to life.

        Args:
            module_class: What to create.
            name: Instance name, unique.
            deadline_s: Default deadline of its handlers and jobs.
            arguments: Parameters of the module, and `driver` if it takes one.

        Raises:
            StartError: There is a module of that name already.
        """
        if name in self._modules:
            raise StartError(f"there is a module '{name}' already")
        ref = module_class.start(
            name, self._context, deadline_s=deadline_s, **arguments
        )
        module = self._context.adopted[name]
        assert isinstance(module, Module)
        self._modules[name] = module
        return ref

    @property
    def modules(self) -> tuple[Module, ...]:
        """All modules, in the order they were added."""
        return tuple(self._modules.values())

    def module(self, name: str) -> Module:
        """Return the module of that name."""
        return self._modules[name]

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
        order = [list(self._modules)] if layers is None else layers
        self._order = [list(layer) for layer in order]
        done: list[Delivery] = []
        for layer in order:
            done += self._tell(layer, ConfigureModule, None)
        for layer in order:
            done += self._tell(layer, StartModule, None)
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
        done: list[Delivery] = []
        for layer in reversed([*self._order, self._unordered()]):
            left_s = max(0.1, give_up_s - self.clock.monotonic_s())
            stopped = self._tell(layer, StopModule, min(left_s, budget_s / 2))
            for name, delivery in zip(layer, stopped, strict=True):
                stuck = any(t.how is How.TIMEOUT for t in delivery.tickets.values())
                self._retire(self._modules[name], stuck=stuck)
            done += stopped
        self.watchdog.stop()
        self.timers.stop()
        self.broker.stop()
        self.trace.stop()
        return _errors(done)

    def left_behind(self) -> tuple[str, ...]:
        """Return the modules whose threads still hang in a call."""
        return tuple(module.name for module in self.modules if module.busy_with)

    def _unordered(self) -> list[str]:
        """Return the modules that `start` was not told of: added later, for example."""
        ordered = {name for layer in self._order for name in layer}
        return [name for name in self._modules if name not in ordered]

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
                deadline_s=deadline_s or self._modules[name].deadline_s + 1.0,
            )
            for name in names
        ]
        for delivery in sent:
            delivery.wait()
        return sent

    def _retire(self, module: Module, *, stuck: bool) -> None:
        self.broker.remove(module.name)
        if stuck or module.state is ModuleState.HUNG:
            module.bury()
            pykka.ActorRegistry.unregister(module.actor_ref)
        else:
            module.actor_ref.stop(block=False)

    def _blocker(self, name: str) -> str:
        module = self._modules.get(name)
        doing = module.busy_with if module is not None else ""
        return f"; {name} is {doing}" if doing else ""


def _errors(deliveries: Sequence[Delivery]) -> tuple[ErrorRecord, ...]:
    return tuple(error for delivery in deliveries for error in delivery.errors)
