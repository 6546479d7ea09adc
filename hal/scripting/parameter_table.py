"""The parameters of a module, as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Final

from hal.base import ParameterSpec

_HEAD: Final = ("parameter", "value", "unit", "limits", "meaning")


class ParameterTable(Mapping[str, ParameterSpec]):
    """Descriptions of parameters by name; shown as a table, in notebooks too.

    Runs on: any. It is a picture of one moment.
    """

    def __init__(self, module: str, specs: Iterable[ParameterSpec]) -> None:
        self.module = module
        self._specs = {spec.name: spec for spec in specs}

    def __getitem__(self, name: str) -> ParameterSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def __repr__(self) -> str:
        if not self._specs:
            return f"{self.module} has no parameters"
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD) - 1)]
        return "\n".join(
            "  ".join([c.ljust(w) for c, w in zip(row, widths, strict=False)] + [text])
            for row in rows
            for text in row[-1:]
        )

    def _repr_html_(self) -> str:
        lines = [f"<table><caption>{escape(self.module)}</caption>"]
        for tag, rows in (("th", [_HEAD]), ("td", list(self._rows()))):
            for row in rows:
                cells = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
                lines.append(f"<tr>{cells}</tr>")
        return "\n".join([*lines, "</table>"])

    def _rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        for spec in self._specs.values():
            value = str(spec.value) if spec.kind == "text" else f"{spec.value}"
            help_ = spec.help + (" Changes during a film." if spec.live else "")
            yield spec.name, value, spec.unit, _limits(spec), help_


def _limits(spec: ParameterSpec) -> str:
    if spec.choices:
        return ", ".join(spec.choices)
    if spec.kind == "bool":
        return "True, False"
    if spec.low is not None and spec.high is not None:
        return f"{spec.low:g} to {spec.high:g}"
    if spec.low is not None:
        return f"at least {spec.low:g}"
    if spec.high is not None:
        return f"at most {spec.high:g}"
    return ""
