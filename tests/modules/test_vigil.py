"""When a guard pauses runs, and when not any more: the time and the persons in it."""

from __future__ import annotations

from modules.guards.vigil import Order, Terms, Vigil

ITSELF = Terms(after_s=5.0, settle_s=10.0, by_itself=True)
PERSON = ITSELF._replace(by_itself=False)
BAD = "too warm"


def held(terms: Terms = ITSELF) -> Vigil:
    """Return one that holds back `run1` since 5 s."""
    vigil = Vigil()
    vigil.run_goes_on("run1")
    vigil.see(BAD, 0.0)
    assert vigil.decide(5.0, terms) is Order.SUSPEND
    return vigil


def test_nothing_is_told_before_anything_is_known() -> None:
    vigil = Vigil(may_be_holding=True)

    assert vigil.decide(1e6, ITSELF) is None
    assert not vigil.is_holding


def test_it_pauses_once_when_it_was_wrong_for_long_enough() -> None:
    vigil = Vigil()
    vigil.see(BAD, 100.0)

    assert vigil.decide(104.9, ITSELF) is None
    assert (vigil.is_holding, vigil.why) == (False, "")
    vigil.see("much too warm", 104.9)
    assert vigil.decide(105.0, ITSELF) is Order.SUSPEND
    assert (vigil.is_holding, vigil.why) == (True, "much too warm")
    vigil.see("hot", 106.0)
    assert vigil.decide(106.0, ITSELF) is None
    assert vigil.why == "much too warm"


def test_a_good_reading_between_begins_the_count_anew() -> None:
    vigil = Vigil()
    vigil.see(BAD, 0.0)
    vigil.see("", 4.0)
    vigil.see(BAD, 4.5)

    assert vigil.decide(9.4, ITSELF) is None
    assert vigil.decide(9.5, ITSELF) is Order.SUSPEND


def test_it_releases_once_when_it_was_good_for_long_enough() -> None:
    vigil = held()
    vigil.see("", 20.0)

    assert vigil.decide(29.9, ITSELF) is None
    vigil.see(BAD, 29.9)
    vigil.see("", 30.0)
    assert vigil.decide(39.9, ITSELF) is None
    assert vigil.why == BAD
    assert vigil.decide(40.0, ITSELF) is Order.RELEASE
    assert (vigil.is_holding, vigil.why) == (False, "")
    assert vigil.decide(90.0, ITSELF) is None


def test_it_waits_for_a_person_and_says_so() -> None:
    vigil = held(PERSON)
    vigil.see("", 20.0)

    assert vigil.decide(30.0, PERSON) is Order.SUSPEND
    assert vigil.why == f"{BAD} (good again, waits for a person to resume)"
    assert vigil.decide(90.0, PERSON) is None
    vigil.see(BAD, 95.0)
    assert vigil.decide(95.0, PERSON) is Order.SUSPEND
    assert vigil.why == BAD

    vigil.see("", 100.0)
    assert vigil.decide(110.0, PERSON) is Order.SUSPEND
    vigil.overrule("run1")
    assert vigil.decide(110.1, PERSON) is None
    assert (vigil.is_holding, vigil.why) == (False, "")


def test_without_a_run_nobody_is_waited_for() -> None:
    vigil = held(PERSON)
    vigil.run_ended("another")
    vigil.see("", 20.0)
    assert vigil.decide(30.0, PERSON) is Order.SUSPEND

    vigil.run_ended("run1")

    assert vigil.decide(30.1, PERSON) is Order.RELEASE


def test_a_person_is_not_contradicted_until_all_was_well() -> None:
    vigil = held()
    vigil.overrule("run1")

    assert vigil.decide(1000.0, ITSELF) is None
    assert vigil.why == f"{BAD} (a person let the run go on)"
    vigil.see("", 1001.0)
    vigil.see(BAD, 1002.0)  # a break too short to end the episode
    assert vigil.decide(2000.0, ITSELF) is None

    vigil.see("", 2000.0)
    assert vigil.decide(2010.0, ITSELF) is None
    assert vigil.why == ""
    vigil.see("too cold", 2011.0)
    assert vigil.decide(2016.0, ITSELF) is Order.SUSPEND
    assert vigil.why == "too cold"


def test_what_a_person_decided_is_about_that_run() -> None:
    vigil = held()
    vigil.overrule("run1")
    assert vigil.decide(100.0, ITSELF) is None

    vigil.run_ended("run1")

    assert vigil.decide(100.1, ITSELF) is Order.SUSPEND


def test_who_holds_nothing_back_is_not_overruled() -> None:
    vigil = Vigil()
    vigil.see(BAD, 0.0)
    vigil.overrule("run1")

    assert vigil.decide(5.0, ITSELF) is Order.SUSPEND


def test_an_acquisition_that_began_anew_is_told_again() -> None:
    vigil = held()
    vigil.forgotten()

    assert vigil.decide(5.1, ITSELF) is Order.SUSPEND


def test_a_guard_that_began_anew_releases_what_the_one_before_may_hold() -> None:
    vigil = Vigil(may_be_holding=True)
    vigil.see("", 0.0)
    assert vigil.decide(9.9, ITSELF) is None
    assert vigil.decide(10.0, ITSELF) is Order.RELEASE
    assert vigil.decide(10.1, ITSELF) is None

    waiting = Vigil(may_be_holding=True)
    waiting.run_goes_on("run1")
    waiting.see("", 0.0)
    assert waiting.decide(100.0, PERSON) is None
    waiting.overrule("run1")
    waiting.run_ended("run1")
    assert waiting.decide(200.0, PERSON) is None


def test_another_thing_to_watch_begins_anew() -> None:
    vigil = held()

    assert vigil.begin_anew()
    assert not vigil.begin_anew()
    assert vigil.decide(100.0, ITSELF) is None
    vigil.see(BAD, 100.0)
    assert vigil.decide(104.9, ITSELF) is None
    assert vigil.decide(105.0, ITSELF) is Order.SUSPEND
