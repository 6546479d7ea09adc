from __future__ import annotations

import pytest

from hal.base import BadInput, StateError
from hal.frames import OwnRings

MIB = 2**20


def test_a_ring_is_found_by_name_and_counted() -> None:
    rings = OwnRings(MIB)
    ring = rings.create("camera1", (16, 16), "uint16", slots=4)

    assert rings.get("camera1") is ring
    assert rings.names == ("camera1",)
    assert rings.used_bytes == 4 * 16 * 16 * 2


def test_usual_slots_are_about_64_mb() -> None:
    assert OwnRings(1024 * MIB).create("camera1", (1024, 1024), "uint16").slots == 32


def test_large_frames_still_get_8_slots() -> None:
    ring = OwnRings(1024 * MIB).create("camera1", (2048, 4096), "uint16")

    assert ring.slots == 8


def test_slots_are_what_the_budget_gives() -> None:
    assert OwnRings(6 * MIB).create("camera1", (1024, 1024), "uint16").slots == 3


def test_tiny_frames_do_not_get_millions_of_slots() -> None:
    assert OwnRings(1024 * MIB).create("camera1", (1, 1), "uint8").slots == 4096


def test_over_budget_names_camera_need_and_budget() -> None:
    rings = OwnRings(8 * MIB)
    rings.create("camera1", (1024, 1024), "uint16", slots=3)

    with pytest.raises(BadInput) as caught:
        rings.create("camera2", (1024, 1024), "uint16")

    for said in ("'camera2'", "4.0 MiB", "8.0 MiB budget", "2.0 MiB are left"):
        assert said in str(caught.value)
    assert rings.names == ("camera1",)


def test_a_machine_without_the_memory_is_an_error_that_says_so() -> None:
    with pytest.raises(BadInput, match="'camera1': this machine has no"):
        OwnRings(2**62).create("camera1", (2**20, 2**20), "uint16", slots=2**18)


def test_two_rings_cannot_share_a_name() -> None:
    rings = OwnRings(MIB)
    rings.create("camera1", (4, 4), "uint8")

    with pytest.raises(StateError, match="'camera1' already"):
        rings.create("camera1", (4, 4), "uint8")


def test_an_unknown_ring_is_an_error_that_lists_the_known() -> None:
    rings = OwnRings(MIB)
    rings.create("camera1", (4, 4), "uint8")

    with pytest.raises(StateError, match="no ring 'camera2'; there are: camera1"):
        rings.get("camera2")


def test_a_removed_ring_has_ended_and_its_memory_counts_no_more() -> None:
    rings = OwnRings(MIB)
    ring = rings.create("camera1", (4, 4), "uint8")

    rings.remove("camera1")
    rings.remove("camera1")

    assert ring.ended
    assert rings.used_bytes == 0
    rings.create("camera1", (4, 4), "uint8")
