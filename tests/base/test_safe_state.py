"""What a sentinel is told to call is checked where it is written."""

from __future__ import annotations

import pytest

from hal.base import InvalidMessage, SafeStateCall


def test_it_names_a_function_and_gives_it_plain_data() -> None:
    call = SafeStateCall("my_lab.laser:switch_off", {"port": "COM3", "channel": 2})

    assert call.arguments == {"port": "COM3", "channel": 2}
    assert call.module == ""


@pytest.mark.parametrize(
    "entry", ["", "laser", "laser:", ":off", "my lab:off", "a:b;c"]
)
def test_anything_but_a_function_of_a_module_is_refused(entry: str) -> None:
    with pytest.raises(InvalidMessage, match=r"expected package\.module:function"):
        SafeStateCall(entry)


def test_live_objects_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="laser:off: arguments are not plain data"):
        SafeStateCall("laser:off", {"port": object()})
