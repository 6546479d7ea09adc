"""A pipe keeps the order, never makes a sender wait, and tells its end once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hal.base import LinkError, SystemClock, SystemThreads
from hal.transport import Pipe, framed
from hal.transport.pipe import MOST_WAITING

PATIENCE_S = 20.0


class End:
    """One end of a pipe, and what came out of it."""

    def __init__(self, connected: socket.socket, name: str) -> None:
        self.frames: list[bytes] = []
        self.ends: list[str] = []
        self.ticks = 0
        self.on_frame: Callable[[bytes], None] = self.frames.append
        self.pipe = Pipe(
            connected,
            name,
            threads=SystemThreads(),
            clock=SystemClock(),
            on_frame=lambda frame: self.on_frame(frame),
            on_end=self.ends.append,
            on_tick=self._tick,
        )

    def _tick(self) -> None:
        self.ticks += 1


@pytest.fixture
def pair() -> Iterator[tuple[End, socket.socket]]:
    """A pipe, and the other end as a plain socket."""
    ours, theirs = socket.socketpair()
    end = End(ours, "ours")
    yield end, theirs
    end.pipe.close()
    theirs.close()


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


def test_frames_of_many_threads_arrive_whole_and_each_in_its_order() -> None:
    ours, theirs = socket.socketpair()
    one, other = End(ours, "one"), End(theirs, "other")
    other.pipe.start()
    one.pipe.start()

    def work(number: int) -> None:
        for count in range(2000):
            one.pipe.send(b"%d %d " % (number, count) + bytes(count % 300))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    until(lambda: len(other.frames) == 8000)
    one.pipe.close()
    until(lambda: one.ends and other.ends)

    for number in range(4):
        mine = [f.split(b" ") for f in other.frames if f.startswith(b"%d " % number)]
        assert [int(parts[1]) for parts in mine] == list(range(2000))
        assert all(len(p[2]) == int(p[1]) % 300 for p in mine)
    assert one.ends == other.ends == [""]


def test_who_sends_never_waits_for_who_does_not_read(
    pair: tuple[End, socket.socket],
) -> None:
    end, theirs = pair
    end.pipe.start()
    sent = [bytes([n % 256]) * 100_000 for n in range(100)]

    started_s = time.monotonic()
    for frame in sent:
        end.pipe.send(frame)

    assert time.monotonic() - started_s < 2.0
    assert not end.pipe.flush(0.05)
    expected = b"".join(map(framed, sent))
    got = bytearray()
    while len(got) < len(expected):
        got += theirs.recv(2**20)
    assert got == expected
    assert end.pipe.flush(PATIENCE_S)


def test_too_much_that_nobody_reads_ends_it(pair: tuple[End, socket.socket]) -> None:
    end, _ = pair
    end.pipe.start()

    def flood() -> None:
        for _ in range(MOST_WAITING + 1000):
            end.pipe.send(bytes(1000))

    with pytest.raises(LinkError, match="does not read"):
        flood()

    until(lambda: end.ends)
    assert end.ends == ["the other side does not read what it is sent"]
    with pytest.raises(LinkError, match="closed"):
        end.pipe.send(b"")


def test_the_end_comes_after_the_last_frame(pair: tuple[End, socket.socket]) -> None:
    end, theirs = pair
    theirs.sendall(framed(b"last words"))
    theirs.close()

    end.pipe.start()

    until(lambda: end.ends)
    assert end.frames == [b"last words"]
    assert end.ends == [""]


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"hello, is anybody there?"])
def test_garbage_is_the_end(pair: tuple[End, socket.socket], data: bytes) -> None:
    end, theirs = pair
    end.pipe.start()

    theirs.sendall(data)

    until(lambda: end.ends)
    assert end.ends[0].startswith("garbage")
    assert end.pipe.is_closed


def test_what_a_frame_cannot_mean_is_the_end(pair: tuple[End, socket.socket]) -> None:
    end, theirs = pair

    def refuse(frame: bytes) -> None:
        raise LinkError("garbage: no such frame")

    end.on_frame = refuse
    end.pipe.start()
    theirs.sendall(framed(b"x"))

    until(lambda: end.ends)
    assert end.ends == ["garbage: no such frame"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_of_the_receiver_is_the_end_too(
    pair: tuple[End, socket.socket],
) -> None:
    end, theirs = pair

    def fail(frame: bytes) -> None:
        raise KeyError("puppet")

    end.on_frame = fail
    end.pipe.start()
    theirs.sendall(framed(b"x"))

    until(lambda: end.ends)
    assert end.ends == ["broken: KeyError: 'puppet'"]
    assert theirs.recv(1) == b""


def test_it_ticks_whether_anything_comes_or_not(
    pair: tuple[End, socket.socket],
) -> None:
    end, theirs = pair
    end.pipe.start()

    until(lambda: end.ticks >= 2)
    before = end.ticks
    deadline_s = time.monotonic() + PATIENCE_S
    while end.ticks < before + 2:
        assert time.monotonic() < deadline_s
        theirs.sendall(framed(b"x"))
        time.sleep(0.01)


def test_a_send_within_a_send_is_kept(pair: tuple[End, socket.socket]) -> None:
    """As from a signal handler that interrupts one, on the same thread."""
    end, theirs = pair
    with end.pipe._sending:  # as if this thread were in the middle of it
        end.pipe.send(b"inner")
    end.pipe.send(b"outer")

    assert theirs.recv(100) == framed(b"inner") + framed(b"outer")
    end.pipe.start()
