"""Guards: runs are paused while something is wrong, and always say why."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hal.acquisition import ImageEvent, Plan, RunHandle, RunState
from hal.acquisition.plans import explicit
from hal.base import Carrier, ErrorRecord, ModuleState, ParameterError, StorageError
from hal.kernel import Module
from hal.messages import GuardChanged, SetParameters
from hal.storage import free_bytes
from hal.testing import Part, RunningHal, part, running_hal, wait_until
from modules.acquisition.acquisition import AcquisitionModule
from modules.focus.focus_sensor import FocusSensorModule
from modules.guards import disk
from modules.guards.disk import DiskGuard
from modules.guards.focus import FocusGuard
from modules.guards.guard import Guard
from modules.guards.temperature import TemperatureGuard
from modules.simulation.focus_quadrant import SimFocusQuadrant
from modules.simulation.temperature_sensor import SimTemperatureSensor
from modules.temperature.temperature import TemperatureModule
from tests.modules.bench import PATIENCE_S, sim_part

SOON = {"after_s": 0.0, "settle_s": 0.05}
OFTEN_S = 0.02


@dataclass
class Case:
    """A guard, and how to make what it watches good or bad."""

    parts: list[Part]
    break_it: Callable[[], None]
    mend_it: Callable[[], None]
    words: str


@dataclass
class Disk:
    """A disk with as much room as a test says."""

    gb: float = 100.0
    error: OSError | None = None
    asked: list[Path] = field(default_factory=list)

    def free_bytes(self, folder: Path) -> int:
        self.asked.append(folder)
        free_bytes(folder)
        if self.error is not None:
            raise StorageError("no answer") from self.error
        return int(self.gb * 1e9)


def room(ambient_c: float = 37.0) -> tuple[SimTemperatureSensor, Part]:
    driver = SimTemperatureSensor(ambient_c=ambient_c)
    return driver, part(
        "room", TemperatureModule, driver=driver, report_every_s=OFTEN_S
    )


def warmth(**values: Any) -> Part:
    return part(
        "warmth", TemperatureGuard, **(SOON | {"low_c": 36.0, "high_c": 38.0} | values)
    )


def temperature(**values: Any) -> Case:
    driver, thermometer = room()
    return Case(
        [thermometer, warmth(**values)],
        lambda: setattr(driver, "ambient_c", 41.5),
        lambda: setattr(driver, "ambient_c", 37.0),
        "room is at 41.50 C, expected 36 to 38 C",
    )


def focus(**values: Any) -> Case:
    driver = SimFocusQuadrant()
    sensor = part("qpd", FocusSensorModule, driver=driver, report_every_s=OFTEN_S)
    return Case(
        [sensor, part("guard", FocusGuard, **SOON, **values)],
        lambda: setattr(driver, "z_um", 1e4),
        lambda: setattr(driver, "z_um", 0.0),
        "qpd lost the focus: no light to see it by",
    )


@pytest.fixture
def room_left(monkeypatch: pytest.MonkeyPatch) -> Disk:
    room_left = Disk()
    monkeypatch.setattr(disk, "free_bytes", room_left.free_bytes)
    return room_left


def space(room_left: Disk, **values: Any) -> Case:
    return Case(
        [part("guard", DiskGuard, every_s=OFTEN_S, lowest_gb=5.0, **SOON, **values)],
        lambda: setattr(room_left, "gb", 0.25),
        lambda: setattr(room_left, "gb", 100.0),
        "has 0.25 GB free, expected at least 5 GB",
    )


@pytest.fixture(params=["temperature", "focus", "disk"])
def make(request: pytest.FixtureRequest, room_left: Disk) -> Callable[..., Case]:
    if request.param == "disk":
        return lambda **values: space(room_left, **values)
    return {"temperature": temperature, "focus": focus}[request.param]


def endless_plan() -> Plan:
    """Return a plan that outlasts every test; it is cancelled."""
    return explicit(
        [ImageEvent(index={"t": t}, min_start_time_s=0.02 * t) for t in range(5000)]
    )


def begin(hal: RunningHal, folder: Path, name: str = "run") -> RunHandle:
    return hal.run(folder, endless_plan(), name=name)


def camera() -> Part:
    return sim_part(exposure_s=0.001)


def goes_on(run: RunHandle, frames: int = 2) -> None:
    """Wait until the run has got on by some frames."""
    wanted = run.status.n_frames_received + frames
    wait_until(
        lambda: run.status.n_frames_received >= wanted,
        PATIENCE_S,
        what=f"{wanted} frames",
    )


def paused(run: RunHandle, why: str) -> None:
    wait_until(
        lambda: run.is_paused and why in run.status.why_paused,
        PATIENCE_S,
        what=f"paused because of: {why}",
    )


def end(run: RunHandle) -> None:
    run.cancel()
    status = run.wait(PATIENCE_S)
    assert status is not None
    assert status.state is RunState.CANCELLED, status


def changed(hal: RunningHal, *, is_holding: bool, why: str = "") -> GuardChanged:
    return hal.probe.wait_for(
        GuardChanged,
        lambda e: e.is_holding is is_holding and why in e.why,
        PATIENCE_S,
    )


def test_a_run_is_paused_while_something_is_wrong_and_goes_on_by_itself(
    make: Callable[..., Case], tmp_path: Path
) -> None:
    case = make()
    with running_hal(camera(), *case.parts) as hal:
        run = begin(hal, tmp_path)
        goes_on(run)

        case.break_it()
        paused(run, case.words)
        name = case.parts[-1].name
        assert changed(hal, is_holding=True).guard == name
        assert case.words in hal.module(name, Guard).reason

        case.mend_it()
        goes_on(run)
        assert run.status.why_paused == ""
        changed(hal, is_holding=False)
        assert hal.module(name, Guard).reason == ""
        end(run)


def test_a_run_waits_for_a_person_if_it_is_to(
    make: Callable[..., Case], tmp_path: Path
) -> None:
    case = make(resumes="person")
    with running_hal(camera(), *case.parts) as hal:
        run = begin(hal, tmp_path)
        goes_on(run)
        case.break_it()
        paused(run, case.words)

        case.mend_it()
        paused(run, "(good again, waits for a person to resume)")
        run.resume()

        goes_on(run)
        end(run)


def test_a_person_who_resumes_is_not_contradicted_in_that_run(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    case = temperature()
    with running_hal(camera(), *case.parts, carrier=carrier) as hal:
        run = begin(hal, tmp_path)
        case.break_it()
        paused(run, case.words)

        run.resume()
        changed(hal, is_holding=False, why="(a person let the run go on)")
        goes_on(run, 10)
        assert run.status.why_paused == ""

        # After all was well it is another story.
        case.mend_it()
        wait_until(lambda: hal.module("warmth", Guard).reason == "", PATIENCE_S)
        case.break_it()
        paused(run, case.words)
        run.resume()
        goes_on(run)
        end(run)

        # And nobody has decided about the next run.
        wait_until(
            lambda: hal.module("warmth", Guard).reason.endswith("38 C"), PATIENCE_S
        )
        run = begin(hal, tmp_path, "next")
        paused(run, case.words)
        assert run.status.n_frames_received == 0
        case.mend_it()
        goes_on(run)
        end(run)


def test_the_reasons_of_all_are_told_and_all_must_be_gone(tmp_path: Path) -> None:
    warm, sharp = temperature(), focus()
    with running_hal(camera(), *warm.parts, *sharp.parts) as hal:
        run = begin(hal, tmp_path)
        warm.break_it()
        paused(run, warm.words)
        sharp.break_it()
        paused(run, f"{warm.words}; {sharp.words}")
        warm.mend_it()
        wait_until(lambda: run.status.why_paused == sharp.words, PATIENCE_S)
        assert run.is_paused

        run.resume()
        goes_on(run)
        end(run)


def test_a_sensor_that_says_nothing_is_a_reason(tmp_path: Path) -> None:
    driver = SimTemperatureSensor(ambient_c=37.0)
    thermometer = part("room", TemperatureModule, driver=driver)
    with running_hal(camera(), thermometer, warmth(silent_s=0.5)) as hal:
        run = begin(hal, tmp_path)
        paused(run, "no news of room for 0.5 s: expected it to report")

        hal.ask(SetParameters({"room": {"report_every_s": OFTEN_S}}))
        goes_on(run)
        end(run)


def test_a_disk_that_does_not_answer_is_a_reason(
    tmp_path: Path,
    room_left: Disk,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = space(room_left, silent_s=0.3)
    with running_hal(camera(), *case.parts) as hal:
        run = begin(hal, tmp_path)
        wait_until(lambda: tmp_path in room_left.asked, PATIENCE_S)

        def hang(folder: Path) -> int:
            gate.wait(PATIENCE_S)
            return room_left.free_bytes(folder)

        monkeypatch.setattr(disk, "free_bytes", hang)
        paused(run, f"the disk of {tmp_path} has not answered for 0.3 s")
        gate.set()
        goes_on(run)
        end(run)


def test_a_film_goes_on_and_tells_of_the_guard(tmp_path: Path) -> None:
    case = temperature()
    words = f"{case.words} (a film cannot be paused, and went on)"
    with running_hal(camera(), *case.parts) as hal:
        run = hal.film(tmp_path, None, name="during")
        goes_on(run)
        case.break_it()
        changed(hal, is_holding=True)
        goes_on(run)
        run.cancel()
        told = run.wait(PATIENCE_S)

        later = hal.film(tmp_path, 3, name="before").wait(PATIENCE_S)

    assert told is not None
    assert later is not None
    assert (told.state, later.state) == (RunState.CANCELLED, RunState.DONE)
    for status in (told, later):
        assert [(e.source, e.text) for e in status.background_errors] == [
            ("warmth", words)
        ]


def test_limits_and_patience_change_while_a_run_goes_on(tmp_path: Path) -> None:
    case = temperature(after_s=3600.0)
    with running_hal(camera(), *case.parts) as hal:
        run = begin(hal, tmp_path)
        case.break_it()
        goes_on(run, 5)

        hal.ask(SetParameters({"warmth": {"after_s": 0.0}}))
        paused(run, case.words)
        hal.ask(SetParameters({"warmth": {"high_c": 42.0}}))
        goes_on(run)
        end(run)


def test_only_the_sensor_that_is_meant_counts(tmp_path: Path) -> None:
    case = temperature(sensor="room")
    hot = part(
        "oven",
        TemperatureModule,
        driver=SimTemperatureSensor(ambient_c=200.0),
        report_every_s=OFTEN_S,
    )
    with running_hal(camera(), hot, *case.parts) as hal:
        run = begin(hal, tmp_path)
        goes_on(run, 5)

        hal.ask(SetParameters({"warmth": {"sensor": "oven"}}))
        paused(run, "oven is at 200.00 C")
        end(run)


def is_anew(hal: RunningHal, old: Module) -> bool:
    """Whether a later generation of a module has started."""
    new = hal.module(old.name, Module)
    return new is not old and new.state is ModuleState.STARTED


def test_an_acquisition_that_begins_anew_is_told_again(tmp_path: Path) -> None:
    case = temperature()
    with running_hal(camera(), *case.parts) as hal:
        case.break_it()
        changed(hal, is_holding=True)
        old = hal.module("acquisition", AcquisitionModule)
        old.fail(RuntimeError("out of order"))

        wait_until(lambda: is_anew(hal, old), PATIENCE_S)
        run = begin(hal, tmp_path)
        paused(run, case.words)
        end(run)


def test_a_guard_that_begins_anew_lets_go_of_what_it_held(tmp_path: Path) -> None:
    case = temperature()
    with running_hal(camera(), *case.parts) as hal:
        run = begin(hal, tmp_path)
        case.break_it()
        paused(run, case.words)
        old = hal.module("warmth", TemperatureGuard)
        old.fail(RuntimeError("out of order"))

        wait_until(lambda: is_anew(hal, old), PATIENCE_S)
        case.mend_it()
        goes_on(run)
        end(run)


def test_a_folder_that_is_gone_is_a_reason_and_another_run_has_another_folder(
    tmp_path: Path, room_left: Disk
) -> None:
    case = space(room_left, resumes="person")
    with running_hal(camera(), *case.parts) as hal:
        run = begin(hal, tmp_path / "first")
        wait_until(lambda: tmp_path / "first" in room_left.asked, PATIENCE_S)
        room_left.error = OSError(5, "Input/output error")
        paused(
            run, f"{tmp_path / 'first'} does not tell its free space: Input/output err"
        )
        end(run)
        shutil.rmtree(tmp_path / "first")
        room_left.error = None
        wait_until(lambda: "No such file" in wrong_of(hal), PATIENCE_S)

        run = begin(hal, tmp_path / "second")
        goes_on(run)
        end(run)


def wrong_of(hal: RunningHal) -> str:
    """Return what a guard of the disk sees now."""
    return hal.module("guard", DiskGuard)._vigil._wrong


def test_a_folder_that_is_named_is_watched_before_it_is_made(
    tmp_path: Path, room_left: Disk
) -> None:
    room_left.gb = 1.0
    folder = tmp_path / "data" / "today"
    case = space(room_left, folder=str(folder))
    with running_hal(camera(), *case.parts) as hal:
        assert str(folder) in changed(hal, is_holding=True).why
        assert room_left.asked[:3] == [folder, folder.parent, tmp_path]


def problem(*parts: Part) -> ErrorRecord:
    with running_hal(*parts) as hal:
        (problem,) = hal.problems
    return problem


def test_a_sensor_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    _, thermometer = room()
    found = problem(thermometer, warmth(sensor="rom"))
    assert found.text == "sensor='rom': expected one of room; did you mean 'room'?"
    two = part("other", TemperatureModule, driver=SimTemperatureSensor())
    assert "expected one of other, room" in problem(thermometer, two, warmth()).text

    with running_hal(thermometer, warmth()) as hal:
        with pytest.raises(ParameterError, match="expected one of room"):
            hal.ask(SetParameters({"warmth": {"sensor": "oven"}}))
        with pytest.raises(ParameterError, match=r"low_c=50\.0 is above high_c=38.0"):
            hal.ask(SetParameters({"warmth": {"low_c": 50.0}}))


def test_a_folder_that_is_relative_is_refused(room_left: Disk) -> None:
    with running_hal(*space(room_left, folder="~/data").parts) as hal:
        assert hal.problems == ()
        with pytest.raises(ParameterError, match="expected a full path, or ~/"):
            hal.ask(SetParameters({"guard": {"folder": "data"}}))


@pytest.mark.parametrize(
    ("z_um", "values", "words"),
    [
        (0.9, {}, ""),
        (-1.5, {}, "qpd is -1.37 um out of focus, expected 1 um at the most"),
        (0.0, {"full_sum": 10.0, "min_sum": 50.0}, "readings are no good (sum 10)"),
    ],
)
def test_focus_is_lost_when_it_is_far_or_cannot_be_seen(
    z_um: float, values: dict[str, float], words: str
) -> None:
    driver = SimFocusQuadrant(z_um=z_um, **values)
    sensor = part("qpd", FocusSensorModule, driver=driver, report_every_s=OFTEN_S)
    with running_hal(sensor, part("guard", FocusGuard, **SOON)) as hal:
        guard = hal.module("guard", FocusGuard)
        wait_until(lambda: guard._vigil._since_s is not None, PATIENCE_S)
        assert words in guard._vigil._wrong
        assert bool(words) == bool(guard._vigil._wrong)
