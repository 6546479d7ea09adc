"""The ears of whoever controls HAL from outside: run handles kept up to date."""

from __future__ import annotations

import msgspec
from psygnal import Signal

from hal.acquisition import (
    FilmPlan,
    Plan,
    RunCommands,
    RunHandle,
    RunState,
    RunStatus,
)
from hal.base import ErrorRecord, ModuleDead, Value
from hal.kernel import Broker, Context, Module, Request, RunLost, handles
from hal.messages import (
    CancelRun,
    ExtendRun,
    GetRunPlan,
    GetRunStatus,
    PauseRun,
    ResumeRun,
    RunAccepted,
    RunStatusChanged,
)


class _Commands(RunCommands):
    """Reaches the acquisition module of this HAL.

    Runs on: any but actor.
    """

    def __init__(self, broker: Broker, principal: str) -> None:
        self._broker = broker
        self._principal = principal

    def cancel(self, run_id: str) -> None:
        self._broker.send(CancelRun(run_id), principal=self._principal)

    def pause(self, run_id: str) -> None:
        self._answer(PauseRun(run_id))

    def resume(self, run_id: str) -> None:
        self._answer(ResumeRun(run_id))

    def extend(self, run_id: str, plan: Plan) -> RunStatus:
        status = self._answer(ExtendRun(run_id, plan))
        assert isinstance(status, RunStatus)
        return status

    def plan(self, run_id: str) -> FilmPlan | Plan:
        plan = self._answer(GetRunPlan(run_id))
        assert isinstance(plan, FilmPlan | Plan)
        return plan

    def status(self, run_id: str) -> RunStatus:
        status = self._answer(GetRunStatus(run_id))
        assert isinstance(status, RunStatus)
        return status

    def _answer(self, request: Request) -> object:
        reply = self._broker.send(request, principal=self._principal)
        reply.wait()
        return reply.result()


class ClientModule(Module):
    """Hears of runs and passes the news to their handles.

    Runs on: actor; `follow` any, `handle` any but actor. Slots of `runStarted` run on
    the actor: they return at once.

    Signals:
        runStarted: Emits a fresh `RunHandle` of each run that begins, whoever began it.
    """

    role = "client"
    runStarted = Signal(RunHandle)  # noqa: N815 - the name users know

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._handles: dict[str, tuple[RunHandle, ...]] = {}
        self._newest = ""
        """The run that was heard of last; there is one at a time."""

    def handle(self, accepted: RunAccepted, *, principal: str) -> RunHandle:
        """Return a handle of a run, kept up to date until the run has ended.

        Args:
            accepted: What `StartRun` answered.
            principal: In whose name it speaks.
        """
        commands = _Commands(self.context.broker, principal)
        handle = RunHandle(accepted.status, commands, self.clock)
        self.follow(handle)
        # It may have got on, or ended, before anybody listened.
        handle.update(commands.status(accepted.run_id))
        return handle

    def follow(self, handle: RunHandle) -> None:
        """Keep `handle` up to date until its run has ended."""
        # A run that was over before it was followed is heard of no more.
        for run_id, known in list(self._handles.items()):
            if not known[0].is_running:
                self._handles.pop(run_id, None)
        others = self._handles.get(handle.run_id, ())
        self._handles[handle.run_id] = (*others, handle)

    @handles(RunStatusChanged)
    def on_status(self, msg: RunStatusChanged) -> None:
        """Update the handles of that run; give out one of a run that is new."""
        followed = self._handles.get(msg.run_id, ())
        if msg.status.state.is_terminal:
            self._handles.pop(msg.run_id, None)
        for handle in followed:
            handle.update(msg.status)
        if msg.run_id != self._newest:
            self._newest = msg.run_id
            if len(self.runStarted) and not msg.status.state.is_terminal:
                commands = _Commands(self.context.broker, self.name)
                fresh = RunHandle(msg.status, commands, self.clock)
                self.follow(fresh)
                self.runStarted.emit(fresh)

    @handles(RunLost)
    def on_run_lost(self, msg: RunLost) -> None:
        """End the handles of a run that nobody conducts any more."""
        lost = ErrorRecord.from_exception(ModuleDead(msg.why), self.name)
        for handle in self._handles.pop(msg.run_id, ()):
            handle.update(
                msgspec.structs.replace(
                    handle.status,
                    state=RunState.ERROR,
                    fatal_error=lost,
                    finished_at_s=self.clock.wall_s(),
                )
            )
