"""Whom a plan needs besides devices: analyses that say where, and projectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from hal.acquisition.plans.events import StimulationEvent
from hal.acquisition.plans.parts import AnyPart, EventsPart, MergedPart, SequencePart
from hal.acquisition.plans.plan import Plan


class StimulationPartners(msgspec.Struct, frozen=True):
    """Names of modules, each once."""

    analyses: frozenset[str]
    projectors: frozenset[str]


def stimulation_partners(plan: Plan) -> StimulationPartners:
    """Return the modules that the stimulations of a plan name."""
    pairs = set(_pairs(plan.parts))
    return StimulationPartners(
        frozenset(analysis for analysis, _ in pairs),
        frozenset(projector for _, projector in pairs),
    )


def _pairs(parts: Iterable[AnyPart]) -> Iterator[tuple[str, str]]:
    for part in parts:
        if isinstance(part, SequencePart) and part.stimulation is not None:
            yield part.stimulation.analysis, part.stimulation.projector
        elif isinstance(part, EventsPart):
            for event in part.listed:
                if isinstance(event, StimulationEvent):
                    yield event.mask_from, event.projector
        elif isinstance(part, MergedPart):
            for child in part.children:
                yield from _pairs(child)
