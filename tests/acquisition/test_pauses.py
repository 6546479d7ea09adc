"""The reasons for which a run does nothing."""

from __future__ import annotations

from hal.acquisition.pauses import Pauses


def test_each_change_is_told_and_the_last_reason_counts() -> None:
    told: list[str] = []
    pauses = Pauses(lambda: told.append(pauses.why))

    pauses.add("focus", "focus is lost")
    pauses.add("focus", "focus is far away")
    pauses.add("disk", "disk is low")
    pauses.remove("focus")
    assert pauses.is_wanted
    pauses.remove("nobody")
    pauses.clear()

    assert not pauses.is_wanted
    assert told == [
        "focus is lost",
        "focus is far away",
        "focus is far away; disk is low",
        "disk is low",
        "disk is low",
        "",
    ]
