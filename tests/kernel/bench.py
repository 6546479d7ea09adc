"""What the kernel's tests are built from: modules that do what a test prepares."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from hal.base import ErrorRecord
from hal.kernel import Delivery, Module, System, handles
from tests.kernel.vocabulary import (
    Act,
    ActAtOnce,
    ActInRun,
    Noted,
    NotedToo,
    PlaceProbe,
    Shouted,
)

PATIENCE_S = 20.0
HANG_S = 0.3
"""The deadline given to what is going to hang."""

Records = list[Mapping[str, Any]]


class Probe(Module):
    """Notes events, and does for `Act` what the test put into `acts`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: list[tuple[str, str, int]] = []
        self.acts: dict[str, Callable[[], object]] = {"answer": lambda: 42}

    @handles(Noted)
    def on_noted(self, msg: Noted) -> None:
        self.seen.append(("noted", msg.who, msg.number))

    @handles(NotedToo)
    def on_noted_too(self, msg: NotedToo) -> None:
        self.seen.append(("noted too", msg.who, msg.number))

    @handles(Shouted)
    def on_shouted(self, msg: Shouted) -> None:
        self.seen.append(("shouted", msg.who, msg.number))

    @handles(Act)
    def on_act(self, msg: Act) -> object:
        return self.acts[msg.what]()

    @handles(ActAtOnce)
    def on_act_at_once(self, msg: ActAtOnce) -> object:
        return self.acts[msg.what]()

    @handles(ActInRun)
    def on_act_in_run(self, msg: ActInRun) -> object:
        return self.acts[msg.what]()


class Placer(Module):
    """Keeps every `PlaceProbe` it receives."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.placed: list[PlaceProbe] = []

    @handles(PlaceProbe)
    def on_place_probe(self, msg: PlaceProbe) -> None:
        self.placed.append(msg)


def add(system: System, name: str, **kwargs: Any) -> Probe:
    """Add a `Probe` and return the module itself, for the test to look into."""
    return add_module(system, Probe, name, **kwargs)


def add_module(system: System, cls: type[Any], name: str, **kwargs: Any) -> Any:
    """Add a module and return the object behind its actor."""
    system.add(cls, name, **kwargs)
    return next(module for module in system.modules if module.name == name)


def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait for `condition`; fail if it does not come true."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


def done(delivery: Delivery) -> Delivery:
    """Return `delivery` once it is complete."""
    assert delivery.wait(PATIENCE_S), f"{delivery.type} never completed"
    return delivery


def only_error(delivery: Delivery) -> ErrorRecord:
    """Return the one error attached to `delivery` once it is complete."""
    errors = done(delivery).errors
    assert len(errors) == 1, errors
    return errors[0]


def answers(system: System, name: str, within_s: float = PATIENCE_S) -> bool:
    """Whether module `name` still handles messages, and answers in time."""
    started_s = time.monotonic()
    delivery = system.send(Act("answer"), to=name, deadline_s=within_s)
    delivery.wait(within_s)
    return delivery.responses == {name: 42} and (
        time.monotonic() - started_s <= within_s
    )


def has_thread(module: Module) -> bool:
    """Whether the thread of this generation's handlers is there."""
    return module.thread_name in {thread.name for thread in threading.enumerate()}


def successor(system: System, given_up: Module, *, state: str = "started") -> Any:
    """Return the next generation of a module, once it does what the one before did."""

    def has_taken_over() -> bool:
        module = system.module(given_up.name)
        return module.generation > given_up.generation and module.state == state

    until(has_taken_over)
    return system.module(given_up.name)


def wait_for(gate: threading.Event) -> None:
    """Block like a hung call; the test's end, at the latest, opens the gate."""
    assert gate.wait(60.0)


def of_kind(records: Records, kind: str, **fields: object) -> Records:
    """Return the trace records of one kind that have these values."""
    return [
        record
        for record in list(records)
        if record["kind"] == kind
        and all(record.get(name) == value for name, value in fields.items())
    ]


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Run `work(0)` ... `work(count - 1)` at once and wait for all."""
    problems: list[BaseException] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(PATIENCE_S)
        try:
            work(number)
        except BaseException as exc:  # noqa: BLE001 - raised again below
            problems.append(exc)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    if problems:
        raise problems[0]
