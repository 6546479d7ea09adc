"""A JSON or YAML file as plain values, and the line each of them stands in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from hal.base import PlanError, StartError

Path = tuple[str | int, ...]
"""Keys and numbers from the top of a document to a value in it."""
_MOST: Final = 1_000_000
"""Values of a document; a few lines of YAML can say a billion."""


class Document(msgspec.Struct, frozen=True):
    """What a file says, and where."""

    file: str
    value: Any
    lines: dict[Path, int]

    def refuse(self, path: Path, text: str) -> PlanError:
        """Return the error that says what is wrong at a value; the caller raises it."""
        told = f"{path_text(path)}: {text}" if path else text
        return PlanError(told, file=self.file, line=self.line_of(path))

    def line_of(self, path: Path) -> int | None:
        """Return the line of a value, or of the nearest one around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def path_text(path: Path) -> str:
    """Return a path as people write it: `stage_positions[0].z_plan`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read_json(text: str, file: str) -> Document:
    """Return what a JSON file says.

    Raises:
        PlanError: It is no JSON, or says something twice, or a number is not finite.
    """
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: _Pairs(pairs))
    except json.JSONDecodeError as exc:
        raise PlanError(f"no JSON: {exc.msg}", file=file, line=exc.lineno) from exc
    except RecursionError as exc:
        raise PlanError("nested too deeply", file=file) from exc
    return _finished(Document(file, value, _json_lines(text)))


def read_yaml(text: str, file: str) -> Document:
    """Return what a YAML file says.

    Raises:
        PlanError: It is no YAML, or says something twice, or a number is not finite.
        StartError: The package PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as exc:
        raise StartError(
            "YAML plans need the package PyYAML: pip install 'halscope[plans]'"
        ) from exc
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines = _node_lines(node, file)
        value = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        said = exc.problem or exc.context or "not readable"
        raise PlanError(
            f"no YAML: {said}", file=file, line=mark.line + 1 if mark else None
        ) from exc
    except (yaml.YAMLError, ValueError) as exc:
        first = str(exc).splitlines()[0]
        raise PlanError(f"no YAML: {first}", file=file) from exc
    except RecursionError as exc:
        raise PlanError("nested too deeply", file=file) from exc
    return _finished(Document(file, value, lines))


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON before anybody has looked for keys that come twice."""


def _finished(document: Document) -> Document:
    try:
        value = _plain(document, document.value, (), [0])
    except RecursionError as exc:
        raise PlanError("nested too deeply", file=document.file) from exc
    return msgspec.structs.replace(document, value=value)


def _plain(document: Document, value: Any, path: Path, seen: list[int]) -> Any:
    seen[0] += 1
    if seen[0] > _MOST:
        raise PlanError(f"more than {_MOST} values", file=document.file)
    if isinstance(value, _Pairs | dict):
        pairs = list(value) if isinstance(value, _Pairs) else list(value.items())
        found: dict[str, Any] = {}
        for key, item in pairs:
            if not isinstance(key, str):
                raise document.refuse(path, f"key {key!r}: expected text")
            if key in found:
                raise document.refuse((*path, key), "is there twice")
            found[key] = _plain(document, item, (*path, key), seen)
        return found
    if isinstance(value, list):
        return [
            _plain(document, item, (*path, number), seen)
            for number, item in enumerate(value)
        ]
    if isinstance(value, float) and not math.isfinite(value):
        raise document.refuse(path, f"{value}: expected a finite number")
    return value


def _json_lines(text: str) -> dict[Path, int]:
    """Return the lines of a JSON text, which nearly always is YAML too."""
    try:
        import yaml
    except ImportError:
        return {}
    try:
        return _node_lines(yaml.compose(text, Loader=yaml.SafeLoader), "")
    except (yaml.YAMLError, PlanError, RecursionError):
        return {}


def _node_lines(top: Any, file: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    for path, node in _nodes(top, ()):
        if len(lines) > _MOST:
            raise PlanError(f"more than {_MOST} values", file=file)
        if path in lines:
            raise PlanError(
                f"{path_text(path)}: is there twice",
                file=file or None,
                line=node.start_mark.line + 1,
            )
        lines[path] = node.start_mark.line + 1
    return lines


def _nodes(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield each value's path, and the node where it begins: its key's, if any."""
    if node is None:
        return
    if not path:
        yield path, node
    if node.id == "sequence":
        for number, item in enumerate(node.value):
            yield (*path, number), item
            yield from _nodes(item, (*path, number))
    elif node.id == "mapping":
        for key, item in node.value:
            if key.id != "scalar" or key.tag == "tag:yaml.org,2002:merge":
                continue
            yield (*path, key.value), key
            yield from _nodes(item, (*path, key.value))
