"""Films with the devices that Micro-Manager simulates: every frame, every time."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

from tests.system.running import DEMO, Hal


def film_fifty(hal: Hal, films: Path) -> None:
    done = hal.run(DEMO, "--headless", "--film", "50", "--output", films, "--json")

    assert done.code == 0, done.stderr
    assert done.json["state"] == "done"
    assert done.json["errors"] == []
    assert done.json["frames"] == {
        "camera1": {
            **dict.fromkeys(("planned", "received", "stored", "verified"), 50),
            "gaps": [],
        }
    }
    with tifffile.TiffFile(done.json["files"][0]) as tif:
        assert tif.series[0].shape == (50, 512, 512)
        first, last = tif.pages[0].asarray(), tif.pages[49].asarray()
    # They are pictures: a camera that was never read out gives zeros.
    assert first.max() > first.min()
    assert last.max() > last.min()


@pytest.mark.parametrize("_time", range(2))
def test_fifty_planned_are_fifty_verified(hal, films, _time):
    film_fifty(hal, films)


@pytest.mark.slow
@pytest.mark.parametrize("_time", range(10))
def test_fifty_planned_are_fifty_verified_ten_times_more(hal, films, _time):
    film_fifty(hal, films)
