"""What the tests of isolated modules are built from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hal.base import ErrorRecord, Value
from hal.isolation import Gateway, Launch, gateway_class
from hal.kernel import Delivery, Message, Module, RestartPolicy, System
from hal.testing import Part
from tests.isolation.puppets import Do, Puppet

PATIENCE_S = 30.0
EAGER = RestartPolicy(intensity=1_000_000, backoff_s=0.0)


def launch(
    name: str,
    module_class: type[Module],
    driver_class: type[Any] | None = None,
    *,
    process: str = "",
    memory_mb: float | None = None,
    values: dict[str, Value] | None = None,
    world: Path | None = None,
    **driver_values: Value,
) -> Launch:
    """Return how an isolated module is made; its driver may live in a world."""
    if world is not None:
        driver_values["world"] = "sample"
    return Launch(
        process or name,
        module_class,
        values=values or {},
        driver_class=driver_class,
        driver_values=driver_values,
        memory_mb=memory_mb,
        world_state="" if world is None else str(world),
    )


def isolated_part(
    name: str,
    module_class: type[Module],
    driver_class: type[Any] | None = None,
    *,
    deadline_s: float = 5.0,
    **driver_values: Value,
) -> Part:
    """Return an isolated module for `running_hal`."""
    how = launch(name, module_class, driver_class, **driver_values)
    return Part(name, gateway_class(module_class), deadline_s, {"launch": how})


def add(
    system: System,
    name: str,
    module_class: type[Module] = Puppet,
    driver_class: type[Any] | None = None,
    *,
    deadline_s: float = 5.0,
    restart: RestartPolicy = EAGER,
    **how: Any,
) -> None:
    """Add an isolated module."""
    system.add(
        gateway_class(module_class),
        name,
        deadline_s=deadline_s,
        restart=restart,
        launch=launch(name, module_class, driver_class, **how),
    )


def gateway(system: System, name: str) -> Gateway:
    """Return the present gateway."""
    module = system.module(name)
    assert isinstance(module, Gateway)
    return module


def send(system: System, message: Message, to: str, **kwargs: Any) -> Delivery:
    return system.send(message, principal="script:test", to=to, **kwargs)


def done(delivery: Delivery) -> Delivery:
    """Return `delivery` once it is complete."""
    assert delivery.wait(PATIENCE_S), f"{delivery.type} never completed"
    return delivery


def ask(system: System, message: Message, to: str, **kwargs: Any) -> Any:
    """Return the answer."""
    return done(send(system, message, to, **kwargs)).result()


def only_error(delivery: Delivery) -> ErrorRecord:
    """Return the one error of a delivery once it is complete."""
    (error,) = done(delivery).errors
    return error


def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait for `condition`; fail if it does not come true."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


def until_works(system: System, name: str, generation: int) -> Gateway:
    """Return that generation, or a later one, once it answers."""

    def works() -> bool:
        module = system.module(name)
        return module.generation >= generation and module.state == "started"

    until(works)
    assert ask(system, Do("answer"), name) == 42
    return gateway(system, name)


def is_alive(pid: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def is_there(pid: int) -> bool:
    """Whether the system knows such a process, a zombie too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def written(folder: Path, *modules: str) -> Path:
    """Return a configuration file of these modules."""
    path = folder / "config.xml"
    text = "\n".join(modules)
    path.write_text(f'<hal name="Test" directory="{folder}">\n{text}\n</hal>\n')
    return path
