"""Recorders killed by the kernel at random moments, and what recovery makes of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.storage import WRITERS, CameraFilm, film_files, read_acquisition, recover
from hal.testing import wait_until
from tests.storage import films

ROOT = Path(__file__).resolve().parents[2]
FORMATS = sorted(WRITERS)
KILLS = 12
SHAPE = (300, 400)
DROPPED = 13
"""Every so many-th frame never comes."""

# Forks a recorder for each line it reads, so that Python starts only once.
RECORDERS = """
import os, sys
from pathlib import Path
from tests.storage import films
from tests.storage.test_recovery_kills import DROPPED, SHAPE

for line in sys.stdin:
    stem, *formats = line.split()
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)
        continue
    film = films.camera_film(Path(stem), *formats, shape=SHAPE, planned=None)
    told = os.open(stem + ".told", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    index = 0
    while True:
        if index % DROPPED:
            films.store(film, index)
            os.write(told, b".")
        index += 1
"""


@pytest.fixture(scope="module")
def recorders() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RECORDERS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10.0) == 0


def kill_a_recorder(
    recorders: subprocess.Popen[str], stem: Path, formats: tuple[str, ...], after: int
) -> int:
    """Return the number of frames it acknowledged."""
    assert recorders.stdin is not None
    assert recorders.stdout is not None
    recorders.stdin.write(" ".join([str(stem), *formats]) + "\n")
    recorders.stdin.flush()
    child = int(recorders.stdout.readline())
    told = stem.with_name(stem.name + ".told")
    try:
        wait_until(lambda: told.exists() and told.stat().st_size >= after, 30.0)
    finally:
        os.kill(child, signal.SIGKILL)
    assert recorders.stdout.readline() == "gone\n"
    acknowledged = told.stat().st_size
    told.unlink()
    return acknowledged


@pytest.mark.parametrize("formats", [*((name,) for name in FORMATS), (*FORMATS,)])
def test_every_acknowledged_frame_is_readable_after_any_kill(
    formats: tuple[str, ...], recorders: subprocess.Popen[str], tmp_path: Path
) -> None:
    chance = random.Random(str(formats))
    description = films.head(Path("x"), *formats, shape=SHAPE).description
    for kill in range(KILLS):
        stem = tmp_path / str(kill) / "movie"
        stem.parent.mkdir()
        stored = kill_a_recorder(recorders, stem, formats, chance.randrange(40))

        reports = list(recover(stem.parent))

        assert {r.state for r in reports} <= {"complete", "repaired", "empty"}, reports
        taken = [index for index in range(stored * 2 + 14) if index % DROPPED]
        counts = []
        for name in formats:
            path = film_files(stem, (name,))[0]
            frames = films.found(stem, name) if path.exists() else []
            assert len(frames) in (stored, stored + 1)
            for index, frame in zip(taken, frames, strict=False):
                assert (frame == films.pixels(index, description)).all()
            counts.append(len(frames))
        if min(counts):
            said = read_acquisition(stem.with_suffix(".xml"))
            assert said["number_frames"] == str(min(counts))
            gaps = [int(gap) for gap in said["frames.camera1.gaps"].split(",")]
            last = taken[min(counts) - 1]
            lost = [index for index in range(last + 1) if index not in taken]
            # And perhaps the frame it died at, with a dropped one before.
            assert gaps[: len(lost)] == lost
            assert len(gaps) - len(lost) in (0, 1, 2)
        assert list(recover(stem.parent)) == []


@pytest.mark.parametrize("formats", [*((name,) for name in FORMATS), (*FORMATS,)])
def test_a_film_goes_on_after_several_kills(
    formats: tuple[str, ...], recorders: subprocess.Popen[str], tmp_path: Path
) -> None:
    chance = random.Random(str(formats))
    for kill in range(4):
        stem = tmp_path / str(kill) / "movie"
        stem.parent.mkdir()
        stored = kill_a_recorder(recorders, stem, formats, chance.randrange(1, 20))

        film = CameraFilm.reopen(stem)
        assert film.stored in (stored, stored + 1)
        more = [i for i in range(film.was_last + 1, film.was_last + 9) if i % DROPPED]
        films.store(film, *more)
        film.finish()
        film.leave()

        assert {report.state for report in recover(stem.parent)} <= {
            *("complete", "repaired"),
        }
        for name in formats:
            assert len(films.found(stem, name)) == film.stored
