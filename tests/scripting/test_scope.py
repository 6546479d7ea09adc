"""Opening a microscope, finding its modules, and closing it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
from pathlib import Path

import pytest

import hal
from hal.base import BadInput, StartError, StateError
from hal.scripting import session as sessions
from hal.testing import wait_until
from tests.scripting.conftest import PATIENCE_S, write


def records(folder: Path) -> list[dict[str, object]]:
    lines = [p.read_text("utf-8") for p in sorted(folder.rglob("trace_*.jsonl"))]
    return [json.loads(line) for text in lines for line in text.splitlines()]


def test_modules_are_found_by_name_and_tell_what_they_are(scope):
    assert set(dir(scope)) > {"camera1", "stage", "acquisition", "film", "close"}
    assert repr(scope.camera1) == "<camera1: cameras.camera, started, simulated>"
    assert "<stage: stages.xy_stage, started, simulated>" in repr(scope)
    assert (scope.stage.state, scope.stage.reason) == ("started", "")


def test_an_unknown_module_is_refused_with_the_name_that_was_meant(scope):
    with pytest.raises(AttributeError, match=r"no module 'camrea1'.*did you mean 'ca"):
        scope.camrea1
    with pytest.raises(BadInput, match=r"no module 'film'.*camera1, .*stage"):
        scope["film"]
    assert not hasattr(scope, "_repr_html_")


def test_it_is_used_in_the_name_of_the_script(config, tmp_path):
    with hal.open(config, name="night.1", log_dir=tmp_path / "logs") as scope:
        scope.stage.move(1.0, 2.0)

    senders = {record.get("from") for record in records(tmp_path / "logs")}
    assert "script:night.1" in senders


def test_a_name_that_is_none_is_refused(config):
    with pytest.raises(BadInput, match="name 'my script': expected letters"):
        hal.open(config, name="my script")


def test_one_session_holds_the_hardware(scope, config, tmp_path):
    other = tmp_path / "other.xml"
    write(other, tmp_path)

    with pytest.raises(StateError, match=r"small\.xml is open in this process"):
        hal.open(other)
    scope.close()
    with hal.open(other) as second:
        assert second.stage.move(3.0, 4.0).y_um == 4.0


def test_what_could_not_start_does_not_stand_in_the_way_of_the_next(config, tmp_path):
    with pytest.raises(BadInput, match="log folder"):
        hal.open(config, log_dir=config)
    with pytest.raises(BadInput, match=r"camera1\.width_px"):
        hal.open(config, overrides="camera1.width_px=-1")

    hal.open(config).close()


def test_a_module_that_hangs_keeps_the_next_session_out(config, monkeypatch):
    first = hal.open(config)
    first.close()
    assert first._session.left_behind() == ()
    monkeypatch.setattr(sessions.Session, "left_behind", lambda _self: ("camera1",))

    with pytest.raises(StateError, match="still hanging: camera1; end this process"):
        hal.open(config)

    monkeypatch.undo()
    hal.open(config).close()


def test_closing_twice_is_harmless_and_what_comes_later_is_refused(config):
    interval_s = sys.getswitchinterval()
    scope = hal.open(config)
    stage = scope.stage
    scope.close()
    scope.close()

    assert sys.getswitchinterval() == interval_s
    assert not scope.is_open
    assert repr(scope).endswith("is closed")
    assert stage.state == "stopped"
    with pytest.raises(StateError, match=r"is closed: hal.open\(\) opens it again"):
        stage.move(0.0, 0.0)
    with pytest.raises(StateError, match="is closed"):
        scope.film(1)


def test_a_copy_of_the_process_has_no_microscope(scope, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)

    with pytest.raises(StateError, match="belongs to another process"):
        scope.stage.position
    scope._session.close_at_exit()
    scope._session.forget()

    monkeypatch.undo()
    assert scope.is_open


def test_what_nobody_can_use_any_more_is_stopped(config, capsys):
    stage = hal.open(config).stage
    gc.collect()
    assert stage.move(5.0, 6.0).x_um == 5.0
    session = stage._session

    del stage
    gc.collect()

    wait_until(lambda: session.ended.is_set, PATIENCE_S)
    assert "was left open with nobody to use it" in capsys.readouterr().err
    hal.open(config).close()


def test_an_error_in_the_block_comes_through_and_the_hardware_is_free(config):
    made = []

    def script() -> None:
        with hal.open(config) as scope:
            made.extend([scope, scope.film(None)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        script()

    scope, run = made
    assert run.status.state == "cancelled"
    assert not scope.is_open


def test_a_device_that_does_not_answer_is_told_of(config, capsys, monkeypatch):
    from modules.simulation.xy_stage import SimXYStage

    def absent(_self: SimXYStage) -> None:
        raise StateError("no power")

    monkeypatch.setattr(SimXYStage, "open", absent)
    with hal.open(config) as scope:
        assert "stage: stages.xy_stage, degraded, " in repr(scope)
        assert "no power" in scope.stage.reason
        assert "move" in dir(scope.stage)
        with pytest.raises(StateError, match="stage is degraded"):
            scope.stage.move(0.0, 0.0)

    said = capsys.readouterr().err
    assert "hal: stage is degraded: " in said
    assert "hal: this microscope is simulated" in said


def test_a_module_that_cannot_start_is_raised_and_nothing_is_left(config, monkeypatch):
    from modules.simulation.xy_stage import SimXYStage

    def impossible(_self: SimXYStage) -> None:
        raise StartError("no such stage")

    monkeypatch.setattr(SimXYStage, "open", impossible)
    with pytest.raises(StartError, match=r"module 'stage': .*no such stage"):
        hal.open(config)

    monkeypatch.undo()
    hal.open(config).close()


def test_ctrl_c_while_it_starts_leaves_nothing_started(
    config, interrupted, monkeypatch
):
    begun: list[sessions.Application] = []
    go_on = threading.Event()
    original = sessions.Application.start

    def start(app: sessions.Application) -> object:
        begun.append(app)
        go_on.wait(PATIENCE_S)
        return original(app)

    monkeypatch.setattr(sessions.Application, "start", start)
    close = sessions.Session.close

    def closing(session: sessions.Session) -> None:
        go_on.set()
        close(session)

    monkeypatch.setattr(sessions.Session, "close", closing)
    interrupted(lambda: hal.open(config), when=lambda: begun)

    assert begun[0].system.modules[0].state == "stopped"


def test_it_works_within_a_running_event_loop(config):
    async def cell() -> str:
        with hal.open(config) as scope:
            scope.stage.move(1.0, 1.0)
            run = scope.film(3)
            await asyncio.sleep(0)
            return str(run.wait(progress=False).state)

    assert asyncio.run(cell()) == "done"
