"""The roles of a split system, within one process."""

from __future__ import annotations

from hal.acquisition import RunHandle, RunStatus
from hal.api import McsAPI, OrchestratorAPI, UiClient
from hal.base import StateError, SystemThreads
from hal.client import ClientModule
from hal.kernel import Delivery, Request, System
from hal.local_feed import Feed, FeedModule, LocalSubscription
from hal.messages import CancelRun, GetRunStatus, RunAccepted, StartRun

FEED = "state_feed"
"""The module that hears all events."""


class LocalMcs(McsAPI):
    """The microscope of a HAL in this process.

    Runs on: any, except that the first of a system is made on its main thread.
    """

    def __init__(self, system: System, principal: str) -> None:
        """Speak to `system`.

        Args:
            system: Whose modules take the commands; its kernel runs.
            principal: In whose name, `gui:main` for example.

        Raises:
            StartError: One of its modules has the name of the feed.
        """
        self._system = system
        self._principal = principal
        known = system.services.get(Feed)
        if isinstance(known, Feed):
            self._feed = known
            return
        self._feed = Feed(system.ids.session, system.clock, SystemThreads())
        # Heard only where somebody wants to know: no HAL without clients pays for it.
        system.add(FeedModule, FEED, feed=self._feed)
        system.provide(self._feed)

    def publish_command(
        self,
        command: Request,
        *,
        to: str | None = None,
        deadline_s: float | None = None,
    ) -> Delivery:
        """Send a command in this client's name; returns at once."""
        return self._system.send(
            command, principal=self._principal, to=to, deadline_s=deadline_s
        )

    def subscribe_state(self, client: UiClient) -> LocalSubscription:
        """Tell `client` what is so, then all news."""
        module = self._system.module(FEED)
        assert isinstance(module, FeedModule)
        return self._feed.subscribe(client, module.now)


class LocalOrchestrator(OrchestratorAPI):
    """The conductor of a HAL in this process: its acquisition conducts the runs.

    Runs on: any but an actor.
    """

    def __init__(self, system: System, principal: str) -> None:
        """Conduct runs of `system` in the name of `principal`.

        Raises:
            StateError: It keeps no handles: there is no client module.
        """
        self._mcs = LocalMcs(system, principal)
        self._principal = principal
        clients = [m for m in system.modules if isinstance(m, ClientModule)]
        if not clients:
            raise StateError(
                "this system has no client module: runs cannot be followed"
            )
        self._client = clients[0]

    def start(self, request: StartRun) -> RunHandle:
        """Begin a run; the handle is kept up to date until it has ended."""
        accepted = self._answer(request)
        assert isinstance(accepted, RunAccepted)
        return self._client.handle(accepted, principal=self._principal)

    def stop(self, run_id: str) -> None:
        """Ask a run to end."""
        self._answer(CancelRun(run_id))

    def status(self, run_id: str) -> RunStatus:
        """Return the newest status of a run of this session."""
        status = self._answer(GetRunStatus(run_id))
        assert isinstance(status, RunStatus)
        return status

    def _answer(self, request: Request) -> object:
        reply = self._mcs.publish_command(request)
        reply.wait()
        return reply.result()
