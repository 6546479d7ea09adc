"""Plans from files: JSON, YAML, or a Python file that makes one."""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path as FilePath
from typing import Any, Final

import msgspec

from hal.acquisition.plans._checks import check_seconds
from hal.acquisition.plans._document import Document, Path, read_json, read_yaml
from hal.acquisition.plans._useq_fields import SequenceReader, with_place
from hal.acquisition.plans.combine import combine, offset_positions, with_stimulation
from hal.acquisition.plans.events import AfterFailure, ChannelName, FailurePolicy
from hal.acquisition.plans.from_useq import from_useq, useq_package
from hal.acquisition.plans.phases import phase_of
from hal.acquisition.plans.plan import Plan, checked, wait
from hal.acquisition.plans.stimulation import Stimulation
from hal.base import PlanError, did_you_mean, one_of

_PHASE: Final = ("phase_id", "phase_name")
_OWN: Final = (*_PHASE, "time_per_position_s", "stimulation")
"""Beside the fields of a sequence."""
_STIMULUS: Final = (
    *("analysis", "projector", "channel", "duration_ms", "deadline_s", "after"),
)
_OF_ALL: Final = ("on_failure", "deadline_s")
"""At the top of a file."""
_PYTHON: Final = ("plan", "sequence")


def load_plan(path: str | FilePath) -> Plan:
    """Return the plan in a file; see `docs/plans.rst` for what it may say.

    Args:
        path: A `.json`, `.yaml`, `.yml` or `.py` file. The last is run.

    Raises:
        PlanError: It cannot be read or run as it is written: with file, line, field,
            and what was expected.
        StartError: A package that reads plans is not installed.
    """
    name, suffix = str(path), FilePath(path).suffix.lower()
    if suffix not in (".json", ".yaml", ".yml", ".py"):
        raise PlanError(
            f"plan file '{name}': expected a name that ends in .json, .yaml, .yml or "
            ".py"
        )
    text = _text(name)
    if suffix == ".py":
        plan = _from_python(name)
    else:
        read = read_json if suffix == ".json" else read_yaml
        plan = _from_document(read(text, name))
    if not plan.n_images and plan.n_images is not None:
        raise PlanError("the plan takes no image", file=name)
    return msgspec.structs.replace(plan, source=name)


def _text(name: str) -> str:
    try:
        return FilePath(name).read_text("utf-8-sig")
    except OSError as exc:
        raise PlanError(
            f"plan cannot be read: {exc.strerror or exc}", file=name
        ) from exc
    except UnicodeDecodeError as exc:
        raise PlanError("plan cannot be read: expected UTF-8 text", file=name) from exc


def _from_document(document: Document) -> Plan:
    said = document.value
    if said is None or said in ([], {}):
        raise document.refuse((), "the plan is empty")
    if isinstance(said, list):
        return _phases(document, said, ())
    if not isinstance(said, dict):
        raise document.refuse((), "expected a sequence, or a list of them")
    options = {key: said[key] for key in _OF_ALL if key in said}
    rest = {key: value for key, value in said.items() if key not in options}
    if "phases" in said:
        for key in rest:
            if key != "phases":
                known = ("phases", *_OF_ALL)
                raise document.refuse(
                    (key,),
                    f"unknown field beside phases: expected one of {one_of(known)}"
                    f"{did_you_mean(key, known)}",
                )
        plan = _phases(document, said["phases"], ("phases",))
    else:
        plan = _item(document, rest, ())
    return _with_options(document, plan, options)


def _phases(document: Document, said: Any, path: Path) -> Plan:
    if not isinstance(said, list):
        raise document.refuse(path, "expected a list of sequences and waits")
    if not said:
        raise document.refuse(path, "the plan is empty")
    plans = [_item(document, item, (*path, n)) for n, item in enumerate(said)]
    try:
        return combine(*plans)
    except PlanError as exc:
        raise with_place(document, path, exc) from exc


