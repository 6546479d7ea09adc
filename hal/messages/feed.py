"""Feeds: frames made of those of a camera.

A feed that is saved takes part in a film as its cameras do: it is armed, started and
stopped by the messages of `hal.messages.camera`, after its source was armed, before it
is started, and after it has stopped.
"""

from __future__ import annotations

from typing import ClassVar

from hal.base import Record
from hal.kernel import Lane, Request


class GetFeed(Request, frozen=True):
    """Ask what a feed is made of; answers with a `FeedDescription`."""

    lane: ClassVar[Lane] = Lane.URGENT


class FeedDescription(Record, frozen=True):
    """A feed as whoever plans a film needs to know it."""

    source: str
    """The camera whose frames it takes, or the feed."""
    is_saved: bool
    """Whether it has a file of its own in every film of its camera."""
