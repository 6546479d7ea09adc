"""The ring against a list, and against real threads."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.frames import FrameInfo, FrameRing

SHAPE = (3, 5)


def info(index: int) -> FrameInfo:
    return FrameInfo(
        camera="camera1",
        index=index,
        event_index=index,
        host_s=0.0,
        exposure_s=0.0,
        shape=SHAPE,
        dtype="uint32",
    )


@given(
    slots=st.integers(2, 5),
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "next", "release", "latest"]), st.booleans()),
        max_size=80,
    ),
)
def test_any_interleaving_agrees_with_a_list(
    slots: int, steps: list[tuple[str, bool]]
) -> None:
    ring = FrameRing("camera1", SHAPE, "uint32", slots)
    readers = [ring.open_reader("a"), ring.open_reader("b")]
    display = ring.open_reader("display", lossless=False)
    written: list[int] = []
    released = [0, 0]
    held: list[tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.uint32]]] | None]
    held = [None, None]
    seen = 0
    for step, first in steps:
        who = 0 if first else 1
        if step == "put":
            slot = ring.reserve(0.0)
            room = len(written) - min(released) < slots
            assert (slot is not None) == room
            if slot is not None:
                slot.fill(len(written))
                ring.put(info(len(written)))
                written.append(len(written))
        elif step == "next" and held[who] is None:
            frame = readers[who].next(0.0)
            assert (frame is None) == (released[who] == len(written))
            if frame is not None:
                assert frame.info.index == released[who]
                held[who] = (frame.info.index, frame.pixels)
        elif step == "release" and held[who] is not None:
            readers[who].release()
            released[who] += 1
            held[who] = None
        elif step == "latest":
            newest = display.latest()
            assert (newest is None) == (seen == len(written))
            if newest is not None:
                assert newest.frame.info.index == written[-1]
                assert newest.skipped == len(written) - 1 - seen
                seen = len(written)
        for holding in held:
            if holding is not None:
                assert (holding[1] == holding[0]).all()


@settings(max_examples=5)
@given(slots=st.integers(2, 8), readers=st.integers(1, 3))
def test_threads_lose_nothing_and_keep_the_order(slots: int, readers: int) -> None:
    """A fast writer, readers of different pace, and a display that tears nothing."""
    frames = 400
    ring = FrameRing("camera1", SHAPE, "uint32", slots)
    taken: list[list[int]] = [[] for _ in range(readers)]
    torn: list[str] = []
    shown: list[int] = []

    def read(which: int) -> None:
        with opened[which] as reader:
            while not reader.at_end:
                frame = reader.next(5.0)
                if frame is None:
                    continue
                for _ in range(which * 20):
                    if not (frame.pixels == frame.info.index).all():
                        torn.append(f"reader {which}: frame {frame.info.index}")
                taken[which].append(frame.info.index)
                reader.release()

    def show() -> None:
        with display:
            while not display.at_end:
                newest = display.latest(5.0)
                if newest is None:
                    continue
                if not (newest.frame.pixels == newest.frame.info.index).all():
                    torn.append(f"display: frame {newest.frame.info.index}")
                shown.append(newest.frame.info.index - newest.skipped)
                shown.append(newest.frame.info.index)

    opened = [ring.open_reader(f"reader{which}") for which in range(readers)]
    display = ring.open_reader("display", lossless=False)
    threads = [threading.Thread(target=show, name="show")] + [
        threading.Thread(target=read, args=(which,), name=f"read{which}")
        for which in range(readers)
    ]
    for thread in threads:
        thread.start()
    for index in range(frames):
        slot = ring.reserve(10.0)
        assert slot is not None, ring.lagging()
        slot.fill(index)
        ring.put(info(index))
    ring.end()
    for thread in threads:
        thread.join(20.0)
        assert not thread.is_alive()

    assert torn == []
    assert taken == [list(range(frames))] * readers
    assert shown[-1] == frames - 1
    # What was shown and what was skipped add up to every frame.
    assert shown[0] == 0
    assert all(
        begin == end + 1 for end, begin in zip(shown[1:-1:2], shown[2::2], strict=True)
    )
