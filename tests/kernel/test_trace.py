"""One record per delivery, in files that are bounded and never stop HAL."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hal.base import SystemClock
from hal.kernel import System, Trace, TraceFile
from hal.testing import FakeClock
from tests.kernel.bench import Records, add, answers, done, until
from tests.kernel.vocabulary import ActInRun, Noted, PlaceProbe


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def all_lines(folder: Path) -> list[dict[str, Any]]:
    return [line for part in sorted(folder.glob("*.jsonl")) for line in lines_of(part)]


def small_file(folder: Path, **sizes: int) -> TraceFile:
    return TraceFile(folder, "0" * 26, "main", FakeClock(), **sizes)


def test_every_delivery_leaves_one_record_with_its_tickets(
    system: System, log_folder: Path
) -> None:
    one, two = add(system, "one"), add(system, "two")
    two.on_noted = None  # type: ignore[assignment,method-assign]
    two.seen = None  # type: ignore[assignment]
    delivery = done(system.send(Noted("me", 7), principal="cli"))

    system.stop()

    (record,) = [r for r in all_lines(log_folder) if r.get("id") == str(delivery.id)]
    assert (record["kind"], record["type"], record["from"]) == (
        "delivery",
        "noted",
        "cli",
    )
    assert (record["version"], record["lane"], record["sync"]) == (1, "normal", False)
    assert record["fields"]["number"] == 7
    tickets = {ticket["to"]: ticket for ticket in record["tickets"]}
    assert (tickets["one"]["how"], tickets["one"]["by"]) == ("done", "handler")
    assert (tickets["two"]["how"], tickets["two"]["by"]) == ("failed", "handler")
    for ticket in tickets.values():
        times = [record["sent_s"]]
        times += [ticket[key] for key in ("queued_s", "started_s", "ended_s")]
        assert times == sorted(times)
        assert ticket["ended_s"] <= record["done_s"]
    assert [error["source"] for error in record["errors"]] == ["two"]
    assert one.seen == [("noted", "me", 7)]


def test_cause_and_run_are_in_the_record(system: System, log_folder: Path) -> None:
    probe = add(system, "probe")
    probe.acts["send"] = lambda: probe.send(Noted("inner", 1)) and None
    outer = done(system.send(ActInRun("send", run_id="run7")))
    until(lambda: probe.seen)

    system.stop()

    (inner,) = [r for r in all_lines(log_folder) if r.get("type") == "noted"]
    assert (inner["cause"], inner["run"]) == (str(outer.id), "run7")


def test_the_file_begins_with_a_header_and_ends_with_a_footer(
    system: System, log_folder: Path
) -> None:
    add(system, "probe")
    assert answers(system, "probe")
    system.stop()

    lines = all_lines(log_folder)

    header = lines[0]
    assert header["kind"] == "header"
    assert (header["session"], header["process"], header["part"]) == (
        system.ids.session,
        "main",
        1,
    )
    assert {"wall", "wall_s", "mono_s", "pid", "versions"} <= set(header)
    assert header["versions"]["pykka"]
    assert [line["kind"] for line in lines].count("footer") == 1
    assert system.trace_file is not None
    assert lines == lines_of(system.trace_file.path)


def test_parts_rotate_by_size_and_the_oldest_go(tmp_path: Path) -> None:
    (tmp_path / "movie_0001.dax").write_bytes(b"x" * 10_000)
    file = small_file(tmp_path, part_bytes=4_000, total_bytes=15_000)

    for number in range(400):
        file.write([{"kind": "test", "number": number, "text": "x" * 100}])
    file.close()

    parts = sorted(tmp_path.glob("trace_*.jsonl"))
    assert len(parts) > 2
    assert sum(part.stat().st_size for part in parts) < 15_000 + 4_000 + 1_000
    assert all(part.stat().st_size < 4_000 + 1_000 for part in parts)
    assert all(lines_of(part)[0]["kind"] == "header" for part in parts)
    numbers = [r["number"] for r in all_lines(tmp_path) if r["kind"] == "test"]
    assert numbers == list(range(numbers[0], 400))
    assert numbers[0] > 0
    assert (tmp_path / "movie_0001.dax").exists()


def test_an_old_part_that_cannot_be_deleted_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "in use", str(self))

    file = small_file(tmp_path, part_bytes=500, total_bytes=500)
    monkeypatch.setattr(Path, "unlink", refuse)

    for number in range(20):
        file.write([{"kind": "test", "number": number, "text": "x" * 100}])
    file.close()

    numbers = [r["number"] for r in all_lines(tmp_path) if r["kind"] == "test"]
    assert numbers == list(range(20))


def test_a_disk_that_takes_only_a_part_of_a_write_leaves_whole_lines(
    tmp_path: Path,
) -> None:
    file = small_file(tmp_path)
    real = file._file

    class Nearly:
        def write(self, data: bytes) -> int:
            assert real is not None
            return real.write(bytes(data)[:7])

        def close(self) -> None:
            assert real is not None
            real.close()

    file._file = Nearly()  # type: ignore[assignment]
    file.write([{"kind": "test", "number": number} for number in range(5)])
    file.close()

    numbers = [r["number"] for r in all_lines(tmp_path) if r["kind"] == "test"]
    assert numbers == [0, 1, 2, 3, 4]


def test_a_ring_that_overflows_writes_how_many_were_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hal.kernel.trace.RING_SIZE", 100)
    tracing = Trace(SystemClock(), small_file(tmp_path))
    for number in range(130):
        tracing.record("test", number=number)

    tracing.start()
    tracing.stop()

    lines = all_lines(tmp_path)
    assert [r["number"] for r in lines if r["kind"] == "test"] == list(range(100))
    # The footer found the ring still full.
    assert [r["lost"] for r in lines if r["kind"] == "gap"] in ([30], [31])


def test_a_full_disk_does_not_stop_hal(
    system: System, monkeypatch: pytest.MonkeyPatch, records: Records
) -> None:
    def full(self: TraceFile, lines: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(TraceFile, "write", full)
    add(system, "probe")
    assert answers(system, "probe")
    until(lambda: system.trace.failure)

    assert system.trace.failure is not None
    assert system.trace.failure.errno == errno.ENOSPC
    count = len(records)
    assert answers(system, "probe")
    until(lambda: len(records) > count)  # listeners go on


@pytest.mark.parametrize(
    "value", [1 << 70, "b\udcff.dax", {"a": "\udcff"}, object(), {1, 2}, {object(): 1}]
)
def test_an_odd_value_costs_neither_its_record_nor_the_next(
    system: System, log_folder: Path, value: Any
) -> None:
    system.trace.record("test", number=1, odd=value)
    system.trace.record("test", number=2)
    add(system, "probe")
    assert answers(system, "probe")

    system.stop()

    lines = all_lines(log_folder)
    assert [r["number"] for r in lines if r["kind"] == "test"] == [1, 2]
    assert lines[-1]["kind"] in ("footer", "delivery")


def test_a_value_that_raises_when_printed_is_named(
    system: System, log_folder: Path
) -> None:
    class Evil:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    add(system, "probe")
    system.trace.record("test", number=1, odd=Evil())
    assert answers(system, "probe")
    system.stop()

    (record,) = [r for r in all_lines(log_folder) if r["kind"] == "test"]
    assert record["odd"] == "(Evil that cannot be written)"


def test_a_long_message_is_shortened_in_the_trace(
    system: System, log_folder: Path
) -> None:
    add(system, "probe")
    delivery = done(system.send(PlaceProbe(x_um=1.0, label="x" * 100_000)))
    system.stop()

    (record,) = [r for r in all_lines(log_folder) if r.get("id") == str(delivery.id)]
    assert list(record["fields"]) == ["(too long)"]


def test_a_listener_that_raises_is_logged_and_hears_no_more(
    system: System, logged: list[Any], records: Records
) -> None:
    heard: list[Mapping[str, object]] = []

    def broken(record: Mapping[str, object]) -> None:
        heard.append(record)
        raise ValueError("listener")

    system.trace.listen(broken)
    add(system, "probe")
    assert answers(system, "probe")
    until(lambda: heard)
    count = len(records)
    assert answers(system, "probe")
    until(lambda: len(records) > count)

    assert len(heard) == 1
    assert [e["event"] for e in logged] == ["trace listener failed"]


def test_tracing_without_a_file_still_tells_listeners() -> None:
    tracing = Trace(SystemClock())
    heard: Records = []
    tracing.listen(heard.append)
    tracing.start()
    tracing.record("test", number=1)

    tracing.stop()

    assert [record["kind"] for record in heard] == ["test", "footer"]


def test_log_entries_are_in_the_trace(system: System, log_folder: Path) -> None:
    add(system, "probe")
    assert answers(system, "probe")
    system.trace.log({"level": "info", "event": "homing finished", "took_s": 4.2})
    system.stop()

    (record,) = [r for r in all_lines(log_folder) if r["kind"] == "log"]
    assert (record["event"], record["took_s"]) == ("homing finished", 4.2)
