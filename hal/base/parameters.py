"""Typed parameters: declared once by a driver, used by everything that sets a value.

XML attributes, `--set`, settings files, scripts, the sidecar and the GUI's editor all
go through the descriptors here, so a limit holds however a value arrives::

    class MyCamera(Camera):
        gain = Float(1.0, unit="e-/ADU", low=0.1, high=10.0, live=True, help="...")

    camera = MyCamera(gain=2.0)      # constructor arguments are initial values
    camera.gain                      # 2.0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar, cast, overload

import msgspec

from hal.base.errors import ParameterError
from hal.base.suggest import did_you_mean

if TYPE_CHECKING:
    from hal.base.parametrized import Parametrized

Value = bool | int | float | str
"""What a parameter may hold; small enough to travel anywhere."""

T = TypeVar("T", bound=Value)
Limit = float | str | None
"""A number, the name of an attribute that holds it (a hardware limit), or none."""


class ParameterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter described as data, for editors, sidecars and `hal devices`."""

    name: str
    kind: str
    """`float`, `int`, `bool`, `choice` or `text`."""
    value: Value
    default: Value
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    required: bool = False
    help: str = ""


class Parameter(Generic[T]):
    """A typed value of a driver or module; base of `Float`, `Int`, `Bool`, ...

    Args:
        default: Value when nobody says otherwise; its absence makes it required.
        unit: Unit for people; the name should carry it too (`exposure_s`).
        live: Whether it may change while the device is running.
        help: One sentence for the editor.
    """

    kind = ""

    def __init__(
        self, default: T | None = None, *, unit: str = "", live: bool = False, help: str
    ) -> None:
        self.required = default is None
        self.default = cast(T, self._blank() if default is None else default)
        self.unit = unit
        self.live = live
        self.help = help
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Parametrized, owner: type) -> T: ...
    def __get__(self, instance: Parametrized | None, owner: type) -> Self | T:
        if instance is None:
            return self
        return cast(T, instance._values[self.name])

    def __set__(self, instance: Parametrized, value: T) -> None:
        instance.set_parameters({self.name: value})

    def check(self, owner: Parametrized, value: object) -> T:
        """Return `value` as this parameter's type.

        Raises:
            ParameterError: Wrong type or outside limits; says what was expected.
        """
        raise NotImplementedError

    def parse(self, text: str) -> Value:
        """Return what `text` (from XML or a command line) means; limits come later.

        Raises:
            ParameterError: `text` is not of this type.
        """
        raise NotImplementedError

    def spec(self, owner: Parametrized) -> ParameterSpec:
        """Describe this parameter with its value and limits of now."""
        return ParameterSpec(
            name=self.name,
            kind=self.kind,
            value=owner._values[self.name],
            default=self.default,
            unit=self.unit,
            live=self.live,
            required=self.required,
            help=self.help,
        )

    def expected(self, owner: Parametrized | None = None) -> str:
        """Return what a right value looks like, for error texts."""
        return self.kind

    def _blank(self) -> Value:
        raise NotImplementedError

    def _refuse(
        self, value: object, owner: Parametrized | None = None
    ) -> ParameterError:
        return ParameterError(
            f"{self.name}={value!r}: expected {self.expected(owner)}".replace("\n", " ")
        )


N = TypeVar("N", bound=int | float)


