"""The microscope, as others command and watch it."""

from __future__ import annotations

from typing import Protocol

from hal.api.state import UiClient
from hal.kernel import Request


class Reply(Protocol):
    """What becomes of a command.

    Runs on: any.
    """

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return True once it is complete, False after `timeout_s`.

        Without a timeout: until its deadline.
        """

    def result(self) -> object:
        """Return the response; None if there is none.

        Raises:
            HalError: What went wrong, in the class of that error.
        """


class Subscription(Protocol):
    """A place in the feed of news.

    Runs on: any.
    """

    @property
    def is_open(self) -> bool:
        """Whether news still come."""

    def close(self) -> None:
        """End it; at most one call of the client may still be going on."""


class McsAPI(Protocol):
    """The one authority over the hardware: it takes commands and tells its state.

    Runs on: any; nothing blocks.
    """

    def publish_command(
        self,
        command: Request,
        *,
        to: str | None = None,
        deadline_s: float | None = None,
    ) -> Reply:
        """Send a command in this client's name; what is wrong with it is in the reply.

        Args:
            command: What to do.
            to: The one module, where several could.
            deadline_s: How long to wait; the command's own default if None.
        """

    def subscribe_state(self, client: UiClient) -> Subscription:
        """Tell `client` the state of all modules and of the whole, then all news."""
