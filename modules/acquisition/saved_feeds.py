"""Which feeds belong to a film."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hal.base import PlanError
from hal.messages import FeedDescription


def saved_feeds(
    feeds: Mapping[str, FeedDescription], cameras: tuple[str, ...]
) -> dict[str, str]:
    """Return the feeds that are saved with these cameras, each with its camera.

    A feed that is made of another one comes after it.

    Args:
        feeds: All there are, by name.
        cameras: Those of the film.

    Raises:
        PlanError: A feed is made of itself, or of one that is not saved and therefore
            takes only what it can get.
    """
    found: dict[str, tuple[int, str]] = {}
    for name, feed in feeds.items():
        if not feed.is_saved:
            continue
        *through, camera = _sources(name, feeds)
        if camera not in cameras:
            continue
        for source in through:
            if not feeds[source].is_saved:
                raise PlanError(
                    f"feed '{name}' is to be saved, but '{source}', which it is made "
                    f"of, is not: save '{source}' as well, or make '{name}' of a camera"
                )
        found[name] = (len(through), camera)
    in_order = sorted(found, key=lambda name: found[name][0])
    return {name: found[name][1] for name in in_order}


def _sources(name: str, feeds: Mapping[str, FeedDescription]) -> Iterator[str]:
    """Yield what a feed is made of, and what that is made of, down to the camera."""
    seen = [name]
    while seen[-1] in feeds:
        source = feeds[seen[-1]].source
        if source in seen:
            circle = " is made of ".join([*seen, source])
            raise PlanError(f"a feed cannot be made of itself: {circle}")
        seen.append(source)
        yield source
