"""Values from outside the configuration: settings files and `--set`.

A settings file has the layout of the file written beside each film, so that a film's
settings can be used again::

    <settings>
      <camera1><exposure_s type="float" unit="s">0.05</exposure_s></camera1>
    </settings>

A first section `acquisition` tells about the film and sets nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from hal.config.form import check_attributes, check_no_text
from hal.config.place import Place, one_line
from hal.config.problems import Problems
from hal.config.xml import Element, read_xml

INFORMATION = "acquisition"
"""First section of a film's settings; it sets nothing."""


class Change(msgspec.Struct, frozen=True):
    """A value for one parameter of one module, as text."""

    module: str
    parameter: str
    text: str
    place: Place


def read_settings(path: str | Path) -> tuple[Change, ...]:
    """Return what the settings file at `path` asks for, in its order.

    Type and unit written with a value are for people and other programs: what counts
    is what the parameter declares.

    Raises:
        ConfigError: Not readable, not XML, or not of the layout above.
    """
    root = read_xml(path)
    if root.tag != "settings":
        raise root.place.refuse(
            f"the outermost element is <{root.tag}>: expected <settings>"
        )
    problems = Problems()
    check_attributes(root, (), problems)
    check_no_text(root, problems)
    changes: dict[tuple[str, str], Change] = {}
    sections: dict[str, int] = {}
    for position, section in enumerate(root.children):
        # A later one of that name belongs to the module that is called so.
        if position == 0 and section.tag == INFORMATION:
            continue
        with problems.noted():
            if section.tag in sections:
                raise section.place.refuse(
                    f"<{section.tag}> is given twice: first at line "
                    f"{sections[section.tag]}"
                )
            sections[section.tag] = section.place.line
            check_attributes(section, (), problems)
            check_no_text(section, problems)
            for entry in section.children:
                with problems.noted():
                    _add_entry(changes, section.tag, entry, problems)
    problems.raise_any()
    return tuple(changes.values())


def parse_overrides(texts: Iterable[str], problems: Problems) -> tuple[Change, ...]:
    """Return what `MODULE.PARAM=VALUE` texts of `--set` ask for; note wrong ones."""
    changes: list[Change] = []
    for text in texts:
        place = Place(option=one_line(f"--set {text}"))
        path, equals, value = text.partition("=")
        module, dot, parameter = path.strip().partition(".")
        if not (equals and dot and module and parameter):
            problems.add(
                place.refuse("expected MODULE.PARAM=VALUE, as in camera1.exposure_s=1")
            )
            continue
        changes.append(Change(module, parameter, value, place))
    return tuple(changes)


def _add_entry(
    changes: dict[tuple[str, str], Change],
    module: str,
    entry: Element,
    problems: Problems,
) -> None:
    if entry.children:
        child = entry.children[0]
        raise child.place.refuse(
            f"<{child.tag}> inside <{entry.tag}>: expected a value, as in "
            '<exposure_s type="float">0.05</exposure_s>'
        )
    key = (module, entry.tag)
    if key in changes:
        raise entry.place.refuse(
            f"<{entry.tag}> of <{module}> is given twice: first at line "
            f"{changes[key].place.line}"
        )
    check_attributes(entry, ("type", "unit"), problems)
    changes[key] = Change(module, entry.tag, entry.text, entry.place)
