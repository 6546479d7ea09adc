"""A film from the command line, and what other programs make of its files."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import ome_types
import pytest
import tensorstore
import tifffile
import yaozarrs

from tests.system.running import DEMO, SIM, SMALL, tree

FILM = {"planned": int, "received": int, "stored": int, "verified": int, "gaps": list}
REPORT = {
    "run_id": str,
    "state": str,
    "frames": dict,
    "files": list,
    "trace": str,
    "postmortem": str,
    "errors": list,
    "duration_s": float,
}


def sidecar(path: Path) -> ET.Element:
    return ET.parse(path).getroot()


def test_a_film_in_ome_zarr_is_a_folder_that_zarr_readers_open(hal, films):
    done = hal.run(
        *(SIM, "--film", "12", "--output", films, "--json", *SMALL),
        *("--format", "ome-zarr"),
    )

    assert done.code == 0, done.stderr
    folder = films / "movie_0001.ome.zarr"
    assert done.json["files"] == [str(folder), str(films / "movie_0001.xml")]
    assert done.json["frames"]["camera1"]["verified"] == 12
    assert sorted(films.iterdir()) == [folder, films / "movie_0001.xml"]
    yaozarrs.validate_zarr_store(str(folder))
    place = {"driver": "file", "path": str(folder / "0")}
    array = tensorstore.open({"driver": "zarr3", "kvstore": place}).result()
    assert array.shape == (12, 64, 64)
    assert array[:, 0, 0].read().result().tolist() == [*range(12)]


def test_a_film_in_both_formats_is_what_every_reader_says_it_is(hal, films):
    done = hal.run(
        *(SIM, "--film", "30", "--output", films, "--json", *SMALL),
        *("--format", "dax", "--format", "ome-tiff"),
    )

    assert done.code == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    names = ["movie_0001.dax", "movie_0001.inf", "movie_0001.ome.tiff"]
    files = [str(films / name) for name in [*names, "movie_0001.xml"]]
    assert lines[:-1] == files
    assert lines[-1].startswith("trace: ")
    assert sorted(str(path) for path in films.iterdir()) == files

    report = json.loads(last)
    assert report["files"] == files
    assert report["frames"] == {
        "camera1": {
            **dict.fromkeys(("planned", "received", "stored", "verified"), 30),
            "gaps": [],
        }
    }

    pixels = np.fromfile(files[0], "<u2").reshape(-1, 64, 64)
    assert len(pixels) == 30
    # The simulated camera writes the index of a frame into its first pixel.
    assert pixels[:, 0, 0].tolist() == list(range(30))
    assert "number of frames = 30\n" in Path(files[1]).read_text()
    with tifffile.TiffFile(files[2]) as tif:
        assert tif.is_ome
        assert len(tif.series) == 1
        assert tif.series[0].shape == (30, 64, 64)
        assert np.array_equal(tif.series[0].asarray(), pixels)
    image = ome_types.from_tiff(files[2]).images[0]
    assert image.pixels.size_t == 30
    assert "simulated" in ome_types.from_tiff(files[2]).to_xml().lower()
    settings = sidecar(Path(files[3]))
    assert settings.findtext("acquisition/number_frames") == "30"
    assert settings.findtext("acquisition/state") == "done"
    assert settings.findtext("acquisition/simulated") == "True"
    assert settings.findtext("camera1/width_px") == "64"


def test_the_json_object_has_the_promised_keys_and_types(hal, films):
    done = hal.run(SIM, "--film", "3", "--output", films, "--json", *SMALL)

    assert {key: type(value) for key, value in done.json.items()} == REPORT
    (camera,) = done.json["frames"].values()
    assert {key: type(value) for key, value in camera.items()} == FILM
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", done.json["run_id"])
    assert done.json["state"] == "done"
    assert done.json["errors"] == []
    assert Path(done.json["trace"]).parent == hal.logs
    assert Path(done.json["trace"]).exists()


def test_films_without_a_name_are_numbered(hal, films):
    for number in (1, 2, 3):
        done = hal.run(SIM, "--film", "2", "--output", films, *SMALL)
        assert str(films / f"movie_000{number}.ome.tiff") in done.stdout.splitlines()

    assert len(list(films.glob("*.ome.tiff"))) == 3


def test_a_name_is_kept_exactly_and_replaced_only_when_told(hal, films):
    film = (SIM, "--output", films, "--name", "Zellen 7.µ", *SMALL)
    assert hal.run(*film, "--film", "5").code == 0
    before = tree(films)
    assert sorted(before) == ["Zellen 7.µ.ome.tiff", "Zellen 7.µ.xml"]

    refused = hal.run(*film, "--film", "6")

    assert refused.code == 2
    assert "exists" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert tree(films) == before

    assert hal.run(*film, "--film", "7", "--overwrite").code == 0
    assert tifffile.TiffFile(films / "Zellen 7.µ.ome.tiff").series[0].shape[0] == 7
    assert sorted(tree(films)) == sorted(before)


def test_a_format_that_is_asked_for_twice_is_written_once(hal, films):
    done = hal.run(
        *(SIM, "--film", "2", "--output", films, *SMALL),
        *("--format", "dax", "--format", "dax"),
    )

    assert done.code == 0, done.stderr
    assert len(list(films.glob("*.dax"))) == 1


def test_the_settings_of_a_film_can_be_used_again_and_changed(hal, films):
    first = hal.run(
        *(SIM, "--film", "2", "--output", films, "--name", "first", *SMALL),
        *("--set", "camera1.seed=7", "--set", "stage.x_low_um=-123"),
    )
    assert first.code == 0, first.stderr

    again = hal.run(
        *(SIM, "--film", "2", "--output", films, "--name", "again"),
        *("--settings", films / "first.xml", "--set", "camera1.height_px=32"),
    )

    assert again.code == 0, again.stderr
    then, now = sidecar(films / "first.xml"), sidecar(films / "again.xml")
    for same in ("camera1/seed", "camera1/width_px", "stage/x_low_um"):
        assert now.findtext(same) == then.findtext(same)
    assert now.findtext("camera1/height_px") == "32"
    assert tifffile.imread(films / "again.ome.tiff").shape == (2, 32, 64)


def test_the_simulation_of_another_microscope_is_stamped_into_every_file(hal, films):
    done = hal.run(
        *(DEMO, "--simulation", "--film", "3", "--output", films, "--json"),
        *("--format", "dax", "--format", "ome-tiff"),
    )

    assert done.code == 0, done.stderr
    assert "simulated" in done.stderr
    movie = films / "movie_0001"
    settings = sidecar(movie.with_suffix(".xml"))
    assert settings.findtext("acquisition/simulated") == "True"
    ome = ome_types.from_tiff(f"{movie}.ome.tiff").to_xml()
    assert re.search("simulated", ome, re.IGNORECASE)


def test_progress_is_plain_lines_where_there_is_no_terminal(hal, films):
    done = hal.run(SIM, "--film", "20", "--output", films, *SMALL)

    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    assert "20 of 20 frames stored" in done.stderr
    assert all(line.strip() for line in done.complaints)


def test_a_reader_that_has_seen_enough_costs_neither_film_nor_exit_code(hal, films):
    """As `hal.py ... 2>&1 | head -0` does: nobody reads either stream."""
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        hal.command(SIM, "--film", "5", "--output", films, "--json", *SMALL),
        stdout=writer,
        stderr=writer,
        env=hal.environment(),
        cwd=hal.folder,
    ) as process:
        os.close(writer)
        assert process.wait(60.0) == 0

    assert tifffile.TiffFile(films / "movie_0001.ome.tiff").series[0].shape[0] == 5


def test_a_console_without_the_letters_of_a_file_name_costs_nothing(hal, films):
    running = hal.start(
        *(SIM, "--film", "2", "--output", films, "--name", "µ-Zelle", "--json", *SMALL),
        PYTHONIOENCODING="ascii",
    )

    done = running.end(60.0)

    assert done.code == 0, done.stderr
    assert done.json["files"][0] == str(films / "µ-Zelle.ome.tiff")


@pytest.mark.parametrize("way", ["~/data", "data", "./a/../data"])
def test_the_output_folder_may_be_written_in_any_way(hal, way):
    done = hal.run(SIM, "--film", "2", f"--output={way}", "--json", *SMALL)

    assert done.code == 0, done.stderr
    data = hal.folder / "data"
    assert done.json["files"] == [
        str(data / "movie_0001.ome.tiff"),
        str(data / "movie_0001.xml"),
    ]
