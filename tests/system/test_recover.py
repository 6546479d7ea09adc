"""`hal recover`: films of a HAL that was killed, and what else may be in a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import tifffile

from hal import cli_recover
from hal.cli import main
from hal.storage import read_acquisition
from tests.storage.films import left_film
from tests.system.running import SIM, SMALL, Hal

FORMATS = ("--format", "dax", "--format", "ome-tiff", "--format", "ome-zarr")
FRAME_BYTES = 64 * 64 * 2


def kill_a_film(hal: Hal, films: Path) -> None:
    """Record in all formats until some frames are stored, then SIGKILL."""
    running = hal.start(
        *(SIM, "--film", "100000", "--output", films, "--name", "long"),
        *(*FORMATS, *SMALL, "--set", "camera1.exposure_s=0.005"),
    )
    dax = films / "long.dax"
    running.wait_for(
        lambda: dax.exists() and dax.stat().st_size > 30 * FRAME_BYTES,
        "30 frames are stored",
    )
    running.kill_all()


def first_pixels(films: Path) -> list[list[int]]:
    """Return the first pixel of every frame, which is its index, by format."""
    dax = np.fromfile(films / "long.dax", "<u2").reshape(-1, 64, 64)
    with tifffile.TiffFile(films / "long.ome.tiff") as tiff:
        pages = [page.asarray() for page in tiff.pages]
    place = {"driver": "file", "path": str(films / "long.ome.zarr" / "0")}
    zarr = tensorstore.open({"driver": "zarr3", "kvstore": place}).result()
    return [
        [int(frame[0, 0]) for frame in frames]
        for frames in (dax, pages, zarr.read().result())
    ]


def test_a_film_of_a_killed_hal_is_put_right(hal, films):
    kill_a_film(hal, films)
    assert (films / "long.journal").exists()

    done = hal.run("recover", films)

    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [
        str(films / name)
        for name in ("long.dax", "long.ome.tiff", "long.ome.zarr", "long.xml")
    ]
    assert {line.split(":")[0] for line in lines} <= {"complete", "repaired"}
    said = read_acquisition(films / "long.xml")
    stored = int(said["number_frames"])
    assert said["state"] == "interrupted"
    assert said["frames.camera1.verified"] == str(stored)
    assert f"interrupted after {stored} of 100000 frames" in lines[-1]
    for found in first_pixels(films):
        assert len(found) - stored in (0, 1)
        assert found == [*range(len(found))]
    assert not (films / "long.journal").exists()
    again = hal.run("recover", films)
    assert (again.code, again.stdout) == (0, f"{films}: nothing to recover\n")


def test_damage_is_told_with_the_exit_code_and_as_json(hal, films):
    kill_a_film(hal, films)
    os.truncate(films / "long.dax", 10 * FRAME_BYTES + 1)

    done = hal.run("recover", films, "--json")

    assert done.code == 1
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert (said["folder"], said["state"]) == (str(films), "error")
    states = {Path(file["file"]).name: file["state"] for file in said["files"]}
    assert states["long.dax"] == "damaged"
    assert states["long.xml"] == "repaired"
    assert "gone: frame 10, 11" in said["files"][0]["text"]
    assert said["files"][0]["frames"] == 10


def test_the_film_of_a_living_hal_is_left_alone(hal, films):
    # Slow enough for any disk: at the end, only the ring's frames are waited for.
    running = hal.start(
        *(SIM, "--film", "100000", "--output", films, "--name", "long"),
        *("--format", "dax", *SMALL, "--set", "camera1.exposure_s=0.05"),
    )
    dax = films / "long.dax"
    running.wait_for(lambda: dax.exists() and dax.stat().st_size, "a frame is stored")

    done = hal.run("recover", films)

    assert done.code == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"in use: {films / 'long.journal'}: is in use by")
    running.interrupt()
    assert running.end(60.0).code == 130
    assert read_acquisition(films / "long.xml")["state"] == "cancelled"
    assert not (films / "long.journal").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["missing"], "is no folder"),
        ([], "the following arguments are required: DIR"),
        ([".", "--film", "3"], "unrecognized arguments"),
    ],
)
def test_a_folder_that_cannot_be_recovered_is_bad_input(hal, arguments, complaint):
    done = hal.run("recover", *arguments)

    assert done.code == 2
    assert complaint in done.stderr
    assert done.stdout == ""


def test_a_folder_without_films_has_nothing_to_recover(hal, tmp_path):
    (tmp_path / "notes.xml").write_text("<notes/>")

    done = hal.run("recover", tmp_path, "--recursive")

    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}: nothing to recover\n"


def test_films_in_folders_within_are_found_when_asked_for(hal, films):
    kill_a_film(hal, films)

    assert "nothing to recover" in hal.run("recover", films.parent).stdout
    assert "long.xml" in hal.run("recover", films.parent, "--recursive").stdout


def test_ctrl_c_ends_recovery_and_keeps_what_it_has_not_done(
    films, capsys, monkeypatch
):
    films.mkdir()
    left_film(films / "movie", "dax", frames=3)

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_recover._Progress, "__call__", interrupted)
    code = main(["recover", str(films), "--json"])

    said = capsys.readouterr()
    assert code == 130
    assert json.loads(said.out)["state"] == "cancelled"
    assert "run it again to go on" in said.err
    monkeypatch.undo()
    assert main(["recover", str(films)]) == 0


def test_a_long_recovery_says_on_stderr_how_it_gets_on(films, capsys, monkeypatch):
    films.mkdir()
    left_film(films / "movie", "dax", frames=5)
    monkeypatch.setattr(cli_recover, "_PROGRESS_EVERY_S", 0.0)

    assert main(["recover", str(films)]) == 0

    lines = capsys.readouterr().err.splitlines()
    dax = films / "movie.dax"
    assert lines == [f"{dax}: {done} of 5 frames read back" for done in range(5)]
