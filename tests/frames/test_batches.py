from __future__ import annotations

import pytest

from hal.frames import IndexBatches
from hal.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def batches(told: list[tuple[int, int]], clock: FakeClock) -> IndexBatches:
    return IndexBatches(lambda first, last: told.append((first, last)), clock)


def test_frames_are_told_together_and_none_twice(
    batches: IndexBatches, told: list[tuple[int, int]]
) -> None:
    batches.tell()
    for index in range(3):
        batches.add(index)
    batches.tell()
    batches.tell()

    assert told == [(0, 2)]
    assert batches.next == 3


def test_a_range_ends_at_a_gap(
    batches: IndexBatches, told: list[tuple[int, int]]
) -> None:
    for index in (0, 1, 5, 6):
        batches.add(index)
    assert told == [(0, 1)]

    batches.tell()

    assert told == [(0, 1), (5, 6)]


def test_news_wait_until_they_are_due(
    batches: IndexBatches, told: list[tuple[int, int]], clock: FakeClock
) -> None:
    batches.add(0)
    batches.tell_if_due()
    assert told == []

    clock.advance(0.2)
    batches.tell_if_due()

    assert told == [(0, 0)]
