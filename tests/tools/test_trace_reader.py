"""Finding the files of a session, and reading them in whatever state they are."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracing import BadRecord, Header, NotATrace, Trace, main, parse_record


def read(log: object) -> tuple[list[str], Trace, str]:
    """Ids and kinds of all records in the order of reading, the trace, and stderr."""
    err = io.StringIO()
    trace = Trace.find(str(log), err)
    names = [getattr(one, "id", None) or one.kind for one in trace.records()]
    return names, trace, err.getvalue()


def test_all_parts_and_processes_of_a_session_are_read_from_any_of_its_files(
    new_trace,
):
    new_trace(part=1).move("main#1", 0.1)
    second = new_trace(part=2)
    second.move("main#2", 0.2)
    new_trace(process="camera1", pid=2).move("camera1#1", 0.3)
    new_trace(session="01JD3N000000000000000OTHER").move("main#9", 0.1)

    names, _, err = read(second.path)

    assert sorted(names) == ["camera1#1", "main#1", "main#2"]
    assert err == ""


def test_a_folder_means_its_newest_session(new_trace, tmp_path):
    new_trace(session="01ZZZ", wall_s=1795154400.0).move("main#1", 0.1)
    new_trace(session="01AAA", wall_s=1795154500.0).move("main#2", 0.1)

    assert read(tmp_path)[0] == ["main#2"]


def test_a_long_session_is_not_newer_because_it_was_rotated_later(new_trace, tmp_path):
    new_trace(session="01AAA", wall_s=1795154400.0, part=1).move("main#1", 0.1)
    new_trace(session="01AAA", wall_s=1795154600.0, part=2).move("main#2", 0.1)
    new_trace(session="01BBB", wall_s=1795154500.0).move("main#3", 0.1)

    assert read(tmp_path)[0] == ["main#3"]


@pytest.mark.parametrize(
    "name", ["trace_20261120T060000", "trace_*_main*", "*.jsonl", "trace_2026"]
)
def test_a_series_may_be_named_by_wildcards_or_its_start(new_trace, tmp_path, name):
    new_trace().move("main#1", 0.1)

    assert read(tmp_path / name)[0] == ["main#1"]


def test_a_renamed_file_is_read_whatever_it_is_called(new_trace):
    file = new_trace(name="from the microscope.txt")
    file.move("main#1", 0.1)

    assert read(file.path)[0] == ["main#1"]


def test_clocks_of_processes_meet_at_the_wall(new_trace):
    new_trace().move("main#1", 0.5)
    child = new_trace(process="camera1", pid=2, wall_s=1795154407.0)
    child.move("camera1#1", 0.5)

    walls = [record.wall_s for record in read(child.path)[1].records()]

    assert sorted(walls) == pytest.approx([1795154400.5, 1795154407.5], rel=0, abs=1e-5)


def test_files_joined_by_cat_keep_their_own_clocks(new_trace, tmp_path):
    one = new_trace(process="camera1", pid=2, wall_s=1795154407.0)
    one.move("camera1#1", 0.5)
    two = new_trace()
    two.move("main#1", 0.5)
    joined = tmp_path / "copy" / "all.jsonl"
    joined.parent.mkdir()
    joined.write_bytes(one.path.read_bytes() + two.path.read_bytes())

    walls = [record.wall_s for record in read(joined)[1].records()]

    assert walls == pytest.approx([1795154407.5, 1795154400.5], rel=0, abs=1e-5)


def test_a_truncated_last_line_is_counted_and_nothing_else_is_lost(new_trace):
    file = new_trace()
    file.move("main#1", 0.1)
    file.raw(b'{"kind":"delivery","id":"main#2","ty')

    names, trace, err = read(file.path)

    assert names == ["main#1"]
    assert (trace.damage.cut, trace.damage.skipped) == (1, 0)
    assert trace.damage.summary() == "1 last line cut off"
    assert err == ""


def test_a_last_line_that_only_lacks_its_end_of_line_is_a_record(new_trace):
    file = new_trace()
    file.raw(b'{"kind":"footer","t_s":1001.0}')

    names, trace, _ = read(file.path)

    assert names == ["footer"]
    assert trace.damage.summary() == ""


def test_a_corrupt_line_is_reported_with_file_and_number_and_skipped(new_trace):
    file = new_trace()
    file.move("main#1", 0.1)
    file.raw(b"\x00\x00\x00garbage\xff\n")
    file.move("main#2", 0.2)

    names, trace, err = read(file.path)

    assert names == ["main#1", "main#2"]
    assert (trace.damage.cut, trace.damage.skipped) == (0, 1)
    assert f"{file.path}:3: skipped: not JSON" in err


def test_thousands_of_corrupt_lines_do_not_flood_the_terminal(new_trace):
    file = new_trace()
    file.raw(b"garbage\n" * 5000)

    _, trace, err = read(file.path)

    assert trace.damage.skipped == 5000
    assert len(err.splitlines()) == 21


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sent_s": "soon"}, "'sent_s' is not a number"),
        ({"sent_s": True}, "'sent_s' is not a number"),
        ({"done_s": 1e300}, "out of range"),
        ({"id": None}, "'id' is not text"),
        ({"cause": 3}, "'cause' is not text"),
        ({"deadline_s": []}, "'deadline_s' is not a number"),
        ({"fields": []}, "'fields' is not an object"),
        ({"tickets": {}}, "'tickets' or 'errors' is not a list"),
        ({"tickets": [1]}, "a ticket is not an object"),
        ({"tickets": [{"to": "stage"}]}, "without 'queued_s'"),
        ({"errors": ["x"]}, "an error is not an object"),
        ({"errors": [{}]}, "without 'kind'"),
    ],
)
def test_a_delivery_of_the_wrong_shape_is_skipped_and_says_why(
    new_trace, change, complaint
):
    file = new_trace()
    file.move("main#1", 0.1, **change)

    names, trace, err = read(file.path)

    assert names == []
    assert trace.damage.skipped == 1
    assert complaint in err


@pytest.mark.parametrize(
    "kind",
    [
        "late",
        "late result",
        "state",
        "frames",
        "parameters",
        "log",
        "gap",
        "footer",
    ],
)
def test_a_known_kind_without_its_fields_is_skipped(tmp_path, kind):
    header = Header(tmp_path, "01J", "main", 1, 1, 0.0, 0.0, {})

    with pytest.raises(BadRecord, match="without"):
        parse_record({"kind": kind}, header, 0, 0.0)


def test_an_unknown_kind_is_kept_and_placed_where_it_was_written(new_trace):
    file = new_trace()
    file.move("main#1", 0.5)
    file.put(kind="lease", holder="cli")

    _, lease = Trace.find(str(file.path), io.StringIO()).records()

    assert lease.data["holder"] == "cli"
    assert lease.wall_s == pytest.approx(1795154400.5, rel=0, abs=1e-5)


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"{}\n", b"[1]\n", b'{"kind":"log"}\n', b"\x00" * 99]
)
def test_a_file_without_a_header_is_no_trace(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(NotATrace, match=r"notes\.txt: not a trace"):
        Trace.find(str(path), io.StringIO())


def test_a_newer_format_is_refused_with_advice(tmp_path):
    path = tmp_path / "trace_x.jsonl"
    path.write_bytes(b'{"kind":"header","format":2}\n')

    with pytest.raises(NotATrace, match=r"trace format 2.*reads 1.*use the hal_trace"):
        Trace.find(str(path), io.StringIO())


def test_a_folder_without_a_trace_says_what_it_looked_for(tmp_path):
    with pytest.raises(NotATrace, match=r"no trace in this folder.*\*\.jsonl"):
        Trace.find(str(tmp_path), io.StringIO())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotATrace, match="nothing: no such file or folder"):
        Trace.find(str(tmp_path / "nothing"), io.StringIO())


def test_an_empty_part_of_the_session_is_named_and_left_out(new_trace, tmp_path):
    new_trace().move("main#1", 0.1)
    empty = tmp_path / "trace_20261120T060000_RSTVWX_camera1.001.jsonl"
    empty.touch()
    (tmp_path / "trace_20200101T000000_000000_main.001.jsonl").touch()

    names, trace, err = read(tmp_path)

    assert names == ["main#1"]
    assert trace.damage.files == 1
    assert err == f"hal_trace: {empty}: left out: the file is empty\n"


def test_a_second_copy_of_a_part_is_not_counted_twice(new_trace, tmp_path):
    file = new_trace()
    file.move("main#1", 0.1)
    copy = tmp_path / "a copy.jsonl"
    copy.write_bytes(file.path.read_bytes())

    names, _, err = read(file.path)

    assert names == ["main#1"]
    assert f"{copy}: left out: the same part as {file.path.name}" in err


def test_a_part_that_disappears_while_it_is_read_is_named(new_trace):
    new_trace(part=1).move("main#1", 0.1)
    second = new_trace(part=2)
    err = io.StringIO()
    trace = Trace.find(str(second.path), err)
    second.path.unlink()

    assert len(list(trace.records())) == 1
    assert trace.damage.files == 1
    assert second.path.name in err.getvalue()


_DELIVERY = orjson.dumps(
    {
        "kind": "delivery",
        "id": "main#1",
        "type": "move stage",
        "from": "cli",
        "sent_s": 1000.0,
        "done_s": 1000.1,
        "tickets": [{"to": "s", "queued_s": 1.0, "ended_s": 2.0, "how": "done"}],
    }
)
_LOG_LINE = b'{"kind":"log","t_s":1000.5,"level":"info","event":"homed"}'
_HEADER = orjson.dumps(
    {
        "kind": "header",
        "format": 1,
        "session": "01J",
        "process": "main",
        "wall_s": 1.0,
        "mono_s": 1.0,
    }
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "t_s", "id", "sent_s", "tickets", "errors", "to"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def _dumped(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # an integer that JSON readers cannot hold
        return b"1e999"


# Each draws (line, whether it must be skipped); None where damage may leave a record.
_GOOD = st.sampled_from([(_DELIVERY, False), (_LOG_LINE, False)])
_CUT = st.integers(0, len(_DELIVERY) - 1).map(lambda n: (_DELIVERY[:n], True))
_NOISE = st.binary(max_size=40).map(
    lambda b: (b.replace(b"\n", b"").replace(b"{", b""), True)
)
_NUL = st.integers(1, 50).map(lambda n: (b"\0" * n, True))
_ANY = _JSON.map(lambda value: (_dumped(value), None))
_FLIPPED = st.tuples(st.integers(0, len(_DELIVERY) - 1), st.integers(0, 255)).map(
    lambda at: (
        (_DELIVERY[: at[0]] + bytes([at[1]]) + _DELIVERY[at[0] + 1 :]).replace(
            b"\n", b"?"
        ),
        None,
    )
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lines=st.lists(st.one_of(_GOOD, _CUT, _NOISE, _NUL, _ANY, _FLIPPED), max_size=12),
    tail=st.integers(0, len(_DELIVERY)),
)
def test_damaged_lines_never_stop_the_reader_and_are_counted(
    tmp_path: Path, lines: list[tuple[bytes, bool | None]], tail: int
) -> None:
    path = tmp_path / "trace.jsonl"
    body = b"".join(line + b"\n" for line, _ in lines)
    path.write_bytes(_HEADER + b"\n" + body + _DELIVERY[:tail])

    trace = Trace.find(str(path), io.StringIO())
    records = list(trace.records())

    # Every line after the header is a record or counted, none is both.
    whole_tail = tail == len(_DELIVERY)
    assert trace.damage.cut == (0 < tail < len(_DELIVERY))
    assert len(records) + trace.damage.skipped == len(lines) + whole_tail
    surely = sum(1 for _, skipped in lines if skipped)
    perhaps = sum(1 for _, skipped in lines if skipped is None)
    assert surely <= trace.damage.skipped <= surely + perhaps
    # Whatever was accepted, every command can say.
    for command in ("show", "stats", "stats --json", "sequence", "late"):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            assert main([*command.split(), str(path)]) == 0
