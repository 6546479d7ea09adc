"""Modules whose every generation follows one script, for tests of their restarts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from hal.base import DeviceError, ModuleState, Text
from hal.kernel import (
    ConfigureModule,
    Context,
    Delivery,
    Dispatching,
    MakeSafe,
    Message,
    Module,
    RestartPolicy,
    StartModule,
    System,
    handles,
)
from tests.kernel.bench import Records, done, until
from tests.kernel.vocabulary import Act, ActAtOnce, Noted

Done = Callable[["Scripted"], object]

EAGER = RestartPolicy(intensity=1_000_000, backoff_s=0.0)
"""Restarts at once, however often."""


class Script:
    """What the generations of a module shall do, and what they did."""

    def __init__(self) -> None:
        self.acts: dict[str, Done] = {"answer": lambda _: 42, "die": die}
        self.hooks: dict[str, Done] = {}
        """What to do in the constructor (`make`) and the other hooks, by their name."""
        self.calls: list[tuple[str, int]] = []
        """The hooks that were called, by which generation."""
        self.seen: list[tuple[int, int]] = []
        """Number and generation of every `Noted`."""
        self.inside = 0
        self.most_inside = 0
        self._lock = threading.Lock()

    def call(self, hook: str, module: Scripted) -> object:
        """Note a call of `hook`, and do in it what the test has prepared."""
        self.calls.append((hook, module.generation))
        return self.hooks.get(hook, lambda _: None)(module)

    def act(self, what: str, module: Scripted) -> object:
        """Do what the test has prepared, counting how many do so at once."""
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            return self.acts[what](module)
        finally:
            with self._lock:
                self.inside -= 1

    def generations_of(self, hook: str) -> list[int]:
        """Return which generations were called at `hook`, in order."""
        return [generation for name, generation in list(self.calls) if name == hook]


class Scripted(Module):
    """Does as its script says, on a thread of its own."""

    title = Text("plain", help="A parameter of the module itself.")

    def __init__(
        self, name: str, context: Context, *, script: Script, **values: Any
    ) -> None:
        super().__init__(name, context, **values)
        self.script = script
        script.call("make", self)

    @handles(Act)
    def on_act(self, msg: Act) -> object:
        return self.script.act(msg.what, self)

    @handles(ActAtOnce)
    def on_act_at_once(self, msg: ActAtOnce) -> object:
        return self.script.act(msg.what, self)

    @handles(Noted)
    def on_noted(self, msg: Noted) -> None:
        self.script.seen.append((msg.number, self.generation))

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        self.script.call("configure", self)
        super().on_configure(msg)

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        self.script.call("start module", self)
        super().on_start_module(msg)

    @handles(MakeSafe)
    def on_make_safe(self, msg: MakeSafe) -> None:
        self.script.call("told to make safe", self)

    def on_start(self) -> None:
        self.script.call("on start", self)

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        self.script.call("make safe, hung" if hung else "make safe", self)

    def let_go(self) -> None:
        self.script.call("let go", self)

    def emergency_cleanup(self) -> None:
        self.script.call("emergency cleanup", self)


class Pooled(Scripted):
    """The same on the threads shared by many."""

    dispatching: ClassVar[Dispatching] = Dispatching.POOL


both_dispatchers = pytest.mark.parametrize("kind", [Scripted, Pooled])


def die(module: Scripted) -> None:
    """Give oneself up."""
    module.fail(DeviceError("the lamp has burst"))


def add_scripted(
    system: System,
    name: str,
    kind: type[Scripted] = Scripted,
    *,
    restart: RestartPolicy = EAGER,
    **kwargs: Any,
) -> Script:
    """Add a module, and return the script it follows."""
    script = Script()
    system.add(kind, name, restart=restart, script=script, **kwargs)
    return script


def module_of(system: System, name: str) -> Scripted:
    """Return the present generation."""
    module = system.module(name)
    assert isinstance(module, Scripted)
    return module


def until_generation(system: System, name: str, generation: int) -> Scripted:
    """Return that generation, or a later one, once it has the seat."""
    until(lambda: system.module(name).generation >= generation)
    return module_of(system, name)


def until_failed(system: System, name: str) -> str:
    """Return why the module was given up, once it was."""
    until(lambda: system.module(name).state is ModuleState.FAILED)
    return system.module(name).reason


class Ledger:
    """Sends, and counts how often what it sent has ended."""

    def __init__(self, system: System) -> None:
        self.sent: list[Delivery] = []
        self._system = system
        self._ends: Counter[str] = Counter()

    def send(self, message: Message, **kwargs: Any) -> Delivery:
        """Send a message from outside the modules."""

        def ended(delivery: Delivery) -> None:
            self._ends[str(delivery.id)] += 1

        delivery = self._system.broker.send(
            message, principal="script:test", on_complete=ended, **kwargs
        )
        self.sent.append(delivery)
        return delivery

    def check(self) -> None:
        """Fail unless all has ended, once, with one outcome of each receiver."""
        for delivery in self.sent:
            done(delivery)
            until(lambda delivery=delivery: self._ends[str(delivery.id)])  # type: ignore[misc]
            assert self._ends[str(delivery.id)] == 1
            check_outcomes(delivery)


def check_outcomes(delivery: Delivery) -> None:
    """Fail unless every receiver has answered or failed, and not both."""
    failed = [error.source for error in delivery.errors]
    assert all(ticket.how is not None for ticket in delivery.tickets.values())
    assert len(set(failed)) == len(failed), delivery.errors
    assert not set(failed) & set(delivery.responses), delivery.errors


def ended_once(records: Records) -> bool:
    """Whether no delivery was noted as ended twice."""
    ids = [
        str(record["id"]) for record in list(records) if record["kind"] == "delivery"
    ]
    return len(ids) == len(set(ids))


def last_ticket(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the only ticket in the trace record of a delivery."""
    (ticket,) = record["tickets"]
    assert isinstance(ticket, Mapping)
    return ticket
