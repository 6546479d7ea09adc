"""What pykka's `tell`, `ask`, proxies and `stop` put into a mailbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pykka import ActorDeadError
from pykka.messages import _ActorStop

from hal.base import Cancelled


def is_stop_envelope(envelope: Any) -> bool:
    """Whether it asks the actor to stop."""
    return isinstance(envelope.message, _ActorStop)


def answer_envelope(
    envelope: Any, receive: Callable[[Any], Any]
) -> BaseException | None:
    """Do what pykka's own loop does with an envelope.

    With one difference: nothing that its code raises ends this actor, or others.

    Returns:
        What was raised where nobody had asked for an answer.
    """
    try:
        response = receive(envelope.message)
    except BaseException as exc:  # noqa: BLE001 - to whoever asked, or to the caller
        if envelope.reply_to is None:
            return exc
        envelope.reply_to.set_exception()
    else:
        if envelope.reply_to is not None:
            envelope.reply_to.set(response)
    return None


def refuse_envelope(envelope: Any, *, cancelled: bool = False) -> None:
    """Answer whoever asked through pykka, so that nobody waits."""
    if envelope.reply_to is None:
        return
    if isinstance(envelope.message, _ActorStop):
        envelope.reply_to.set(None)
        return
    error: Exception = ActorDeadError("the module has stopped")
    if cancelled:
        error = Cancelled("a stop came before it began")
    envelope.reply_to.set_exception((type(error), error, None))
