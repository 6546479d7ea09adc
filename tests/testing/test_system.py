"""What plugin authors test with."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hal.app import CLIENT
from hal.base import HalError, ModuleState, StateError, get_logger
from hal.kernel import Event, Module, ModuleStateChanged, Request, handles
from hal.testing import FakeClock, Probe, part, running_hal, wait_until
from hal.transport import Loopback


class Greet(Request, frozen=True):
    """Ask for a greeting."""

    name: str


class Greeted(Event, frozen=True):
    """Somebody was greeted."""

    name: str


class Departed(Event, frozen=True):
    """Somebody has left."""


class Greeter(Module):
    """Says hello."""

    role = "greeter"

    @handles(Greet)
    def on_greet(self, msg: Greet) -> str:
        if not msg.name:
            raise StateError("nobody there")
        self.send(Greeted(msg.name))
        return f"hello {msg.name}"


def test_a_module_is_started_answers_and_is_stopped() -> None:
    with running_hal(part("greeter", Greeter)) as hal:
        greeter = hal.module("greeter", Greeter)
        assert greeter.state is ModuleState.STARTED
        assert hal.ask(Greet("world")) == "hello world"
        with pytest.raises(StateError, match="nobody there"):
            hal.ask(Greet(""))

    assert greeter.state is ModuleState.STOPPED


def test_everything_is_stopped_when_the_test_fails() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        running_hal(part("greeter", Greeter)) as hal,
    ):
        raise ZeroDivisionError

    assert hal.module("greeter", Greeter).state is ModuleState.STOPPED


def test_the_modules_every_hal_has_are_there_unless_given() -> None:
    class OwnSettings(Greeter):
        role = "settings"

    with running_hal(part("mine", OwnSettings)) as hal:
        names = {module.name for module in hal.system.modules}

    assert names == {"mine", "recorder", "live", "acquisition", CLIENT, "probe"}


def test_the_probe_hears_every_event_in_order() -> None:
    with running_hal(part("greeter", Greeter)) as hal:
        for name in "abc":
            hal.ask(Greet(name))

        assert hal.probe.heard(Greeted) == tuple(map(Greeted, "abc"))
        assert hal.probe.wait_for(Greeted, lambda e: e.name == "b") == Greeted("b")
        assert len(hal.probe.heard(ModuleStateChanged)) > 0


def test_a_probe_may_listen_to_some_events_only() -> None:
    listener = part("listener", Probe, kinds=(Departed,))
    with running_hal(part("greeter", Greeter), listener) as hal:
        hal.ask(Greet("a"))
        hal.send(Departed()).wait()

        probe = hal.module("listener", Probe)
        assert probe.heard(Event) == (Departed(),)


def test_an_event_that_does_not_come_is_a_failure_that_names_those_heard() -> None:
    with running_hal(part("greeter", Greeter)) as hal:
        hal.ask(Greet("a"))
        hal.probe.heard(Greeted)

        with pytest.raises(AssertionError, match=r"no such Greeted.*name='a'"):
            hal.probe.wait_for(Greeted, lambda e: e.name == "b", timeout_s=0.01)
        with pytest.raises(AssertionError, match="none of this kind"):
            hal.probe.wait_for(Departed, timeout_s=0.01)


def test_messages_go_through_the_carrier() -> None:
    carrier = Loopback()
    with running_hal(part("greeter", Greeter), carrier=carrier) as hal:
        before = carrier.carried
        assert hal.ask(Greet("world")) == "hello world"

    assert carrier.carried > before


def test_time_is_the_clock_of_the_test() -> None:
    clock = FakeClock(100.0)
    with running_hal(part("greeter", Greeter), clock=clock) as hal:
        assert hal.module("greeter", Greeter).clock is clock
        assert hal.ask(Greet("world")) == "hello world"


def test_trace_and_log_go_to_the_folder(tmp_path: Path) -> None:
    with running_hal(part("greeter", Greeter), log_folder=tmp_path) as hal:
        hal.ask(Greet("world"))
        get_logger(module="greeter").info("waving", hand="left")

    (trace,) = tmp_path.glob("trace_*.jsonl")
    text = trace.read_text()
    assert '"greet"' in text
    assert "waving" in text


def test_a_configuration_stands_alone(tmp_path: Path) -> None:
    for more in ({"clock": FakeClock()}, {"carrier": Loopback()}):
        with (
            pytest.raises(TypeError, match="configuration file alone"),
            running_hal(tmp_path / "x.xml", **more),  # type: ignore[arg-type]
        ):
            pass
    with (
        pytest.raises(TypeError, match="configuration file alone"),
        running_hal(tmp_path / "x.xml", part("greeter", Greeter)),
    ):
        pass


def test_what_is_wrong_with_a_module_is_raised_and_nothing_stays() -> None:
    with pytest.raises(HalError), running_hal(part("a", Greeter, unknown=1)):
        pass


def test_waiting_returns_as_soon_as_the_condition_holds() -> None:
    done = threading.Event()
    threading.Timer(0.01, done.set).start()

    wait_until(done.is_set, 5.0)


def test_waiting_in_vain_says_what_for() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: the moon"):
        wait_until(lambda: False, 0.01, what="the moon")
