"""A module that only listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from hal.base import Value
from hal.kernel import Context, Event, Module, Request, handles
from hal.testing.waiting import wait_until

_PATIENCE_S: Final = 10.0

E = TypeVar("E", bound=Event)


class CatchUp(Request, frozen=True):
    """Is answered when everything sent before it has been heard."""


class Probe(Module):
    """Keeps every event it hears, for a test to look at.

    Runs on: actor; everything a test calls any but actor.
    """

    role = "probe"

    def __init__(
        self,
        name: str,
        context: Context,
        *,
        kinds: tuple[type[Event], ...] = (Event,),
        deadline_s: float = 5.0,
        **values: Value,
    ) -> None:
        """Listen for events of `kinds` and their subclasses; by default for all."""
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._kinds = kinds
        self._heard: list[Event] = []

    def heard(self, kind: type[E]) -> tuple[E, ...]:
        """Return the events of one kind that were sent before this call, in order."""
        order = self.context.broker.send(
            CatchUp(), principal=self.name, to=self.name, deadline_s=_PATIENCE_S
        )
        order.wait()
        order.result()
        return self._of(kind)

    def wait_for(
        self,
        kind: type[E],
        where: Callable[[E], bool] = lambda _event: True,
        timeout_s: float = 10.0,
    ) -> E:
        """Return the first event of `kind` for which `where(event)`; waits for it.

        Raises:
            AssertionError: None was heard in `timeout_s`; names those that were.
        """

        def found() -> E | None:
            return next((event for event in self._of(kind) if where(event)), None)

        try:
            wait_until(lambda: found() is not None, timeout_s)
        except AssertionError:
            heard = ", ".join(map(repr, self._of(kind))) or "none of this kind"
            raise AssertionError(
                f"no such {kind.__name__} within {timeout_s:g} s; heard: {heard}"
            ) from None
        event = found()
        assert event is not None
        return event

    @handles(Event)
    def on_event(self, msg: Event) -> None:
        """Keep it."""
        if isinstance(msg, self._kinds):
            self._heard.append(msg)

    @handles(CatchUp)
    def on_catch_up(self, msg: CatchUp) -> None:
        """Answer: what was sent before has been handled, in its order."""

    def _of(self, kind: type[E]) -> tuple[E, ...]:
        return tuple(event for event in self._heard if isinstance(event, kind))
