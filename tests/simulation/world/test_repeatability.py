"""Equal worlds and equal plans give equal films, to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modules.simulation import SimCamera, SimXYStage
from modules.simulation.world import XY_STAGE, World
from modules.simulation.world.exposures import Exposures
from tests.simulation.world.filming import camera_in, film_in, film_of

ROOT = Path(__file__).resolve().parents[3]

FILM = """
import sys, threading
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.simulation.world.filming import film_in
sys.stdout.buffer.write(film_in(Path(sys.argv[1])))
"""


def in_a_process(code: str, *arguments: object) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", code.format(root=str(ROOT)), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_films_of_one_seed_are_equal_in_any_process(tmp_path: Path) -> None:
    here = film_in(tmp_path / "a")

    assert film_in(tmp_path / "b") == here
    assert in_a_process(FILM, tmp_path / "c") == here


def test_films_of_another_seed_or_a_second_film_are_others(tmp_path: Path) -> None:
    first = film_in(tmp_path / "a")

    other = camera_in(World.create(tmp_path / "b", seed=2), exposure_s=0.001)
    assert film_of(other, 6).tobytes() != first
    # The same sample, but noise is new, and what was bleached stays so.
    assert film_in(tmp_path / "a") != first


def test_frames_do_not_depend_on_how_long_calls_take(tmp_path: Path) -> None:
    at_once = film_in(tmp_path / "a")
    camera = camera_in(World.create(tmp_path / "b"), exposure_s=0.001)
    camera.start(6)
    out = np.zeros(camera.frame_shape, np.uint16)
    frames = []
    for n in range(6):
        # Too early for a frame, and then late for several.
        while camera.read_into(out, 0.0) is None:
            pass
        if n == 2:
            camera.clock.wait(camera._halt, 0.02)
        frames.append(out.tobytes())

    assert b"".join(frames) == at_once


MOVE = """
import sys
from pathlib import Path
from modules.simulation.world import World, XY_STAGE
stage = World.open(Path(sys.argv[1])).device("stage", XY_STAGE)
for line in sys.stdin:
    stage.write(x_um=float(line)); print("there", flush=True)
"""


def test_drivers_in_different_processes_make_the_same_film(tmp_path: Path) -> None:
    places = [0.0, 3.0, 12.5, 3.0, 40.0, 0.0]
    films = []
    for name, apart in (("a", False), ("b", True)):
        world = World.create(tmp_path / name)
        if apart:
            mover = subprocess.Popen(
                [sys.executable, "-c", MOVE, str(world.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            assert mover.stdin is not None
            assert mover.stdout is not None
            mover.stdin.write("0\n")
            mover.stdin.flush()
            mover.stdout.readline()
        stage = world.device("stage", XY_STAGE)
        camera = camera_in(world, exposure_s=0.001)
        frames = []
        for x_um in places:
            if apart:
                mover.stdin.write(f"{x_um}\n")
                mover.stdin.flush()
                mover.stdout.readline()
            else:
                stage.write(x_um=x_um)
            frames.append(film_of(camera, 2).tobytes())
        camera.close()
        films.append(b"".join(frames))
        if apart:
            mover.stdin.close()
            assert mover.wait(10) == 0

    assert films[0] == films[1]


def test_stage_and_camera_drivers_share_their_world(tmp_path: Path) -> None:
    world = World.create(tmp_path / "w", sample="beads")
    camera = camera_in(world, exposure_s=0.05)
    here = film_of(camera, 1)[0].astype(float)
    stage = SimXYStage(world="sample", speed_um_s=1e6)
    stage.enter(world.path, "stage")
    stage.open()
    stage.move_and_settle(25.0, 0.0)
    there = film_of(camera, 1)[0].astype(float)
    stage.move_and_settle(0.0, 0.0)
    back = film_of(camera, 1)[0].astype(float)

    assert np.corrcoef(here.ravel(), back.ravel())[0, 1] > 0.9
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] < 0.5


def test_a_film_that_was_killed_and_resumed_is_the_one_that_was_not(
    tmp_path: Path,
) -> None:
    whole = film_in(tmp_path / "a", frames=8)
    path = tmp_path / "b"
    code = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import numpy as np
from modules.simulation.world import World
from tests.simulation.world.filming import camera_in
camera = camera_in(World.create(Path(sys.argv[1])), exposure_s=0.001)
camera.start(8)
out = np.zeros(camera.frame_shape, np.uint16)
for n in range(5):
    camera.read_into(out, 5.0)
    if n < 3:
        sys.stdout.buffer.write(out.tobytes())
sys.stdout.flush()
os._exit(0)
"""
    stored = in_a_process(code, path)
    frame = len(whole) // 8
    assert stored == whole[: 3 * frame]

    # Frames 3 and 4 were exposed and are lost; what they did is undone.
    Exposures(World.open(path)).rewind(4)

    assert film_in(path, frames=5) == whole[3 * frame :]


