"""A reader of a ring, on a thread of its own or in another process.

The other process gets on stdin what opens the reader, and says on stdout, as a line of
JSON, what it has seen.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from hal.frames import FrameRing, LosslessReader, Place, RingHandle

NAME: Final = "elsewhere"
_ROOT: Final = Path(__file__).resolve().parents[2]
_PROGRAM: Final = f"""
import sys
sys.path[:0] = [{str(_ROOT)!r}, {str(_ROOT / "tools")!r}]
from bench.elsewhere import main
main()
"""
_PATIENCE_S: Final = 20.0


class Follower:
    """What a reader has seen, once the ring has ended."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        """Set once the reader is there."""
        self.latencies_s: list[float] = []
        """From each frame's `host_s` to its arrival."""

    def follow(self, reader: LosslessReader) -> None:
        """Take all frames, looking at a pixel of each, without copying any."""
        self.ready.set()
        while not reader.at_end:
            frame = reader.next(_PATIENCE_S)
            if frame is None:
                continue
            self.latencies_s.append(time.monotonic() - frame.info.host_s)
            int(frame.pixels[-1, -1])
            reader.release()
        reader.close()


def granted(ring: FrameRing) -> bytes:
    """Return what a process opens a lossless reader of `ring` with."""
    place = ring.admit(NAME, lossless=True)
    return msgspec.msgpack.encode((ring.handle, place))


def opened(grant: bytes) -> LosslessReader:
    """Return the reader that was granted; in the other process."""
    handle, place = msgspec.msgpack.decode(grant, type=tuple[RingHandle, Place])
    return FrameRing.attach(handle, lambda *_, **__: place).open_reader(NAME)


@contextmanager
def following(ring: FrameRing, *, in_process: bool) -> Iterator[Follower]:
    """Have a reader follow `ring`, which must end within the block.

    What it has seen is there after the block.
    """
    follower = Follower()
    if in_process:
        reader = ring.open_reader(NAME)
        thread = threading.Thread(target=follower.follow, args=(reader,), daemon=True)
        thread.start()
        yield follower
        thread.join(_PATIENCE_S)
        return
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(granted(ring))
        process.stdin.close()
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the reader in another process did not begin")
        yield follower
        follower.latencies_s = json.loads(process.stdout.readline())


def main() -> None:
    """Be the other process."""
    # As in HAL itself, where a reader of a recorder is on a thread among others.
    sys.setswitchinterval(0.0005)
    reader = opened(sys.stdin.buffer.read())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    follower = Follower()
    follower.follow(reader)
    sys.stdout.write(json.dumps(follower.latencies_s) + "\n")
