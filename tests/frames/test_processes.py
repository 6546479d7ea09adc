"""Writer and readers of one ring in processes of their own, which may be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hal.base import StateError
from hal.frames import FrameRing, OwnRings, Place
from hal.testing import FakeClock
from tests.frames.ringing import PATIENCE_S, SHAPE, info, put, take

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("elsewhere.py")
BIG = (512, 512)


class Process:
    """One other process at a ring."""

    def __init__(self, role: str, ring: FrameRing, place: Place | None = None) -> None:
        parts = [ring.handle] if place is None else [ring.handle, place]
        told = [msgspec.json.encode(part).decode() for part in parts]
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), role, *told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
        )

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def close(self) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(role: str, ring: FrameRing, place: Place | None = None) -> Process:
        started.append(Process(role, ring, place))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def ring() -> FrameRing:
    return FrameRing("camera1", SHAPE, "uint16", 3)


def test_a_reader_elsewhere_gets_every_frame_and_the_end(
    ring: FrameRing, start: Callable[..., Process]
) -> None:
    reader = start("read", ring, ring.admit("elsewhere", lossless=True))
    assert reader.line() == "open"

    assert all(put(ring, index, timeout_s=PATIENCE_S) for index in range(50))
    ring.end("enough")

    assert [reader.line() for _ in range(50)] == [f"{i} True" for i in range(50)]
    assert reader.line() == "end enough"


def test_a_writer_elsewhere_is_read_here_and_held_up_from_here(
    ring: FrameRing, start: Callable[..., Process]
) -> None:
    reader = ring.open_reader("recorder")
    writer = start("write", ring)

    assert [writer.line() for _ in range(3)] == ["1", "2", "3"]
    assert ring.lagging() == ("recorder", 3)
    for index in range(20):
        assert take(reader) == index
    # Three more at most, for which there is room.
    last = [int(writer.line()) for _ in range(20)][-1]
    assert last == 23


def test_a_frame_held_elsewhere_is_not_overwritten(
    ring: FrameRing, start: Callable[..., Process]
) -> None:
    holder = start("hold", ring, ring.admit("elsewhere", lossless=True))
    assert holder.line() == "open"
    assert [put(ring, index) for index in range(4)] == [True, True, True, False]
    assert holder.line() == "0"
    assert not put(ring, 3)

    holder.go_on()

    assert [holder.line(), holder.line()] == ["True", "released"]
    assert put(ring, 3, timeout_s=PATIENCE_S)


def test_a_place_taken_away_while_a_frame_is_held_does_not_pass_for_whole(
    ring: FrameRing, start: Callable[..., Process]
) -> None:
    place = ring.admit("elsewhere", lossless=True)
    holder = start("hold", ring, place)
    assert holder.line() == "open"
    put(ring, 0)
    assert holder.line() == "0"
    # What only a defect can do: the frame is released in its reader's name.
    ring._memory.move_to(place.index, 3)
    assert all(put(ring, index) for index in range(1, 6))

    holder.go_on()

    assert holder.line() == "False"
    assert "overwritten while reader 'elsewhere' needed it" in holder.line()


def test_no_torn_frame_is_shown_by_a_display_elsewhere(
    start: Callable[..., Process],
) -> None:
    ring = FrameRing("camera1", BIG, "uint16", 2)
    display = start("show", ring, ring.admit("elsewhere", lossless=False))
    assert display.line() == "open"

    for index in range(3000):
        slot = ring.reserve(0.0)
        assert slot is not None
        slot.fill(index)
        ring.put(info(index))
    ring.end()

    seen, torn = map(int, display.line().split())
    assert seen > 10
    assert torn == 0


def test_the_frames_of_a_killed_reader_wait_for_its_successor(
    ring: FrameRing, start: Callable[..., Process]
) -> None:
    place = ring.admit("elsewhere", lossless=True)
    holder = start("hold", ring, place)
    assert holder.line() == "open"
    assert [put(ring, index) for index in range(3)] == [True] * 3
    assert holder.line() == "0"

    holder.kill()
    ring.bury_reader(place, keep_s=60.0)
    assert not put(ring, 3)
    with pytest.raises(StateError, match="'elsewhere' already"):
        ring.open_reader("elsewhere")
    successor = ring.open_reader("elsewhere", take_over=True)

    assert take(successor) == 0
    assert put(ring, 3)
    assert [take(successor) for _ in range(3)] == [1, 2, 3]


def test_the_frames_of_a_dead_reader_are_not_kept_for_ever() -> None:
    clock = FakeClock()
    ring = FrameRing("camera1", SHAPE, "uint16", 3, clock)
    place = ring.admit("recorder", lossless=True)
    assert all(put(ring, index) for index in range(3))
    ring.bury_reader(place, keep_s=5.0)
    assert ring.lagging() == ("recorder", 3)

    clock.advance(5.1)

    assert [put(ring, index) for index in range(3, 8)] == [True] * 5
    late = ring.open_reader("recorder", take_over=True)
    assert [take(late) for _ in range(3)] == [5, 6, 7]


def test_who_takes_over_from_nobody_gets_what_is_still_there(ring: FrameRing) -> None:
    for index in range(5):
        put(ring, index)

    assert take(ring.open_reader("recorder", take_over=True)) == 2


def test_a_buried_display_is_forgotten_at_once(ring: FrameRing) -> None:
    place = ring.admit("display", lossless=False)

    ring.bury_reader(place, keep_s=60.0)
    ring.bury_reader(place, keep_s=60.0)

    assert ring.readers == ()


def test_who_was_put_out_does_not_take_the_next_ones_place(ring: FrameRing) -> None:
    old = ring.open_reader("first")
    ring.drop_reader("first")
    new = ring.open_reader("second")

    put(ring, 0)
    old.close()

    assert old.at_end
    assert take(new) == 0


def test_a_ring_has_only_so_many_places(ring: FrameRing) -> None:
    for number in range(32):
        ring.open_reader(f"reader{number}", lossless=False)

    with pytest.raises(StateError, match="no place for reader 'one more'"):
        ring.open_reader("one more")


def test_a_name_that_does_not_fit_is_refused(ring: FrameRing) -> None:
    with pytest.raises(StateError, match="too long a name"):
        ring.open_reader("x" * 65)


def test_a_killed_writer_leaves_what_it_put(
    ring: FrameRing, start: Callable[..., Process]
) -> None:
    reader = ring.open_reader("recorder")
    writer = start("write", ring)
    assert [writer.line() for _ in range(3)] == ["1", "2", "3"]

    writer.kill()
    ring.end("its process was killed")

    assert [take(reader) for _ in range(3)] == [0, 1, 2]
    assert reader.at_end
    assert ring.error == "its process was killed"


def test_a_ring_that_is_gone_cannot_be_attached_to(
    ring: FrameRing, start: Callable[..., Process]
) -> None:
    ring.close()

    assert "ring 'camera1' is gone" in start("read", ring).line()


def test_all_that_a_process_had_ends_with_it() -> None:
    rings = OwnRings(2**20)
    written = rings.create("camera1", SHAPE, "uint16", slots=3)
    read = rings.create("camera2", SHAPE, "uint16", slots=3)
    rings.written_by("cameras.1", written)
    rings.read_by("cameras.1", read, read.admit("display", lossless=False))
    rings.read_by("cameras.1", read, read.admit("analysis", lossless=True))

    rings.process_ended("cameras.1", "killed by SIGKILL")

    assert written.error == "killed by SIGKILL"
    assert not read.ended
    assert [reader.name for reader in read.readers] == ["analysis"]
    assert take_all(read) == []


def test_a_ring_is_found_by_its_memory_until_it_is_removed() -> None:
    rings = OwnRings(2**20)
    ring = rings.create("camera1", SHAPE, "uint16", slots=3)
    assert rings.find(ring.handle.memory) is ring

    rings.remove("camera1")

    with pytest.raises(StateError, match="is gone"):
        rings.find(ring.handle.memory)


def take_all(ring: FrameRing) -> list[int]:
    with ring.open_reader("all") as reader:
        return [take(reader) for _ in range(reader.behind)]


def test_a_removed_ring_is_kept_for_who_still_reads_it() -> None:
    rings = OwnRings(2**20)
    ring = rings.create("camera1", SHAPE, "uint16", slots=3)
    place = ring.admit("recorder", lossless=True)
    assert put(ring, 0)

    rings.remove("camera1")
    ring.bury_reader(place, keep_s=60.0)

    assert rings.get("camera1") is ring is rings.find(ring.handle.memory)
    assert rings.used_bytes == ring.nbytes
    successor = rings.get("camera1").open_reader("recorder", take_over=True)
    assert take(successor) == 0
    assert successor.at_end
    successor.close()
    assert rings.used_bytes == 0
    with pytest.raises(StateError, match="there is no ring 'camera1'"):
        rings.get("camera1")


def test_the_name_of_a_removed_ring_can_be_used_again_at_once() -> None:
    rings = OwnRings(2**20)
    old = rings.create("camera1", SHAPE, "uint16", slots=3)
    with old.open_reader("recorder"):
        rings.remove("camera1")
        new = rings.create("camera1", SHAPE, "uint16", slots=3)

        assert rings.get("camera1") is new
        assert rings.find(old.handle.memory) is old
