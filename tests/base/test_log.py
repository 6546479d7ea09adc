"""Log records go where the application says, and never raise."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator, Mapping

import pytest

from hal.base import LogSink, get_logger, set_log_sink, to_stderr


@pytest.fixture
def entries() -> Iterator[list[Mapping[str, object]]]:
    entries: list[Mapping[str, object]] = []
    previous = set_log_sink(entries.append)
    yield entries
    set_log_sink(previous)


@pytest.fixture
def stderr_sink() -> Iterator[LogSink]:
    previous = set_log_sink(to_stderr)
    yield to_stderr
    set_log_sink(previous)


def test_a_record_carries_level_phrase_data_module_and_thread(
    entries: list[Mapping[str, object]],
) -> None:
    get_logger(module="stage").info("homing finished", axis="z", took_s=4.2)

    assert entries == [
        {
            "level": "info",
            "event": "homing finished",
            "axis": "z",
            "took_s": 4.2,
            "module": "stage",
            "thread": threading.current_thread().name,
        }
    ]


def test_a_logger_made_at_import_follows_a_later_sink(
    entries: list[Mapping[str, object]],
) -> None:
    logger = get_logger(module="early")
    logger.info("one")
    others: list[Mapping[str, object]] = []
    set_log_sink(others.append)

    logger.info("two")

    assert [entry["event"] for entry in entries] == ["one"]
    assert [entry["event"] for entry in others] == ["two"]


def test_an_exception_is_logged_with_its_stack(
    entries: list[Mapping[str, object]],
) -> None:
    try:
        raise ValueError("boom")
    except ValueError as exc:
        get_logger().error("failed", exc_info=exc)

    assert "ValueError: boom" in str(entries[0]["exception"])
    assert "test_log.py" in str(entries[0]["exception"])


def test_only_warnings_and_worse_go_to_stderr(
    stderr_sink: LogSink, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = get_logger(module="stage")
    logger.debug("bytes")
    logger.info("fine")
    logger.warning("slow handler", took_s=0.5)

    assert capsys.readouterr().err == "warning: stage: slow handler took_s=0.5\n"


def test_what_somebody_else_tells_is_not_printed_twice(
    stderr_sink: LogSink, capsys: pytest.CaptureFixture[str]
) -> None:
    get_logger(module="camera1").error("film failed", told_by="acquisition")

    assert capsys.readouterr().err == ""


def test_logging_survives_a_missing_stderr(
    stderr_sink: LogSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    get_logger().error("nobody reads this")


@pytest.mark.parametrize("problem", ["closed", "gone", "encoding"])
def test_logging_survives_a_stderr_that_fails(
    stderr_sink: LogSink, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "input/output error")

    broken: io.TextIOBase = Gone()
    if problem == "closed":
        broken = io.StringIO()
        broken.close()
    elif problem == "encoding":
        broken = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", broken)

    get_logger().error("größer als erlaubt", path="b\udcff")
