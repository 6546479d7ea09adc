"""The module that hears how runs end, and writes a bundle of those that failed."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from hal.acquisition import RunState, RunStatus
from hal.base import ErrorRecord, HalError, ModuleDead, ModuleState, StateError, Value
from hal.kernel import (
    Context,
    Dispatching,
    Module,
    RunLost,
    StopModule,
    handles,
)
from hal.messages import (
    GetRunPlan,
    MakePostmortem,
    Postmortem,
    PostmortemWritten,
    RunStatusChanged,
)
from hal.postmortem.bundle import write_bundle
from hal.postmortem.case import RUN_ENDED, Case, bundle_paths, sidecar_of

WRITING_S: Final = 60.0
_FLUSHED_S: Final = 0.25
"""After so long the trace holds what was said before; it is written every 100 ms."""
_GRACE_S: Final = 0.8
_PLAN_S: Final = 2.0
_MOST_PLAN_BYTES: Final = 4_000_000
_KEPT: Final = 100


class PostmortemModule(Module):
    """Writes a bundle for every run that ends in an error, when it has ended.

    No run waits for it, and whatever goes wrong here is told and changes nothing else.
    """

    role = "postmortem"
    dispatching: ClassVar[Dispatching] = Dispatching.POOL
    stays_because = "it tells of HAL's own process"

    def __init__(
        self,
        name: str,
        context: Context,
        *,
        log_folder: Path,
        session: str,
        deadline_s: float = 5.0,
        **values: Value,
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._log_folder = log_folder
        self._session = session
        self._heard: dict[str, RunStatus] = {}
        self._began_s: dict[str, float] = {}
        """Wall time at which a run was first heard of."""
        self._made: dict[str, Postmortem] = {}
        self._stopping = threading.Event()
        self._stopping_since_s = 0.0

    @handles(RunStatusChanged)
    def on_status(self, msg: RunStatusChanged) -> None:
        """Keep how a run goes; begin a bundle when it has failed."""
        self._hear(msg.status)

    @handles(RunLost)
    def on_run_lost(self, msg: RunLost) -> None:
        """Begin a bundle: nobody else will tell of the end of that run."""
        known = self._heard.get(
            msg.run_id, RunStatus(run_id=msg.run_id, state=RunState.PENDING)
        )
        lost = ErrorRecord.from_exception(ModuleDead(msg.why), self.name)
        self._hear(
            msgspec.structs.replace(
                known,
                state=RunState.ERROR,
                fatal_error=known.fatal_error or lost,
                finished_at_s=self.clock.wall_s(),
            )
        )

    @handles(MakePostmortem)
    def on_make(self, msg: MakePostmortem) -> Postmortem | None:
        """Write the bundle of a run, or answer where it is."""
        if msg.run_id in self._made:
            return self._made[msg.run_id]
        status = self._heard.get(msg.run_id)
        if status is None:
            raise StateError(f"there was no run {msg.run_id} in this session")
        self.run_job(
            partial(self._write, status, self._began_s[msg.run_id]),
            deadline_s=WRITING_S,
            then=partial(self._written, status),
        )
        return None

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Give a bundle that is being written a moment to be complete."""
        self._stopping_since_s = self.clock.monotonic_s()
        self._stopping.set()
        self.run_job(
            lambda: None,
            what="wait for a bundle",
            then=lambda _: self.set_state(ModuleState.STOPPED),
        )

    def _hear(self, status: RunStatus) -> None:
        known = self._heard.get(status.run_id)
        if known is not None and known.state.is_terminal:
            return
        self._heard[status.run_id] = status
        self._began_s.setdefault(status.run_id, self.clock.wall_s())
        while len(self._heard) > _KEPT:
            oldest = next(iter(self._heard))
            for kept in (self._heard, self._began_s, self._made):
                kept.pop(oldest, None)
        if not status.state.is_terminal:
            return
        self.context.trace.record(
            RUN_ENDED, run=status.run_id, status=msgspec.to_builtins(status)
        )
        if status.state is RunState.ERROR:
            # A message of its own: what goes wrong is no failure of who told the news.
            self.send(MakePostmortem(status.run_id), to=self.name)

    def _write(self, status: RunStatus, heard_s: float) -> Postmortem:
        """Write the bundle beside the film; where that fails, in the log folder."""
        self.clock.wait(self._stopping, _FLUSHED_S)
        sidecar = sidecar_of(status)
        case = Case(
            log_folder=self._log_folder,
            session=self._session,
            run_id=status.run_id,
            status=status,
            sidecar=sidecar,
            began_s=min(status.started_at_s or heard_s, heard_s),
            ended_s=status.finished_at_s or self.clock.wall_s(),
            plan=self._plan(status.run_id),
        )
        why_not: list[str] = []
        for path in bundle_paths(status.run_id, sidecar, self._log_folder):
            try:
                write_bundle(case, path, self.clock, is_hurried=self._is_hurried)
            except OSError as exc:
                why_not.append(f"{path}: {exc.strerror or exc}")
            else:
                return Postmortem(run_id=status.run_id, path=str(path))
        return Postmortem(run_id=status.run_id, why_not="; ".join(why_not))

    def _written(self, status: RunStatus, found: object) -> Postmortem:
        assert isinstance(found, Postmortem)
        if status.state.is_terminal:
            self._made[status.run_id] = found
        if found.path:
            self.log.info("post-mortem written", run=found.run_id, path=found.path)
        else:
            self.log.warning(
                "post-mortem not written", run=found.run_id, why=found.why_not
            )
        self.send(PostmortemWritten(found.run_id, found))
        return found

    def _plan(self, run_id: str) -> bytes:
        """Return the plan as JSON; nothing where nobody can say any more."""
        try:
            plan = self.ask(GetRunPlan(run_id), deadline_s=_PLAN_S)
        except HalError as exc:
            self.log.info("plan of a failed run not known", why=exc.text)
            return b""
        data = msgspec.json.encode(plan)
        return data if len(data) <= _MOST_PLAN_BYTES else b""

    def _is_hurried(self) -> bool:
        waited_s = self.clock.monotonic_s() - self._stopping_since_s
        return self._stopping.is_set() and waited_s > _GRACE_S
