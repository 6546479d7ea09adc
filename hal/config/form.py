"""Checks of form that every file of HAL shares."""

from __future__ import annotations

from hal.base import did_you_mean
from hal.config.problems import Problems
from hal.config.xml import Element


def check_attributes(
    element: Element, known: tuple[str, ...], problems: Problems
) -> None:
    """Note each attribute of `element` that is not one of `known`."""
    for name in element.attributes:
        if name not in known:
            wanted = " or ".join(known) or "no attributes"
            problems.add(
                element.place.refuse(
                    f"<{element.tag}> has an unknown attribute '{name}': expected "
                    f"{wanted}{did_you_mean(name, known)}"
                )
            )


def check_no_text(element: Element, problems: Problems, label: str = "") -> None:
    """Note text directly inside `element`; blanks between elements are fine."""
    text = element.text.strip()
    if text:
        problems.add(
            element.text_place.refuse(
                f"{label}text {text[:40]!r} inside <{element.tag}>: expected elements "
                "and comments only"
            )
        )
