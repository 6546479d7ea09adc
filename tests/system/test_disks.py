"""Disks that are full, fill up, or may not be written to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import tifffile

from hal.storage import read_acquisition
from tests.system.disks import Disk, mounted
from tests.system.running import SIM, SMALL, Hal, tree

MB = 2**20
FRAME_BYTES = 256 * 256 * 2
CAMERA = (
    *("--set", "camera1.width_px=256"),
    *("--set", "camera1.height_px=256"),
    *("--set", "camera1.exposure_s=0.005"),
)


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, request.param) as found:
        yield found


@pytest.fixture
def hal_there(disk: Disk, tmp_path: Path) -> Iterator[Hal]:
    """A HAL that sees the disk."""
    starter = Hal(tmp_path, before=disk.enter)
    yield starter
    starter.kill_all()


@pytest.mark.parametrize(
    ("disk", "why"),
    [
        ("size=64m,ro", "Read-only file system"),
        ("size=1m", "MB free, but the run needs"),
        # Not even the folder can be made.
        ("size=64m,nr_inodes=1", "No space left on device"),
    ],
    indirect=["disk"],
)
def test_a_disk_that_cannot_take_the_film_is_refused_in_one_line(disk, hal_there, why):
    before = tree(disk.outside)

    done = hal_there.run(
        SIM, "--film", "100", "--output", disk.path / "films", "--json", *SMALL
    )

    assert done.code == 2, done.stderr
    (line,) = done.complaints
    assert why in line
    assert str(disk.path / "films") in line
    assert done.json["state"] == "error"
    assert tree(disk.outside) == before


def test_a_folder_without_permission_to_write_is_refused_in_one_line(tmp_path, films):
    films.mkdir()
    films.chmod(0o500)
    # What makes root different from others is taken away.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    hal = Hal(tmp_path, before=drop if os.access(films, os.W_OK) else ())

    for folder in (films, films / "new"):
        done = hal.run(SIM, "--film", "3", "--output", folder, "--json")

        assert done.code == 2, done.stderr
        assert done.complaints == [done.stderr.strip()]
        assert "Permission denied" in done.stderr
        assert str(folder) in done.stderr
    assert tree(films) == {}


def test_a_folder_that_may_not_even_be_looked_into_is_refused_in_one_line(
    tmp_path, films
):
    films.mkdir(mode=0o300)
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    hal = Hal(tmp_path, before=drop if os.access(films, os.R_OK) else ())
    films.chmod(0o000)

    try:
        done = hal.run(SIM, "--film", "3", "--output", films / "new", "--json")
    finally:
        films.chmod(0o700)

    assert done.code == 2, done.stderr
    assert done.complaints == [done.stderr.strip()]
    assert "Permission denied" in done.stderr


def frames_in_inf(path: Path) -> int:
    """Return the frames that a .inf says are stored; 0 if it is not there yet."""
    if not path.exists():
        return 0
    for line in path.read_text().splitlines():
        if line.startswith("number of frames ="):
            return int(line.split("=")[1])
    return 0


def fill(disk: Disk, leave: int) -> None:
    """Take the space of a disk, but for about `leave` bytes."""
    with (disk.outside / "filler").open("wb") as file:
        for _ in range(50):
            stat = os.statvfs(disk.outside)
            size = stat.f_bavail * stat.f_frsize - leave
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as exc:  # HAL, which runs, has written in between
                if exc.errno != errno.ENOSPC:
                    raise
            else:
                return
    raise AssertionError("the disk cannot be filled")


def movie_bytes(films: Path) -> int:
    """Return the size of the first file that holds pixels; 0 if it is not there yet."""
    for name in ("full.dax", "full.ome.tiff"):
        if (films / name).exists():
            return (films / name).stat().st_size
    chunks = (films / "full.ome.zarr" / "0" / "c").rglob("*")
    return sum(path.stat().st_size for path in chunks if path.is_file())


@pytest.mark.parametrize(
    "formats",
    [["dax"], ["ome-tiff"], ["ome-zarr"], ["dax", "ome-tiff"], ["dax", "ome-zarr"]],
)
@pytest.mark.parametrize("disk", ["size=128m"], indirect=True)
def test_a_disk_that_fills_up_ends_the_film_with_every_stored_frame_readable(
    disk, hal_there, formats
):
    films = disk.outside / "films"
    running = hal_there.start(
        *(SIM, "--film", "400", "--output", disk.path / "films", "--name", "full"),
        *(word for name in formats for word in ("--format", name)),
        *("--json", *CAMERA),
    )
    running.wait_for(lambda: movie_bytes(films) > 20 * FRAME_BYTES, "frames are stored")
    fill(disk, leave=40 * FRAME_BYTES)

    done = running.end(30.0)

    assert done.code == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.json["state"] == "error"
    failure = done.json["errors"][0]
    assert (failure["kind"], failure["source"]) == ("DiskFull", "recorder")
    counts = done.json["frames"]["camera1"]
    stored = counts["stored"]
    assert 20 <= stored < 400
    assert counts["planned"] == 400
    assert counts["received"] >= stored
    (reason,) = [line for line in done.complaints if "no space left" in line]
    assert reason == f"hal: run failed: recorder: {failure['message']}"
    assert f"{stored} frames are stored and readable" in reason
    if "dax" in formats:
        pixels = np.fromfile(films / "full.dax", "<u2").reshape(-1, 256, 256)
        assert frames_in_inf(films / "full.inf") == stored
        assert pixels[:, 0, 0].tolist() == list(range(stored))
    if "ome-tiff" in formats:
        # By its handle: the path is resolved otherwise, and means nothing out here.
        with (
            (films / "full.ome.tiff").open("rb") as file,
            tifffile.TiffFile(file) as tif,
        ):
            assert len(tif.pages) == stored
            assert tif.asarray()[:, 0, 0].tolist() == list(range(stored))
    if "ome-zarr" in formats:
        place = {"driver": "file", "path": str(films / "full.ome.zarr" / "0")}
        array = tensorstore.open({"driver": "zarr3", "kvstore": place}).result()
        assert array.read().result()[:, 0, 0].tolist() == list(range(stored))
    # What went wrong besides: frames that came and found no room, nothing else.
    assert counts["verified"] == stored
    for error in done.json["errors"][1:]:
        assert (error["source"], error["kind"]) == ("camera1", "RunError")
        assert " missing: " in error["message"]
    sidecar = read_acquisition(films / "full.xml")
    assert (sidecar["state"], sidecar["number_frames"]) == ("error", str(stored))
    assert not [path for path in films.iterdir() if path.name.startswith(".")]

    elsewhere = hal_there.folder / "elsewhere"
    again = hal_there.run(SIM, "--film", "5", "--output", elsewhere, *SMALL)
    assert again.code == 0, again.stderr


@pytest.mark.parametrize("disk", ["size=24m"], indirect=True)
def test_a_full_log_folder_costs_the_trace_and_not_the_film(disk, hal_there, films):
    running = hal_there.start(
        *(SIM, "--film", "1000", "--output", films, "--log-dir", disk.path / "logs"),
        *("--json", *SMALL),
    )
    running.wait_for_text("recording")
    fill(disk, leave=0)

    done = running.end(30.0)

    assert done.code == 0, done.stderr
    assert done.json["frames"]["camera1"]["verified"] == 1000
    assert any("trace" in line and "No space" in line for line in done.complaints), (
        done.stderr
    )