class _Number(Parameter[N]):
    """A number with limits, which may be attributes of the owner."""

    def __init__(
        self,
        default: N | None = None,
        *,
        unit: str = "",
        low: Limit = None,
        high: Limit = None,
        live: bool = False,
        help: str,
    ) -> None:
        super().__init__(default, unit=unit, live=live, help=help)
        self.low = low
        self.high = high

    def spec(self, owner: Parametrized) -> ParameterSpec:
        return msgspec.structs.replace(
            super().spec(owner),
            low=_limit(owner, self.low),
            high=_limit(owner, self.high),
        )

    def expected(self, owner: Parametrized | None = None) -> str:
        low, high = _limit(owner, self.low), _limit(owner, self.high)
        text = "a number" if self.kind == "float" else "a whole number"
        unit = f" {self.unit}" if self.unit else ""
        if low is not None and high is not None:
            return f"{text} from {low:g} to {high:g}{unit}"
        if low is not None:
            return f"{text} of at least {low:g}{unit}"
        if high is not None:
            return f"{text} of at most {high:g}{unit}"
        return text + (f" in{unit}" if unit else "")

    def _within(self, owner: Parametrized, number: float) -> bool:
        low, high = _limit(owner, self.low), _limit(owner, self.high)
        return (low is None or number >= low) and (high is None or number <= high)


class Float(_Number[float]):
    """A finite real number."""

    kind = "float"

    def check(self, owner: Parametrized, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refuse(value, owner)
        number = float(value)
        if not math.isfinite(number) or not self._within(owner, number):
            raise self._refuse(value, owner)
        return number

    def parse(self, text: str) -> float:
        return cast(float, _parse(self, float, text))

    def _blank(self) -> float:
        return 0.0


class Int(_Number[int]):
    """A whole number."""

    kind = "int"

    def check(self, owner: Parametrized, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refuse(value, owner)
        if not self._within(owner, value):
            raise self._refuse(value, owner)
        return value

    def parse(self, text: str) -> int:
        return cast(int, _parse(self, int, text))

    def _blank(self) -> int:
        return 0


class Bool(Parameter[bool]):
    """Yes or no."""

    kind = "bool"
    _WORDS: ClassVar[dict[str, bool]] = {
        **dict.fromkeys(("true", "yes", "on", "1"), True),
        **dict.fromkeys(("false", "no", "off", "0"), False),
    }

    def check(self, owner: Parametrized, value: object) -> bool:
        if not isinstance(value, bool):
            raise self._refuse(value)
        return value

    def parse(self, text: str) -> bool:
        try:
            return self._WORDS[text.strip().lower()]
        except KeyError:
            raise self._refuse(text) from None

    def expected(self, owner: Parametrized | None = None) -> str:
        return "true or false"

    def _blank(self) -> bool:
        return False


class Choice(Parameter[str]):
    """One of a fixed list of words."""

    kind = "choice"

    def __init__(
        self,
        default: str | None = None,
        *,
        choices: tuple[str, ...],
        live: bool = False,
        help: str,
    ) -> None:
        self.choices = choices
        super().__init__(default, live=live, help=help)

    def check(self, owner: Parametrized, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            hint = did_you_mean(str(value), self.choices)
            raise ParameterError(f"{self._refuse(value).text}{hint}")
        return value

    def parse(self, text: str) -> str:
        return text

    def spec(self, owner: Parametrized) -> ParameterSpec:
        return msgspec.structs.replace(super().spec(owner), choices=self.choices)

    def expected(self, owner: Parametrized | None = None) -> str:
        return "one of " + ", ".join(self.choices)

    def _blank(self) -> str:
        return ""


class Text(Parameter[str]):
    """Free text, one line."""

    kind = "text"

    def check(self, owner: Parametrized, value: object) -> str:
        if not isinstance(value, str) or "\n" in value or "\0" in value:
            raise self._refuse(value)
        return value

    def parse(self, text: str) -> str:
        return text

    def expected(self, owner: Parametrized | None = None) -> str:
        return "one line of text"

    def _blank(self) -> str:
        return ""


def _limit(owner: Parametrized | None, limit: Limit) -> float | None:
    if isinstance(limit, str):
        return None if owner is None else cast(float, getattr(owner, limit))
    return limit


def _parse(
    parameter: Parameter[N], kind: Callable[[str], int | float], text: str
) -> int | float:
    try:
        return kind(text.strip())
    except ValueError:
        raise parameter._refuse(text) from None
