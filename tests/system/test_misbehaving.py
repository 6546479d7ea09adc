"""Modules and drivers that raise, hang or fail: HAL stays up, and says who it was."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import tifffile

from tests.system.running import SMALL, Hal, Running, trace_records

STOP_S = 3.0
MARGIN_S = 1.5


def write_config(folder: Path, *modules: str) -> Path:
    path = folder / "config.xml"
    path.write_text(f'<hal name="t" directory="data">{"".join(modules)}</hal>')
    return path


def camera(driver: str, deadline_s: float = 5.0, name: str = "camera1") -> str:
    return (
        f'<module name="{name}" class="cameras.camera" deadline_s="{deadline_s}">'
        f'<driver class="{driver}" width_px="64" height_px="64" exposure_s="0.002"/>'
        "</module>"
    )


def test_a_plan_that_passes_over_what_fails_is_done_and_not_complete(
    hal: Hal, films: Path
) -> None:
    config = write_config(hal.folder, camera("misbehaving.FailsOnce"))
    plan = hal.folder / "plan.py"
    plan.write_text(
        "from hal.acquisition.plans import *\n"
        "events = [ImageEvent(index={'t': n}, exposure_s=n / 1e3) for n in (1, 2, 3)]\n"
        "skip = FailurePolicy(0, AfterFailure.SKIP)\n"
        "plan = explicit(events, on_failure=skip)\n"
    )

    done = hal.run(config, "--plan", plan, "--output", films, "--json")

    assert done.code == 1, done.stderr
    assert done.json["state"] == "done"
    frames = done.json["frames"]["camera1"]
    assert (frames["planned"], frames["stored"], frames["gaps"]) == (3, 2, [2])
    (error,) = done.json["errors"]
    assert "frame 2 of camera1, is missing: no trigger" in error["message"]


def provoke(hal: Hal) -> tuple[Running, dict[str, Any]]:
    """Start a HAL with modules that raise and hang; return what the sender is told."""
    report = hal.folder / "report.json"
    careless = "".join(
        f'<module name="{name}" class="misbehaving.Careless" deadline_s="1"/>'
        for name in ("raiser", "hanger", "blocker")
    )
    config = write_config(
        hal.folder,
        careless,
        '<module name="bystander" class="misbehaving.Bystander"/>',
        f'<module name="prober" class="misbehaving.Prober" report="{report}"/>',
    )
    running = hal.start(config, "--json")
    running.wait_for(report.exists, "the prober has its answers")
    return running, json.loads(report.read_text("utf-8"))


def assert_ends_in_time(running: Running, number: int) -> None:
    """HAL ends when told to, though modules hang, and says which."""
    running.interrupt(number)
    done = running.end(STOP_S + MARGIN_S)

    assert done.code == 0, done.stderr
    (line,) = [line for line in done.complaints if "left behind" in line]
    assert "hanger" in line
    assert "blocker" in line
    assert "raiser" not in line


@pytest.fixture(scope="module")
def provoked(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, Any]]:
    """The log folder and the sender's report of a HAL that was provoked and ended."""
    hal = Hal(tmp_path_factory.mktemp("provoked"))
    try:
        running, report = provoke(hal)
        assert_ends_in_time(running, signal.SIGINT)
    finally:
        hal.kill_all()
    return hal.logs, report


def test_who_sent_a_message_is_told_what_became_of_it(provoked):
    _, report = provoked
    (raised,), (job,), (block,) = (
        report["told"][name] for name in ("explode", "job", "block")
    )

    assert raised["kind"] == "HandlerFailed"
    assert "the handler's own defect" in raised["text"]
    assert "on_explode" in raised["trace"]
    assert job["kind"] == "WorkerTimeout"
    assert "hanger" in job["text"]
    assert "in _hang" in job["dump"]
    assert "hanger/1/worker" in job["dump"]
    assert block["kind"] == "WorkerTimeout"
    assert "blocker" in block["text"]
    assert "in on_block_thread" in block["dump"]


def test_a_module_whose_handler_raised_goes_on(provoked):
    _, report = provoked

    assert report["again"] == "HandlerFailed"


def test_other_modules_answer_meanwhile(provoked):
    _, report = provoked

    assert report["asks"] > 20
    assert report["median_s"] < 0.05
    assert report["worst_s"] < 0.5


