"""What must be true of a run of a simulated world when it is over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from hal.kernel import Delivery, How
from tests.kernel.world_messages import Heard
from tests.kernel.world_stage import Stage, flaws, name_of

if TYPE_CHECKING:
    from tests.kernel.world import World

KERNEL_ERRORS: Final = {
    "watchdog scan failed",
    "supervisor failed",
    "timer failed",
    "observer failed",
    "trace records lost",
    "trace listener failed",
}
"""Entries of the log that no script may bring about."""


def check_outcomes(world: World) -> None:
    """Check what became of everything that was sent."""
    stage = world.stage
    gone = failed_ones(world.records) | world.stopped
    for delivery in stage.sent:
        stage.check_end(delivery)
        for flaw in flaws(delivery):
            stage.wrong(flaw)
        if delivery.sent_s < world.ended_s:
            _check_reached(world, delivery, gone)
    _check_same_order(stage)


def _check_reached(world: World, delivery: Delivery, gone: set[str]) -> None:
    """Check that nothing was lost by a restart."""
    for ticket in delivery.tickets.values():
        world.stage.covered[f"how: {ticket.how} by {ticket.by}"] += 1
        is_lost = ticket.how is How.DEAD and ticket.started_s is None
        ended_s = ticket.ended_s or 0.0
        if is_lost and ticket.receiver not in gone and ended_s < world.ended_s:
            world.stage.wrong(f"{name_of(delivery)} was lost by {ticket.receiver}")
    if isinstance(delivery.message, Heard) and delivery.tickets:
        names = {module.name for module in world.system.modules}
        missing = names - set(delivery.tickets) - gone
        issued_s = max(ticket.queued_s for ticket in delivery.tickets.values())
        if missing and issued_s < world.ended_s:
            world.stage.wrong(f"{name_of(delivery)} did not reach {missing}")


def _check_same_order(stage: Stage) -> None:
    """Check that any two modules got what both got in the same order."""
    ids = {
        name: [id(begun.delivery) for begun in begun_by]
        for name, begun_by in stage.in_order.items()
    }
    for (one, mine), (other, theirs) in combinations(ids.items(), 2):
        common = set(mine) & set(theirs)
        if [i for i in mine if i in common] != [i for i in theirs if i in common]:
            stage.wrong(f"{one} and {other} got events in different orders")
    for name, mine in ids.items():
        if len(set(mine)) != len(mine):
            stage.wrong(f"{name} got a message twice")


def failed_ones(records: list[Mapping[str, Any]]) -> set[str]:
    """Return the modules that were `failed` at some time."""
    return {
        record["module"]
        for record in records
        if record["kind"] == "state" and record["state"] == "failed"
    }


def check_records(world: World) -> None:
    """Check trace and log."""
    stage, records = world.stage, world.records
    ids = [record["id"] for record in records if record["kind"] == "delivery"]
    if len(set(ids)) != len(ids):
        stage.wrong("a delivery is noted twice in the trace")
    for record in records:
        stage.covered[f"trace: {record['kind']}"] += 1
    for entry in world.logged:
        event = str(entry.get("event"))
        stage.covered[f"log: {event}"] += 1
        is_ours = "on purpose" in str(entry) or "OnPurpose" in str(entry)
        is_inner = event == "failed" and entry.get("what") == "taking a message"
        if event in KERNEL_ERRORS or (is_inner and not is_ours):
            stage.wrong(f"the kernel's log: {entry}")
    _check_owed(world)
    _check_intensity(world)


def _check_owed(world: World) -> None:
    """Check that what a generation owed ended when it was buried."""
    buried_s = {
        (record["module"], record["generation"]): float(record["t_s"])
        for record in world.records
        if record["kind"] == "given up"
    }
    for name, begun_by in world.stage.begun.items():
        for begun in begun_by:
            ended_s = begun.delivery.tickets[name].ended_s
            at_s = buried_s.get((name, begun.generation), math.inf)
            if ended_s is not None and ended_s > at_s + 1e-9:
                world.stage.wrong(
                    f"{name}/{begun.generation} died at {at_s} s and owed "
                    f"{name_of(begun.delivery)} until {ended_s} s"
                )


def _check_intensity(world: World) -> None:
    """Check that no module began anew more often than its policy says."""
    for module in world.system.modules:
        name, policy = module.name, module.seat.policy
        if module.seat.requires:
            continue  # begins anew with others, too
        ends_s = [
            float(record["t_s"])
            for record in world.records
            if record["kind"] == "given up" and record["module"] == name
        ]
        # The first one after the last restart allowed is the last; a request of a user
        # comes on top, and lets all begin anew.
        allowed = policy.intensity + 1
        allowed += world.asked_for.count(name) * (allowed + 1)
        for first_s, last_s in zip(ends_s, ends_s[allowed:], strict=False):
            if last_s - first_s < policy.period_s:
                world.stage.wrong(f"{name} began anew too often: ends at {ends_s}")