def _item(document: Document, said: Any, path: Path) -> Plan:
    """Return the plan of a sequence or a wait."""
    if not isinstance(said, dict):
        raise document.refuse(path, "expected a sequence, or {'wait_s': seconds}")
    known = {*useq_package().MDASequence.model_fields, *_OWN, "wait_s"}
    for key in said:
        if key not in known:
            # Its own fields are named last, and in one place for all of them.
            raise document.refuse(
                (*path, key),
                f"unknown field: expected one of {one_of(known)}"
                f"{did_you_mean(key, known)}",
            )
    try:
        phase = phase_of(said)
    except PlanError as exc:
        raise with_place(document, path, exc) from exc
    if "wait_s" in said:
        for key in said:
            if key not in ("wait_s", *_PHASE):
                raise document.refuse(
                    (*path, key), "unknown field beside wait_s: a wait does nothing"
                )
        try:
            check_seconds("wait_s", said["wait_s"])
            return wait(said["wait_s"], phase)
        except PlanError as exc:
            raise with_place(document, path, exc) from exc
    own = {key: value for key, value in said.items() if key not in _OWN}
    if phase is not None:
        metadata = own.get("metadata") or {}
        if isinstance(metadata, dict):
            named = {"phase_id": phase.id}
            if phase.name:
                named["phase_name"] = phase.name
            own["metadata"] = {**metadata, **named}
    stimulation = None
    if said.get("stimulation") is not None:
        stimulation = _stimulation(document, said, (*path, "stimulation"))
    sequence = SequenceReader(document, useq_package()).read(own, path)
    try:
        plan = from_useq(sequence)
        if said.get("time_per_position_s") is not None:
            plan = offset_positions(plan, said["time_per_position_s"])
        if stimulation is not None:
            plan = with_stimulation(plan, stimulation)
        return plan
    except PlanError as exc:
        raise with_place(document, path, exc) from exc


def _stimulation(document: Document, item: Any, path: Path) -> Stimulation:
    said = item["stimulation"]
    if not isinstance(said, dict):
        raise document.refuse(path, f"expected fields with names: {one_of(_STIMULUS)}")
    for key in said:
        if key not in _STIMULUS:
            raise document.refuse(
                (*path, key),
                f"unknown field: expected one of {one_of(_STIMULUS)}"
                f"{did_you_mean(key, _STIMULUS)}",
            )
    for key in ("analysis", "projector", "channel"):
        value = said.get(key)
        if not isinstance(value, str) and (key != "channel" or value is not None):
            raise document.refuse(
                (*path, key) if key in said else path,
                f"{key}={value!r}: expected a name",
            )
    # Only what may be understood otherwise some day: where else it could come.
    if said.get("after", "t") != "t":
        raise document.refuse((*path, "after"), f"{said['after']!r}: expected t")
    times_s = {}
    for key, field, scale in (
        ("duration_ms", "duration_s", 1e-3),
        ("deadline_s", "deadline_s", 1.0),
    ):
        if key in said:
            try:
                check_seconds(key, said[key], above_zero=True)
            except PlanError as exc:
                raise document.refuse((*path, key), exc.text) from exc
            times_s[field] = said[key] * scale
    channel = said.get("channel")
    group, _, name = (channel or "").rpartition("/")
    return Stimulation(
        analysis=said["analysis"],
        projector=said["projector"],
        channel=ChannelName(name, group or "Channel") if channel else None,
        **times_s,
    )


def _with_options(document: Document, plan: Plan, said: dict[str, Any]) -> Plan:
    deadline_s = said.get("deadline_s")
    policy = plan.on_failure
    if said.get("on_failure") is not None:
        policy = _policy(document, said["on_failure"])
    try:
        return checked(
            msgspec.structs.replace(plan, on_failure=policy, deadline_s=deadline_s)
        )
    except PlanError as exc:
        raise with_place(document, (), exc) from exc


def _policy(document: Document, said: Any) -> FailurePolicy:
    path: Path = ("on_failure",)
    kinds = [str(each) for each in AfterFailure]
    if not isinstance(said, dict):
        raise document.refuse(path, "expected fields with names: retries, then")
    for key in said:
        if key not in ("retries", "then"):
            raise document.refuse(
                (*path, key),
                f"unknown field: expected one of retries, then"
                f"{did_you_mean(key, ('retries', 'then'))}",
            )
    retries, then = said.get("retries", 0), said.get("then", AfterFailure.ABORT)
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise document.refuse(
            (*path, "retries"), f"{retries!r}: expected a whole number from 0"
        )
    if then not in kinds:
        raise document.refuse(
            (*path, "then"),
            f"{then!r}: expected one of {one_of(kinds)}"
            f"{did_you_mean(str(then), kinds)}",
        )
    return FailurePolicy(retries, AfterFailure(then))


def _from_python(name: str) -> Plan:
    try:
        made = runpy.run_path(name)
    except SyntaxError as exc:
        raise PlanError(f"no Python: {exc.msg}", file=name, line=exc.lineno) from exc
    except (Exception, SystemExit) as exc:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(exc.__traceback__)
            if frame.filename == name
        ]
        raise PlanError(
            f"the plan file failed: {type(exc).__name__}: {exc}".splitlines()[0],
            file=name,
            line=lines[-1] if lines else None,
        ) from exc
    found = [key for key in _PYTHON if key in made]
    if len(found) != 1:
        said = "both" if found else "neither"
        raise PlanError(
            f"{said} `plan` and `sequence` found: expected one of them", file=name
        )
    value = made[found[0]]
    try:
        return value if isinstance(value, Plan) else from_useq(value)
    except PlanError as exc:
        raise PlanError(f"{found[0]}: {exc.text}", file=name) from exc
