"""Scripts in `tools/` find their parts beside them; so must the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
if str(TOOLS) not in sys.path:
    sys.path.append(str(TOOLS))

WALL_S = 1795154400.0  # 2026-11-20 06:00:00 UTC
MONO_S = 1000.0


class TraceFile:
    """Writes a trace by hand; times are seconds after 06:00:00."""

    def __init__(
        self, path: Path, session: str, process: str, part: int, pid: int, wall_s: float
    ) -> None:
        self.path = path
        self._mono_s = MONO_S
        self.put(
            kind="header",
            format=1,
            session=session,
            process=process,
            pid=pid,
            part=part,
            wall="2026-11-20T06:00:00.000000+00:00",
            wall_s=wall_s,
            mono_s=MONO_S,
            versions={"hal": "0.1.0"},
        )

    def put(self, **record: object) -> None:
        self.raw(orjson.dumps(record) + b"\n")

    def raw(self, line: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(line)

    def event(self, kind: str, t: float, **data: object) -> None:
        self.put(kind=kind, t_s=self._mono_s + t, **data)

    def ticket(
        self,
        to: str,
        queued: float,
        started: float | None,
        ended: float,
        by: str = "handler",
        how: str = "done",
    ) -> dict[str, object]:
        return {
            "to": to,
            "queued_s": self._mono_s + queued,
            "started_s": None if started is None else self._mono_s + started,
            "ended_s": self._mono_s + ended,
            "by": by,
            "how": how,
        }

    def delivery(
        self,
        id_: str,
        type_: str,
        sender: str,
        receivers: list[dict[str, object]],
        sent: float,
        done: float,
        **more: object,
    ) -> None:
        record: dict[str, object] = {
            "kind": "delivery",
            "id": id_,
            "type": type_,
            "version": 1,
            "from": sender,
            "cause": None,
            "run": None,
            "lane": "normal",
            "sync": False,
            "sent_s": self._mono_s + sent,
            "done_s": self._mono_s + done,
            "deadline_s": 5.0,
            "fields": {},
            "tickets": receivers,
            "errors": [],
        }
        self.put(**{**record, **more})

    def move(self, id_: str, sent: float, took: float = 0.1, **more: object) -> None:
        """A `move stage` from the command line that the stage did."""
        done = sent + took
        ticket = self.ticket("stage", sent, sent + 0.01, done)
        self.delivery(id_, "move stage", "cli", [ticket], sent, done, **more)


@pytest.fixture
def new_trace(tmp_path: Path) -> Callable[..., TraceFile]:
    def make(
        session: str = "01JD3NABCDEFGHJKMNPQRSTVWX",
        process: str = "main",
        part: int = 1,
        pid: int = 1,
        wall_s: float = WALL_S,
        name: str = "",
    ) -> TraceFile:
        usual = f"trace_20261120T060000_{session[-6:]}_{process}.{part:03}.jsonl"
        return TraceFile(
            tmp_path / (name or usual), session, process, part, pid, wall_s
        )

    return make


@pytest.fixture
def hal_trace(
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str, str]]:
    from tracing import main

    def run(*argv: object) -> tuple[int, str, str]:
        code = main([str(arg) for arg in argv])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
