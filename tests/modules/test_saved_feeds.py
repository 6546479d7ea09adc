"""Which feeds a film has."""

from __future__ import annotations

import pytest

from hal.base import PlanError
from hal.messages import FeedDescription
from modules.acquisition.saved_feeds import saved_feeds


def saved(source: str) -> FeedDescription:
    return FeedDescription(source, True)


def shown(source: str) -> FeedDescription:
    return FeedDescription(source, False)


def test_feeds_of_the_cameras_of_a_film_that_are_saved_belong_to_it() -> None:
    feeds = {"a": saved("left"), "b": shown("left"), "c": saved("right")}

    assert saved_feeds(feeds, ("left", "other")) == {"a": "left"}


def test_a_feed_of_a_feed_comes_after_it_and_knows_its_camera() -> None:
    feeds = {"c": saved("b"), "b": saved("a"), "a": saved("left")}

    assert list(saved_feeds(feeds, ("left",)).items()) == [
        ("a", "left"),
        ("b", "left"),
        ("c", "left"),
    ]


def test_a_saved_feed_of_one_that_is_not_saved_is_refused() -> None:
    feeds = {"b": saved("a"), "a": shown("left")}

    with pytest.raises(PlanError, match="'b' is to be saved, but 'a'"):
        saved_feeds(feeds, ("left",))
    assert saved_feeds(feeds, ("right",)) == {}


def test_feeds_made_of_each_other_are_refused_with_the_circle() -> None:
    feeds = {"a": saved("b"), "b": saved("a")}

    with pytest.raises(PlanError, match="a is made of b is made of a"):
        saved_feeds(feeds, ("left",))
