"""What is wrong with a message is attached to it, and nobody receives it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from hal.base import Record
from hal.kernel import Message, System, Wire
from hal.kernel.wire import Envelope
from tests.kernel.bench import (
    HANG_S,
    Placer,
    Probe,
    Records,
    add,
    add_module,
    done,
    of_kind,
    only_error,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, ActInRun, Noted, PlaceProbe, Whimsical


class OtherVersion(Wire):
    """The wire to a process that knows another version of every message."""

    def message(self, cls: type[Record], envelope: Envelope) -> Message:
        return super().message(cls, msgspec.structs.replace(envelope, version=7))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "below": ({"x_um": -0.1}, "x_um"),
    "above": ({"x_um": 100.1}, "x_um"),
    "NaN": ({"x_um": math.nan}, "x_um"),
    "infinite": ({"x_um": math.inf}, "x_um"),
    "text for a number": ({"x_um": "3"}, "x_um"),
    "None": ({"x_um": None}, "x_um"),
    "float for a whole number": ({"x_um": 1.0, "turns": 1.5}, "turns"),
    "huge whole number": ({"x_um": 1.0, "turns": 1 << 70}, ""),
    "number for text": ({"x_um": 1.0, "label": 3}, "label"),
    "text that is not UTF-8": ({"x_um": 1.0, "label": "\udcff"}, ""),
    "NaN in a tuple": ({"x_um": 1.0, "path_um": (1.0, math.nan)}, "path_um[1]"),
    "infinity in a dict": ({"x_um": 1.0, "extra": {"a": [-math.inf]}}, "extra a[0]"),
    "live object": ({"x_um": 1.0, "extra": {"a": object()}}, ""),
    "function": ({"x_um": 1.0, "extra": {"a": print}}, ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_completes_with_an_error_and_nobody_gets_it(
    system: System, records: Records, case: str
) -> None:
    fields, place = WRONG[case]
    placer = add_module(system, Placer, "placer")

    delivery = system.send(PlaceProbe(**fields))

    assert delivery.complete
    (error,) = delivery.errors
    assert error.kind == "InvalidMessage"
    assert "place probe" in error.text
    assert place in error.text
    assert delivery.tickets == {}
    assert done(system.send(PlaceProbe(x_um=5.0))).errors == ()
    assert placer.placed == [PlaceProbe(x_um=5.0)]
    # The trace can write even what could not be sent.
    until(lambda: len(of_kind(records, "delivery", type="place probe")) == 2)


def test_a_message_is_copied_when_sent(system: System) -> None:
    placer = add_module(system, Placer, "placer")
    extra: dict[str, Any] = {"a": 1}
    message = PlaceProbe(x_um=1.0, extra=extra)
    system.broker._pumping.acquire()
    delivery = system.send(message)
    extra["a"] = 2
    system.broker._pumping.release()
    system.broker.pump()

    done(delivery)

    assert placer.placed[0].extra == {"a": 1}


@pytest.mark.parametrize("deadline_s", [math.nan, math.inf, -1.0])
def test_a_deadline_that_never_comes_is_refused(
    system: System, deadline_s: float
) -> None:
    add(system, "probe")

    error = only_error(system.send(Act("answer"), deadline_s=deadline_s))

    assert error.kind == "InvalidMessage"
    assert "deadline_s" in error.text


@pytest.mark.parametrize("run_id", [5, object(), "\udcff"])
def test_a_wrong_run_id_is_attached_and_not_raised(system: System, run_id: Any) -> None:
    add(system, "probe")

    error = only_error(system.send(ActInRun("answer", run_id=run_id)))

    assert error.kind == "InvalidMessage"


def test_another_version_of_a_message_is_refused_by_name(system: System) -> None:
    probe = add(system, "probe")
    message = Noted("other process", 1)
    system.broker.wire = OtherVersion(system.broker.wire.carrier)

    error = only_error(system.send(message))
    system.broker.wire = Wire(system.broker.wire.carrier)

    assert error.kind == "InvalidMessage"
    assert "noted: sent as version 7, known here as version 1" in error.text
    assert probe.seen == []
    assert done(system.send(message)).errors == ()


@pytest.mark.parametrize("principal", ["", "Camera", "remote:", "script", "a b"])
def test_a_sender_that_is_no_principal_is_refused(
    system: System, principal: str
) -> None:
    probe = add(system, "probe")
    if principal == "script":  # a word like any module's name: well-formed
        principal = "script:"

    error = only_error(system.send(Noted("who", 1), principal=principal))

    assert error.kind == "InvalidMessage"
    assert "principal" in error.text
    assert probe.seen == []


@pytest.mark.parametrize("principal", ["cli", "script:a.py", "gui:main", "remote:k-1"])
def test_the_principal_is_told_with_the_message(system: System, principal: str) -> None:
    add(system, "probe")

    delivery = done(system.send(Act("answer"), principal=principal))

    assert (delivery.principal, delivery.errors) == (principal, ())


def test_a_request_that_nobody_handles_is_unhandled(system: System) -> None:
    add(system, "probe")

    error = only_error(system.send(Whimsical()))

    assert (error.kind, error.text) == ("Unhandled", "no module handles 'whimsical'")


def test_a_request_that_several_handle_is_ambiguous_and_names_them(
    system: System,
) -> None:
    one, two = add(system, "one"), add(system, "two")
    ran: list[str] = []
    one.acts["act"], two.acts["act"] = lambda: ran.append("1"), lambda: ran.append("2")

    error = only_error(system.send(Act("act")))

    assert error.kind == "Ambiguous"
    assert "one, two" in error.text
    assert "to=" in error.text
    assert ran == []
    assert done(system.send(Act("act"), to="two")).errors == ()
    assert ran == ["2"]


def test_an_unknown_receiver_is_unhandled_with_the_nearest_name(
    system: System,
) -> None:
    add(system, "camera1")

    error = only_error(system.send(Act("answer"), to="camera2"))

    assert error.kind == "Unhandled"
    assert "'camera2'" in error.text
    assert "did you mean 'camera1'?" in error.text


def test_a_receiver_that_does_not_handle_it_says_so(system: System) -> None:
    add_module(system, Placer, "placer")

    error = only_error(system.send(Act("answer"), to="placer"))

    assert (error.kind, error.text) == ("Unhandled", "placer does not handle 'act'")


def test_a_handler_takes_subclasses_of_its_message(system: System) -> None:
    class NotedSpecially(Noted, frozen=True):
        pass

    probe = add(system, "probe")

    done(system.send(NotedSpecially("sub", 1)))

    assert probe.seen == [("noted", "sub", 1)]


def test_an_overriding_method_keeps_its_message(system: System) -> None:
    class Loud(Probe):
        def on_noted(self, msg: Noted) -> None:
            self.seen.append(("LOUD", msg.who, msg.number))

    probe = add_module(system, Loud, "probe")

    done(system.send(Noted("sub", 1)))

    assert probe.seen == [("LOUD", "sub", 1)]


def test_a_deadline_passes_in_the_queue_of_a_hung_module(
    system: System, gate: Any
) -> None:
    bad = add(system, "bad", deadline_s=60.0)
    add(system, "good")
    bad.acts["wait"] = lambda: wait_for(gate)
    system.send(Act("wait"), to="bad", deadline_s=60.0)
    until(lambda: bad.busy_with)

    queued = system.send(Noted("queued", 1), deadline_s=HANG_S)

    error = only_error(queued)
    assert error.kind == "WorkerTimeout"
    assert "bad did not end 'noted' within" in error.text
    assert "bad is in handler of 'act'" in error.text
    assert queued.tickets["good"].how == "done"
    gate.set()
    done(system.send(Act("answer"), to="bad"))
    assert bad.seen == []  # given up, so it is not done any more
