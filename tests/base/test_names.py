"""Ids, principals, suggestions and time."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import (
    MODULE_NAME,
    DeliveryId,
    IdSource,
    ModuleState,
    SystemClock,
    did_you_mean,
    is_principal,
    iso_utc,
    new_ulid,
    one_of,
)


def test_ulids_differ_and_sort_by_the_time_of_their_making() -> None:
    made = []
    for _ in range(20):
        made.append(new_ulid())
        time.sleep(0.002)

    assert made == sorted(made)
    assert len({new_ulid() for _ in range(1_000)}) == 1_000
    assert {len(ulid) for ulid in made} == {26}


def test_ids_are_counted_from_one_and_unique_over_threads() -> None:
    ids = IdSource("main")
    made: list[DeliveryId] = []
    threads = [
        threading.Thread(target=lambda: made.extend(ids.next() for _ in range(500)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(each.counter for each in made) == list(range(1, 2_001))
    assert str(made[0]).startswith("main#")
    assert {each.session for each in made} == {ids.session}
    assert IdSource("main").session != ids.session


@pytest.mark.parametrize(
    "text",
    [
        *("cli", "hal", "camera1", "x", "script:a.py", "gui:main-window"),
        *("remote:key.1@host", "script:a"),
    ],
)
def test_well_formed_principals(text: str) -> None:
    assert is_principal(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "Camera", "1camera", "a b", "cli\n", "script:", "other:x", "script:a b"),
        *("gui:x\n", "remote:a/b", "a:b"),
    ],
)
def test_ill_formed_principals(text: str) -> None:
    assert not is_principal(text)


@pytest.mark.parametrize("name", ["camera1", "a", "x_y_2"])
def test_module_names(name: str) -> None:
    assert MODULE_NAME.match(name)
    assert is_principal(name)


@pytest.mark.parametrize("name", ["", "Camera", "1a", "_a", "a-b", "a.b", "a\n", "ä"])
def test_what_is_no_module_name(name: str) -> None:
    assert not MODULE_NAME.match(name)


def test_the_nearest_name_is_suggested_and_no_far_one() -> None:
    known = ["camera1", "stage", "recorder"]

    assert did_you_mean("camra1", known) == "; did you mean 'camera1'?"
    assert did_you_mean("zzz", known) == ""
    assert did_you_mean("camera1", []) == ""


def test_known_names_are_listed_in_order() -> None:
    assert one_of({"b", "a"}) == "a, b"
    assert one_of([]) == "none"


@given(wrong=st.text(), known=st.lists(st.text(), max_size=5))
def test_a_suggestion_is_one_of_the_known_names(wrong: str, known: list[str]) -> None:
    hint = did_you_mean(wrong, known)
    assert hint == "" or any(f"'{name}'" in hint for name in known)


def test_states_that_take_work() -> None:
    assert {state for state in ModuleState if state.takes_work} == {
        ModuleState.CONFIGURED,
        ModuleState.STARTED,
    }


def test_the_clock_goes_forward_and_knows_the_time_of_day() -> None:
    clock = SystemClock()
    first, second = clock.monotonic_s(), clock.monotonic_s()

    assert second >= first
    assert abs(clock.wall_s() - time.time()) < 5.0
    assert iso_utc(0.0) == "1970-01-01T00:00:00+00:00"


def test_waiting_ends_with_the_event_or_the_time() -> None:
    clock, event = SystemClock(), threading.Event()
    started_s = clock.monotonic_s()

    assert not clock.wait(event, 0.05)
    assert clock.monotonic_s() - started_s >= 0.05
    assert not clock.wait(event, -1.0)
    event.set()
    assert clock.wait(event, 60.0)
    assert clock.monotonic_s() - started_s < 30.0


@pytest.mark.parametrize("forever_s", [float("inf"), 1e12])
def test_waiting_for_ever_ends_with_the_event(forever_s: float) -> None:
    event = threading.Event()
    timer = threading.Timer(0.05, event.set)
    timer.start()

    assert SystemClock().wait(event, forever_s)
    timer.join()
