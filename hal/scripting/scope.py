"""The microscope as a script has it: its modules by name, and runs."""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hal.acquisition import FilmPlan, Plan, RunHandle
from hal.app import plan as read_config
from hal.base import BadInput, Value, did_you_mean, one_of
from hal.messages import SetParameters, StartRun
from hal.scripting.notebook import is_notebook
from hal.scripting.plain import plain
from hal.scripting.plans import continued, plan_of
from hal.scripting.proxies import PROXIES
from hal.scripting.proxy import ModuleProxy
from hal.scripting.run import Run
from hal.scripting.session import Session

if TYPE_CHECKING:
    import useq

FORMATS: Final = ("ome-tiff",)


class Scope:
    """A running microscope; each module is an attribute by its name in the file.

    A module with the name of a method is found as `scope["film"]`.

    Runs on: any.

    Guarantees:
        It is stopped in order at the end of its `with` block, by `close`, when nothing
        refers to it any more, or at exit: whichever comes first.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        # Modules and runs keep the scope alive; the session does not.
        weakref.finalize(self, session.forget).atexit = False

    def __enter__(self) -> Scope:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel a run that goes on, and stop HAL in order; harmless when repeated.

        Bounded by a minute and some seconds; Ctrl-C makes it hurry.
        """
        self._session.close()

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._session.is_open

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of all modules, those of HAL's own last."""
        return tuple(built.spec.name for built in self._session.plan.modules)

    @property
    def trace_path(self) -> Path:
        """The trace file: all that was said and done."""
        return self._session.app.trace_path

    def __getitem__(self, name: str) -> ModuleProxy:
        """Return the module of that name.

        Raises:
            BadInput: There is none.
        """
        for built in self._session.plan.modules:
            if built.spec.name == name:
                role = str(getattr(built.module_class, "role", ""))
                return PROXIES.get(role, ModuleProxy)(self, self._session, built)
        raise BadInput(self._unknown(name, self.modules))

    def __getattr__(self, name: str) -> ModuleProxy:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except BadInput:
            raise AttributeError(self._unknown(name, dir(self))) from None

    def __dir__(self) -> list[str]:
        public = [name for name in super().__dir__() if not name.startswith("_")]
        return sorted({*public, *self.modules})

    def __repr__(self) -> str:
        session = self._session
        what = "is open" if session.is_open else "is closed"
        lines = [f"Scope of {session.config} {what}"]
        if session.is_open:
            lines += [f"  {self[name]!r}" for name in self.modules]
        return "\n".join(lines)

    def set(self, **values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
        """Change parameters of several modules: all of them, or none.

        `scope.set(camera1={"exposure_s": 0.02}, stage={"settle_s": 0.1})`

        Returns:
            The values that are true now, in the same form.

        Raises:
            HalError: Which module refuses, and why; nothing has changed.
        """
        changes = {
            name: {key: plain(value) for key, value in wanted.items()}
            for name, wanted in values.items()
        }
        for name in changes:
            if name not in self.modules:
                raise BadInput(self._unknown(name, self.modules))
        answer = self._session.ask(SetParameters(changes), to=None)
        assert isinstance(answer, dict)
        return answer

    def film(
        self,
        frames: int | None,
        *,
        cameras: Iterable[str] = (),
        name: str | None = None,
        output: str | Path | None = None,
        formats: Iterable[str] = FORMATS,
        overwrite: bool = False,
        notes: str = "",
    ) -> Run:
        """Begin a film; see `run`.

        Args:
            frames: Of each camera; None to go on until cancelled.
            cameras: Names of the cameras; empty for all.
            name: As of `run`, like the rest.
            output: As of `run`.
            formats: As of `run`.
            overwrite: As of `run`.
            notes: As of `run`.

        Raises:
            HalError: It cannot be done; nothing is left of it.
        """
        count = plain(frames)
        if count is not None and (type(count) is not int or count < 1):
            raise BadInput(f"frames={frames!r}: expected a whole number from 1")
        return self.run(
            FilmPlan(frames=count, cameras=_texts(cameras)),
            name=name,
            output=output,
            formats=formats,
            overwrite=overwrite,
            notes=notes,
        )

    def run(
        self,
        plan: Plan | FilmPlan | useq.MDASequence | str | Path,
        *,
        name: str | None = None,
        output: str | Path | None = None,
        formats: Iterable[str] = FORMATS,
        overwrite: bool = False,
        notes: str = "",
        after: Run | None = None,
    ) -> Run:
        """Begin a run and return while it goes on; whatever is wrong is raised here.

        Args:
            plan: A plan, a sequence of useq-schema, or a file of one of them.
            name: Exactly this file name; None for the next free number.
            output: Folder for the files, made if it is missing.
            formats: `ome-tiff`, `ome-zarr`, `dax`.
            overwrite: Whether files of that name may be replaced.
            notes: Text for the sidecar.
            after: A run that is over, which this one goes on with: its timepoints and
                positions are numbered on, places known already keep their number.

        Raises:
            HalError: It cannot be done, in the class of the refusal; nothing is left.
        """
        found = plan_of(plan)
        if after is not None:
            found = continued(after.plan, found)
        request = StartRun(
            plan=found,
            directory=str(folder(output) or self._session.output),
            name=name,
            formats=_texts(formats),
            overwrite=overwrite,
            notes=notes,
        )

        def made(handle: RunHandle) -> Run:
            return Run(self, self._session, handle)

        return self._session.start_run(request, made)

    def _unknown(self, name: str, near: Iterable[str]) -> str:
        return (
            f"there is no module '{name}': expected one of {one_of(self.modules)}"
            f"{did_you_mean(name, near)}"
        )


def open_scope(
    config: str | Path,
    *,
    overrides: Iterable[str] = (),
    settings: str | Path | None = None,
    simulation: bool = False,
    output: str | Path | None = None,
    log_dir: str | Path | None = None,
    name: str | None = None,
) -> Scope:
    """Return a running microscope; known to scripts as `hal.open`.

    Runs on: any.

    Raises:
        BadInput: Something the user can correct, with its place.
        StartError: It cannot start on this machine.
        StateError: Another one is open in this process.
    """
    session = Session(
        str(config),
        read_config(
            config,
            overrides=_texts(overrides),
            settings=settings,
            simulation=simulation,
        ),
        principal=f"script:{_script_name() if name is None else name}",
        output=folder(output),
        log_folder=folder(log_dir),
    )
    try:
        session.start()
    except BaseException:
        session.close()
        raise
    return Scope(session)


def folder(said: str | Path | None) -> Path | None:
    """Return a folder as a full path; `~` is the home folder."""
    return None if said is None else Path(said).expanduser().absolute()


def _texts(said: Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple; a single one may come alone."""
    return (said,) if isinstance(said, str) else tuple(said)


def _script_name() -> str:
    """Return who is asking, from the name of the script's file."""
    if is_notebook():
        return "notebook"
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not file:
        return "console"
    return re.sub(r"[^\w.@-]", "_", Path(file).stem) or "script"
