"""`follow`: new records, parts, processes and sessions, as they come."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tracing.follow import follow
from tracing.reader import NotATrace
from tracing.show import Filter

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "hal_trace.py"


class Follow:
    """Follows step by step: before each look something may be written."""

    def __init__(self, log: Path, *steps, chosen: Filter | None = None, last: int = 10):
        self.out, self.err = io.StringIO(), io.StringIO()
        self.seen: list[list[str]] = []
        pending = list(steps)

        def wait(_seconds: float) -> bool:
            self.seen.append(self.out.getvalue().splitlines())
            self.out.truncate(0)
            self.out.seek(0)
            if not pending:
                return True
            pending.pop(0)()
            return False

        follow(
            str(log),
            chosen or Filter(),
            self.out,
            self.err,
            local=False,
            last=last,
            wait=wait,
        )

    @property
    def ids(self) -> list[list[str]]:
        """What was printed at each look: ids of moves, and other first words."""
        return [
            [line.split()[1] for line in look if not line.startswith("#")]
            for look in self.seen
        ]


def test_it_begins_with_the_last_and_goes_on_with_what_comes(new_trace, tmp_path):
    file = new_trace()
    for number in range(20):
        file.move(f"main#{number}", number / 10)

    done = Follow(tmp_path, lambda: file.move("main#20", 3.0), last=3)

    assert done.ids == [["#17", "#18", "#19"], ["#20"]]
    assert done.seen[0][0] == "# 2026-11-20 UTC"


def test_a_rotated_part_and_a_new_process_are_picked_up(new_trace, tmp_path):
    file = new_trace()
    file.move("main#1", 0.1)

    def rotate() -> None:
        file.move("main#2", 1.0)
        new_trace(part=2).move("main#3", 2.0)

    done = Follow(
        file.path,
        rotate,
        lambda: new_trace(process="camera1", pid=2).move("camera1#1", 3.0),
        file.path.unlink,
    )

    assert done.ids == [["#1"], ["#2", "#3"], ["camera1#1"], []]


def test_half_a_line_is_left_until_it_is_whole(new_trace):
    file = new_trace()
    file.event("log", 0.1, level="info", event="before")
    line = b'{"kind":"log","t_s":1000.2,"level":"info","event":"whole"}\n'

    done = Follow(file.path, lambda: file.raw(line[:20]), lambda: file.raw(line[20:]))

    assert [len(look) for look in done.seen] == [2, 0, 1]
    assert done.seen[2][0].endswith("info: whole")


def test_of_a_folder_a_new_session_is_followed_and_of_a_file_it_is_not(
    new_trace, tmp_path
):
    file = new_trace()
    file.move("main#1", 0.1)

    def begin(session: str):
        new = new_trace(session=session, wall_s=1795154400.0 + 60.0)
        new.move("main#9", 0.1)

    folder = Follow(tmp_path, lambda: begin("01JD3PABCDEFGHJKMNPQRSTVWY"))
    alone = Follow(file.path, lambda: begin("01JD3PABCDEFGHJKMNPQRSTVWZ"))

    assert folder.ids == [["#1"], ["#9"]]
    assert folder.seen[1][0] == "# session 01JD3PABCDEFGHJKMNPQRSTVWY"
    assert alone.ids == [["#1"], []]


def test_an_empty_folder_is_waited_in_and_anything_else_is_refused(new_trace, tmp_path):
    done = Follow(tmp_path, lambda: new_trace().move("main#1", 0.1))

    assert done.ids == [[], ["#1"]]
    assert "no trace yet" in done.err.getvalue()
    with pytest.raises(NotATrace):
        Follow(tmp_path / "missing.jsonl")


def test_filters_are_those_of_show_and_damage_is_named(new_trace):
    file = new_trace()
    file.move("main#1", 0.1)

    def write() -> None:
        file.raw(b"garbage\n")
        file.move("main#2", 0.2)
        file.event("state", 0.3, module="z", state="failed", reason="broken")

    done = Follow(file.path, write, chosen=Filter(errors=True))

    assert [len(look) for look in done.seen] == [0, 2]
    assert "failed (broken)" in done.seen[1][1]
    assert f"{file.path.name}:3: skipped" in done.err.getvalue()


def test_ctrl_c_ends_it_in_order(new_trace):
    file = new_trace()
    file.move("main#1", 0.1)

    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "follow", str(file.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        giving_up = threading.Timer(30.0, process.kill)
        giving_up.start()
        assert process.stdout.readline() == b"# 2026-11-20 UTC\n"
        assert b"#1" in process.stdout.readline()
        file.move("main#2", 0.2)
        assert b"#2" in process.stdout.readline()
        if sys.platform != "win32":  # there Ctrl-C is another thing
            process.send_signal(signal.SIGINT)
            assert process.wait(30.0) == 0
            assert process.stderr.read() == b""
        process.kill()
        giving_up.cancel()
