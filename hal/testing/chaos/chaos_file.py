"""Reading what is to go wrong from XML.

::

    <chaos seed="1">
      <fault module="camera1" call="read_into" kind="raise" probability="0.01"/>
      <fault module="stage" call="move" kind="hang" at="5" seconds="30"/>
    </chaos>
"""

from __future__ import annotations

from pathlib import Path

from hal.base import BadInput, ParameterError, Value, did_you_mean
from hal.config import Element, Place, read_xml
from hal.config.form import check_attributes, check_no_text
from hal.config.problems import Problems
from hal.testing.chaos.fault import (
    ChaosPlan,
    Fault,
    FaultSettings,
    check_when,
    make_fault,
)

_TAG = "chaos"


def read_chaos(path: str | Path) -> ChaosPlan:
    """Return what the file at `path` wants to go wrong.

    It is a `<chaos>`, or a configuration that has one.

    Raises:
        ConfigError: Not readable, or not of that form, as `file:line: what`;
            `ConfigErrors` when there is more than one thing to say.
    """
    root = read_xml(path)
    if root.tag == "hal":
        inside = [child for child in root.children if child.tag == _TAG]
        if not inside:
            raise root.place.refuse("this configuration has no <chaos>: expected one")
        root = inside[0]
    if root.tag != _TAG:
        raise root.place.refuse(
            f'the outermost element is <{root.tag}>: expected <chaos seed="1">'
        )
    return chaos_of(root)


def chaos_of(element: Element) -> ChaosPlan:
    """Return what a `<chaos>` says.

    Raises:
        ConfigError: As `read_chaos`.
    """
    problems = Problems()
    check_attributes(element, ("seed",), problems)
    check_no_text(element, problems)
    seed, faults = 1, []
    with problems.noted():
        seed = _seed(element)
    for child in element.children:
        with problems.noted():
            faults.append(_fault(child))
    if not element.children:
        problems.add(element.place.refuse("<chaos> has no <fault>: expected some"))
    problems.raise_any()
    return ChaosPlan(seed=seed, faults=tuple(faults), file=element.place.file)


def _seed(element: Element) -> int:
    text = element.attributes.get("seed", "1").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise element.place.refuse(
            f"<chaos> seed={text!r}: expected a whole number of at least 0"
        )
    return int(text)


def _fault(element: Element) -> Fault:
    place = element.place
    if element.tag != "fault":
        raise place.refuse(
            f"unknown element <{element.tag}> inside <chaos>: expected <fault>"
            f"{did_you_mean(element.tag, ('fault',))}"
        )
    problems = Problems()
    known = FaultSettings.parameters()
    check_attributes(element, tuple(known), problems)
    check_no_text(element, problems)
    for child in element.children:
        problems.add(
            child.place.refuse(f"unknown element <{child.tag}> inside <fault>")
        )
    problems.raise_any()
    values: dict[str, Value] = {}
    try:
        for name, text in element.attributes.items():
            plain = text.strip()
            values[name] = known[name].parse(plain)
        fault = make_fault(values, place)
        check_when(fault)
    except ParameterError as exc:
        raise refused(place, exc) from exc
    return fault


def refused(place: Place, exc: ParameterError) -> BadInput:
    """Return what is wrong with a `<fault>`, at its line."""
    return place.refuse(f"<fault> {exc.text}")
