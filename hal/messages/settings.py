"""Settings: parameters of several modules changed together, or not at all."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Value
from hal.kernel import Request


class SetParameters(Request, frozen=True):
    """Change parameters of any modules: all of them, or none.

    Answers with the values that are true afterwards, in the same form. A refusal names
    the module and the reason; then nothing has changed.
    """

    deadline_s: ClassVar[float] = 60.0
    values: dict[str, dict[str, Value]]
    """Values by parameter by module."""
