"""Safe states for a sentinel to call, from a Python without HAL."""

from __future__ import annotations

import threading


def write_safe(path: str, text: str = "safe\n") -> None:
    """Be a safe state that somebody can look at."""
    with open(path, "a") as file:
        file.write(text)


def refuse_to_be_safe() -> None:
    """Be a safe state that fails."""
    raise RuntimeError("no such port")


def never_be_safe() -> None:
    """Be a safe state that hangs."""
    threading.Event().wait()
