"""Everything that is wrong with a configuration, told at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hal.base import BadInput, ConfigError, StartError

Problem = BadInput | StartError

_MOST = 20
"""More would scroll the first away, and searching for near names takes time."""


class ConfigErrors(ConfigError):
    """Several things are wrong; `errors` has each of them, in reading order."""

    errors: tuple[Problem, ...] = ()


class StartErrors(StartError):
    """The configuration is right, but this machine lacks several things."""

    errors: tuple[Problem, ...] = ()


class Problems:
    """Collects errors, so that the user corrects a file once and not ten times.

    Runs on: any one thread.
    """

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, problem: Problem) -> None:
        """Keep `problem` for later; after twenty, raise them all."""
        self._found.append(problem)
        if len(self._found) >= _MOST:
            self.raise_any()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Keep the error that the `with` block raises, and go on after the block."""
        try:
            yield
        except (ConfigErrors, StartErrors):
            raise
        except (BadInput, StartError) as problem:
            self.add(problem)

    def __len__(self) -> int:
        """Return how many were kept."""
        return len(self._found)

    def raise_any(self) -> None:
        """Raise what was kept; do nothing if that is nothing.

        Raises:
            BadInput: The only error, or `ConfigErrors` with all, if the user can
                correct at least one of them.
            StartError: The only error, or `StartErrors` with all, otherwise.
        """
        if not self._found:
            return
        if len(self._found) == 1:
            raise self._found[0]
        inputs = [p for p in self._found if isinstance(p, BadInput)]
        first = inputs[0] if inputs else self._found[0]
        text = f"{first} (and {len(self._found) - 1} more)"
        every = tuple(self._found)
        if not isinstance(first, BadInput):
            lacking = StartErrors(text)
            lacking.errors = every
            raise lacking from first
        several = ConfigErrors(text)
        several.errors = every
        # `text` begins with the place already; programs read it from here.
        several.file, several.line = first.file, first.line
        raise several from first


def each(problem: Problem) -> tuple[Problem, ...]:
    """Return the errors that `problem` stands for: its own, or itself alone."""
    if isinstance(problem, ConfigErrors | StartErrors) and problem.errors:
        return problem.errors
    return (problem,)
