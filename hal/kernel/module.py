"""A module: what an XML file names, with a life cycle and parameters."""

from __future__ import annotations

from collections.abc import Mapping

from hal.base import ErrorRecord, ModuleState, ParameterError, StateError, Value
from hal.kernel.actor import ModuleActor
from hal.kernel.context import Context
from hal.kernel.delivery import Delivery
from hal.kernel.handles import handles
from hal.kernel.message import Event
from hal.kernel.protocol import (
    CommitParameters,
    ConfigureModule,
    DescribeParameters,
    DropParameters,
    ParameterList,
    ParametersChanged,
    ProposeParameters,
    StartModule,
    StopModule,
)


class Module(ModuleActor):
    """Base of all modules; a subclass declares handlers and keeps its own state.

    Life: `on_configure`, then `on_start_module` when all are configured, then
    `on_stop_module`. A subclass that overrides one calls it with `super()`.

    Runs on: actor.
    """

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._proposals: dict[str, Mapping[str, Value]] = {}

    @handles(ConfigureModule)
    def on_configure(self, msg: ConfigureModule) -> None:
        """Get ready; other modules may not be yet."""
        self.set_state(ModuleState.CONFIGURED)

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        """Begin: every module has been configured."""
        if self.state is ModuleState.CONFIGURED:
            self.set_state(ModuleState.STARTED)

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """End, in reverse order of start; loops are asked to end."""
        for loop in self.loops:
            loop.stop()
        self.set_state(ModuleState.STOPPED)

    def require_ready(self) -> None:
        """Refuse work unless the module can do it.

        Raises:
            StateError: With its state and the reason for it.
        """
        if not self.state.takes_work:
            reason = f": {self.reason}" if self.reason else ""
            raise StateError(f"{self.name} is {self.state}{reason}")

    def send_failure(
        self, event: Event, phrase: str, error: ErrorRecord, **data: object
    ) -> None:
        """Send an event that says why this module failed; a person hears of it once.

        The failure is logged in any case. A receiver that answers True tells of it;
        if nobody does, the log says it on stderr.

        Args:
            event: What to send.
            phrase: Fixed words for the log.
            error: Why.
            data: For the log.
        """

        def heard(delivery: Delivery) -> None:
            data.update(why=error.text, error_kind=error.kind)
            for name, answer in delivery.responses.items():
                if answer is True:
                    data.update(told_by=name)
            self.log_failure(delivery)
            self.log.error(phrase, **data)

        # Heard of wherever the delivery ends: this generation may be given up by then.
        self.context.broker.send(event, principal=self.name, on_complete=heard)

    @handles(DescribeParameters)
    def on_describe(self, msg: DescribeParameters) -> ParameterList:
        """Answer with all parameters."""
        return ParameterList(self.name, "", False, self.specs())

    @handles(ProposeParameters)
    def on_propose(self, msg: ProposeParameters) -> None:
        """Check values without touching anything; keep them for the commit."""
        self.propose_values(msg.values)
        self._proposals[msg.transaction] = msg.values

    @handles(DropParameters)
    def on_drop(self, msg: DropParameters) -> None:
        """Forget a proposal."""
        self._proposals.pop(msg.transaction, None)

    @handles(CommitParameters)
    def on_commit(self, msg: CommitParameters) -> object:
        """Take proposed values; answers with the values that are true now."""
        values = self._proposals.pop(msg.transaction, None)
        if values is None:
            raise ParameterError(
                f"{self.name}: nothing was proposed, or it was dropped"
            )
        return self.commit_values(values)

    def propose_values(self, values: Mapping[str, Value]) -> None:
        """Raise `ParameterError` if these values cannot be taken."""
        self.propose(values, running=bool(self.loops))

    def commit_values(self, values: Mapping[str, Value]) -> object:
        """Take checked values; return what is true now."""
        return self.announce(self.commit_own(values))

    def commit_own(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Take values of the module itself, now and in its later generations."""
        done = self.commit(self.propose(values))
        if not self.is_given_up:
            self.seat.remember(done)
        return done

    def announce(self, values: dict[str, Value]) -> dict[str, Value]:
        """Tell everybody and the trace about changed parameters."""
        self.context.trace.record("parameters", module=self.name, values=values)
        self.send(ParametersChanged(self.name, values))
        return values
