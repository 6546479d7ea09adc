"""The feed within one process: what it promises beyond its protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hal import local_feed
from hal.base import StartError, SystemClock, SystemThreads
from hal.kernel import RunLost, System
from hal.local_api import FEED, LocalMcs
from hal.local_feed import Feed
from hal.testing import Probe, wait_until
from tests.api.sides import Listener


@pytest.fixture
def feed() -> Iterator[Feed]:
    feed = Feed("s", SystemClock(), SystemThreads())
    yield feed
    feed.close("the test is over")


def test_a_client_that_is_too_far_behind_hears_that_its_feed_has_ended(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_feed, "MOST_WAITING", 5)
    slow, quick = Listener(), Listener()
    slow.go_on.clear()
    subscription = feed.subscribe(slow, lambda: [])
    feed.subscribe(quick, lambda: [])

    for number in range(10):
        feed.publish_state(RunLost(f"r{number}", ""))
        wait_until(lambda n=number: len(quick.heard) == n + 1)  # type: ignore[misc]

    assert not subscription.is_open
    slow.go_on.set()
    wait_until(lambda: slow.ended)
    assert slow.ended == ["it is 5 events behind"]
    assert [told.number for told in slow.heard] == [1]


def test_all_clients_of_a_system_share_one_feed_that_outlives_its_module() -> None:
    system = System()
    system.run_kernel()
    try:
        first, second = LocalMcs(system, "gui:one"), LocalMcs(system, "gui:two")
        one, two = Listener(), Listener()
        first.subscribe_state(one)
        second.subscribe_state(two)
        system.restart(FEED)
        wait_until(lambda: system.module(FEED).generation == 2)

        system.send(RunLost("r1", "why"))

        one.wait_for(RunLost("r1", "why"))
        two.wait_for(RunLost("r1", "why"))
    finally:
        system.stop()


def test_a_module_that_has_its_name_is_told() -> None:
    system = System()
    system.run_kernel()
    try:
        system.add(Probe, FEED)
        with pytest.raises(StartError, match="there is a module 'state_feed' already"):
            LocalMcs(system, "gui:one")
    finally:
        system.stop()
