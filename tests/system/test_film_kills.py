"""SIGKILL at random moments of a film, for one process of HAL or all of them.

Whatever dies: each frame that was acknowledged is in the files, each frame in the files
is whole, and the account names exactly those that are not. `-m slow` for sixty of them.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tensorstore
import tifffile

from hal.storage import read_acquisition
from tests.system.running import Ended, Hal, Running, acknowledged

SIDE = 64
CONFIG = """<hal name="Kills" directory="data">
<module name="camera1" class="cameras.camera" isolation="process">
<driver class="simulation.camera" width_px="64" height_px="64" exposure_s="0.004"/>
</module>
<module name="recorder" class="recorder.recorder" isolation="process"/>
</hal>
"""
FORMATS = ("dax", "ome-tiff", "ome-zarr")
PATIENCE_S = 60.0
VICTIMS = ("recorder", "camera1", "main", "all")


def start_film(hal: Hal, films: Path) -> Running:
    config = hal.folder / "kills.xml"
    config.write_text(CONFIG)
    formats = [word for name in FORMATS for word in ("--format", name)]
    film = ("--film", "100000", "--output", films, "--name", "m", "--json")
    return hal.start(config, *film, *formats)


def indices(films: Path) -> dict[str, list[int]]:
    """Return the index in each frame of each file, by readers that are not ours."""
    dax = np.fromfile(films / "m.dax", "<u2").reshape(-1, SIDE, SIDE)
    with tifffile.TiffFile(films / "m.ome.tiff") as tif:
        tiff = [int(page.asarray()[0, 0]) for page in tif.pages]
    kvstore = {"driver": "file", "path": str(films / "m.ome.zarr" / "0")}
    zarr = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}).result()
    pixels = np.asarray(zarr.read().result()).reshape(-1, SIDE, SIDE)
    return {
        "dax": [int(frame[0, 0]) for frame in dax],
        "ome-tiff": tiff,
        "ome-zarr": [int(frame[0, 0]) for frame in pixels],
    }


def assert_same(films: Path, counts: dict[str, Any]) -> None:
    """All files hold the frames that the account says are stored.

    And no others, except the one that was being stored at the kill: a file that has it
    keeps it, and the account names it because another file has not.
    """
    gaps = set(counts["gaps"])
    expected = [n for n in range(counts["stored"] + len(gaps)) if n not in gaps]
    for name, found in indices(films).items():
        assert found[: len(expected)] == expected, f"{name}: {len(found)}"
        besides = found[len(expected) :]
        assert len(besides) <= 1
        assert gaps.issuperset(besides), f"{name}: {besides} is not told"


def recovered(hal: Hal, films: Path) -> dict[str, Any]:
    """Repair what is there; return what its sidecar says about camera1."""
    done = hal.run("recover", films, "--json")
    assert done.code == 0, done.stdout + done.stderr
    told = read_acquisition(films / "m.xml")
    gaps = [int(word) for word in told["frames.camera1.gaps"].split(",") if word]
    return {"stored": int(told["frames.camera1.stored"]), "gaps": gaps}


def rings_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still have a ring mapped."""
    kept = []
    for process in processes:
        try:
            maps = Path(f"/proc/{process.pid}/maps").read_text()
        except OSError:
            continue
        if "hal-ring" in maps:
            kept.append(process)
    return kept


def kill_during_a_film(hal: Hal, films: Path, victim: str, frames: int) -> None:
    running = start_film(hal, films)
    running.wait_for(lambda: acknowledged(hal) >= frames, f"{frames} frames are stored")
    found = running.modules()
    everybody = [psutil.Process(running.process.pid), *found.values()]
    said = acknowledged(hal)

    if victim == "all":
        for process in everybody:
            process.kill()
    elif victim == "main":
        os.kill(running.process.pid, signal.SIGKILL)
    else:
        found[victim].kill()

    if victim in ("main", "all"):
        running.process.wait(PATIENCE_S)
        _gone, alive = psutil.wait_procs(list(found.values()), PATIENCE_S)
        assert not alive, alive
        counts = recovered(hal, films)
    elif victim == "camera1":
        done = running.end(PATIENCE_S)
        assert done.code == 1, done.stderr
        assert "killed by SIGKILL" in done.stderr
        counts = counted(done)
    else:
        running.wait_for(
            lambda: acknowledged(hal) >= said + 50, "the film goes on", 60.0
        )
        running.interrupt()
        done = running.end(PATIENCE_S)
        assert done.code == 130, done.stderr
        counts = counted(done)
        assert counts["gaps"] == [], done.stderr
    assert counts["stored"] >= said
    assert_same(films, counts)
    assert rings_of(everybody) == []


def counted(done: Ended) -> dict[str, Any]:
    counts = done.json["frames"]["camera1"]
    assert isinstance(counts, dict)
    return counts


@pytest.mark.parametrize("victim", VICTIMS)
def test_what_a_kill_leaves_is_whole_and_told(
    hal: Hal, films: Path, victim: str
) -> None:
    kill_during_a_film(hal, films, victim, frames=40)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(15))
@pytest.mark.parametrize("victim", VICTIMS)
def test_what_sixty_kills_leave_is_whole_and_told(
    hal: Hal, films: Path, victim: str, number: int
) -> None:
    moment = random.Random(f"{victim} {number}")

    kill_during_a_film(hal, films, victim, frames=moment.randint(1, 150))
