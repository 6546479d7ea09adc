"""`export` and `html`: the same picture for other viewers, and as a page of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from html.parser import HTMLParser

import orjson
import pytest
from tracing.reader import Trace
from tracing.timeline import timeline


@pytest.fixture
def session(new_trace):
    """A stage that is asked by an acquisition, hangs, and begins anew."""
    file = new_trace()
    file.event("state", 0.0, module="stage", state="started", generation=1)
    start = file.ticket("acquisition", 0.1, 0.1, 2.0, by="job")
    file.delivery("main#1", "start run", "cli", [start], 0.1, 2.0, run="R")
    file.move("main#2", 0.5, **{"from": "acquisition"}, cause="main#1")
    hung = file.ticket("stage", 1.0, 1.0, 1.5, by="watchdog", how="timeout")
    urgent = file.ticket("stage", 1.1, 1.1, 1.2)
    file.delivery("main#4", "halt </script> \u00b5", "cli", [urgent], 1.1, 1.2)
    file.delivery(
        "main#3",
        "move stage",
        "acquisition",
        [hung],
        1.0,
        1.5,
        cause="main#1",
        errors=[{"kind": "WorkerTimeout", "source": "stage", "text": "hangs"}],
    )
    file.event(
        "late", 1.5, module="stage", activity="job", what="move stage", age_s=0.5
    )
    file.event("state", 1.6, module="stage", state="started", generation=2)
    file.event("mode", 1.7, mode="Idle", run="")
    file.move("main#5", 1.8)
    return file


def exported(hal_trace, file, tmp_path):
    out = tmp_path / "out.json"
    code, said, err = hal_trace("export", file.path, out)
    assert (code, err) == (0, "")
    data = orjson.loads(out.read_bytes())
    assert said == f"{out}: {len(data['traceEvents'])} events\n"
    return data["traceEvents"]


def test_the_export_keeps_the_rules_of_the_format(hal_trace, session, tmp_path):
    events = exported(hal_trace, session, tmp_path)

    spans = defaultdict(list)
    flows = defaultdict(dict)
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    for event in events:
        assert event["ph"] in "MXsfi"
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "M":
            continue
        assert (event["pid"], event["tid"]) in named
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] > 0
            spans[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] == "i":
            assert event["s"] in ("t", "g")
        else:
            flows[event["id"]][event["ph"]] = event
    for track in spans.values():
        for one in track:
            for other in track:
                # Complete events of one thread hold each other or do not touch.
                apart = one[1] <= other[0] or other[1] <= one[0]
                within = (one[0] >= other[0] and one[1] <= other[1]) or (
                    other[0] >= one[0] and other[1] <= one[1]
                )
                assert apart or within
    assert flows
    for flow in flows.values():
        assert set(flow) == {"s", "f"}
        assert flow["f"]["bp"] == "e"
        assert flow["s"]["ts"] <= flow["f"]["ts"]
        for event in flow.values():
            assert any(a <= event["ts"] <= b for a, b in spans[event["tid"]])


def test_there_is_a_track_for_each_generation_and_marks_for_trouble(
    hal_trace, session, tmp_path
):
    events = exported(hal_trace, session, tmp_path)

    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {"stage/1", "stage/1 jobs", "stage/2", "acquisition/1 jobs"} <= set(
        tracks.values()
    )
    marks = {(e["name"], tracks[e["tid"]]) for e in events if e["ph"] == "i"}
    assert ("late: job 'move stage'", "stage/1") in marks
    assert ("move stage: timeout", "stage/1 jobs") in marks
    assert ("mode: Idle", "hal/1") in marks
    (late,) = [e for e in events if e["ph"] == "X" and e["cat"] == "failed"]
    assert late["args"]["errors"][0]["text"] == "hangs"
    assert late["dur"] == pytest.approx(0.5e6)


def test_spans_that_overlap_are_put_beside_each_other(new_trace, capsys):
    file = new_trace()
    for number, (start, end) in enumerate([(0.0, 1.0), (0.5, 1.5), (0.6, 0.7)]):
        ticket = file.ticket("z", start, start, end, by="job")
        file.delivery(f"main#{number}", "move z", "cli", [ticket], start, end)

    picture = timeline(Trace.find(str(file.path), capsys))

    names = [(picture.tracks[s.track].name, s.record) for s in picture.spans]
    assert sorted(names) == [("z/1 jobs", 0), ("z/1 jobs", 2), ("z/1 jobs (2)", 1)]


class Page(HTMLParser):
    """Tags that fit each other, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.loads += [f"{k}={v}" for k, v in attrs if k in ("src", "href")]
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attrs):
        self.loads += [f"{k}={v}" for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(hal_trace, file, tmp_path):
    out = tmp_path / "out.html"
    code, _, err = hal_trace("html", file.path, out)
    assert (code, err) == (0, "")
    text = out.read_text("utf-8")
    parsed = Page()
    parsed.feed(text)
    parsed.close()
    assert parsed.open == []
    return text, parsed


def test_the_page_is_whole_and_loads_nothing(hal_trace, session, tmp_path):
    text, parsed = page(hal_trace, session, tmp_path)

    assert parsed.loads == []
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", text)
    assert len(parsed.scripts) == 2


def test_the_page_holds_every_span_with_its_record(hal_trace, session, tmp_path):
    _, parsed = page(hal_trace, session, tmp_path)

    data = orjson.loads(parsed.scripts[0])
    told = {
        (data["tracks"][track][0], data["names"][name], data["records"][record]["id"])
        for track, _, _, name, _, record in data["spans"]
    }
    assert ("stage/1", "halt </script> \u00b5", "main#4") in told
    assert ("stage/2", "move stage", "main#5") in told
    assert all(start <= end <= data["length_ms"] for _, start, end, *_ in data["spans"])
    for cause, at, effect in data["arrows"]:
        assert data["spans"][cause][1] <= at <= data["spans"][cause][2]
        assert data["spans"][effect][0] != data["spans"][cause][0]


def test_many_records_make_a_page_of_reasonable_size(hal_trace, new_trace, tmp_path):
    file = new_trace()
    for number in range(3_000):
        file.move(f"main#{number}", number / 10)

    text, parsed = page(hal_trace, file, tmp_path)

    assert len(orjson.loads(parsed.scripts[0])["spans"]) == 3_000
    assert len(text) < 3_000 * 400 + 40_000


@pytest.mark.parametrize("command", ["export", "html"])
def test_a_file_that_cannot_be_written_is_bad_input(hal_trace, session, command):
    code, _, err = hal_trace(command, session.path, session.path.parent / "no" / "x")

    assert code == 2
    assert "No such file" in err


def test_an_empty_trace_makes_an_empty_picture(hal_trace, new_trace, tmp_path):
    file = new_trace()

    assert all(e["ph"] == "M" for e in exported(hal_trace, file, tmp_path))
    _, parsed = page(hal_trace, file, tmp_path)
    assert orjson.loads(parsed.scripts[0])["spans"] == []
