"""Rows of events on their way to a recorder that may have to be told again."""

from __future__ import annotations

from hal.acquisition import EventOutcome, EventRow
from hal.base import StateError
from hal.kernel import Module, handles
from hal.messages import RecordEvents
from hal.testing import part, running_hal, wait_until
from modules.acquisition.event_table import EventTable
from tests.modules.bench import PATIENCE_S


class Forgetful(Module):
    """Refuses rows until it is told to remember."""

    role = "recorder"
    remembers = False
    asked = 0

    def __init__(self, *args: object, **values: object) -> None:
        super().__init__(*args, **values)  # type: ignore[arg-type]
        self.rows: list[EventRow] = []

    @handles(RecordEvents)
    def on_record(self, msg: RecordEvents) -> None:
        self.asked += 1
        if not self.remembers:
            raise StateError("there is no recording")
        self.rows += msg.rows


def row(number: int) -> EventRow:
    return EventRow(event=number, kind="image", outcome=EventOutcome.DONE)


def test_rows_that_were_refused_are_sent_again_and_others_are_not() -> None:
    with running_hal(part("recorder", Forgetful)) as hal:
        recorder = hal.module("recorder", Forgetful)
        table = EventTable("run1", hal.module("acquisition", Module))
        table.note((row(0), row(1)))
        wait_until(lambda: recorder.asked == 1, PATIENCE_S, what="the first rows")
        recorder.remembers = True

        table.repeat()
        table.settle(lambda: None)

        assert [r.event for r in recorder.rows] == [0, 1]
        table.repeat()
        table.note((row(2),))
        table.settle(lambda: None)
        assert [r.event for r in recorder.rows] == [0, 1, 2]
