"""HAL as one object: builds what a configuration names, starts it, stops it."""

from __future__ import annotations

import contextlib
import faulthandler
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hal.acquisition import RunHandle
from hal.base import (
    BadInput,
    ErrorRecord,
    HalError,
    StartError,
    set_log_sink,
    to_stderr,
)
from hal.client import ClientModule
from hal.config import (
    MODULES,
    BuiltModule,
    BuiltWorld,
    HalSpec,
    ModuleSpec,
    find_class,
    load,
    resolve,
    resolve_worlds,
    start_order,
)
from hal.devices import InWorld
from hal.frames import FrameRings, OwnRings
from hal.isolation import Hosts, Launch, gateway_class
from hal.kernel import Delivery, Module, RestartPolicy, Safeguards, Strategy, System
from hal.messages import MakePostmortem, RunAccepted
from hal.postmortem import CONFIGURATION, Configuration, PostmortemModule
from hal.worlds import Worlds

if TYPE_CHECKING:
    from hal.testing import chaos

IMPLICIT: Final = {
    "settings": "settings.settings",
    "recorder": "recorder.recorder",
    "live": "acquisition.live",
    "acquisition": "acquisition.acquisition",
}
"""Modules every HAL has, by role; a file may name its own of that role instead."""
CLIENT: Final = "client"
POSTMORTEM: Final = "postmortem"
RING_BYTES: Final = 2 * 2**30


class Plan(msgspec.Struct, frozen=True):
    """A configuration with classes found and values checked; nothing is made yet."""

    spec: HalSpec
    modules: tuple[BuiltModule, ...]
    worlds: tuple[BuiltWorld, ...] = ()
    chaos: chaos.ChaosPlan | None = None
    """What is to go wrong on purpose."""
    configuration: Configuration = Configuration()
    """The files as they were read, for whoever asks later what went on."""

    @property
    def is_simulated(self) -> bool:
        """Whether any driver only pretends."""
        return any(module.is_simulated for module in self.modules)


def plan(
    config: str | Path,
    *,
    overrides: Iterable[str] = (),
    settings: str | Path | None = None,
    simulation: bool = False,
    chaos: str | Path | None = None,
) -> Plan:
    """Read a configuration, add the modules every HAL has, and check it all.

    Args:
        config: The file.
        overrides: Texts of `--set`.
        settings: A file of settings.
        simulation: Replace each driver by its simulation.
        chaos: A file of faults to cause; None for those the configuration names.

    Raises:
        BadInput: Something the user can correct, with its place.
        StartError: A package is missing, or a driver has no simulation.
    """
    overrides = tuple(overrides)
    spec = load(config)
    told = Configuration.read(config, overrides, settings, simulation=simulation)
    spec = msgspec.structs.replace(spec, modules=spec.modules + _implicit(spec))
    modules = resolve(spec, overrides, settings, simulation)
    faults = _faults(spec, modules, chaos)
    return Plan(spec, modules, resolve_worlds(spec), faults, told)


