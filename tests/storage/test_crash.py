"""Films whose writer is killed, or whose disk is full: by the kernel itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.storage import WRITERS
from tests.storage import films

ROOT = Path(__file__).resolve().parents[2]
FORMATS = sorted(WRITERS)

ENDLESS_FILM = """
import sys
from pathlib import Path
from tests.storage import films

film = films.writer(sys.argv[1], Path(sys.argv[2]), planned=None)
film.open()
while True:
    films.append(film, film.stored, film.stored + 1)
    print(film.stored, flush=True)
"""

FILM_UNTIL_REFUSED = """
import json, resource, signal, sys
from pathlib import Path
from hal.base import StorageError
from tests.storage import films

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
format_name, base, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
film = films.writer(format_name, base, shape=(90, 100))
film.open()
try:
    films.append(film, 0, 1000)
except StorageError as exc:
    stored = film.stored
    film.abort()
    films.assert_holds(film, stored)
    report = {"kind": type(exc).__name__, "text": exc.text, "stored": stored}
    print(json.dumps(report))
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def endless(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[subprocess.Popen[str]]:
    """A process that records until it is killed, and says how much is stored."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS_FILM, request.param, str(tmp_path / "movie")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("kill_after", [1, 9, 100, 1001])
@pytest.mark.parametrize("endless", FORMATS, indirect=True)
def test_what_was_stored_is_readable_after_sigkill(
    endless: subprocess.Popen[str], kill_after: int, tmp_path: Path
) -> None:
    assert endless.stdout is not None
    for line in endless.stdout:
        if int(line) >= kill_after:
            break
    endless.kill()
    endless.wait(10.0)
    # What it acknowledged up to its death counts, not only what was read of it.
    acknowledged = max([kill_after, *map(int, endless.stdout.read().split())])

    format_name = str(endless.args[3])  # type: ignore[index]
    suffixes = WRITERS[format_name].suffixes
    found = films.read_files(
        format_name, tuple(tmp_path / f"movie{suffix}" for suffix in suffixes)
    )

    assert len(found) in (acknowledged, acknowledged + 1)
    for index, frame in enumerate(found):
        assert (frame == films.pixels(index)).all(), f"frame {index}"


def small_disk_command(mount: Path, option: str = "rw") -> list[str] | None:
    """How to run on a file system of 1 MB that vanishes with the process, if we may.

    A mount namespace of its own: root has it, others where the kernel allows users to.
    """
    script = f'mount -t tmpfs -o size=1m,{option} none "{mount}" && exec "$@"'
    for namespaces in (["--mount"], ["--mount", "--user", "--map-root-user"]):
        command = ["unshare", *namespaces, "sh", "-c", script, "sh"]
        if shutil.which("unshare") and not subprocess.call(
            [*command, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ):
            return command
    return None


@pytest.mark.parametrize(
    ("kind", "format_name"),
    [
        *(("disk full", name) for name in FORMATS),
        # No file of the others is larger than a frame.
        ("file too large", "dax"),
        ("file too large", "ome-tiff"),
    ],
)
def test_a_film_the_kernel_refuses_to_continue_is_readable(
    format_name: str, kind: str, tmp_path: Path
) -> None:
    """Where no small disk can be mounted, the size limit of a process stands in."""
    command = small_disk_command(tmp_path) if kind == "disk full" else None
    limit = "0" if command else str(10**6 + 1)
    run = subprocess.run(
        [
            *(command or []),
            *(sys.executable, "-c", FILM_UNTIL_REFUSED),
            *(format_name, str(tmp_path / "movie"), limit),
        ],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )

    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["kind"] == ("DiskFull" if command else "StorageError")
    # 18 kB a frame: the disk was filled, and not a frame more is claimed.
    assert 50 <= report["stored"] <= 58
    assert f"{report['stored']} frames are stored and readable" in report["text"]
    if command:
        assert list(tmp_path.iterdir()) == []
