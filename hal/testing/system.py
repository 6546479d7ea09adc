"""A whole HAL for a test, made of real parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from hal.acquisition import FilmPlan, Plan, RunHandle
from hal.app import CLIENT, IMPLICIT, RING_BYTES, Application, plan
from hal.base import Carrier, Clock, ErrorRecord, set_log_sink, to_stderr
from hal.client import ClientModule
from hal.config import MODULES, find_class
from hal.frames import FrameRings, OwnRings
from hal.isolation import Hosts
from hal.kernel import Delivery, Message, Module, System
from hal.messages import RunAccepted, StartRun
from hal.testing.probe import Probe

PRINCIPAL: Final = "script:test"
"""Who sends what a test sends."""
PROBE: Final = "probe"
STOP_S: Final = 3.0

M = TypeVar("M", bound=Module)


class Part(NamedTuple):
    """One module for `running_hal`; made by `part`."""

    name: str
    module_class: type[Module]
    deadline_s: float
    arguments: Mapping[str, Any]


def part(
    name: str,
    module_class: type[Module],
    *,
    deadline_s: float = 5.0,
    **arguments: Any,
) -> Part:
    """Return a module for `running_hal`.

    Args:
        name: Instance name, unique.
        module_class: What to create.
        deadline_s: Default deadline of its handlers and jobs.
        arguments: Parameters of the module, and `driver` if it takes one.
    """
    return Part(name, module_class, deadline_s, arguments)


class RunningHal:
    """A HAL that runs, as a test sees it.

    Runs on: the test's thread.
    """

    def __init__(
        self, system: System, problems: Sequence[ErrorRecord], probe: Probe
    ) -> None:
        self.system = system
        self.problems = tuple(problems)
        """Why modules could not be started; HAL runs all the same."""
        self.probe = probe
        """Hears every event."""

    def send(
        self,
        message: Message,
        *,
        to: str | None = None,
        deadline_s: float | None = None,
    ) -> Delivery:
        """Send a message; returns at once."""
        return self.system.send(
            message, principal=PRINCIPAL, to=to, deadline_s=deadline_s
        )

    def ask(
        self,
        message: Message,
        *,
        to: str | None = None,
        deadline_s: float | None = None,
    ) -> object:
        """Send a message and return its response.

        Raises:
            HalError: What went wrong at the receiver, in its own class.
        """
        delivery = self.send(message, to=to, deadline_s=deadline_s)
        delivery.wait()
        return delivery.result()

    def film(
        self,
        directory: Path,
        frames: int | None,
        *,
        cameras: tuple[str, ...] = (),
        name: str | None = None,
        formats: tuple[str, ...] = ("dax",),
        overwrite: bool = False,
        notes: str = "",
    ) -> RunHandle:
        """Start a film and return its handle.

        Raises:
            HalError: It was refused, in the class of the refusal.
        """
        return self.run(
            directory,
            FilmPlan(frames, cameras),
            name=name,
            formats=formats,
            overwrite=overwrite,
            notes=notes,
        )

    def run(
        self,
        directory: Path,
        plan: FilmPlan | Plan,
        *,
        name: str | None = None,
        formats: tuple[str, ...] = ("dax",),
        overwrite: bool = False,
        notes: str = "",
    ) -> RunHandle:
        """Start a run and return its handle.

        Raises:
            HalError: It was refused, in the class of the refusal.
        """
        request = StartRun(
            plan=plan,
            directory=str(directory),
            name=name,
            formats=formats,
            overwrite=overwrite,
            notes=notes,
        )
        accepted = self.ask(request)
        assert isinstance(accepted, RunAccepted)
        return self.module(CLIENT, ClientModule).handle(accepted, principal=PRINCIPAL)

    def module(self, name: str, module_class: type[M]) -> M:
        """Return a module, to look at; only what `Runs on: any` may be called."""
        module = self.system.module(name)
        assert isinstance(module, module_class), f"{name} is a {type(module).__name__}"
        return module


@contextmanager
def running_hal(
    *what: str | Path | Part,
    clock: Clock | None = None,
    carrier: Carrier | None = None,
    log_folder: Path | None = None,
) -> Iterator[RunningHal]:
    """Start a HAL, and stop it however the test ends.

    ::

        with running_hal(part("camera1", CameraModule, driver=MyCamera())) as hal:
            run = hal.film(tmp_path, frames=10)
            assert run.wait(10.0).state is RunState.DONE

    Args:
        what: Either the path of one configuration file, or modules made by `part`; the
            modules every HAL has are added, unless one of their role is given.
        clock: Time for everything; only with modules. A driver has a clock of its own.
        carrier: What messages go through; only with modules.
        log_folder: Where trace and dumps go. With modules: nowhere if None.
    """
    parts = [item for item in what if isinstance(item, Part)]
    paths = [item for item in what if not isinstance(item, Part)]
    if not paths:
        with _of_parts(parts, clock, carrier, log_folder) as hal:
            yield hal
    elif parts or len(paths) > 1 or clock is not None or carrier is not None:
        raise TypeError(
            "expected one configuration file alone, or modules (then also a clock and "
            "a carrier, if they are needed)"
        )
    else:
        with _of_file(paths[0], log_folder) as hal:
            yield hal


@contextmanager
def _of_file(config: str | Path, log_folder: Path | None) -> Iterator[RunningHal]:
    app = Application(plan(config), log_folder=log_folder)
    try:
        probe = _add_probe(app.system)
        yield RunningHal(app.system, app.start(), probe)
    finally:
        app.stop(STOP_S)


@contextmanager
def _of_parts(
    parts: Sequence[Part],
    clock: Clock | None,
    carrier: Carrier | None,
    log_folder: Path | None,
) -> Iterator[RunningHal]:
    system = System(clock=clock, carrier=carrier, log_folder=log_folder)
    previous_sink = set_log_sink(partial(_log, system))
    rings = OwnRings(RING_BYTES, system.clock)
    system.provide(rings, FrameRings)
    system.provide(Hosts(system, rings=rings, log_folder=log_folder))
    system.run_kernel()
    try:
        probe = _add_probe(system)
        system.add(ClientModule, CLIENT)
        layers = [(PROBE, CLIENT), tuple(part.name for part in parts)]
        layers += [(item.name,) for item in _implicit(parts)]
        for item in [*parts, *_implicit(parts)]:
            system.add(
                item.module_class,
                item.name,
                deadline_s=item.deadline_s,
                **item.arguments,
            )
        yield RunningHal(system, system.start(layers), probe)
    finally:
        system.stop(STOP_S)
        set_log_sink(previous_sink)


def _implicit(parts: Sequence[Part]) -> list[Part]:
    """Return the modules every HAL has and the test does not give."""
    roles = {item.module_class.role for item in parts}
    found = []
    for role, class_name in IMPLICIT.items():
        if role not in roles:
            module_class = find_class(MODULES, class_name)
            assert issubclass(module_class, Module)
            found.append(part(role, module_class))
    return found


def _add_probe(system: System) -> Probe:
    system.add(Probe, PROBE)
    probe = system.module(PROBE)
    assert isinstance(probe, Probe)
    return probe


def _log(system: System, record: Mapping[str, object]) -> None:
    system.trace.log(record)
    to_stderr(record)
