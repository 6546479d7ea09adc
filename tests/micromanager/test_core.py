from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from hal.base import (
    ConfigError,
    DeviceError,
    DeviceTimeout,
    StartError,
    StateError,
    SystemClock,
    set_log_sink,
)
from modules.micromanager import MMCamera, MMFilterWheel, MMXYStage, MMZStage
from modules.micromanager import shared as shared_cores
from modules.micromanager.core import CoreOwner
from modules.micromanager.shared import abandon, acquire, release

CAMERA_ONLY = """\
Property,Core,Initialize,0
Device,Left,DemoCamera,DCam
Device,Right,DemoCamera,DCam
Property,Core,Initialize,1
"""


class Hang:
    """A call that does not come back before `free` is set."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.free = threading.Event()

    def __call__(self, core: object) -> str:
        self.began.set()
        self.free.wait(30.0)
        return "late"


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.free.set()


@pytest.fixture
def owner(hang: Hang) -> Iterator[CoreOwner]:
    owner = acquire("demo")
    yield owner
    hang.free.set()
    wait_for(lambda: not owner.hangs_in)
    release(owner)


@pytest.fixture
def cfg(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "scope.cfg"
        path.write_text(text)
        return str(path)

    return write


def wait_for(condition: Callable[[], bool]) -> None:
    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic_s() + 10.0
    while not condition():
        assert clock.monotonic_s() < deadline_s
        clock.wait(pause, 0.002)


def in_background(fn: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(fn())
        except Exception as exc:  # noqa: BLE001 - handed to the test that waits
            outcome.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


# What is wrong with the installation or the configuration


def test_missing_package_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pymmcore_plus", None)

    with pytest.raises(StartError) as raised:
        MMCamera(config="demo").open()

    assert "package 'pymmcore_plus' is not installed" in str(raised.value)
    assert "pip install 'halscope[micromanager]'" in str(raised.value)


def test_broken_package_is_told_from_a_missing_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pymmcore_plus.py").write_text("raise ImportError('wrong\\nABI')")
    monkeypatch.delitem(sys.modules, "pymmcore_plus", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(StartError, match="cannot be imported: wrong ABI"):
        MMCamera(config="demo").open()


def test_missing_adapters_are_named_with_their_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pymmcore_plus.find_micromanager", lambda: None)

    with pytest.raises(StartError, match="no device adapters found; install"):
        MMCamera(config="demo").open()


def test_adapters_without_the_demo_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pymmcore_plus.find_micromanager", lambda: str(tmp_path))

    with pytest.raises(StartError, match=r"without MMConfig_demo\.cfg"):
        MMCamera(config="demo").open()


def test_missing_file_is_named_with_its_neighbour(cfg: Callable[[str], str]) -> None:
    wrong = cfg(CAMERA_ONLY).replace("scope", "scop")

    with pytest.raises(ConfigError) as raised:
        MMCamera(config=wrong).open()

    assert raised.value.file == wrong
    assert "no such file" in str(raised.value)
    assert "did you mean 'scope.cfg'?" in str(raised.value)


def test_refused_configuration_is_named_with_the_words_of_the_core(
    cfg: Callable[[str], str],
) -> None:
    path = cfg("Device,Camera,NoSuchLibrary,DCam\nProperty,Core,Initialize,1\n")

    with pytest.raises(ConfigError) as raised:
        MMCamera(config=path).open()

    assert raised.value.file == path
    assert "Line 1" in str(raised.value)
    assert "NoSuchLibrary" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value.__cause__, Exception)


def test_file_without_devices_is_refused(cfg: Callable[[str], str]) -> None:
    with pytest.raises(ConfigError, match="has no devices"):
        MMCamera(config=cfg("this is a letter to my aunt\n")).open()


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (
            "Camra",
            r"no device 'Camra': expected one of Camera; did you mean 'Camera'\?",
        ),
        ("XY", "'XY' as XYStage, not as Camera: expected one of Camera"),
    ],
)
def test_wrong_label_is_refused_with_the_right_ones(label: str, says: str) -> None:
    camera = MMCamera(config="demo", device=label)

    with pytest.raises(ConfigError, match=says):
        camera.open()

    assert not camera.is_open


def test_label_is_needed_where_there_is_no_default() -> None:
    with pytest.raises(ConfigError, match=r"no default State.*one of Dichroic, Emi"):
        MMFilterWheel(config="demo").open()


# Sharing


def test_drivers_of_one_file_share_one_core_until_the_last_closes() -> None:
    camera, stage = MMCamera(config="demo"), MMXYStage(config="demo")
    z = MMZStage(config="demo")
    camera.open()
    stage.open()
    z.open()
    owners = [t for t in threading.enumerate() if t.name == "micromanager/demo"]

    camera.close()
    stage.move_and_settle(5.0, 5.0)
    stage.close()
    z.move_and_settle(1.0)
    z.close()

    assert len(owners) == 1
    assert not owners[0].is_alive()


def test_path_of_a_file_may_be_written_in_two_ways(
    cfg: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(cfg(CAMERA_ONLY))
    monkeypatch.chdir(path.parent)

    first, second = acquire(str(path)), acquire(path.name)

    assert first is second
    release(first)
    release(second)


def test_opening_waits_for_a_core_on_its_way_out() -> None:
    for _ in range(5):
        first, second = MMXYStage(config="demo"), MMZStage(config="demo")
        first.open()
        closing, outcome = in_background(first.close)
        second.open()
        second.move_and_settle(1.0)
        second.close()
        closing.join()

        assert outcome == [None]


def test_failed_opening_leaves_the_core_to_the_others() -> None:
    stage = MMXYStage(config="demo")
    stage.open()

    with pytest.raises(ConfigError):
        MMCamera(config="demo", device="nonsense").open()

    assert stage.position_um() == (0.0, 0.0)
    stage.close()


# Calls


def test_only_the_owner_thread_touches_the_core(owner: CoreOwner) -> None:
    name = owner.call("look", lambda core: threading.current_thread().name)

    assert name == "micromanager/demo"


def test_every_caller_gets_its_own_answer(owner: CoreOwner) -> None:
    wrong: list[int] = []

    def answer(value: int, core: object) -> int:
        return value

    def call(number: int) -> None:
        for step in range(200):
            expected = number + step
            if owner.call("count", partial(answer, expected)) != expected:
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(n * 1000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_error_of_the_core_carries_its_text(owner: CoreOwner) -> None:
    with pytest.raises(DeviceError) as raised:
        owner.call("look", lambda core: core.getProperty("nothing", "x"))

    assert str(raised.value) == (
        'Micro-Manager (demo): look: No device with label "nothing"'
    )
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_defect_of_a_driver_is_not_called_a_device_error(owner: CoreOwner) -> None:
    with pytest.raises(ZeroDivisionError):
        owner.call("divide", lambda core: 1 / 0)

    assert owner.call("go on", lambda core: "well") == "well"


def test_hung_call_times_out_by_name(owner: CoreOwner, hang: Hang) -> None:
    with pytest.raises(DeviceTimeout, match=r"home: no answer after 0\.1 s"):
        owner.call("home", hang, 0.1)

    with pytest.raises(StateError, match="look: the core hangs in 'home'"):
        owner.call("look", lambda core: None)


def test_core_is_usable_again_after_a_late_answer(owner: CoreOwner, hang: Hang) -> None:
    records: list[object] = []
    previous = set_log_sink(lambda record: records.append(record["event"]))
    try:
        with pytest.raises(DeviceTimeout):
            owner.call("home", hang, 0.05)
        hang.free.set()
        wait_for(lambda: not owner.hangs_in)

        assert owner.call("go on", lambda core: "well") == "well"
    finally:
        set_log_sink(previous)
    assert "late answer dropped" in records


def test_call_that_waited_too_long_never_runs(owner: CoreOwner, hang: Hang) -> None:
    ran = threading.Event()
    blocking, _ = in_background(lambda: owner.call("home", hang))
    assert hang.began.wait(5.0)

    with pytest.raises(DeviceTimeout, match=r"not begun after 0\.05 s"):
        owner.call("move", lambda core: ran.set(), 0.05)

    hang.free.set()
    blocking.join()
    owner.call("look", lambda core: None)
    assert not ran.is_set()


def test_urgent_call_overtakes_all_that_wait(owner: CoreOwner, hang: Hang) -> None:
    order: list[str] = []
    threads = [in_background(lambda: owner.call("home", hang))[0]]
    assert hang.began.wait(5.0)
    for name in ("first", "second"):
        call = lambda name=name: owner.call(name, lambda core: order.append(name))  # noqa: E731
        threads.append(in_background(call)[0])
        wait_for(lambda: len(owner._calls) == len(threads) - 1)
    threads.append(
        in_background(
            lambda: owner.call("stop", lambda core: order.append("stop"), urgent=True)
        )[0]
    )
    wait_for(lambda: len(owner._calls) == 3)

    hang.free.set()
    for thread in threads:
        thread.join()

    assert order == ["stop", "first", "second"]


def test_waiting_inside_a_call_gives_way_to_the_next(owner: CoreOwner) -> None:
    began = threading.Event()

    def wait(core: object) -> bool:
        began.set()
        return owner.wait_here(lambda: False, 4.0)

    thread, outcome = in_background(lambda: owner.call("wait", wait))
    assert began.wait(5.0)

    owner.call("look", lambda core: None, 1.0)

    thread.join()
    assert outcome == [False]


# Hung for good


def test_abandoned_core_fails_its_callers_and_the_next_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_cores, "UNLOAD_S", 0.1)
    hang = Hang()
    stage = MMXYStage(config="demo")
    stage.open()
    owner = acquire("demo")
    running, _ = in_background(lambda: owner.call("home", hang, 0.05))
    running.join()
    waiting = MMZStage(config="demo")

    stage.abandon()

    with pytest.raises(StateError, match="its core was closed"):
        stage.position_um()
    with pytest.raises(StateError, match="hangs in 'home' and still holds its dev"):
        waiting.open()
    release(owner)  # harmless: it is nobody's any more

    hang.free.set()
    wait_for(lambda: owner.wait_until_ended(0.0))
    waiting.open()
    waiting.move_and_settle(2.0)
    waiting.close()
    with pytest.raises(StateError):
        stage.close()
    assert not stage.is_open


def test_abandon_wakes_those_who_wait(owner: CoreOwner, hang: Hang) -> None:
    blocking, _ = in_background(lambda: owner.call("home", hang))
    assert hang.began.wait(5.0)
    waiting, outcome = in_background(lambda: owner.call("look", lambda core: 1))
    wait_for(lambda: len(owner._calls) == 1)

    abandon(owner)

    waiting.join(2.0)
    assert not waiting.is_alive()
    assert isinstance(outcome[0], StateError)
    hang.free.set()
    blocking.join()


def test_release_of_a_hung_core_returns_and_says_so(hang: Hang) -> None:
    owner = acquire("demo")
    with pytest.raises(DeviceTimeout):
        owner.call("home", hang, 0.05)

    with pytest.raises(DeviceTimeout, match="unload the devices: not done"):
        release(owner)

    hang.free.set()
    assert owner.wait_until_ended(5.0)


def test_call_after_close_is_refused() -> None:
    owner = acquire("demo")
    release(owner)

    with pytest.raises(StateError, match="its core was closed"):
        owner.call("look", lambda core: None)
