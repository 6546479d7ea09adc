from __future__ import annotations

import pytest

from hal.base import BadInput, StateError
from hal.frames import FrameRing
from hal.testing import FakeClock
from tests.frames.ringing import SHAPE, Background, Waits, info, put, take, wait_until


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ring(clock: FakeClock) -> FrameRing:
    return FrameRing("camera1", SHAPE, "uint16", 3, clock)


def test_frames_come_out_in_order_with_their_pixels(ring: FrameRing) -> None:
    reader = ring.open_reader("recorder")
    for index in range(10):
        assert put(ring, index)
        assert take(reader) == index


def test_a_slow_reader_holds_up_the_writer_and_is_named(ring: FrameRing) -> None:
    ring.open_reader("analysis")
    assert ring.lagging() is None

    assert [put(ring, index) for index in range(4)] == [True, True, True, False]

    assert ring.lagging() == ("analysis", 3)


def test_the_slowest_of_several_readers_is_named(ring: FrameRing) -> None:
    quick, _slow = ring.open_reader("quick"), ring.open_reader("slow")
    for index in range(3):
        put(ring, index)
    take(quick)

    assert ring.reserve(0.0) is None
    assert ring.lagging() == ("slow", 3)


def test_a_view_does_not_change_before_release(ring: FrameRing) -> None:
    reader = ring.open_reader("recorder")
    for index in range(3):
        put(ring, index)
    frame = reader.next(0.0)
    assert frame is not None

    assert not put(ring, 3)
    assert (frame.pixels == 0).all()

    reader.release()
    assert put(ring, 3)


def test_a_view_cannot_be_written_to(ring: FrameRing) -> None:
    reader = ring.open_reader("recorder")
    put(ring, 0)
    frame = reader.next(0.0)
    assert frame is not None

    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        frame.pixels.flags.writeable = True


def test_release_wakes_the_waiting_writer(ring: FrameRing, waits: Waits) -> None:
    reader = ring.open_reader("recorder")
    for index in range(3):
        put(ring, index)
    writer = Background(lambda: put(ring, 3, timeout_s=60.0))
    wait_until(lambda: waits.now == 1)

    assert take(reader) == 0

    assert writer.join() is True


def test_reserve_gives_up_after_its_timeout(
    ring: FrameRing, clock: FakeClock, waits: Waits
) -> None:
    ring.open_reader("recorder")
    for index in range(3):
        put(ring, index)
    writer = Background(lambda: ring.reserve(5.0))
    wait_until(lambda: waits.now == 1)

    clock.advance(5.1)

    assert writer.join() is None
    assert ring.lagging() == ("recorder", 3)


def test_reserve_repeated_returns_the_same_slot(ring: FrameRing) -> None:
    first, second = ring.reserve(0.0), ring.reserve(0.0)

    assert first is not None
    assert second is first


def test_put_without_reserve_is_refused(ring: FrameRing) -> None:
    with pytest.raises(StateError, match="put without reserve"):
        ring.put(info(0))


def test_a_put_wakes_a_waiting_reader(ring: FrameRing, waits: Waits) -> None:
    reader = ring.open_reader("recorder")
    taking = Background(lambda: reader.next(60.0))
    wait_until(lambda: waits.now == 1)

    put(ring, 7)

    frame = taking.join()
    assert frame is not None
    assert frame.info.index == 7  # type: ignore[attr-defined]


def test_next_gives_up_after_its_timeout(
    ring: FrameRing, clock: FakeClock, waits: Waits
) -> None:
    reader = ring.open_reader("recorder")
    taking = Background(lambda: reader.next(5.0))
    wait_until(lambda: waits.now == 1)

    clock.advance(5.1)

    assert taking.join() is None
    assert not reader.at_end


def test_next_before_release_is_refused(ring: FrameRing) -> None:
    reader = ring.open_reader("recorder")
    put(ring, 0)
    put(ring, 1)
    reader.next(0.0)

    with pytest.raises(StateError, match=r"'recorder'.*before releasing"):
        reader.next(0.0)


def test_release_without_a_frame_is_refused(ring: FrameRing) -> None:
    with pytest.raises(StateError, match="no frame to release"):
        ring.open_reader("recorder").release()


def test_after_the_end_readers_drain_and_then_are_at_end(ring: FrameRing) -> None:
    reader = ring.open_reader("recorder")
    put(ring, 0)
    ring.end()

    assert not reader.at_end
    assert take(reader) == 0
    assert reader.at_end
    assert reader.next(60.0) is None
    assert ring.error is None


def test_the_first_end_tells_why(ring: FrameRing) -> None:
    ring.end("camera1: no answer")
    ring.end()

    assert ring.ended
    assert ring.error == "camera1: no answer"


def test_the_end_wakes_a_waiting_reader(ring: FrameRing, waits: Waits) -> None:
    reader = ring.open_reader("recorder")
    taking = Background(lambda: reader.next(60.0))
    wait_until(lambda: waits.now == 1)

    ring.end("gone")

    assert taking.join() is None
    assert reader.at_end


def test_the_end_wakes_a_waiting_writer(ring: FrameRing, waits: Waits) -> None:
    ring.open_reader("recorder")
    for index in range(3):
        put(ring, index)
    writer = Background(lambda: ring.reserve(60.0))
    wait_until(lambda: waits.now == 1)

    ring.end("aborted")

    writer.join()
    assert "ended" in str(writer.error)


