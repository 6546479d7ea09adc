"""The feed of news within one process: from a module that hears all to its clients."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from hal.api import StatePublisher, StateTold, Subscription, UiClient, told
from hal.base import Clock, Threads, Value, safe_callback
from hal.kernel import (
    Context,
    Event,
    Module,
    ModuleStateChanged,
    StopModule,
    SystemModeChanged,
    handles,
)

MOST_WAITING: Final = 10_000
"""News that wait for one client; with more, its feed ends."""
_LOOK_S: Final = 1.0


class LocalSubscription(Subscription):
    """One client's place in the feed, with a thread that calls it.

    Runs on: any.

    Guarantees:
        The client gets every event, in order, or hears that its feed has ended.
    """

    def __init__(self, client: UiClient, clock: Clock, threads: Threads) -> None:
        self._client = client
        self._clock = clock
        self._waiting: deque[StateTold] = deque()
        self._arrived = threading.Event()
        self._why: str | None = None
        threads.start("hal/feed", self._run)

    @property
    def is_open(self) -> bool:
        """Whether news still come."""
        return self._why is None

    def put(self, news: StateTold) -> None:
        """Have the client told; returns at once."""
        if len(self._waiting) >= MOST_WAITING:
            self.end(f"it is {MOST_WAITING} events behind")
        if self._why is None:
            self._waiting.append(news)
            self._arrived.set()

    def close(self) -> None:
        """End it; at most one call of the client may still be going on."""
        self.end("it was closed")

    def end(self, why: str) -> None:
        """End it for a reason; the first counts."""
        if self._why is None:
            self._why = why
        self._arrived.set()

    def _run(self) -> None:
        while self._why is None:
            self._clock.wait(self._arrived, _LOOK_S)
            self._arrived.clear()
            while self._waiting and self._why is None:
                done = safe_callback(self._client.state_told, self._waiting.popleft())
                if not done.success:
                    self.end(f"the client failed: {done.error}")
        safe_callback(self._client.feed_ended, self._why)


class Feed(StatePublisher):
    """All subscriptions; it outlives the generations of its module.

    Runs on: any; nothing blocks.
    """

    def __init__(self, session: str, clock: Clock, threads: Threads) -> None:
        self._session = session
        self._clock = clock
        self._threads = threads
        self._lock = threading.Lock()
        # With the number of the last thing each was told.
        self._open: dict[LocalSubscription, int] = {}

    def subscribe(
        self, client: UiClient, now: Callable[[], Sequence[Event]]
    ) -> LocalSubscription:
        """Tell `client` what is so `now`, then all that is published."""
        subscription = LocalSubscription(client, self._clock, self._threads)
        with self._lock:
            self._open[subscription] = 0
            for event in now():  # what changes meanwhile is told after it
                self._tell(subscription, event, is_news=False)
        return subscription

    def publish_state(self, event: Event) -> None:
        """Tell all who have subscribed."""
        with self._lock:
            for subscription in list(self._open):
                if subscription.is_open:
                    self._tell(subscription, event, is_news=True)
                else:
                    del self._open[subscription]

    def close(self, why: str) -> None:
        """End all subscriptions; returns at once."""
        with self._lock:
            for subscription in self._open:
                subscription.end(why)
            self._open.clear()

    def _tell(
        self, subscription: LocalSubscription, event: Event, *, is_news: bool
    ) -> None:
        self._open[subscription] += 1
        number = self._open[subscription]
        subscription.put(
            told(
                event,
                session=self._session,
                number=number,
                wall_s=self._clock.wall_s(),
                is_news=is_news,
            )
        )


class FeedModule(Module):
    """Hears every event and publishes it."""

    role = "subscription"
    stays_because = "its clients are in HAL's process"

    def __init__(
        self,
        name: str,
        context: Context,
        *,
        feed: Feed,
        deadline_s: float = 5.0,
        **values: Value,
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s, **values)
        self._feed = feed

    def now(self) -> list[Event]:
        """Return what is so now, as the events that would tell it; any thread."""
        leases = self.context.leases
        runs = leases.runs
        mode = SystemModeChanged(leases.mode, runs[0] if runs else "")
        states = [
            ModuleStateChanged(name, seat.state, seat.reason)
            for name, seat in list(self.context.seats.items())
        ]
        return [mode, *states]

    @handles(Event)
    def on_event(self, msg: Event) -> None:
        """Publish it."""
        self._feed.publish_state(msg)

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """End all subscriptions."""
        super().on_stop_module(msg)
        self._feed.close("HAL has stopped")
