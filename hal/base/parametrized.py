"""Objects with typed parameters, changed all together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hal.base.errors import ParameterError
from hal.base.parameters import Parameter, ParameterSpec, Value
from hal.base.suggest import did_you_mean, one_of


class Parametrized:
    """Base of drivers and modules: holds the values of its declared parameters.

    Runs on: one thread at a time; the owner's module sees to that.

    A change is proposed (checked, nothing touched) and then committed, so that several
    objects can agree before any of them acts.
    """

    def __init__(self, **values: Value) -> None:
        """Set initial values without touching hardware.

        Raises:
            ParameterError: Unknown, missing, ill-typed or out-of-range value.
        """
        declared = self.parameters()
        self._values: dict[str, Value] = {
            name: parameter.default for name, parameter in declared.items()
        }
        missing = [n for n, p in declared.items() if p.required and n not in values]
        if missing:
            raise ParameterError(
                f"{missing[0]} is missing: expected {declared[missing[0]].expected()}"
            )
        # Twice, because a limit may depend on a value that is set in the same breath.
        self._values |= {n: v for n, v in values.items() if n in declared}
        self._values = self._values | self.propose(values)

    @classmethod
    def parameters(cls) -> dict[str, Parameter[Any]]:
        """Return all declared parameters by name, base classes first."""
        found: dict[str, Parameter[Any]] = {}
        for base in reversed(cls.__mro__):
            for name, member in vars(base).items():
                if isinstance(member, Parameter):
                    found[name] = member
                elif name in found:
                    del found[name]
        return found

    def specs(self) -> tuple[ParameterSpec, ...]:
        """Describe every parameter with its present value and limits."""
        return tuple(p.spec(self) for p in self.parameters().values())

    def values(self) -> dict[str, Value]:
        """Return a copy of all present values."""
        return dict(self._values)

    def propose(
        self, changes: Mapping[str, object], *, running: bool = False
    ) -> dict[str, Value]:
        """Check a change as a whole and return it, typed; nothing is touched.

        Args:
            changes: New values by parameter name.
            running: The device is busy: only `live` parameters may change.

        Raises:
            ParameterError: The first value that cannot be accepted, and why.
        """
        declared = self.parameters()
        accepted: dict[str, Value] = {}
        for name, value in changes.items():
            if name not in declared:
                raise ParameterError(
                    f"unknown parameter '{name}': expected one of "
                    f"{one_of(declared)}{did_you_mean(name, declared)}"
                )
            parameter = declared[name]
            checked = parameter.check(self, value)
            if running and not parameter.live and checked != self._values[name]:
                raise ParameterError(
                    f"{name} cannot change while the device is running"
                )
            accepted[name] = checked
        self.check_together(self._values | accepted)
        return accepted

    def commit(self, accepted: Mapping[str, Value]) -> dict[str, Value]:
        """Apply what `propose` returned; return the values that are true now.

        Raises:
            DeviceError: The hardware did not take them; stored values are unchanged.
        """
        changed = {n: v for n, v in accepted.items() if self._values[n] != v}
        if changed:
            read_back = self.apply(changed)
            self._values |= {**changed, **read_back}
        return {name: self._values[name] for name in accepted}

    def set_parameters(self, changes: Mapping[str, object]) -> dict[str, Value]:
        """Propose and commit in one step, for plain scripts."""
        return self.commit(self.propose(changes))

    def check_together(self, values: Mapping[str, Value]) -> None:
        """Raise `ParameterError` if these values, each right alone, do not fit.

        Override where parameters constrain each other (an ROI inside its sensor).
        """

    def apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        """Bring `changed` to the hardware; return what it really accepted.

        Override in drivers. Values that the hardware rounded are returned; the rest is
        taken as given.
        """
        return {}