def test_places_and_noise_do_not_depend_on_who_opens_first(tmp_path: Path) -> None:
    films = []
    for name, order in (("a", (0, 1)), ("b", (1, 0))):
        world = World.create(tmp_path / name, sample="empty")
        cameras = [
            SimCamera(world="sample", width_px=16, height_px=16, exposure_s=0.0)
            for _ in order
        ]
        for number, camera in enumerate(cameras):
            camera.enter(world.path, f"camera{number}")
        for number in order:
            cameras[number].open()
        assert list(world.devices()) == ["camera0", "camera1"]
        films.append(film_of(cameras[0], 2).tobytes())
    entered = World.create(tmp_path / "c", sample="empty")
    camera_in(entered, "camera1")
    late = camera_in(entered, "camera0", width_px=16, height_px=16, index_pixels=True)
    films.append(film_of(late, 2).tobytes())

    assert films[0] == films[1] == films[2]


def followed_film(path: Path, *, together: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what a leading and a following camera saw.

    The follower reads frame by frame beside the leader, or after it has finished.
    """
    world = World.create(path, sample="beads")
    leader = camera_in(world, exposure_s=0.04)
    follower = camera_in(
        World.open(path),
        "camera2",
        exposure_s=0.02,
        trigger_by="hardware",
        follows="camera1",
        width_px=48,
        height_px=40,
    )
    film_of(leader, 3)  # Before it was armed: none of its business.
    follower.arm()
    led = np.zeros((4, *leader.frame_shape), np.uint16)
    followed = np.zeros((4, *follower.frame_shape), np.uint16)
    leader.start(4)
    follower.start(4)
    assert follower.read_into(followed[0], 0.0) is None
    stamps = []
    for n, frame in enumerate(led):
        leader.read_into(frame, 5.0)
        if together:
            stamps.append(follower.read_into(followed[n], 5.0))
    if not together:
        stamps = [follower.read_into(frame, 5.0) for frame in followed]
    assert [stamp.counter for stamp in stamps if stamp] == [0, 1, 2, 3]
    assert follower.read_into(followed[0].copy(), 0.01) is None
    return led, followed


def test_a_following_camera_films_the_exposures_of_another(tmp_path: Path) -> None:
    led, followed = followed_film(tmp_path / "a", together=True)
    _, late = followed_film(tmp_path / "b", together=False)

    assert np.array_equal(followed, late)
    # Open for half of the time, it gets half of the light of the same beads.
    light = followed.mean() - 100.0, led[:, 20:60, 24:72].mean() - 100.0
    assert light[0] / light[1] == pytest.approx(0.5, rel=0.1)


def test_following_too_late_leaves_a_gap_in_the_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.simulation.world.layout.JOURNAL", 4)
    world = World.create(tmp_path / "w", sample="empty")
    leader = camera_in(world)
    follower = camera_in(world, "camera2", trigger_by="hardware", follows="camera1")
    follower.arm()
    follower.start(10)
    film_of(leader, 10)
    out = np.zeros(follower.frame_shape, np.uint16)

    stamps = [follower.read_into(out, 0.5) for _ in range(4)]

    assert [stamp.counter for stamp in stamps if stamp] == [6, 7, 8, 9]
