"""R107: hours of modules that hang and die leave nothing behind; here some seconds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from soak.cli import growth, main
from soak.run import Sample


def sample(**changes: Any) -> Sample:
    usual = {
        "after_s": 1.0,
        "messages": 1,
        "restarts": 1,
        "threads": 20,
        "files": 7,
        "rss_mb": 50.0,
        "objects": 40_000,
    }
    return Sample(**(usual | changes))


def test_modules_that_hang_and_die_for_a_while_leave_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["--minutes", "0.2", "--sample-s", "2", "--json"])

    report = json.loads(capsys.readouterr().out)
    assert code == 0, report["problems"]
    first, last = report["samples"][0], report["samples"][-1]
    assert last["messages"] > first["messages"] > 1_000
    assert last["restarts"] > first["restarts"]
    assert {"done", "failed", "timeout"} <= set(report["outcomes"])


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("threads", {"threads": 40}),
        ("open files", {"files": 9}),
        ("MB", {"rss_mb": 60.0}),
        ("objects", {"objects": 42_000}),
    ],
)
def test_what_grows_is_told(what: str, changes: dict[str, Any]) -> None:
    samples = [sample() for _ in range(9)]

    assert growth(samples) == []
    (problem,) = growth([*samples, sample(**changes)])

    assert problem.startswith(f"{what} grew from ")
