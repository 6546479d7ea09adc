"""The settings module: a change of parameters is taken by all concerned, or by none."""

from __future__ import annotations

from hal.base import HalError, ParameterError, Value, get_logger, new_ulid
from hal.kernel import (
    CommitParameters,
    DescribeParameters,
    DropParameters,
    Module,
    ParameterList,
    ProposeParameters,
    handles,
)
from hal.messages import SetParameters

log = get_logger(module="settings")

Changes = dict[str, dict[str, Value]]


class SettingsModule(Module):
    """Coordinates changes: proposed to every module concerned, then committed."""

    role = "settings"

    @handles(SetParameters)
    def on_set_parameters(self, msg: SetParameters) -> None:
        """Change everything or nothing; the conversation is held on the worker."""
        self.run_job(
            lambda: self._change(msg.values), deadline_s=50.0, what="set parameters"
        )

    def _change(self, changes: Changes) -> Changes:
        """Return the values that are true now.

        Runs on: worker.

        Raises:
            ParameterError: A module refuses, and why; nothing has changed.
            HalError: A module could not be asked (nothing has changed), or a device
                failed while it was set (the others were set back).
        """
        before = self._present(changes)
        transaction = new_ulid()
        self._propose(transaction, changes)
        done: Changes = {}
        for module in changes:
            try:
                answer = self.ask(CommitParameters(transaction), to=module)
            except HalError:
                self._drop(transaction, [m for m in changes if m not in done])
                # Also what this module took before its device failed.
                self._take_back({m: before[m] for m in (module, *reversed(done))})
                raise
            assert isinstance(answer, dict)
            done[module] = answer
        return done

    def _present(self, changes: Changes) -> Changes:
        """Return the values of now of everything that is to change."""
        present: Changes = {}
        for module, values in changes.items():
            if module == self.name:  # its worker is the one that asks
                raise ParameterError(f"{module} has no parameters")
            answer = self.ask(DescribeParameters(), to=module)
            assert isinstance(answer, ParameterList)
            now = {spec.name: spec.value for spec in answer.specs}
            present[module] = {name: now[name] for name in values if name in now}
        return present

    def _propose(self, transaction: str, changes: Changes) -> None:
        asked: list[str] = []
        for module, values in changes.items():
            asked.append(module)
            try:
                self.ask(ProposeParameters(transaction, values), to=module)
            except HalError:
                self._drop(transaction, asked)
                raise

    def _drop(self, transaction: str, modules: list[str]) -> None:
        for module in modules:
            self.send(DropParameters(transaction), to=module)

    def _take_back(self, before: Changes) -> None:
        """Restore what was already set; a module that refuses is named in the log."""
        transaction = new_ulid()
        for module, values in before.items():
            try:
                self.ask(ProposeParameters(transaction, values), to=module)
                self.ask(CommitParameters(transaction), to=module)
            except HalError as exc:
                log.error("parameters not set back", of=module, why=str(exc))
