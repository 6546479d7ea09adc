"""`sequence`: who told whom, each delivery indented under the one that caused it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from tracing.reader import Index, Trace
from tracing.records import Delivery
from tracing.text import Times, ms, one_line, outcome, receivers, short_id

_DEEPEST = 20  # levels that are indented; a chain of events may have thousands


class Tree:
    """Deliveries by cause; holds ids and times, not records."""

    def __init__(self) -> None:
        self.index = Index()
        self._of_id: dict[str, int] = {}
        self._causes: dict[int, str] = {}

    def add(self, delivery: Delivery) -> int:
        """Add a delivery; return its position. Of two with one id, the first counts."""
        position = len(self.index)
        self.index.add(delivery)
        self._of_id.setdefault(delivery.id, position)
        if delivery.cause is not None:
            self._causes[position] = delivery.cause
        return position

    def walk(self, of_run: set[int] | None) -> Iterator[tuple[int, int, str]]:
        """Yield (position, depth, id of a cause that is not here), causes first.

        Args:
            of_run: Yield only these, what they caused and what caused them; None: all.
        """
        children: dict[int, list[int]] = {}
        roots: list[int] = []
        order = self.index.by_time()
        for position in order:
            parent = self._of_id.get(self._causes.get(position, ""))
            if parent is None:
                roots.append(position)
            else:
                children.setdefault(parent, []).append(position)
        wanted = None if of_run is None else self._family(of_run, children)
        visited = bytearray(len(self.index))
        # In a damaged trace causes may form a circle: it is entered at its earliest.
        for start in (*roots, *order):
            pending = [(start, 0)]
            while pending:
                position, depth = pending.pop()
                if visited[position]:
                    continue
                visited[position] = 1
                if wanted is None or position in wanted:
                    cause = self._causes.get(position, "")
                    yield position, depth, "" if cause in self._of_id else cause
                below = children.get(position, ())
                pending.extend((child, depth + 1) for child in reversed(below))

    def _family(self, run: set[int], children: dict[int, list[int]]) -> set[int]:
        family: set[int] = set()
        pending = list(run)
        while pending:
            position = pending.pop()
            if position not in family:
                family.add(position)
                pending.extend(children.get(position, ()))
        for position in run:
            parent = self._of_id.get(self._causes.get(position, ""))
            while parent is not None and parent not in family:
                family.add(parent)
                parent = self._of_id.get(self._causes.get(parent, ""))
        return family


def sequence(
    trace: Trace, run: str | None, out: TextIO, err: TextIO, *, local: bool
) -> int:
    """Print who told whom; return how many deliveries there were."""
    tree = Tree()
    of_run: set[int] = set()
    for record in trace.records():
        if isinstance(record, Delivery):
            position = tree.add(record)
            name = record.run or ""
            if run is not None and (name.startswith(run) or name.endswith(run)):
                of_run.add(position)
    walk = list(tree.walk(None if run is None else of_run))
    if not walk:
        where = "in this trace" if run is None else f"of run {run} in this trace"
        err.write(f"hal_trace: no delivery {where}\n")
    times = Times(local=local)
    found = tree.index.read(position for position, _, _ in walk)
    for record, (_, depth, missing) in zip(found, walk, strict=True):
        assert isinstance(record, Delivery)
        day = times.new_day(record.wall_s)
        if day:
            out.write(day + "\n")
        out.write(line(record, times, depth, missing) + "\n")
    return len(walk)


def line(delivery: Delivery, times: Times, depth: int, missing: str) -> str:
    """Return one line of the sequence, without what is known from the line above."""
    indent = "  " * min(depth, _DEEPEST) + f"({depth} deep) " * (depth > _DEEPEST)
    kinds = ", ".join(dict.fromkeys(one_line(error.kind) for error in delivery.errors))
    return (
        f"{times.of_day(delivery.wall_s)} {indent}"
        f"{one_line(delivery.sender)} -> {receivers(delivery)}  "
        f"{one_line(delivery.type)}  ({ms(delivery.total_s)} ms) {outcome(delivery)}"
        + f": {kinds}" * bool(kinds)
        + f"  (its cause {short_id(missing)} is not in this trace)" * bool(missing)
    )