def test_the_stacks_of_what_hung_are_files_in_the_log_folder(provoked):
    logs, _ = provoked
    dumps = [path.read_text("utf-8") for path in logs.glob("dump_*.txt")]

    assert any("in _hang" in dump for dump in dumps)
    assert any("in on_block_thread" in dump for dump in dumps)


def test_a_polite_kill_ends_hal_in_time_though_modules_hang(hal):
    running, _ = provoke(hal)

    assert_ends_in_time(running, signal.SIGTERM)


def test_a_camera_that_does_not_answer_leaves_hal_running_without_it(hal):
    config = write_config(
        hal.folder,
        camera("misbehaving.NotAnswering"),
        camera("simulation.camera", name="c2"),
    )
    running = hal.start(config)
    running.wait_for_text("Ctrl-C to stop")

    assert "hal: camera1 is degraded" in running.stderr
    assert "camera 4711 does not answer on port 3" in running.stderr
    running.interrupt()
    assert running.end(STOP_S + MARGIN_S).code == 0


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        ("NotAnswering", "camera 4711 does not answer on port 3"),
        ("FailsToOpen", "a defect of the driver"),
        ("HangsInOpen", "open device"),
    ],
)
def test_a_film_with_a_camera_that_did_not_open_is_refused_with_the_reason(
    hal, films, driver, reason
):
    config = write_config(hal.folder, camera(f"misbehaving.{driver}", deadline_s=1.0))

    done = hal.run(config, "--film", "3", "--output", films, "--json")

    assert done.code == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.json["state"] == "error"
    assert done.json["files"] == []
    refusal = done.json["errors"][-1]
    assert refusal["source"] == "camera1"
    assert reason in refusal["message"]
    assert f"hal: {refusal['message']}" in done.complaints
    assert not films.exists()


def test_a_camera_that_does_not_close_does_not_keep_the_film_or_the_process(hal, films):
    config = write_config(hal.folder, camera("misbehaving.HangsInClose"))

    done = hal.run(config, "--film", "5", "--output", films, "--json", timeout_s=10.0)

    assert done.code == 0, done.stderr
    assert done.json["frames"]["camera1"]["verified"] == 5
    assert "camera1" in done.stderr
    assert "close device" in done.stderr


@pytest.mark.parametrize(
    ("driver", "kind", "reason"),
    [
        ("FailsInFilm", "LinkError", "the cable was pulled"),
        ("HangsInFilm", "WorkerTimeout", "grab frames"),
    ],
)
def test_a_film_whose_camera_fails_keeps_what_it_took_and_says_why_once(
    hal, films, driver, kind, reason
):
    config = write_config(hal.folder, camera(f"misbehaving.{driver}"))

    done = hal.run(config, "--film", "50", "--output", films, "--json")

    assert done.code == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.json["state"] == "error"
    assert done.json["frames"]["camera1"]["stored"] == 9
    failure = done.json["errors"][0]
    assert (failure["source"], failure["kind"]) == ("camera1", kind)
    assert reason in failure["message"]
    (line,) = [line for line in done.complaints if failure["message"] in line]
    assert line == f"hal: run failed: camera1: {failure['message']}"
    (logged,) = [
        record
        for record in trace_records(hal.logs)
        if record.get("event") == "film failed"
    ]
    assert (logged["level"], logged["why"]) == ("error", failure["message"])
    with tifffile.TiffFile(films / "movie_0001.ome.tiff") as tif:
        assert len(tif.pages) == 9


def test_a_simulation_replaces_a_driver_whose_package_is_missing(hal, films):
    config = write_config(hal.folder, camera("misbehaving.NeedsAbsentPackage"))

    done = hal.run(config, "--simulation", "--film", "3", "--output", films, *SMALL)

    assert done.code == 0, done.stderr


def test_a_driver_without_a_simulation_is_refused_under_simulation(hal, films):
    config = write_config(hal.folder, camera("misbehaving.NoSimulation"))

    done = hal.run(config, "--simulation", "--film", "3", "--output", films, "--json")

    assert done.code == 3
    assert "has no simulation" in done.stderr
    assert not films.exists()
