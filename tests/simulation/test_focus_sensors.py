from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import DeviceTimeout
from hal.devices import FocusSensor
from hal.testing.contracts import FocusSensorContract
from hal.testing.contracts._halting import halt_during
from modules.simulation import SimFocusQuadrant, SimFocusSpots
from tests.simulation.clocks import WindingClock

BOTH: Any = [SimFocusQuadrant, SimFocusSpots]


class TestSimFocusQuadrant(FocusSensorContract):
    offsets_um = (-0.5, -0.1, 0.0, 0.1, 0.5)
    tolerance_um = 0.02

    def make_device(self) -> SimFocusQuadrant:
        return SimFocusQuadrant()

    def put(self, device: FocusSensor, offset_um: float) -> None:
        device.set_parameters({"z_um": offset_um})


class TestSimFocusSpots(FocusSensorContract):
    offsets_um = (-4.9, -0.5, 0.0, 0.5, 4.9)
    tolerance_um = 1e-6

    def make_device(self) -> SimFocusSpots:
        return SimFocusSpots()

    def put(self, device: FocusSensor, offset_um: float) -> None:
        device.set_parameters({"z_um": offset_um})


def sensor(kind: Any, **values: Any) -> Any:
    device = kind(**values)
    device.clock = WindingClock()
    device.open()
    return device


def offset_at(device: Any, z_um: float) -> float:
    device.z_um = z_um
    return float(device.read().offset_um)


@pytest.mark.parametrize("kind", BOTH)
@given(z_um=st.floats(0.0, 15.0), zero_um=st.floats(-5.0, 5.0))
def test_the_signal_is_antisymmetric_around_focus(
    kind: Any, z_um: float, zero_um: float
) -> None:
    device = sensor(kind)
    above, below = offset_at(device, z_um), offset_at(device, -z_um)

    assert above == pytest.approx(-below, abs=1e-9)
    assert above >= 0.0
    shifted = sensor(kind, zero_um=zero_um)
    assert offset_at(shifted, zero_um + z_um) == pytest.approx(above, abs=1e-9)


@pytest.mark.parametrize("kind", BOTH)
def test_it_reads_nothing_in_focus_and_all_the_light(kind: Any) -> None:
    signal = sensor(kind, full_sum=640.0).read()

    assert signal == (0.0, 640.0, True)


@pytest.mark.parametrize("kind", BOTH)
def test_the_offset_rises_with_z_and_the_sum_falls(kind: Any) -> None:
    device = sensor(kind)
    signals = []
    for z_um in (0.0, 1.0, 2.0, 3.0, 4.0):
        device.z_um = z_um
        signals.append(device.read())

    for near, far in itertools.pairwise(signals):
        assert near.offset_um < far.offset_um
        assert near.signal_sum > far.signal_sum


def test_a_quadrant_photodiode_saturates() -> None:
    device = sensor(SimFocusQuadrant, spot_um=4.0)

    assert offset_at(device, 0.05) == pytest.approx(0.05, rel=1e-3)
    # erf is 1 far out, and sqrt(pi / 2) / 2 of the spot is what 1 is scaled to.
    assert offset_at(device, 30.0) == pytest.approx(4.0 * 0.62666, rel=1e-4)
    assert offset_at(device, 4.0) == pytest.approx(0.9545 * 4.0 * 0.62666, rel=1e-4)


def test_far_out_of_focus_there_is_no_light_to_tell() -> None:
    device = sensor(SimFocusQuadrant)
    device.z_um = 1e4

    assert device.read() == (None, 0.0, False)


def test_spots_that_meet_or_leave_the_camera_tell_nothing() -> None:
    device = sensor(SimFocusSpots, width_px=640, apart_px=200.0, px_per_um=10.0)

    assert offset_at(device, -19.9) == pytest.approx(-19.9)
    assert offset_at(device, 43.9) == pytest.approx(43.9)
    for z_um in (-20.0, -500.0, 44.0, 1e4):
        device.z_um = z_um
        assert device.read() == (None, 0.0, False)


@pytest.mark.parametrize("kind", BOTH)
def test_equal_seeds_make_equal_noise_whenever_it_is_read(kind: Any) -> None:
    def offsets(pause_s: float = 0.0, **values: Any) -> list[float]:
        device = sensor(kind, noise_um=0.1, **values)
        found = []
        for _ in range(20):
            device.clock.advance(pause_s)
            found.append(float(device.read().offset_um))
        return found

    assert offsets(seed=2) == offsets(pause_s=7.7, seed=2)
    assert offsets(seed=2) != offsets(seed=3)
    assert len(set(offsets(seed=2))) == 20


@pytest.mark.parametrize("kind", BOTH)
def test_a_reading_that_takes_too_long_is_an_error(kind: Any) -> None:
    device = sensor(kind, integration_s=2.0, read_timeout_s=0.5)

    with pytest.raises(DeviceTimeout, match=r"no reading in 0\.5 s"):
        device.read()

    assert device.clock.monotonic_s() == 0.5


@pytest.mark.parametrize("kind", BOTH)
def test_halt_ends_a_long_reading(kind: Any) -> None:
    device = kind(integration_s=30.0, read_timeout_s=60.0)
    device.open()

    halt_during(device, device.read, after_s=0.05, within_s=0.5)
