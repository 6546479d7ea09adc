"""The kernel's tests notice when it is broken; here: that their silence is told."""

from __future__ import annotations

import json

import pytest
from mutation.breaks import BREAKS
from mutation.cli import main
from mutation.runner import ROOT, Break, CannotBreak, broken, run

FILE = "hal/base/suggest.py"
TESTS = ("tests/base/test_names.py",)


def test_every_break_applies_to_the_kernel_as_it_is_and_names_tests_that_exist() -> (
    None
):
    assert len({change.name for change in BREAKS}) == len(BREAKS) >= 40
    for change in BREAKS:
        text = (ROOT / change.file).read_text(encoding="utf-8")
        assert broken(text, change) != text
        compile(broken(text, change), change.file, "exec")
        for test in change.tests:
            assert (ROOT / test).is_file(), test


@pytest.mark.parametrize("old", ["no such text", "e"])
def test_text_that_is_not_there_once_cannot_be_broken(old: str) -> None:
    change = Break("odd", FILE, old, "", TESTS)

    with pytest.raises(CannotBreak, match="'odd': expected its text once in"):
        broken("two e here", change)


def test_what_is_noticed_and_what_is_not_are_told_apart() -> None:
    # The file is imported by all tests: the first break is found at once.
    fatal = Break("fatal", FILE, "def one_of(", "def none_of(", TESTS)
    harmless = Break("harmless", FILE, "def one_of(", "def one_of (", TESTS)

    with pytest.raises(CannotBreak, match="pytest did not run"):
        list(run([fatal], jobs=1))
    (verdict,) = run([harmless], jobs=1)

    assert not verdict.caught


def test_a_break_is_caught_by_the_test_that_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["--only", "the test for the last ticket is not atomic", "--json"])

    report = json.loads(capsys.readouterr().out)
    (verdict,) = report["verdicts"]
    assert code == 0
    assert verdict["caught"]
    assert "tests/kernel/test_interleavings.py::" in verdict["by"]


def test_the_list_is_there_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "a stop cancels nothing  (hal/kernel/mailbox.py)" in capsys.readouterr().out
