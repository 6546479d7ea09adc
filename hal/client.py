"""The ears of whoever controls HAL from outside: run handles kept up to date."""

from __future__ import annotations

import msgspec

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

    Runs on: actor; `follow` any, `handle` any but actor.
    """

    role = "client"

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._handles: dict[str, RunHandle] = {}

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
            if not known.is_running:
                self._handles.pop(run_id, None)
        self._handles[handle.run_id] = handle

    @handles(RunStatusChanged)
    def on_status(self, msg: RunStatusChanged) -> None:
        """Update the handle of that run."""
        handle = self._handles.get(msg.run_id)
        if handle is None:
            return
        if msg.status.state.is_terminal:
            self._handles.pop(msg.run_id, None)
        handle.update(msg.status)

    @handles(RunLost)
    def on_run_lost(self, msg: RunLost) -> None:
        """End the handle of a run that nobody conducts any more."""
        handle = self._handles.pop(msg.run_id, None)
        if handle is None:
            return
        lost = ErrorRecord.from_exception(ModuleDead(msg.why), self.name)
        handle.update(
            msgspec.structs.replace(
                handle.status,
                state=RunState.ERROR,
                fatal_error=lost,
                finished_at_s=self.clock.wall_s(),
            )
        )
