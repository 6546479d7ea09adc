"""Every exposure is counted once, with all its light, whoever asks and however late."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hal.base import DeviceError
from modules.simulation.world import CAMERA, World, layout
from modules.simulation.world.exposures import SPOT_UM, Exposures
from tests.simulation.world.filming import Bench

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "w", sample="empty")


def doses(bench: Bench) -> np.ndarray:
    return bench.world.file.spots["dose"][:8].copy()


def test_the_worlds_time_and_dose_grow_by_what_is_exposed(bench: Bench) -> None:
    first = bench.expose(0.1)
    second = bench.expose(0.3)

    assert (first.number, second.number) == (1, 2)
    assert (first.clock_s, second.clock_s) == (0.0, 0.1)
    assert bench.world.clock_s() == pytest.approx(0.4)
    assert not first.dose.any()
    np.testing.assert_array_equal(second.dose, first.gain)
    np.testing.assert_allclose(second.gain, 3 * first.gain)
    np.testing.assert_array_equal(doses(bench)[0], first.gain + second.gain)


def test_each_part_of_the_sample_has_its_own_dose(bench: Bench) -> None:
    here = bench.expose()
    bench.stage.write(x_um=0.4 * SPOT_UM)
    same = bench.expose()
    bench.stage.write(x_um=3 * SPOT_UM)
    there = bench.expose()
    bench.stage.write(x_um=0.0)
    back = bench.expose()

    assert (here.spot, same.spot, there.spot, back.spot) == (0, 0, 1, 0)
    assert (same.since, there.since, back.since) == (1, 3, 4)
    assert not there.dose.any()
    np.testing.assert_array_equal(back.dose, here.gain + same.gain)
    centres, other = bench.exposures.other_doses(back)
    np.testing.assert_array_equal(centres, [[3 * SPOT_UM, 0.0]])
    np.testing.assert_array_equal(other, [there.gain])


def test_a_part_too_far_away_to_be_seen_does_not_matter(bench: Bench) -> None:
    bench.expose()
    bench.stage.write(x_um=1000.0)

    centres, _ = bench.exposures.other_doses(bench.expose())

    assert len(centres) == 0


def test_asking_late_gives_what_asking_at_once_gave(bench: Bench) -> None:
    places = [0.0, 20.0, 0.0, 0.0, 40.0, 20.0, 60.0, 0.0]
    at_once = []
    for x_um in places:
        bench.stage.write(x_um=x_um)
        exposure = bench.expose()
        at_once.append((exposure, bench.exposures.other_doses(exposure)))

    late = Exposures(World.open(bench.world.path))

    for exposure, (centres, dose) in at_once:
        found = late.find(exposure.number)
        assert found is not None
        centres_late, dose_late = late.other_doses(found)
        # A part first lit later is known by then, with no dose.
        known = dose_late.any(axis=1)
        np.testing.assert_array_equal(centres_late[known], centres)
        np.testing.assert_array_equal(dose_late[known], dose)


def test_a_kill_before_the_dose_was_added_loses_nothing(bench: Bench) -> None:
    bench.expose()
    before = bench.world.file.path.read_bytes()
    bench.expose()
    whole = bench.world.file.path.read_bytes()
    after = bench.expose()

    # What the file is like when the process ends right after the second was noted.
    place = layout.JOURNAL_AT + layout.place_of(2) * layout.EXPOSURE.itemsize
    record = slice(place, place + layout.EXPOSURE.itemsize)
    killed = bytearray(before)
    killed[record] = whole[record]
    other = bench.world.path.with_name("killed")
    other.write_bytes(killed)

    world = World.open(other)
    third = Exposures(world).expose(world.device("camera1", CAMERA), 1, 3, 0.05)

    assert third.number == 3
    np.testing.assert_array_equal(third.dose, after.dose)


def test_a_kill_while_an_exposure_is_noted_leaves_it_out(bench: Bench) -> None:
    bench.expose()
    second = bench.expose()
    other = bench.world.path.with_name("killed")
    other.write_bytes(bench.world.path.read_bytes())
    world = World.open(other)
    place = layout.place_of(3)
    world.file.journal["gain"][place] = 1e9  # without its number it does not count

    third = Exposures(world).expose(world.device("camera1", CAMERA), 1, 3, 0.05)

    np.testing.assert_array_equal(third.dose, 2 * second.gain)


def test_exposures_are_repeated_alike_after_a_rewind(bench: Bench) -> None:
    def go_on() -> list[np.ndarray]:
        found = []
        for x_um in (20.0, 0.0, 0.0):
            bench.stage.write(x_um=x_um)
            exposure = bench.exposures.expose(bench.camera, 1, len(found), 0.05)
            found.append(np.concatenate([exposure.dose, [exposure.number]]))
            found.append(exposure.clock_s)
        return found

    bench.expose()
    bench.expose()
    first, time_s = go_on(), bench.world.clock_s()

    bench.exposures.rewind(3)
    bench.exposures.rewind(3)

    assert bench.exposures.count == 2
    assert bench.exposures.find(3) is None
    for a, b in zip(first, go_on(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert bench.world.clock_s() == time_s


def test_old_exposures_are_forgotten_and_say_so(bench: Bench) -> None:
    first = bench.expose()
    for _ in range(layout.JOURNAL):
        bench.expose()

    assert bench.exposures.find(1) is None
    assert bench.exposures.find(2) is not None
    assert bench.exposures.find(layout.JOURNAL + 2) is None
    with pytest.raises(DeviceError, match="exposure 1 is too old to be seen"):
        bench.exposures.other_doses(first)
    with pytest.raises(DeviceError, match="cannot be undone any more"):
        bench.exposures.rewind(1)


def test_a_state_with_no_room_for_one_more_part_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "SPOTS", 2)
    for x_um in (0.0, 50.0):
        bench.stage.write(x_um=x_um)
        bench.expose()
    bench.stage.write(x_um=100.0)

    with pytest.raises(DeviceError, match="is full: 2 parts"):
        bench.expose()

    bench.stage.write(x_um=50.0)
    assert bench.expose().spot == 1


def test_two_processes_count_every_exposure_once(bench: Bench) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from modules.simulation.world import CAMERA, World;"
        "from modules.simulation.world.exposures import Exposures;"
        "w = World.open(Path(sys.argv[1])); c = w.device(sys.argv[2], CAMERA);"
        "e = Exposures(w);"
        "[e.expose(c, 1, n, 0.25) for n in range(200)]"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(bench.world.path), name], cwd=ROOT
        )
        for name in ("a", "b")
    ]

    assert [process.wait(60) for process in running] == [0, 0]
    assert bench.exposures.count == 400
    assert bench.world.clock_s() == 100.0
    gain = bench.expose(0.25).gain
    np.testing.assert_allclose(doses(bench)[0], 401 * gain, rtol=1e-9)
