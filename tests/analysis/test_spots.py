"""R94: spots are found, followed and chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hal.acquisition import ImageEvent, StimulationEvent
from hal.acquisition.plans import explicit
from hal.base import ParameterError, StartError
from hal.messages import SetParameters
from hal.testing import RunningHal, part, running_hal
from modules.analysis import finding
from modules.analysis.finding import Spots, find_spots
from modules.analysis.spots import SpotsModule, chosen_tracks, place_of
from modules.analysis.tracking import Tracks
from tests.analysis.bench import (
    NotingProjector,
    begin,
    camera_part,
    end_of,
    errors,
    image,
    projector_part,
    stimulation,
)


def picture(
    *spots: tuple[float, float, float],
    sigma_px: float = 1.5,
    noise: float = 2.0,
    slope: float = 0.0,
) -> np.ndarray[Any, Any]:
    """Return an image of spots: x, y, amplitude."""
    y, x = np.ogrid[:64, :80]
    found = 100.0 + slope * x + np.random.default_rng(1).normal(0.0, noise, (64, 80))
    for x_px, y_px, amplitude in spots:
        away = (x - x_px) ** 2 + (y - y_px) ** 2
        found += amplitude * np.exp(-away / (2 * sigma_px**2))
    return found.clip(0).astype(np.uint16)


def test_spots_are_found_where_they_are_the_brightest_first() -> None:
    spots = find_spots(
        picture((20.3, 30.0, 80.0), (50.0, 12.6, 200.0), (61.4, 50.2, 120.0)), 1.5, 8.0
    )

    assert spots.x_px == pytest.approx([50.0, 61.4, 20.3], abs=0.2)
    assert spots.y_px == pytest.approx([12.6, 50.2, 30.0], abs=0.2)
    volumes = np.array([200.0, 120.0, 80.0]) * 2 * np.pi * 1.5**2
    assert spots.brightness == pytest.approx(volumes, rel=0.1)


def test_neither_noise_nor_a_slope_is_a_spot() -> None:
    assert len(find_spots(picture(), 1.5, 8.0)) == 0
    assert len(find_spots(picture(slope=30.0), 1.5, 8.0)) == 0
    assert len(find_spots(np.full((9, 9), 7, np.uint16), 1.5, 8.0)) == 0
    assert len(find_spots(np.zeros((1, 1), np.uint16), 1.5, 8.0)) == 0


def test_a_threshold_leaves_out_what_is_dim() -> None:
    dim_and_bright = picture((20, 30, 25.0), (50, 12, 200.0))

    assert len(find_spots(dim_and_bright, 1.5, 5.0)) == 2
    assert len(find_spots(dim_and_bright, 1.5, 50.0)) == 1


def spots_at(*places: tuple[float, float]) -> Spots:
    x, y = np.array(places, float).reshape(-1, 2).T
    return Spots(x, y, np.ones(len(places)))


def follow(tracks: Tracks, *places: tuple[float, float]) -> list[int]:
    """Return the tracks of the spots of one more frame."""
    return tracks.follow(spots_at(*places), 100).tolist()


def test_spots_are_followed_though_they_come_in_another_order() -> None:
    tracks = Tracks(step_px=5.0, memory=0)
    assert tracks.follow(spots_at((10, 10), (30, 10)), 0).tolist() == [0, 1]

    assert follow(tracks, (31, 11), (11, 9)) == [1, 0]
    assert follow(tracks, (12, 8), (32, 12), (50, 50)) == [0, 1, 100]


def test_two_near_each_other_are_not_exchanged() -> None:
    """Both could be the nearer one; together there is one best way."""
    tracks = Tracks(step_px=5.0, memory=0)
    tracks.follow(spots_at((10, 10), (13, 10)), 0)

    assert follow(tracks, (12.4, 10), (15.4, 10)) == [0, 1]


def test_one_that_is_too_far_is_another_one() -> None:
    tracks = Tracks(step_px=5.0, memory=0)
    tracks.follow(spots_at((10, 10)), 0)

    assert follow(tracks, (16, 10)) == [100]


def test_one_may_be_missing_for_a_while() -> None:
    patient, strict = Tracks(5.0, 2), Tracks(5.0, 1)
    for tracks in (patient, strict):
        tracks.follow(spots_at((10, 10)), 0)
        assert follow(tracks) == []
        assert follow(tracks) == []

    assert follow(patient, (11, 10)) == [0]
    assert follow(strict, (11, 10)) == [100]


def test_tracks_are_said_by_their_numbers() -> None:
    assert chosen_tracks("") == frozenset()
    assert chosen_tracks("0, 5 7") == {0, 5, 7}
    for text in ("one", "-1", "1.5", "²"):
        with pytest.raises(ParameterError, match="expected numbers from 0"):
            chosen_tracks(text)


def test_each_field_has_its_own_spots() -> None:
    assert place_of({"t": 3, "p": 1, "c": 0, "z": 2}) == (("p", 1),)
    assert place_of({"g": 4, "p": 1}) == (("p", 1), ("g", 4))
    assert place_of({}) == ()


def test_without_its_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finding, "PACKAGES", ("no_such_package",))

    with pytest.raises(StartError, match="needs no_such_package: pip install"):
        finding.require_packages()


# -- the module ---------------------------------------------------------------------


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Spots]:
    """What is found in each frame, one after the other; the last ever after."""
    spots: list[Spots] = []

    def find(*_: object) -> Spots:
        return spots.pop(0) if len(spots) > 1 else spots[0]

    monkeypatch.setattr("modules.analysis.spots.find_spots", find)
    return spots


@pytest.fixture
def dmd() -> NotingProjector:
    return NotingProjector()


@pytest.fixture
def hal(dmd: NotingProjector) -> Iterator[RunningHal]:
    spots = part("smart", SpotsModule, radius_px=0.5, brightest=2)
    with running_hal(camera_part(), projector_part(dmd), spots) as hal:
        yield hal


def test_the_brightest_are_chosen_or_those_that_are_named(
    tmp_path: Path, hal: RunningHal, found: list[Spots], dmd: NotingProjector
) -> None:
    found.append(spots_at((3, 3), (8, 8), (12, 4)))
    lit: list[list[tuple[int, int]]] = []
    show = dmd._do_show

    def note(mask: Any, duration_s: float) -> None:
        lit.append([(int(x), int(y)) for y, x in zip(*np.nonzero(mask), strict=True)])
        show(mask, duration_s)

    dmd._do_show = note  # type: ignore[method-assign]

    end_of(begin(hal, tmp_path, image(0), stimulation(0)))
    hal.ask(SetParameters({"smart": {"tracks": "2"}}))
    status = end_of(begin(hal, tmp_path, image(0), stimulation(0)))

    assert errors(status) == []
    assert lit == [[(3, 3), (8, 8)], [(12, 4)]]


def test_its_table_has_every_spot(
    tmp_path: Path, hal: RunningHal, found: list[Spots]
) -> None:
    found += [spots_at((3, 3)), spots_at((3.5, 3), (12, 4))]

    status = end_of(begin(hal, tmp_path, image(0), image(1)))

    (table,) = [Path(file) for file in status.files if file.endswith(".csv")]
    assert table.name == "movie_0001_smart.csv"
    assert table.read_text().splitlines() == [
        "frame,track,x_px,y_px,brightness",
        "0,0,3.000,3.000,1",
        "1,0,3.500,3.000,1",
        "1,1,12.000,4.000,1",
    ]


def test_positions_are_followed_apart(
    tmp_path: Path, hal: RunningHal, found: list[Spots]
) -> None:
    found += [spots_at((3, 3)), spots_at((3, 3)), spots_at((4, 3)), spots_at((4, 3))]
    events = [
        ImageEvent(index={"t": t, "p": p}, min_start_time_s=0.05 * t)
        for t in range(2)
        for p in range(2)
    ]

    status = end_of(begin(hal, tmp_path, *events))

    (table,) = [Path(file) for file in status.files if file.endswith(".csv")]
    tracks = [line.split(",")[1] for line in table.read_text().splitlines()[1:]]
    assert tracks == ["0", "1", "0", "1"]


def test_a_place_nobody_has_seen_has_no_mask(
    tmp_path: Path, hal: RunningHal, found: list[Spots]
) -> None:
    found.append(spots_at((3, 3)))
    elsewhere = StimulationEvent(
        index={"p": 7}, mask_from="smart", projector="dmd", duration_s=0.001
    )

    status = end_of(begin(hal, tmp_path, image(0), elsewhere))

    (error,) = errors(status)
    assert "smart has no mask for event 1" in error


def test_frames_of_other_channels_are_not_looked_at(
    tmp_path: Path, hal: RunningHal, found: list[Spots]
) -> None:
    hal.ask(SetParameters({"smart": {"channel": "DAPI"}}))
    found.append(spots_at((3, 3)))

    status = end_of(begin(hal, tmp_path, image(0), stimulation(0)))

    assert "has no mask" in errors(status)[0]


def test_a_table_that_cannot_be_written_is_an_error_of_the_run_that_is_done(
    tmp_path: Path, hal: RunningHal, found: list[Spots]
) -> None:
    found.append(spots_at((3, 3)))
    (tmp_path / "film_smart.csv").mkdir()

    status = end_of(hal.run(tmp_path, explicit([image(0)]), name="film"))

    assert status.state == "done"
    (error,) = errors(status)
    assert "film_smart.csv cannot be written" in error


def test_tracks_that_are_no_numbers_are_refused(hal: RunningHal) -> None:
    with pytest.raises(ParameterError, match="tracks='all': expected numbers"):
        hal.ask(SetParameters({"smart": {"tracks": "all"}}))
