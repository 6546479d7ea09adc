from __future__ import annotations

import pytest

from hal.base import DeviceError
from hal.devices import FrameStamp
from modules.micromanager.stamps import TagReader


def tags(number: object, ms: object = "1.0") -> dict[str, str]:
    return {"ImageNumber": str(number), "ElapsedTime-ms": str(ms)}


def test_good_tags_are_taken() -> None:
    reader = TagReader()

    assert reader.stamp(0, tags(0, "1.5"), 1.0) == FrameStamp(0, 0.0015)
    assert reader.stamp(1, tags(1, "2.5"), 1.0) == FrameStamp(1, 0.0025)


@pytest.mark.parametrize("spoiled", ["", "7", "0.0000", "State-3"])
def test_spoiled_number_is_no_number(spoiled: str) -> None:
    reader = TagReader()
    for index in range(100):
        is_spoiled = index % 5 == 4 and index > 7  # more than ten, never two in a row
        stamp = reader.stamp(index, tags(spoiled if is_spoiled else index), 1.0)

        assert stamp.counter == (None if is_spoiled else index)


@pytest.mark.parametrize("spoiled", ["", "0.5", "90000", "nan", "inf", "x"])
def test_spoiled_time_is_no_time(spoiled: str) -> None:
    reader = TagReader()
    reader.stamp(0, tags(0, "100"), 1.0)

    assert reader.stamp(1, tags(1, spoiled), 1.0).hardware_s is None
    assert reader.stamp(2, tags(2, "102"), 1.0).hardware_s == 0.102


def test_frames_without_tags_have_no_stamp() -> None:
    reader = TagReader()

    for index in range(50):
        assert reader.stamp(index, {}, 1.0) == FrameStamp(None, None)


@pytest.mark.parametrize("shift", [3, -20])
def test_frames_lost_in_the_adapter_are_told(shift: int) -> None:
    reader = TagReader()
    for index in range(20):
        reader.stamp(index, tags(index), 1.0)

    for index in range(20, 29):
        assert reader.stamp(index, tags(index + shift), 1.0).counter is None
    with pytest.raises(DeviceError, match="since 20 have a wrong one: frames were los"):
        reader.stamp(29, tags(29 + shift), 1.0)
