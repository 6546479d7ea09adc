"""A trace and its log folder as a failed run leaves them, written by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson

from hal.acquisition import RunState, RunStatus
from hal.base import ErrorRecord
from hal.postmortem import Case

WALL_S = 1_795_154_400.0
"""2026-11-20 06:00:00 UTC."""
MONO_S = 1000.0
SESSION = "01JD3NABCDEFGHJKMNPQRSTVWX"
RUN = "01JD3P0000000000000000000R"
DUMP = """\
Hung: stage

Thread stage/1 (ident 1):
  File "/hal/kernel/turns.py", line 7, in turn
    self.wait()

Thread stage/1/worker (ident 2):
  File "/hal/kernel/worker.py", line 3, in _run
    job.run()
  File "/drivers/stage.py", line 41, in _do_start_move
    self._port.read(1)

Thread z/1/worker (ident 3):
  File "/hal/kernel/worker.py", line 3, in _run
    job.run()
"""


class LogFolder:
    """Writes what HAL writes; times are seconds after 06:00:00."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def begin(self, part: int = 1, wall_s: float = WALL_S) -> Path:
        """Begin a part of the trace."""
        short = SESSION[-6:].lower()
        self._file = self.path / f"trace_20261120T060000_{short}_main.{part:03}.jsonl"
        self.put(
            "header",
            format=1,
            session=SESSION,
            process="main",
            pid=1,
            part=part,
            wall_s=wall_s,
            mono_s=MONO_S + wall_s - WALL_S,
            versions={"halscope": "0.1.0"},
        )
        return self._file

    def raw(self, line: bytes) -> None:
        with self._file.open("ab") as file:
            file.write(line)

    def put(self, kind: str, **fields: Any) -> None:
        self.raw(orjson.dumps({"kind": kind, **fields}) + b"\n")

    def event(self, kind: str, t: float, **fields: Any) -> None:
        self.put(kind, t_s=MONO_S + t, **fields)

    def move(self, number: int, sent: float, took: float, how: str = "done") -> None:
        """A `move stage` of the run."""
        text = "job 'move stage' of stage has been going on"
        error = {"kind": "WorkerTimeout", "source": "stage", "text": text}
        ticket = {
            "to": "stage",
            "queued_s": MONO_S + sent,
            "started_s": MONO_S + sent,
            "ended_s": MONO_S + sent + took,
            "by": "job",
            "how": how,
        }
        self.put(
            "delivery",
            id=f"main#{number}",
            type="move stage",
            run=RUN,
            cause=None,
            sent_s=MONO_S + sent,
            done_s=MONO_S + sent + took,
            deadline_s=5.0,
            fields={"record": "move stage", "x_um": float(number)},
            tickets=[ticket],
            errors=[] if how == "done" else [error],
            **{"from": "acquisition"},
        )

    def dump(self, t: float, text: str = DUMP) -> Path:
        """A dump of all threads."""
        path = self.path / "dump_1795154418_000_000_stage.txt"
        path.write_text(text, "utf-8")
        os.utime(path, (WALL_S + t, WALL_S + t))
        return path

    def hung_run(self) -> None:
        """A run in which the stage hangs at its third move, from 10 s to 20 s."""
        self.begin()
        self.event(
            "configuration",
            0.0,
            file="/scope/my.xml",
            text="<hal/>",
            overrides=["a.b=1"],
        )
        self.event("state", 0.5, module="stage", was="", state="started", reason="")
        self.move(1, 11.0, 0.1)
        self.move(2, 12.0, 0.1)
        dump = self.dump(18.0)
        self.event(
            "late",
            18.0,
            module="stage",
            activity="job",
            what="move stage",
            id="main#3",
            deadline_s=5.0,
            age_s=5.1,
            dump=str(dump),
        )
        self.event(
            "state", 18.1, module="stage", was="started", state="hung", reason="r"
        )
        self.move(3, 13.0, 5.1, "timeout")


def failed(*files: Path) -> RunStatus:
    """The end of that run."""
    return RunStatus(
        run_id=RUN,
        state=RunState.ERROR,
        n_events_total=10,
        n_events_consumed=2,
        follows_plan=True,
        index={"p": 2},
        started_at_s=WALL_S + 10.0,
        finished_at_s=WALL_S + 20.0,
        files=tuple(str(file) for file in files),
        fatal_error=ErrorRecord(
            kind="WorkerTimeout", text="job 'move stage' hangs", source="stage"
        ),
    )


def case(logs: Path, sidecar: Path | None = None, **more: Any) -> Case:
    """That run."""
    known: dict[str, Any] = {
        "log_folder": logs,
        "session": SESSION,
        "run_id": RUN,
        "status": failed(),
        "sidecar": sidecar,
        "began_s": WALL_S + 10.0,
        "ended_s": WALL_S + 20.0,
    }
    return Case(**{**known, **more})
