"""The values for one class, from all layers, and the blame when they are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hal.base import (
    BadInput,
    ErrorRecord,
    ParameterError,
    Parametrized,
    StartError,
    Value,
    get_logger,
)
from hal.config.place import Place

_log = get_logger(module="config")


def probe_driver(cls: type[Parametrized], values: Mapping[str, Value]) -> Parametrized:
    """Return a driver made with `values`; its constructor touches no hardware."""
    return cls(**values)


def probe_module(cls: type[Parametrized], values: Mapping[str, Value]) -> Parametrized:
    """Return an object of a module class that has parameters and nothing else.

    A module's own constructor would set up an actor.
    """
    probe = cls.__new__(cls)
    Parametrized.__init__(probe, **values)
    return probe


class Values:
    """Collects typed values for one class; a later one replaces an earlier one.

    Runs on: any one thread.

    Args:
        cls: The class whose parameters they are.
        place: Where the class is named; blamed for what no single value causes.
        label: Begins every error, `module 'camera1': driver `.
        probe: `probe_driver` or `probe_module`.
        written_for: The class that `cls` stands in for. Values that only it has a
            parameter for are checked for their type and dropped with a warning.
    """

    def __init__(
        self,
        cls: type[Parametrized],
        place: Place,
        label: str,
        probe: Callable[[type[Parametrized], Mapping[str, Value]], Parametrized],
        written_for: type[Parametrized] | None = None,
    ) -> None:
        self.label = label
        self.attributes = (written_for or cls).parameters()
        """What may be written where the class is named."""
        self._cls = cls
        self._place = place
        self._probe = probe
        self._declared = cls.parameters()
        self.all = {**self.attributes, **self._declared}
        """What may be set from elsewhere."""
        self._layers: list[tuple[str, Value, Place]] = []

    def put(self, name: str, text: str, place: Place) -> None:
        """Take what `text` means as the value of `name`, which is one of `all`.

        Raises:
            BadInput: At `place`: `text` is not of the parameter's type.
        """
        parameter = self.all[name]
        # Blanks around a number are layout; those around a text may be meant.
        plain = text if parameter.kind == "text" else text.strip()
        try:
            value = parameter.parse(plain)
        except ParameterError as exc:
            raise self._refused(exc, place) from exc
        if name in self._declared:
            self._layers.append((name, value, place))
        else:
            _log.warning(
                "setting dropped: the simulation has no such parameter",
                setting=f"{self.label}{name}",
                simulation=self._cls.__name__,
            )

    def place_of(self, name: str) -> Place:
        """Return where the value of `name` was written last."""
        places = [place for known, _, place in self._layers if known == name]
        return places[-1] if places else self._place

    def checked(self) -> dict[str, Value]:
        """Return the values, after limits and their fit to each other were checked.

        A value that is the default anyway is left out: a film's settings hold all
        defaults, also those that stand for "no limit" and that nobody could set.

        Raises:
            BadInput: They cannot be accepted; blames the value that is the cause.
            StartError: The class itself is broken.
        """
        error = self._failure(self._layers)
        if error is not None:
            raise self._refused(error, self._culprit(error)) from error
        return self._merged(self._layers)

    def _merged(self, layers: list[tuple[str, Value, Place]]) -> dict[str, Value]:
        return {
            name: value
            for name, value in {name: value for name, value, _ in layers}.items()
            if self._declared[name].required or value != self._declared[name].default
        }

    def _failure(self, layers: list[tuple[str, Value, Place]]) -> ParameterError | None:
        try:
            self._probe(self._cls, self._merged(layers))
        except ParameterError as exc:
            return exc
        except (Exception, SystemExit) as exc:  # a plugin's constructor: anything
            raise self._broken(exc) from exc
        return None

    def _culprit(self, error: ParameterError) -> Place:
        # Blamed is the last value without which things would be better: the file was
        # fine before somebody added an override.
        for at in reversed(range(len(self._layers))):
            without = self._failure(self._layers[:at] + self._layers[at + 1 :])
            if without is None or without.text != error.text:
                return self._layers[at][2]
        return self._place

    def _refused(self, error: ParameterError, place: Place) -> BadInput:
        noun = "attribute " if place == self._place else "parameter "
        about_one = any(error.text.startswith(f"{name}=") for name in self.all)
        return place.refuse(f"{self.label}{noun if about_one else ''}{error.text}")

    def _broken(self, exc: BaseException) -> StartError:
        return self._place.cannot_start(
            f"{self.label}class {self._cls.__qualname__} cannot be made: "
            + ErrorRecord.from_exception(exc, "").text
        )
