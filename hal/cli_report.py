"""What users read: progress on stderr, results on stdout, one JSON object if asked."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

import msgspec
import orjson

from hal.acquisition import RunState, RunStatus, describe_shortfall
from hal.base import BadInput, ErrorRecord, HalError, StartError
from hal.config import ConfigErrors, StartErrors, each
from hal.messages import Postmortem

DONE: Final = 0
RUN_FAILED: Final = 1
BAD_INPUT: Final = 2
CANNOT_START: Final = 3
INTERRUPTED: Final = 130


def exit_code(exc: HalError) -> int:
    """Return the exit code for an error that ended a command."""
    if isinstance(exc, BadInput):
        return BAD_INPUT
    if isinstance(exc, StartError):
        return CANNOT_START
    return RUN_FAILED


def say(text: str) -> None:
    """Print a result on stdout; a reader who is gone changes nothing."""
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        pass  # `| head` has seen enough
    except (OSError, ValueError) as exc:
        note(f"hal: stdout cannot be written to: {exc}")


def note(text: str) -> None:
    """Print progress on stderr; nobody there to read it must not end a film."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError:
        # Else Python tries once more at exit, and complains that it cannot.
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), stream.fileno())
        raise


def report_failure(exc: HalError, *, as_json: bool) -> None:
    """Say why a command ended, a line per error; and as JSON if asked."""
    problems = note_failure(exc)
    if as_json:
        status = RunStatus(run_id="", state=RunState.ERROR)
        say(json_line(status, trace="", errors=problems))


def note_failure(exc: HalError) -> list[ErrorRecord]:
    """Print `exc`, a line for each error it stands for, and return them as records."""
    problems: Sequence[HalError] = [exc]
    if isinstance(exc, ConfigErrors | StartErrors):
        problems = each(exc)
    for problem in problems:
        note(f"hal: {problem}")
    return [ErrorRecord.from_exception(problem, "hal") for problem in problems]


def json_line(
    status: RunStatus,
    *,
    trace: str,
    errors: Sequence[ErrorRecord] = (),
    more: Mapping[str, object] | None = None,
    postmortem: str = "",
) -> str:
    """Return the JSON object that `--json` promises, and `more` in it."""
    fatal = () if status.fatal_error is None else (status.fatal_error,)
    started_s, finished_s = status.started_at_s, status.finished_at_s
    ended = started_s is not None and finished_s is not None
    data = {
        "run_id": status.run_id,
        "state": status.state,
        "frames": {
            camera: {
                "planned": counts.planned,
                "received": counts.received,
                "stored": counts.stored,
                "verified": counts.verified,
                "gaps": list(counts.gaps),
            }
            for camera, counts in status.frames.items()
        },
        "files": list(status.files),
        "trace": trace,
        "postmortem": postmortem,
        "errors": [
            {"source": error.source, "kind": error.kind, "message": error.text}
            for error in (*fatal, *status.background_errors, *errors)
        ],
        "duration_s": round(finished_s - started_s, 3) if ended else 0.0,  # type: ignore[operator]
        **(more or {}),
    }
    # ASCII only, because nobody knows the encoding of the reader.
    return json.dumps(data, separators=(",", ":"))


def outcome_lines(status: RunStatus) -> list[str]:
    """Return what a run came to, for people: frames, and what went wrong."""
    lines = [
        f"{camera}: {describe_shortfall(counts)}, {counts.verified} verified"
        for camera, counts in status.frames.items()
    ]
    lines += [f"hal: {error}" for error in status.background_errors]
    if status.fatal_error is not None:
        lines.append(f"hal: run failed: {status.fatal_error}")
    elif status.state is RunState.CANCELLED and status.run_id:
        lines.append("hal: terminated by user; what is stored is readable")
    return lines


def report_run(status: RunStatus, trace: str, postmortem: Postmortem) -> None:
    """Print what a run came to: files on stdout, the rest on stderr."""
    for line in outcome_lines(status):
        note(line)
    for file in status.files:
        say(file)
    say(f"trace: {trace}")
    if postmortem.path:
        say(f"post-mortem: {postmortem.path}")
    elif postmortem.why_not:
        note(f"hal: no post-mortem bundle: {postmortem.why_not}")


def plain(value: object) -> str:
    """Return records as one line of JSON, in ASCII."""
    # By way of orjson, which writes null for infinity as JSON wants it.
    finite = orjson.loads(orjson.dumps(msgspec.to_builtins(value)))
    return json.dumps(finite, separators=(",", ":"))
