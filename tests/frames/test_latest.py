from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hal.frames import FrameRing
from tests.frames.ringing import SHAPE, put


@pytest.fixture
def ring() -> FrameRing:
    return FrameRing("camera1", SHAPE, "uint16", 3)


def test_a_latest_reader_never_holds_up_the_writer(ring: FrameRing) -> None:
    latest = ring.open_reader("display", lossless=False)
    assert latest.latest() is None

    assert all(put(ring, index) for index in range(10))

    newest = latest.latest()
    assert newest is not None
    assert newest.frame.info.index == 9
    assert (newest.frame.pixels == 9).all()
    assert newest.skipped == 9
    assert latest.latest() is None


def test_a_latest_copy_stays_as_it_was(ring: FrameRing) -> None:
    latest = ring.open_reader("display", lossless=False)
    put(ring, 0)
    newest = latest.latest()
    assert newest is not None

    for index in range(1, 10):
        put(ring, index)

    assert (newest.frame.pixels == 0).all()
    assert not newest.frame.pixels.flags.writeable


class CopiedSlowly(np.ndarray):
    """Pixels whose copy takes so long that `meanwhile` happens."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def copy(self, order: str = "C") -> np.ndarray:  # type: ignore[override]
        torn = np.array(self)
        CopiedSlowly.meanwhile()
        return torn


@pytest.fixture
def meanwhile(
    ring: FrameRing, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], None]:
    """Set what happens while the first frame of the ring is copied."""
    views = ring._memory._views
    views[0] = views[0].view(CopiedSlowly)
    return lambda call: monkeypatch.setattr(CopiedSlowly, "meanwhile", call)


def test_a_copy_that_was_overwritten_is_never_handed_out(
    ring: FrameRing, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    latest = ring.open_reader("display", lossless=False)
    put(ring, 0)
    meanwhile(lambda: [put(ring, index) for index in range(1, 5)])

    newest = latest.latest()

    assert newest is not None
    assert newest.frame.info.index == 4


def test_a_copy_of_a_slot_being_filled_is_never_handed_out(
    ring: FrameRing, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    latest = ring.open_reader("display", lossless=False)
    put(ring, 0)
    meanwhile(lambda: [put(ring, 1), put(ring, 2), ring.reserve(0.0)])

    newest = latest.latest()

    assert newest is not None
    assert newest.frame.info.index == 2


def test_frames_put_during_a_copy_are_counted_by_the_next(
    ring: FrameRing, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    latest = ring.open_reader("display", lossless=False)
    put(ring, 0)
    meanwhile(lambda: [put(ring, 1), put(ring, 2)])

    first, second = latest.latest(), latest.latest()

    assert first is not None
    assert second is not None
    assert (first.frame.info.index, first.skipped) == (0, 0)
    assert (second.frame.info.index, second.skipped) == (2, 1)


def test_a_writer_that_laps_every_copy_gets_nothing_shown(
    ring: FrameRing, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    latest = ring.open_reader("display", lossless=False)
    put(ring, 0)
    laps = iter(range(1, 100))
    meanwhile(lambda: [put(ring, next(laps)) for _ in range(ring.slots)])

    assert latest.latest() is None
