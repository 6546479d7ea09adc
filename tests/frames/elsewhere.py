"""A process that uses a ring of another: `elsewhere.py ROLE HANDLE [PLACE]`.

It says what it does on stdout, a line each, and waits for lines on stdin.
"""

from __future__ import annotations

import sys

import msgspec

from hal.base import StateError, StorageError
from hal.frames import FrameInfo, FrameRing, Place, RingHandle

decode = msgspec.json.decode


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def info(handle: RingHandle, index: int) -> FrameInfo:
    return FrameInfo(
        camera=handle.name,
        index=index,
        event_index=index,
        host_s=0.0,
        exposure_s=0.0,
        shape=handle.shape,
        dtype=handle.dtype,
    )


def write(ring: FrameRing) -> None:
    """Put frames for ever, each filled with its index."""
    index = 0
    while True:
        slot = ring.reserve(60.0)
        assert slot is not None
        slot.fill(index % 60_000)
        ring.put(info(ring.handle, index))
        index += 1
        say(index)


def read(ring: FrameRing) -> None:
    """Take all frames, and say which."""
    with ring.open_reader("elsewhere") as reader:
        say("open")
        while not reader.at_end:
            frame = reader.next(60.0)
            if frame is not None:
                whole = bool((frame.pixels == frame.info.index % 60_000).all())
                reader.release()
                say(frame.info.index, whole)
    say("end", ring.error)


def hold(ring: FrameRing) -> None:
    """Take one frame and keep it until a line comes."""
    reader = ring.open_reader("elsewhere")
    say("open")
    frame = reader.next(60.0)
    assert frame is not None
    say(frame.info.index)
    sys.stdin.readline()
    say(bool((frame.pixels == frame.info.index).all()))
    try:
        reader.release()
    except StorageError as exc:
        say(exc)
    say("released")


def show(ring: FrameRing) -> None:
    """Look at the newest for ever; say how many were torn."""
    display = ring.open_reader("elsewhere", lossless=False)
    say("open")
    seen = torn = 0
    while not display.at_end:
        newest = display.latest(60.0)
        if newest is not None:
            seen += 1
            expected = newest.frame.info.index % 60_000
            torn += not (newest.frame.pixels == expected).all()
    say(seen, torn)


def main() -> None:
    role, handle = sys.argv[1], decode(sys.argv[2], type=RingHandle)

    def admitted(name: str, **_how: bool) -> Place:
        return decode(sys.argv[3], type=Place)

    try:
        ring = FrameRing.attach(handle, admitted)
    except StateError as exc:
        say(exc)
        return
    {"write": write, "read": read, "hold": hold, "show": show}[role](ring)


main()
