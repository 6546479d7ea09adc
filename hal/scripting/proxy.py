"""A module as a script has it: its parameters, its state, and all it can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from hal.base import BadInput, ModuleState, Value, did_you_mean, one_of
from hal.config import BuiltModule
from hal.kernel import DescribeParameters, Message, ParameterList
from hal.messages import SetParameters
from hal.scripting.parameter_table import ParameterTable
from hal.scripting.plain import plain
from hal.scripting.session import Session

if TYPE_CHECKING:
    from hal.scripting.scope import Scope


class ModuleProxy:
    """Speaks for one module; its parameters can be read like attributes.

    Whatever a module does is waited for, no longer than its message allows. Errors are
    those of HAL, with the name of the module. Ctrl-C ends the wait.

    Runs on: any but HAL's own threads.
    """

    def __init__(self, scope: Scope, session: Session, built: BuiltModule) -> None:
        # The scope is kept, because HAL is stopped when nobody has it any more.
        vars(self).update(_scope=scope, _session=session, _built=built)

    _scope: Scope
    _session: Session
    _built: BuiltModule

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self._built.spec.name

    @property
    def state(self) -> ModuleState:
        """Where it is in its life: `started` if all is well."""
        return self._session.module(self.name).state

    @property
    def reason(self) -> str:
        """Why it is in that state; empty if all is well."""
        return self._session.module(self.name).reason

    @property
    def is_simulated(self) -> bool:
        """Whether its device only pretends to be one."""
        return self._built.is_simulated

    def parameters(self) -> ParameterTable:
        """Return all parameters: values of now, units, limits, and what they mean."""
        answer = self.send(DescribeParameters())
        assert isinstance(answer, ParameterList)
        return ParameterTable(self.name, answer.specs)

    def get(self, name: str) -> Value:
        """Return the value a parameter has now.

        Raises:
            BadInput: There is no such parameter.
        """
        known = self.parameters()
        if name not in known:
            raise BadInput(_unknown(self.name, name, known))
        return known[name].value

    def set(self, **values: Value) -> dict[str, Value]:
        """Change parameters: all of them, or none; return the values true now.

        A device may round a value to one that it has.

        Raises:
            ParameterError: Which value is refused, and why; nothing has changed.
            HalError: The device did not take them.
        """
        if not values:
            return {}
        changes = {key: plain(value) for key, value in values.items()}
        answer = self._session.ask(SetParameters({self.name: changes}), to=None)
        assert isinstance(answer, dict)
        now: dict[str, Value] = answer[self.name]
        return now

    def send(self, message: Message, deadline_s: float | None = None) -> object:
        """Send any message of HAL to this module; return its response.

        Args:
            message: What to say, `hal.messages.GetFocus()` for example.
            deadline_s: How long to wait; the message's own if None.

        Raises:
            HalError: What went wrong, in the class of that error.
        """
        if not isinstance(message, Message):
            raise BadInput(
                f"send to {self.name}: expected a message, got {message!r}; "
                "hal.messages has them"
            )
        return self._session.ask(message, to=self.name, deadline_s=deadline_s)

    def __getattr__(self, name: str) -> Value:
        # Whatever looks at objects asks for private names: those are no parameters.
        if name.startswith("_"):
            raise AttributeError(name)
        known = self.parameters()
        if name not in known:
            raise AttributeError(_unknown(self.name, name, {*known, *_public(self)}))
        return known[name].value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{self.name}.{name} cannot be assigned: parameters are changed with "
            f"{self.name}.set({name}={value!r})"
        )

    def __dir__(self) -> list[str]:
        known: tuple[str, ...] = ()
        if self._session.is_open and self.state.takes_work:
            known = tuple(self.parameters())
        return sorted({*_public(self), *known})

    def __repr__(self) -> str:
        built = self._built
        parts = [f"{self.name}: {built.spec.class_name}", str(self.state)]
        if self.reason:
            parts.append(self.reason)
        if self.is_simulated:
            parts.append("simulated")
        return f"<{', '.join(parts)}>"


def _public(proxy: ModuleProxy) -> list[str]:
    return [name for name in dir(type(proxy)) if not name.startswith("_")]


def _unknown(module: str, name: str, known: set[str] | ParameterTable) -> str:
    return (
        f"{module} has no '{name}': expected one of {one_of(known)}"
        f"{did_you_mean(name, known)}"
    )