class Application:
    """A running HAL.

    Runs on: main thread; `system.send` and run handles any.

    Guarantees:
        `stop` is bounded in time and harmless when repeated; what hangs is left behind.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        log_folder: Path | None = None,
        safeguards: Safeguards | None = None,
    ) -> None:
        """Create the kernel and all modules; no hardware is touched.

        Args:
            plan: What to make.
            log_folder: Where trace and thread dumps go; `<directory>/logs` if None.
            safeguards: Heartbeat and sentinel, where this is a process of HAL's own.
                Such a one also writes a bundle for each run that fails.

        Raises:
            BadInput: The log folder that was asked for cannot be used, or the state of
                a world is that of another.
            StartError: The usual folder cannot be used, or a module or world cannot be
                made.
        """
        self.log_folder = log_folder or plan.spec.directory / "logs"
        self.rehearsal: chaos.Rehearsal | None = None
        """Where faults are caused on purpose; None where none are."""
        if plan.chaos is not None:
            plan = self._rehearsed(plan, plan.chaos)
        self.plan = plan
        try:
            self.system = System(log_folder=self.log_folder, safeguards=safeguards)
        except OSError as exc:
            refusal = StartError if log_folder is None else BadInput
            why = exc.strerror or str(exc)
            raise refusal(
                f"log folder {self.log_folder} cannot be used: {why}"
            ) from exc
        # A thread that computes keeps the others waiting for this long; the default of
        # 5 ms would be the largest part of a message's latency (0.7 ms measured so).
        sys.setswitchinterval(0.0005)
        self._previous_sink = set_log_sink(self._log)
        rings = OwnRings(RING_BYTES, self.system.clock)
        self.system.provide(rings, FrameRings)
        self.system.run_kernel()
        told = msgspec.to_builtins(plan.configuration)
        self.system.trace.record(CONFIGURATION, **told)
        self._worlds: Worlds | None = None
        hosts = Hosts(self.system, rings=rings, log_folder=self.log_folder)
        self.system.provide(hosts)
        try:
            self._begin_rehearsal()
            self._worlds = Worlds(plan.worlds, self.log_folder)
            for module in plan.modules:
                self._add(module, self._worlds)
        except BaseException:
            self.stop()
            raise
        self.system.add(ClientModule, CLIENT)
        self._ears: tuple[str, ...] = (CLIENT,)
        if safeguards is not None:
            self.system.add(
                PostmortemModule,
                POSTMORTEM,
                log_folder=self.log_folder,
                session=self.system.ids.session,
            )
            self._ears += (POSTMORTEM,)

    @property
    def trace_path(self) -> Path:
        """The trace file."""
        assert self.system.trace_file is not None
        return self.system.trace_file.path

    def start(self) -> tuple[ErrorRecord, ...]:
        """Bring all modules to life; return why some are degraded.

        Raises:
            StartError: A module cannot start with this configuration.
        """
        enable_faulthandler()
        # They stop last, because the end of a run is news for them.
        layers = [self._ears, *start_order(self.plan.spec)]
        problems = self.system.start(layers)
        for problem in problems:
            if problem.kind in ("StartError", "ConfigError", "ParameterError"):
                self.stop()
                raise self._refusal(problem)
        return problems

    def handle(self, accepted: RunAccepted, *, principal: str) -> RunHandle:
        """Return a handle of a run that was accepted, kept up to date."""
        client = self.system.module(CLIENT)
        assert isinstance(client, ClientModule)
        return client.handle(accepted, principal=principal)

    def postmortem(self, run_id: str, *, principal: str) -> Delivery:
        """Ask where the bundle of a run is; answered when it is written.

        Answered with an error where nobody writes bundles.
        """
        return self.system.send(
            MakePostmortem(run_id), principal=principal, to=POSTMORTEM
        )

    def stop(self, budget_s: float = 3.0) -> tuple[ErrorRecord, ...]:
        """Stop all modules in reverse order, then the kernel."""
        problems = self.system.stop(budget_s)
        if self._worlds is not None:
            self._worlds.close()
        set_log_sink(self._previous_sink)
        return problems

    def _refusal(self, problem: ErrorRecord) -> StartError:
        text = f"module '{problem.source}': {problem.text}"
        specs = [built.spec for built in self.plan.modules]
        places = [s.place for s in specs if s.name == problem.source and s.file]
        refusal = places[0].cannot_start(text) if places else StartError(text)
        refusal.source = problem.source
        return refusal

    def _rehearsed(self, plan: Plan, faults: chaos.ChaosPlan) -> Plan:
        """Return the same with drivers that misbehave."""
        from hal.testing import chaos

        self.rehearsal = chaos.Rehearsal(faults, plan.modules, self.log_folder)
        return msgspec.structs.replace(
            plan,
            spec=self.rehearsal.with_module(plan.spec),
            modules=self.rehearsal.modules,
        )

    def _begin_rehearsal(self) -> None:
        if self.rehearsal is None:
            return
        from hal.testing import chaos

        self.system.provide(self.rehearsal, chaos.Orders)
        try:
            self.rehearsal.begin()
        except OSError as exc:
            raise StartError(f"{self.rehearsal.folder} cannot be made: {exc}") from exc

    def _add(self, module: BuiltModule, worlds: Worlds) -> None:
        spec = module.spec
        module_class = module.module_class
        assert issubclass(module_class, Module)
        arguments: dict[str, Any] = dict(module.values)
        try:
            if module.process:
                arguments = {"launch": _launch(module, worlds)}
                module_class = gateway_class(module_class)
            elif module.driver_class is not None:
                driver = module.driver_class(**module.driver_values)
                worlds.admit(driver, spec.name)
                arguments["driver"] = driver
            self.system.add(
                module_class,
                spec.name,
                deadline_s=spec.deadline_s or 5.0,
                requires=spec.requires,
                restart=RestartPolicy(Strategy(spec.restart)),
                **arguments,
            )
        except HalError as exc:
            raise spec.place.cannot_start(f"module '{spec.name}': {exc}") from exc
        except (Exception, SystemExit) as exc:  # a plugin's constructor: anything
            why = ErrorRecord.from_exception(exc, spec.name).text
            raise spec.place.cannot_start(f"module '{spec.name}': {why}") from exc

    def _log(self, record: Mapping[str, object]) -> None:
        self.system.trace.log(record)
        # Milliseconds of a handler are for programmers, and they read the trace.
        if record.get("event") != "slow handler":
            to_stderr(record)


def enable_faulthandler() -> None:
    """Have Python print all stacks when the process crashes in C; needs a stderr."""
    with contextlib.suppress(AttributeError, ValueError, OSError, RuntimeError):
        faulthandler.enable()


def _faults(
    spec: HalSpec, modules: tuple[BuiltModule, ...], file: str | Path | None
) -> chaos.ChaosPlan | None:
    """Return what is to go wrong on purpose; a file counts before the configuration."""
    if file is None and spec.chaos is None:
        return None
    # Imported when needed: it brings all that tests are made of.
    from hal.testing import chaos

    if file is not None:
        wanted = chaos.read_chaos(file)
    else:
        assert spec.chaos is not None
        wanted = chaos.chaos_of(spec.chaos)
    chaos.check_chaos(wanted, modules)
    return wanted


def _launch(module: BuiltModule, worlds: Worlds) -> Launch:
    """Return what a module in a process of its own is made from."""
    state = None
    if module.driver_class is not None and issubclass(module.driver_class, InWorld):
        # Places in a world go by the order of the file, not by who starts first.
        state = worlds.admit(
            module.driver_class(**module.driver_values), module.spec.name
        )
    return Launch(
        module.process,
        module.module_class,
        values=module.values,
        driver_class=module.driver_class,
        driver_values=module.driver_values,
        memory_mb=module.memory_mb,
        world_state="" if state is None else str(state),
    )


def _implicit(spec: HalSpec) -> tuple[ModuleSpec, ...]:
    """Return the modules every HAL has and this file does not name."""
    roles = {_role(module) for module in spec.modules}
    taken = {module.name: module for module in spec.modules}
    devices = tuple(taken)
    missing = {role: name for role, name in IMPLICIT.items() if role not in roles}
    for name in (CLIENT, POSTMORTEM, *missing):
        if name in taken:
            raise taken[name].place.refuse(
                f"module '{name}': this name belongs to a module of HAL's own; "
                "choose another"
            )
    added: list[ModuleSpec] = []
    for role, class_name in missing.items():
        # The acquisition uses all others: it starts last and stops first.
        needs = (*devices, *(a.name for a in added)) if role == "acquisition" else ()
        added.append(ModuleSpec(name=role, class_name=class_name, requires=needs))
    return tuple(added)


def _role(module: ModuleSpec) -> str:
    """Return a module's role; a class that cannot be found is reported later."""
    try:
        return str(getattr(find_class(MODULES, module.class_name), "role", ""))
    except HalError:
        return ""
