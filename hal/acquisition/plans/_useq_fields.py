"""What a sequence in a file may say, checked field by field before useq reads it.

useq passes over keys it does not know, and says of a plan that fits none of its kinds
how it fails to be each of them. Here the nearest kind is found first.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, Final

from hal.acquisition.plans._document import Document, Path, path_text
from hal.base import PlanError, did_you_mean, one_of

_TIMES: Final = ("TIntervalLoops", "TIntervalDuration", "TDurationLoops")
_HEIGHTS: Final = (
    "ZTopBottom",
    "ZAboveBelow",
    "ZRangeAround",
    "ZAbsolutePositions",
    "ZRelativePositions",
)
_GRIDS: Final = (
    "GridRowsColumns",
    "GridWidthHeight",
    "GridFromEdges",
    "GridFromPolygon",
    "RandomPoints",
)
_OLD_NAMES: Final = {"row", "col"}


class SequenceReader:
    """Makes sequences of what a document says.

    Runs on: any one thread.
    """

    def __init__(self, document: Document, useq: ModuleType) -> None:
        self._document = document
        self._useq = useq

    def read(self, said: dict[str, Any], path: Path) -> Any:
        """Return the `MDASequence` that stands at `path`.

        Raises:
            PlanError: With file, line, field, and what was expected.
        """
        prepared = self._sequence(said, path)
        return self._validated(self._useq.MDASequence, prepared, path)

    def _sequence(self, said: Any, path: Path) -> dict[str, Any]:
        """Check a sequence, and return it as useq can read it."""
        self._mapping(said, path)
        fields = self._useq.MDASequence.model_fields
        self._known(said, fields, path)
        prepared = dict(said)
        for key, value in said.items():
            at = (*path, key)
            if value is None:
                continue
            if key == "stage_positions":
                prepared[key] = self._positions(value, at)
            elif key == "channels":
                for number, each in enumerate(self._list(value, at)):
                    if not isinstance(each, str):
                        self._kind(each, ("Channel",), (*at, number))
            elif key == "z_plan":
                self._kind(value, _HEIGHTS, at)
            elif key == "grid_plan":
                self._kind(value, _GRIDS, at)
            elif key == "autofocus_plan":
                self._kind(value, ("AxesBasedAF",), at)
            elif key == "setup":
                self._kind(value, ("MDAEvent",), at)
            elif key == "time_plan":
                self._times(value, at)
        return prepared

    def _times(self, value: Any, path: Path) -> None:
        phases, at = value, path
        if isinstance(value, dict) and "phases" in value:
            self._known(value, ("phases", "prioritize_duration"), path)
            phases, at = value["phases"], (*path, "phases")
        if not isinstance(phases, list):
            self._kind(phases, _TIMES, at)
            return
        if not phases:
            raise self._document.refuse(at, "expected at least one phase")
        for number, each in enumerate(phases):
            self._kind(each, _TIMES, (*at, number))

    def _positions(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            self._kind(value, ("WellPlatePlan",), path)
            return value
        prepared: list[Any] = []
        for number, each in enumerate(self._list(value, path)):
            at = (*path, number)
            if isinstance(each, list):
                # useq takes coordinates as a tuple, which no file has.
                self._coordinates(each, at)
                prepared.append(tuple(each))
                continue
            self._mapping(each, at)
            inner = dict(each)
            if inner.get("sequence") is not None:
                inner["sequence"] = self._sequence(each["sequence"], (*at, "sequence"))
                self._validated(
                    self._useq.MDASequence, inner["sequence"], (*at, "sequence")
                )
            self._kind(inner, ("Position",), at, also=_OLD_NAMES)
            prepared.append(inner)
        return prepared

    def _coordinates(self, said: list[Any], path: Path) -> None:
        if not 1 <= len(said) <= 3:
            raise self._document.refuse(path, "expected [x, y] or [x, y, z]")
        for axis, value in enumerate(said):
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise self._document.refuse(
                    (*path, axis), f"{value!r}: expected a number of micrometres"
                )

    def _kind(
        self,
        said: Any,
        names: Sequence[str],
        path: Path,
        also: Iterable[str] = (),
    ) -> None:
        """Check a mapping against the nearest of several kinds."""
        self._mapping(said, path)
        models = [getattr(self._useq, name) for name in names]
        model = max(models, key=lambda each: _fit(each, said))
        every = {name for each in models for name in each.model_fields}
        fields = {*model.model_fields, *also}
        wrong = [key for key in said if key not in fields]
        lacking = [
            name
            for name, field in model.model_fields.items()
            if field.is_required() and name not in said
        ]
        if wrong:
            known = every if wrong[0] not in every else fields
            beside = "" if wrong[0] not in every else " with the others here"
            raise self._document.refuse(
                (*path, wrong[0]),
                f"unknown field{beside}: expected one of {one_of(fields)}"
                f"{did_you_mean(wrong[0], known - {wrong[0]})}",
            )
        if lacking:
            raise self._document.refuse(path, f"expected {_ways(models)}")
        self._validated(model, said, path)

    def _validated(self, model: Any, said: Any, path: Path) -> Any:
        """Return what useq makes of it; its doubts are errors."""
        from pydantic import ValidationError

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                return model.model_validate(said)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_context=False)[0]
            at = path
            for step in first["loc"]:
                if self._has((*at, step)):
                    at = (*at, step)
            words = first["msg"].removeprefix("Value error, ").splitlines()[0]
            value = first.get("input")
            shown = f"{value!r}: " if isinstance(value, str | int | float) else ""
            raise self._document.refuse(at, f"{shown}{words}") from exc
        except (UserWarning, TypeError, ValueError) as exc:
            words = str(exc).splitlines()[0]
            raise self._document.refuse(path, words) from exc

    def _has(self, path: Path) -> bool:
        value = self._document.value
        for step in path:
            if isinstance(value, list):
                if not isinstance(step, int) or step >= len(value):
                    return False
            elif not isinstance(value, dict) or step not in value:
                return False
            value = value[step]
        return True

    def _known(self, said: dict[str, Any], known: Iterable[str], path: Path) -> None:
        known = set(known)
        for key in said:
            if key not in known:
                raise self._document.refuse(
                    (*path, key),
                    f"unknown field: expected one of {one_of(known)}"
                    f"{did_you_mean(key, known)}",
                )

    def _mapping(self, said: Any, path: Path) -> None:
        if not isinstance(said, dict):
            raise self._document.refuse(
                path, f"{_shown(said)}: expected fields with names"
            )

    def _list(self, said: Any, path: Path) -> list[Any]:
        if not isinstance(said, list):
            raise self._document.refuse(path, f"{_shown(said)}: expected a list")
        return said


def with_place(document: Document, path: Path, error: PlanError) -> PlanError:
    """Return an error of a sequence with the file and line of the field it names."""
    text = error.text
    field = text.partition("=")[0].partition(":")[0]
    at: Path = path
    for word in field.replace("[", ".[").split("."):
        step: str | int = int(word[1:-1]) if word[1:-1].isdigit() else word
        if (*at, step) not in document.lines:
            break
        at = (*at, step)
    place = Document(document.file, None, document.lines)
    told = f"{path_text(path)}: {text}" if path else text
    return PlanError(told, file=document.file, line=place.line_of(at))


def _fit(model: Any, said: dict[str, Any]) -> tuple[int, int]:
    fields = model.model_fields
    lacking = sum(f.is_required() and name not in said for name, f in fields.items())
    return sum(key in fields for key in said), -lacking


def _ways(models: Iterable[Any]) -> str:
    ways = [
        " and ".join(name for name, f in model.model_fields.items() if f.is_required())
        for model in models
    ]
    return "; or ".join(ways)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
