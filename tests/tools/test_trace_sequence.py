"""`sequence`: every delivery once, under the one that caused it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tracing.sequence import Tree


def _lines(hal_trace, *argv):
    code, out, _ = hal_trace("sequence", *argv)
    assert code == 0
    return [line[13:] for line in out.splitlines() if line.startswith("06:")]


def _story(file):
    """A run that moves the stage and takes frames, and a person beside it."""
    ask = [file.ticket("acquisition", 0.123, 0.124, 0.1261)]
    late = [file.ticket("camera1", 0.5, 0.5, 0.6, by="job", how="failed")]
    error = {"kind": "LinkError", "text": "no answer", "source": "camera1"}
    of_run = {"run": "01RUN"}
    # Written at completion: effects before their causes.
    file.delivery(
        "main#4",
        "take frames",
        "acquisition",
        late,
        0.5,
        0.6,
        cause="main#1",
        errors=[error],
        **of_run,
    )
    file.delivery("main#3", "stage moved", "stage", [], 0.4, 0.4, cause="main#2")
    file.move("main#2", 0.2, 0.1, cause="main#1", **of_run)
    file.delivery("main#1", "start run", "cli", ask, 0.123, 0.1261)
    file.move("main#5", 0.3)


def test_effects_stand_below_their_cause_in_order_of_time(hal_trace, new_trace):
    file = new_trace()
    _story(file)

    code, out, _ = hal_trace("sequence", file.path)

    assert code == 0
    assert out.splitlines() == [
        "# 2026-11-20 UTC",
        "06:00:00.123 cli -> acquisition  start run  (3.10 ms) ok",
        "06:00:00.200   cli -> stage  move stage  (100.0 ms) ok",
        "06:00:00.400     stage -> nobody  stage moved  (0.00 ms) ok",
        "06:00:00.500   acquisition -> camera1  take frames  (100.0 ms) "
        "failed at camera1 by job: LinkError",
        "06:00:00.300 cli -> stage  move stage  (100.0 ms) ok",
    ]


def test_a_run_comes_with_what_caused_it_and_what_it_caused(hal_trace, new_trace):
    file = new_trace()
    _story(file)

    lines = _lines(hal_trace, file.path, "--run", "01RUN")

    assert [line.split("  (")[0] for line in lines] == [
        "cli -> acquisition  start run",
        "  cli -> stage  move stage",
        "    stage -> nobody  stage moved",
        "  acquisition -> camera1  take frames",
    ]


def test_a_cause_that_is_not_there_is_named(hal_trace, new_trace):
    file = new_trace()
    file.move("main#8", 0.1, cause="main#7")

    assert _lines(hal_trace, file.path) == [
        "cli -> stage  move stage  (100.0 ms) ok  (its cause #7 is not in this trace)"
    ]


def test_circles_and_duplicates_are_shown_once_each(hal_trace, new_trace):
    file = new_trace()
    file.move("main#1", 0.1, cause="main#2")
    file.move("main#2", 0.2, cause="main#1")
    file.move("main#3", 0.3, cause="main#3")
    file.move("main#4", 0.4)
    file.move("main#4", 0.5)
    file.move("main#5", 0.6, cause="main#4")

    lines = hal_trace("sequence", file.path)[1].splitlines()[1:]
    assert [line[9:12] for line in lines] == ["400", "600", "500", "100", "200", "300"]
    indents = [len(line[13:]) - len(line[13:].lstrip()) for line in lines]
    assert indents == [0, 2, 0, 0, 2, 0]


def test_a_circle_within_a_run_ends(hal_trace, new_trace):
    file = new_trace()
    file.move("main#1", 0.1, cause="main#2", run="01RUN")
    file.move("main#2", 0.2, cause="main#1")

    assert len(_lines(hal_trace, file.path, "--run", "01RUN")) == 2


def test_a_chain_of_thousands_stays_readable(hal_trace, new_trace):
    file = new_trace()
    file.move("main#0", 0.0)
    for n in range(1, 3000):
        file.move(f"main#{n}", n / 1000, cause=f"main#{n - 1}")

    lines = _lines(hal_trace, file.path)

    assert len(lines) == 3000
    assert lines[-1].lstrip().startswith("(2999 deep) cli -> stage")
    assert max(map(len, lines)) < 120


def test_a_run_that_is_not_there_is_said(hal_trace, new_trace):
    code, out, err = hal_trace("sequence", new_trace().path, "--run", "01X")

    assert (code, out) == (0, "")
    assert "no delivery of run 01X in this trace" in err


class _Sent:
    def __init__(self, id_, cause):
        self.id, self.cause = id_, cause
        self.header, self.offset, self.wall_s = None, 0, 0.0


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 9)), max_size=12))
def test_every_delivery_is_walked_exactly_once_whatever_the_causes(links):
    tree = Tree()
    for id_, cause in links:
        tree.add(_Sent(f"main#{id_}", f"main#{cause}" if cause < 9 else None))

    walked = [position for position, _, _ in tree.walk(None)]

    assert sorted(walked) == list(range(len(links)))
