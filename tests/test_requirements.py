"""`docs/requirements.rst` names every requirement once, and only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "requirements.rst").read_text(encoding="utf-8")
COUNT = 112


def entries() -> dict[int, str]:
    parts = re.split(r"^\*\*R(\d+)\*\*$", TEXT, flags=re.MULTILINE)[1:]
    return {int(n): body for n, body in zip(parts[::2], parts[1::2], strict=True)}


def test_every_requirement_has_one_entry_in_order() -> None:
    found = re.findall(r"^\*\*R(\d+)\*\*$", TEXT, flags=re.MULTILINE)

    assert found == [str(number) for number in range(1, COUNT + 1)]


def test_every_entry_is_shown_with_its_break_or_says_what_it_waits_for() -> None:
    for number, body in entries().items():
        shown = "``tests/" in body
        assert shown or "*Open:*" in body, f"R{number}"
        assert shown == ("*Broken:*" in body), f"R{number}"


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", TEXT))

    assert len(named) > 50
    assert TEXT.count("``tests/") == len(
        re.findall(r"``tests/\S+::\w+``|``tests/\w+``", TEXT)
    )
    for path, name in sorted(named):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"{path}::{name}"
