"""The ears of whoever controls HAL from outside: run handles kept up to date."""

from __future__ import annotations

from hal.acquisition import RunHandle
from hal.base import Value
from hal.kernel import Context, Module, handles
from hal.messages import RunStatusChanged


class ClientModule(Module):
    """Hears of runs and passes the news to their handles.

    Runs on: actor; `follow` any.
    """

    role = "client"

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._handles: dict[str, RunHandle] = {}

    def follow(self, handle: RunHandle) -> None:
        """Keep `handle` up to date until its run has ended."""
        self._handles[handle.run_id] = handle

    @handles(RunStatusChanged)
    def on_status(self, msg: RunStatusChanged) -> None:
        """Update the handle of that run."""
        handle = self._handles.get(msg.run_id)
        if handle is None:
            return
        if msg.status.state.is_terminal:
            del self._handles[msg.run_id]
        handle.update(msg.status)
