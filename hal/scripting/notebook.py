"""Notebooks: whether this is one, and how something shown in a cell is changed.

IPython is not needed, nor imported: where a notebook runs, it is there already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class Html:
    """What a notebook shows as HTML, and everything else as text."""

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ask = getattr(sys.modules.get("IPython"), "get_ipython", None)
    # The shell of a terminal has no kernel.
    return ask is not None and getattr(ask(), "kernel", None) is not None


def cell_output() -> Callable[[Html], object] | None:
    """Return what shows something in the present cell, in the place of the last.

    None if this is no notebook.
    """
    display = getattr(sys.modules.get("IPython.display"), "display", None)
    if display is None or not is_notebook():
        return None
    place: list[Any] = []

    def show(html: Html) -> None:
        if place:
            place[0].update(html)
        else:
            place.append(display(html, display_id=True))

    return show
