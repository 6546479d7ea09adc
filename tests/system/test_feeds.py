"""Feeds as users write them: in a configuration, with files and a report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.system.running import Hal

CAMERA = """\
<hal name="Feeds" directory="data">
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" width_px="32" height_px="24" max_fps="500"/>
  </module>
"""


def write(folder: Path, *feeds: str) -> Path:
    config = folder / "feeds.xml"
    modules = [f'  <module class="feeds.feed" {feed}/>\n' for feed in feeds]
    config.write_text(CAMERA + "".join(modules) + "</hal>\n", "utf-8")
    return config


def test_feeds_have_files_and_accounts_beside_their_camera(
    hal: Hal, films: Path, tmp_path: Path
) -> None:
    config = write(
        tmp_path,
        'name="average" kind="average" source="camera1" frames_to_average="4" '
        'save="true"',
        'name="corner" kind="slice" source="camera1" x_px="8" width_px="16" '
        'save="true" extension="c"',
        'name="preview" kind="interval" source="camera1" cycle_length="2"',
    )

    done = hal.run(
        *(config, "--film", "10", "--output", films, "--format", "dax", "--json")
    )

    assert done.code == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert {n: (c["planned"], c["verified"]) for n, c in report["frames"].items()} == {
        "camera1": (10, 10),
        "average": (2, 2),
        "corner": (10, 10),
    }
    assert sorted(Path(file).name for file in report["files"]) == [
        *("movie_0001.dax", "movie_0001.inf", "movie_0001.xml"),
        *("movie_0001_average.dax", "movie_0001_average.inf"),
        *("movie_0001_c.dax", "movie_0001_c.inf"),
    ]
    film = np.fromfile(films / "movie_0001.dax", "<u2").reshape(10, 24, 32)
    corner = np.fromfile(films / "movie_0001_c.dax", "<u2").reshape(10, 24, 16)
    average = np.fromfile(films / "movie_0001_average.dax", "<u2").reshape(2, 24, 32)
    assert (corner == film[:, :, 8:24]).all()
    sums = film[:8].astype(int).reshape(2, 4, 24, 32).sum(axis=1)
    assert (average == (sums + 2) // 4).all()
    sidecar = (films / "movie_0001.xml").read_text("ISO-8859-1")
    assert "<frames_to_average" in sidecar


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        (
            'name="a" kind="avrage" source="camera1"',
            "kind='avrage': expected one of average, interval, slice; "
            "did you mean 'average'?",
        ),
        (
            'name="a" kind="average" source="camera1" cycle_length="3"',
            "cycle_length=3: expected kind='interval' with it, not 'average'",
        ),
        (
            'name="a" kind="interval" source="camera1" cycle_length="3" '
            'capture_frames="0, 3"',
            "capture_frames='0, 3': expected whole numbers from 0 to 2",
        ),
        ('name="a" kind="average" frames_to_averge="3"', "did you mean 'frames_to_av"),
        ('name="a" kind="average"', "source is missing"),
    ],
)
def test_a_feed_that_cannot_be_is_refused_with_its_line(
    hal: Hal, tmp_path: Path, feed: str, words: str
) -> None:
    config = write(tmp_path, feed)

    done = hal.run("check", config)

    assert done.code == 2
    assert f"{config}:5: module 'a': " in done.stderr
    assert words in done.stderr


def test_a_feed_of_nothing_that_exists_does_not_start(
    hal: Hal, films: Path, tmp_path: Path
) -> None:
    config = write(tmp_path, 'name="a" kind="slice" source="camera2"')

    done = hal.run(config, "--film", "1", "--output", films)

    assert done.code == 3
    assert "source='camera2': expected one of camera1; did you mean" in done.stderr
