"""Where a value was written, so that an error can send the user there."""

from __future__ import annotations

import msgspec

from hal.base import BadInput, ConfigError, ParameterError, StartError

_LONGEST = 600


def printable(text: str) -> str:
    """Return `text` on one line that any terminal can take; nothing is lost."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Return `text` printable, and with its middle left out where it is very long."""
    text = printable(text)
    if len(text) <= _LONGEST:
        return text
    # The end stays, because that is where "expected ..., did you mean ..." stands.
    half = _LONGEST // 2
    return f"{text[:half]} ... {text[-half:]}"


class Place(msgspec.Struct, frozen=True):
    """A line of a file, or an option of the command line.

    Runs on: any.
    """

    file: str = ""
    """Path as the user gave it; empty when `option` says where."""
    line: int = 0
    """Counted from 1; 0 when the file as a whole is meant."""
    option: str = ""
    """What was typed, `--set camera1.exposure_s=1`; empty for a file."""

    def refuse(self, text: str) -> BadInput:
        """Return the error that says what is wrong here; the caller raises it."""
        if self.option:
            return ParameterError(one_line(f"{self.option}: {text}"))
        return ConfigError(
            one_line(text), file=printable(self.file) or None, line=self.line or None
        )

    def cannot_start(self, text: str) -> StartError:
        """Return the error that says what this machine lacks; the caller raises it."""
        if self.option:
            return StartError(one_line(f"{self.option}: {text}"))
        return StartError(
            one_line(text), file=printable(self.file) or None, line=self.line or None
        )
