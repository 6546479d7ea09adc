"""Ctrl-C, a polite kill, and SIGKILL: what is stored stays readable, and is told."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from hal.cli_interrupts import interruptible
from tests.system.running import (
    SIM,
    SMALL,
    Ended,
    Hal,
    Running,
    acknowledged,
    trace_records,
    tree,
    wait_until,
)

FRAMES = 100_000
FORMATS = ("--format", "dax", "--format", "ome-tiff")
SLOWLY = ("--set", "camera1.exposure_s=0.01")
PATIENCE_S = 20.0


def start_long_film(hal: Hal, films: Path) -> Running:
    """Start a film of minutes; return once some of it is stored."""
    running = hal.start(
        *(SIM, "--film", str(FRAMES), "--output", films, "--name", "long", "--json"),
        *(*FORMATS, *SMALL, *SLOWLY),
    )
    dax = films / "long.dax"
    running.wait_for(
        lambda: dax.exists() and dax.stat().st_size > 20 * 64 * 64 * 2,
        "20 frames are stored",
    )
    return running


def assert_readable(films: Path) -> int:
    """Return how many frames both files hold, after a look at each of them."""
    pixels = np.fromfile(films / "long.dax", "<u2")
    whole = len(pixels) // (64 * 64)
    pixels = pixels[: whole * 64 * 64].reshape(-1, 64, 64)
    assert pixels[:, 0, 0].tolist() == list(range(whole))
    with tifffile.TiffFile(films / "long.ome.tiff") as tif:
        assert [page.asarray()[0, 0] for page in tif.pages] == list(
            range(len(tif.pages))
        )
        return min(whole, len(tif.pages))


def assert_honest(done: Ended, films: Path) -> None:
    """The counts are those of a film that was ended, and the files say the same."""
    assert "Traceback" not in done.stderr
    assert done.json["state"] == "cancelled"
    counts = done.json["frames"]["camera1"]
    assert counts["planned"] == FRAMES
    assert 20 <= counts["stored"] < FRAMES
    assert counts["received"] >= counts["stored"]
    assert assert_readable(films) >= counts["stored"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_the_film_in_order(hal, films, number):
    running = start_long_film(hal, films)

    running.interrupt(number)
    done = running.end(PATIENCE_S)

    assert done.code == 130, done.stderr
    assert_honest(done, films)
    counts = done.json["frames"]["camera1"]
    assert counts["verified"] == counts["stored"] == assert_readable(films)
    assert counts["gaps"] == []
    assert done.json["errors"] == []
    assert "ending in order" in done.stderr
    assert f"{counts['stored']} of {FRAMES} frames stored" in done.stderr
    sidecar = ET.parse(films / "long.xml").getroot()
    assert sidecar.findtext("acquisition/state") == "cancelled"
    assert sidecar.findtext("acquisition/number_frames") == str(counts["stored"])


def test_a_second_interrupt_ends_it_at_once(hal, films):
    running = start_long_film(hal, films)

    running.interrupt()
    running.wait_for_text("again to end now")
    running.interrupt()
    done = running.end(2.0)

    assert done.code == 130, done.stderr
    assert_honest(done, films)


def test_two_interrupts_end_a_film_whose_camera_hangs(hal, films):
    """What hangs is not waited for, and what came before it is readable."""
    config = hal.folder / "hangs.xml"
    config.write_text(
        '<hal name="t" directory="data"><module name="camera1" class="cameras.camera">'
        '<driver class="misbehaving.HangsInFilm"/></module></hal>'
    )
    running = hal.start(
        *(config, "--film", "50", "--output", films, "--name", "long", "--json"),
        *(*FORMATS, *SMALL, *SLOWLY),
    )
    running.wait_for(lambda: acknowledged(hal) == 9, "9 frames are stored")

    running.interrupt()
    running.wait_for_text("again to end now")
    running.interrupt()
    done = running.end(2.0)

    assert done.code == 130, done.stderr
    assert assert_readable(films) == 9
    assert done.json["frames"]["camera1"]["stored"] == 9


def test_an_interrupt_while_hal_starts_ends_it(hal, films):
    config = hal.folder / "slow.xml"
    config.write_text(
        '<hal name="t" directory="data">'
        '<module name="camera1" class="cameras.camera" deadline_s="1">'
        '<driver class="misbehaving.HangsInOpen"/></module></hal>'
    )
    running = hal.start(config, "--film", "5", "--output", films, "--json")
    running.wait_for(lambda: trace_records(hal.logs), "the trace has begun")

    running.interrupt()
    done = running.end(1.0 + PATIENCE_S)

    assert done.code == 130, done.stderr
    assert done.json["state"] == "cancelled"
    assert done.json["files"] == []
    assert tree(films) == {}


def test_no_film_begins_after_an_interrupt_during_the_start(hal, films):
    config = hal.folder / "slow.xml"
    config.write_text(
        '<hal name="t" directory="data"><module name="camera1" class="cameras.camera">'
        '<driver class="misbehaving.OpensSlowly"/></module></hal>'
    )
    running = hal.start(config, "--film", "5", "--output", films, "--json")
    running.wait_for(lambda: trace_records(hal.logs), "the trace has begun")

    running.interrupt()
    done = running.end(PATIENCE_S)

    assert done.code == 130, done.stderr
    assert done.json["run_id"] == ""
    assert done.json["state"] == "cancelled"
    assert "interrupted while HAL was starting" in done.stderr
    assert not any("start run" in str(record) for record in trace_records(hal.logs))
    assert tree(films) == {}


def test_two_interrupts_while_hal_starts_end_it_at_once(hal):
    config = hal.folder / "slow.xml"
    config.write_text(
        '<hal name="t" directory="data">'
        '<module name="camera1" class="cameras.camera" deadline_s="60">'
        '<driver class="misbehaving.HangsInOpen"/></module></hal>'
    )
    running = hal.start(config)
    running.wait_for(lambda: trace_records(hal.logs), "the trace has begun")

    running.interrupt()
    running.wait_for_text("again to end now")
    running.interrupt()
    done = running.end(2.5)

    assert done.code == 130, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_without_a_film_ends_well_when_it_is_told_to(hal, number):
    running = hal.start(SIM, "--json", *SMALL)
    running.wait_for_text("Ctrl-C to stop")

    running.interrupt(number)
    done = running.end(PATIENCE_S)

    assert done.code == 0, done.stderr
    assert done.json["state"] == "done"
    assert done.json["frames"] == {}
    assert Path(done.json["trace"]).exists()


def test_an_interrupt_that_does_not_wake_the_main_thread_is_heard_all_the_same(capfd):
    """One that comes just before the main thread waits does not end the wait."""
    heard, over = threading.Event(), threading.Event()

    def look() -> None:
        while not interrupts.count and not over.wait(0.01):
            pass
        heard.set()

    with interruptible() as interrupts:
        thread = threading.Thread(target=look)
        thread.start()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            os.kill(os.getpid(), signal.SIGINT)
            assert heard.wait(PATIENCE_S)
        finally:
            over.set()
            thread.join()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    assert "again to end now" in capfd.readouterr().err


def test_an_interrupt_before_anything_has_started_is_one_line(hal, films):
    config = hal.folder / "slow.xml"
    config.write_text(
        '<hal name="t" directory="data"><module name="camera1" class="cameras.camera">'
        '<driver class="slow_import.Camera"/></module></hal>'
    )
    begun = hal.folder / "begun"
    running = hal.start(
        *(config, "--film", "5", "--output", films, "--json"), HAL_TEST_BEGUN=str(begun)
    )
    running.wait_for(begun.exists, "the plugin is being imported")

    running.interrupt()
    done = running.end(PATIENCE_S)

    assert done.code == 130, done.stderr
    assert done.complaints == ["hal: interrupted before anything started"]
    assert done.json["state"] == "cancelled"
    assert not films.exists()
    assert not hal.logs.exists()


def test_a_killed_process_leaves_every_acknowledged_frame_readable(hal, films):
    running = start_long_film(hal, films)
    running.wait_for(lambda: acknowledged(hal) >= 20, "20 frames are acknowledged")

    running.kill_all()

    said = acknowledged(hal)
    assert said >= 20
    assert assert_readable(films) >= said
    inf = (films / "long.inf").read_text()
    count = next(line for line in inf.splitlines() if line.startswith("number of"))
    assert int(count.split("=")[1]) >= said
    sidecar = ET.parse(films / "long.xml").getroot()
    assert sidecar.findtext("acquisition/state") == "running"


def test_the_next_film_after_a_kill_takes_the_next_number(hal, films):
    running = hal.start(
        *(SIM, "--film", str(FRAMES), "--output", films, *FORMATS, *SMALL)
    )
    dax = films / "movie_0001.dax"
    running.wait_for(lambda: dax.exists() and dax.stat().st_size, "a frame is stored")
    running.kill_all()

    done = hal.run(SIM, "--film", "3", "--output", films, *SMALL)

    assert done.code == 0, done.stderr
    assert (films / "movie_0002.ome.tiff").exists()


def test_the_cameras_are_not_held_up_by_a_process_that_was_stopped_for_a_while(
    hal, films
):
    """A laptop that sleeps is no hang: nothing is given up when it wakes."""
    running = hal.start(
        *(SIM, "--film", "300", "--output", films, "--name", "long", "--json"),
        *(*FORMATS, *SMALL, *SLOWLY),
    )
    running.wait_for(lambda: acknowledged(hal) >= 10, "10 frames are acknowledged")
    running.interrupt(signal.SIGSTOP)
    woken_s = time.monotonic() + 6.0
    wait_until(lambda: time.monotonic() > woken_s, 7.0, "it slept")
    running.interrupt(signal.SIGCONT)

    done = running.end(20.0)

    assert done.code == 0, done.stderr
    assert done.json["frames"]["camera1"]["verified"] == 300
