"""Which modules a message is for."""

from __future__ import annotations

from hal.base import Ambiguous, ModuleDead, Unhandled, did_you_mean, one_of
from hal.kernel.delivery import Delivery
from hal.kernel.message import Message, Request
from hal.kernel.receiver import Receiver


class Routes:
    """The modules of a system, and what they handle.

    Runs on: the broker's pump.
    """

    def __init__(self) -> None:
        self._receivers: dict[str, Receiver] = {}
        self._gone: dict[str, str] = {}
        self._by_type: dict[type[Message], tuple[Receiver, ...]] = {}

    def add(self, receiver: Receiver) -> None:
        """Route messages to `receiver` from now on."""
        self._receivers[receiver.name] = receiver
        self._gone.pop(receiver.name, None)
        self._by_type.clear()

    def remove(self, name: str, why: str) -> None:
        """Route nothing to module `name` any more."""
        if self._receivers.pop(name, None) is not None:
            self._gone[name] = why
        self._by_type.clear()

    def find(self, delivery: Delivery) -> tuple[Receiver, ...]:
        """Return the receivers; for an event nobody handles there are none.

        Raises:
            Unhandled: A request that nobody handles, or not the one it is sent to.
            Ambiguous: A request that several modules handle.
            ModuleDead: It is sent to a module that is gone.
        """
        if delivery.to is not None:
            return (self._named(delivery, delivery.to),)
        message_type = type(delivery.message)
        receivers = self._by_type.get(message_type)
        if receivers is None:
            receivers = tuple(
                receiver
                for receiver in self._receivers.values()
                if receiver.handles_type(message_type)
            )
            self._by_type[message_type] = receivers
        if issubclass(message_type, Request):
            if not receivers:
                raise Unhandled(f"no module handles '{delivery.type}'")
            if len(receivers) > 1:
                names = one_of(receiver.name for receiver in receivers)
                raise Ambiguous(
                    f"'{delivery.type}' could be meant for {names}: name one with to="
                )
        return receivers

    def _named(self, delivery: Delivery, name: str) -> Receiver:
        named = self._receivers.get(name)
        if named is None:
            if name in self._gone:
                raise ModuleDead(self._gone[name])
            hint = did_you_mean(name, self._receivers)
            raise Unhandled(f"there is no module '{name}'{hint}")
        if not named.handles_type(type(delivery.message)):
            raise Unhandled(f"{named.name} does not handle '{delivery.type}'")
        return named
