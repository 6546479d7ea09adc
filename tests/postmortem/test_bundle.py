"""The bundle: what is in it, what it says, and that nothing makes it fail or grow."""

from __future__ import annotations

import json
import random
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest

from hal.base import SystemClock
from hal.postmortem import Case, write_bundle
from hal.postmortem.stacks import hung_calls
from tests.postmortem.traces import DUMP, RUN, WALL_S, LogFolder, case


def contents(made: Case, path: Path, **options: object) -> dict[str, bytes]:
    write_bundle(made, path, SystemClock(), **options)  # type: ignore[arg-type]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def logs(tmp_path: Path) -> LogFolder:
    folder = LogFolder(tmp_path / "logs")
    folder.hung_run()
    return folder


def test_the_report_says_what_happened_who_hung_and_where(logs, tmp_path):
    found = contents(case(logs.path), tmp_path / "b.zip")

    said = found["README.txt"].decode()
    assert "Reason: WorkerTimeout: stage: job 'move stage' hangs" in said
    assert "2 of 10 events were done; the last one begun was at p=2." in said
    assert "06:00:18.000  stage: late: job 'move stage' for 5.10 s" in said
    assert "/drivers/stage.py:41 in _do_start_move: self._port.read(1)" in said
    assert "asked for by acquisition" in said
    assert "stage is hung: r" in said
    assert "X 06:00:13.000  acquisition   move stage -> stage x_um=3" in said
    assert "  06:00:12.000  acquisition   move stage -> stage x_um=2" in said


def test_it_holds_trace_dumps_configuration_versions_and_status(logs, tmp_path):
    found = contents(case(logs.path, plan=b'{"parts":[]}'), tmp_path / "b.zip")

    (dump,) = [name for name in found if name.startswith("dumps/")]
    assert found[dump].decode() == DUMP
    (trace,) = [name for name in found if name.startswith("trace/")]
    kinds = [orjson.loads(line)["kind"] for line in found[trace].splitlines()]
    assert kinds[0] == "header"
    assert kinds.count("delivery") == 3
    assert found["config/my.xml"] == b"<hal/>"
    assert json.loads(found["config/start.json"])["overrides"] == ["a.b=1"]
    assert json.loads(found["run.json"])["run_id"] == RUN
    assert json.loads(found["versions.json"])["run with"] == {"halscope": "0.1.0"}
    assert found["plan.json"] == b'{"parts":[]}'


def test_the_page_is_well_formed_and_needs_nothing_else(logs, tmp_path):
    logs.event("log", 15.0, level="error", module="z", event="<b>&\x00 \u00b5")

    page = contents(case(logs.path), tmp_path / "b.zip")["report.html"].decode()

    root = ET.fromstring(page.replace("<!DOCTYPE html>", ""))
    assert "<b>&\ufffd \u00b5" in "".join(root.itertext())
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            links.extend(v for k, v in attrs if k in ("src", "href"))

    Links().feed(page)
    assert links == []


def test_only_the_time_of_the_run_is_in_it(logs, tmp_path):
    logs.move(7, 500.0, 0.1)  # of a later run

    found = contents(case(logs.path), tmp_path / "b.zip")

    (trace,) = [name for name in found if name.startswith("trace/")]
    assert b"main#7" not in found[trace]
    assert "x_um=7" not in found["README.txt"].decode()


def test_parts_of_other_times_are_not_even_opened(logs, tmp_path):
    second = logs.begin(part=2, wall_s=WALL_S + 5.0)
    logs.move(8, 14.0, 0.1)
    logs.begin(part=3, wall_s=WALL_S + 900.0)
    later = case(logs.path, began_s=WALL_S + 60.0, ended_s=WALL_S + 70.0)

    found = contents(later, tmp_path / "b.zip")

    traces = [name for name in found if name.startswith("trace/")]
    assert traces == [f"trace/{second.name}"]
    # What HAL was started with stands in the first part all the same.
    assert found["config/my.xml"] == b"<hal/>"


def test_a_torn_line_and_one_that_is_no_record_are_passed_over(logs, tmp_path):
    logs.raw(b'[1]\n{"kind": 3}\n\xff\xfe\n{"kind":"late","t_s":"x"}\n{"kind":"deliv')

    assert (
        "WorkerTimeout"
        in contents(case(logs.path), tmp_path / "b.zip")["README.txt"].decode()
    )


def test_it_stays_below_its_size_and_says_what_is_missing(logs, tmp_path):
    noise = random.Random(1)
    for number in range(9_000):
        text = noise.randbytes(500).hex()
        logs.event("log", 14.0 + number / 1e4, level="info", event=text)
    path = tmp_path / "b.zip"

    found = contents(case(logs.path), path, limit_bytes=5_000_000)

    assert path.stat().st_size < 5_000_000
    assert "cut, the bundle is full" in found["README.txt"].decode()


def test_in_a_hurry_the_rest_of_the_trace_is_left_out(logs, tmp_path):
    for number in range(5_000):
        logs.move(100 + number, 14.0, 0.1)

    found = contents(case(logs.path), tmp_path / "b.zip", is_hurried=lambda: True)

    (trace,) = [name for name in found if name.startswith("trace/")]
    assert len(found[trace].splitlines()) < 1_500
    assert "cut, HAL was being stopped" in found["README.txt"].decode()


def test_where_it_cannot_be_written_nothing_is_left(logs, tmp_path, monkeypatch):
    path = tmp_path / "films" / "b.zip"
    path.parent.mkdir()
    path.write_text("older")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space left"):
        write_bundle(case(logs.path), path, SystemClock())

    assert [(p.name, p.read_text()) for p in path.parent.iterdir()] == [
        ("b.zip", "older")
    ]


def test_without_a_trace_it_says_so(tmp_path):
    (tmp_path / "logs").mkdir()

    found = contents(case(tmp_path / "logs"), tmp_path / "b.zip")

    assert "trace: none in" in found["README.txt"].decode()


def test_the_files_of_the_film_are_in_it_without_its_pixels(logs, tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    for name in ("a.xml", "a_events.ndjson", "a.dax", "a.inf", "a.ome.tiff", "b.xml"):
        (films / name).write_text(name)
    (films / "a.journal").write_bytes(b"damaged")

    found = contents(case(logs.path, films / "a.xml"), tmp_path / "b.zip")

    assert sorted(name for name in found if name.startswith("film/")) == [
        "film/a.inf",
        "film/a.journal.json",
        "film/a.xml",
        "film/a_events.ndjson",
    ]
    assert "is no frame journal" in found["film/a.journal.json"].decode()


@pytest.mark.parametrize(
    ("module", "activity", "innermost"),
    [
        ("stage", "job", "/drivers/stage.py:41"),
        ("stage", "handler", "/hal/kernel/turns.py:7"),
        ("stage", "loop", None),
        ("stage", "delivery", None),
        ("tage", "job", None),
    ],
)
def test_the_calls_are_those_of_the_thread_that_hung(module, activity, innermost):
    calls = hung_calls(DUMP, module, activity)

    assert (calls[-1].split(" in ")[0] if calls else None) == innermost
