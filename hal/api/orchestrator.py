"""The conductor of experiments, as others start, watch and stop them."""

from __future__ import annotations

from typing import Protocol

from hal.acquisition import RunHandle, RunStatus
from hal.messages import StartRun


class OrchestratorAPI(Protocol):
    """Conducts runs, one at a time.

    Runs on: any but an actor; each call waits for its answer.
    """

    def start(self, request: StartRun) -> RunHandle:
        """Begin a run; the handle is kept up to date until it has ended.

        Raises:
            HalError: It was refused, in the class of the refusal; nothing is left.
        """

    def stop(self, run_id: str) -> None:
        """Ask a run to end; what is stored stays. Harmless when it is over.

        Raises:
            HalError: Nobody conducts runs now.
        """

    def status(self, run_id: str) -> RunStatus:
        """Return the newest status of a run of this session.

        Raises:
            StateError: There was no such run.
        """