def test_an_ended_ring_takes_no_more_frames(ring: FrameRing) -> None:
    ring.reserve(0.0)
    ring.end()

    with pytest.raises(StateError, match="'camera1' has ended"):
        ring.put(info(0))
    with pytest.raises(StateError, match="'camera1' has ended"):
        ring.reserve(0.0)


def test_wake_ends_every_wait_at_once(ring: FrameRing, waits: Waits) -> None:
    ring.open_reader("stuck")
    for index in range(3):
        put(ring, index)
    latest = ring.open_reader("display", lossless=False)
    late = ring.open_reader("late")
    threads = [
        Background(lambda: ring.reserve(60.0)),
        Background(lambda: late.next(60.0)),
        Background(lambda: latest.latest(60.0)),
    ]
    wait_until(lambda: waits.now == 3)

    ring.wake()

    assert [thread.join() for thread in threads] == [None, None, None]
    assert not late.at_end


def test_a_wake_that_nobody_waited_for_does_not_end_a_later_wait(
    ring: FrameRing, waits: Waits
) -> None:
    reader = ring.open_reader("recorder")
    for index in range(3):
        put(ring, index)
    ring.wake()
    writer = Background(lambda: put(ring, 3, timeout_s=60.0))
    wait_until(lambda: waits.now == 1)

    take(reader)

    assert writer.join() is True


def test_a_release_that_is_not_enough_does_not_end_the_wait(
    ring: FrameRing, waits: Waits
) -> None:
    quick, slow = ring.open_reader("quick"), ring.open_reader("slow")
    for index in range(3):
        put(ring, index)
    ring.wake()
    writer = Background(lambda: put(ring, 3, timeout_s=60.0))
    wait_until(lambda: waits.now == 1)

    take(quick)
    wait_until(lambda: waits.now == 1)
    take(slow)

    assert writer.join() is True


def test_closing_a_reader_frees_the_writer(ring: FrameRing, waits: Waits) -> None:
    reader = ring.open_reader("recorder")
    for index in range(3):
        put(ring, index)
    reader.next(0.0)
    writer = Background(lambda: put(ring, 3, timeout_s=60.0))
    wait_until(lambda: waits.now == 1)

    reader.close()

    assert writer.join() is True
    assert reader.at_end
    assert reader.next(0.0) is None
    assert ring.readers == ()


def test_closing_wakes_the_reader_that_waits(ring: FrameRing, waits: Waits) -> None:
    reader = ring.open_reader("recorder")
    taking = Background(lambda: reader.next(60.0))
    wait_until(lambda: waits.now == 1)

    reader.close()

    assert taking.join() is None


def test_a_dead_readers_place_is_released_by_name(ring: FrameRing) -> None:
    dead = ring.open_reader("recorder")
    for index in range(3):
        put(ring, index)

    ring.drop_reader("recorder")

    assert put(ring, 3)
    assert dead.at_end
    successor = ring.open_reader("recorder")
    dead.close()
    assert [state.name for state in ring.readers] == [successor.name]


def test_dropping_an_unknown_reader_names_the_nearest(ring: FrameRing) -> None:
    ring.open_reader("recorder")

    with pytest.raises(StateError, match="did you mean 'recorder'"):
        ring.drop_reader("recoder")


def test_two_readers_cannot_share_a_name(ring: FrameRing) -> None:
    ring.open_reader("recorder")

    with pytest.raises(StateError, match="'recorder' already"):
        ring.open_reader("recorder", lossless=False)


def test_a_reader_starts_at_the_next_frame(ring: FrameRing) -> None:
    put(ring, 0)
    with ring.open_reader("late") as reader:
        put(ring, 1)

        assert take(reader) == 1


def test_a_reader_may_start_at_the_first_frame_while_it_is_there(
    ring: FrameRing,
) -> None:
    for index in range(3):
        put(ring, index)
    assert take(ring.open_reader("late", from_start=True)) == 0

    ring.drop_reader("late")
    put(ring, 3)
    with pytest.raises(StateError, match="1 are overwritten"):
        ring.open_reader("too late", from_start=True)


def test_a_slot_given_to_the_writer_is_no_start_any_more(ring: FrameRing) -> None:
    for index in range(3):
        put(ring, index)
    ring.reserve(0.0)

    with pytest.raises(StateError, match="overwritten"):
        ring.open_reader("too late", from_start=True)


def test_readers_tell_how_far_they_are_behind(ring: FrameRing) -> None:
    reader = ring.open_reader("recorder")
    ring.open_reader("display", lossless=False)
    put(ring, 0)
    put(ring, 1)
    take(reader)

    assert ring.readers == (("recorder", True, 1), ("display", False, 2))
    assert reader.behind == 1
    assert ring.published == 2


@pytest.mark.parametrize(("shape", "slots"), [((4, 6), 1), ((0, 6), 3)])
def test_an_impossible_ring_is_refused(shape: tuple[int, int], slots: int) -> None:
    with pytest.raises(BadInput, match="not possible"):
        FrameRing("camera1", shape, "uint16", slots)
