"""What may import what, as functions over one source file.

A rule takes a `Source` and yields one line per violation; `ALL_RULES` lists them.
`test_architecture.py` runs them over the project and over snippets that break them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Lowest first; packages of one layer are siblings and never import each other.
LAYERS = (
    {"base"},
    {"kernel", "devices", "links", "frames", "transport"},
    {"acquisition", "storage", "isolation"},
    {"messages"},
    {"analysis", "api", "postmortem"},
    {"config"},
    {"app", "testing"},
)
# One unit at the very top: what starts HAL.
TOP = {
    *("__init__", "__main__", "app", "cli", "client", "main_loop", "worlds"),
    *("local_api", "local_feed", "local_storage"),
    *("film_progress_bar", "scripting"),
}
_TIME_FILES = ("hal/base/clock.py", "hal/kernel/sentinel_process.py")
MAX_LINES = 450
QT = {"qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "pyqtgraph"}
PLATFORM_ONLY = {
    *("fcntl", "termios", "tty", "pty", "resource", "grp", "pwd", "posix"),
    *("msvcrt", "winreg", "winsound", "_winapi"),
    *("os.fork", "os.memfd_create", "os.pidfd_open", "os.posix_fallocate"),
    *("os.setsid", "os.setpgid", "os.killpg", "os.geteuid", "os.getuid"),
    *("os.sched_setaffinity", "os.startfile", "select.poll", "select.epoll"),
    *("signal.SIGKILL", "signal.SIGUSR1", "signal.SIGUSR2", "signal.SIGALRM"),
    *("signal.SIGHUP", "signal.setitimer", "signal.pthread_kill"),
    *("ctypes.windll", "ctypes.WinDLL", "mmap.MAP_SHARED"),
}

# Each entry says why; one that no longer applies fails `test_no_allowance_is_stale`.
PLATFORM_FILES: dict[str, str] = {
    "hal/transport/platform.py": "processes: groups, signals, limits, hand-over",
    "hal/frames/platform.py": "memory that processes share, and waiting for it",
    "hal/testing/processor.py": "Linux only; elsewhere switching is just slower",
    "hal/kernel/heartbeat.py": "SIGUSR1: stacks of all threads, asked for from outside",
    "hal/kernel/sentinel_process.py": "SIGKILL: a process that is frozen in C",
    "hal/testing/chaos/dying.py": "SIGKILL and SIGSTOP: a process that really dies",
    "hal/storage/_file_lock.py": "a lock that a killed recorder gives up",
    "modules/simulation/world/file_lock.py": "a lock that a killed process gives up",
}
OPTIONAL: dict[str, str] = {
    # Imported inside functions: `hal` imports without it (tests/.../test_load.py).
    "hal/acquisition/plans/": "plans",
    "hal/scripting/": "plans",
}
"""Folders of `hal` that may use the packages of an extra."""
CATCH_ALL: dict[str, str] = {
    "hal/kernel/turns.py::Turns._handle": "actor loop: attached to the delivery",
    "hal/kernel/turns.py::Turns._start": "actor loop: ends the generation, logged",
    "hal/kernel/turns.py::Turns.turn": "actor loop: logged",
    "hal/kernel/envelopes.py::answer_envelope": "actor loop: to the asker",
    "hal/kernel/actor.py::ModuleActor.contained": "a hook, logged",
    "hal/kernel/supervisor.py::Supervisor._run": "thread main: nobody supervises it",
    "hal/kernel/supervisor.py::Supervisor._build.build": "a constructor: next attempt",
    "hal/kernel/work.py::Work._end_job": "actor loop: attached to the delivery",
    "hal/kernel/worker.py::Job.run": "worker: handed to whoever waits",
    "hal/kernel/loop.py::Loop._run": "thread main: handed to the module",
    "hal/kernel/watchdog.py::Watchdog._run": "thread main: nobody watches it",
    "hal/kernel/timers.py::Timers._fire": "thread main: the other timers go on",
    "hal/kernel/trace.py::Trace._flush_contained": "thread main: says what is lost",
    "hal/kernel/trace.py::Trace._render": "a foreign listener, which is dropped",
    "hal/kernel/broker.py::Broker._observed.completed": "a foreign observer, logged",
    "hal/isolation/child.py::Child._begin": "a plugin's code: HAL is told why",
    "modules/cameras/requests.py::RequestedFrames.take": "plugin's driver: the answer",
    "modules/cameras/requests.py::RequestedFrames._end_request": "as in take",
    "hal/analysis/watch.py::Watch._answer": "a plugin's code: the answer",
    "hal/acquisition/run_engine.py::RunEngine.run": "thread main: the run ends with it",
    "hal/acquisition/run_engine.py::RunEngine._contained": "teardown: each step runs",
    "hal/base/callbacks.py::CallbackResult.of": "a foreign callback: in the result",
    "hal/base/error_record.py::_text": "a foreign __str__ raises",
    "hal/base/error_record.py::_format": "a foreign __str__ raises",
    "hal/scripting/crew.py::Errand.run": "thread main: handed to whoever waits",
    "hal/testing/contracts/_halting.py::Background._run": "handed to the test",
    "hal/testing/relay.py::Relay._main": "thread main: raised again by run",
    "modules/micromanager/core.py::CoreOwner._run": "thread main: to the caller",
}
"""Where all exceptions may be caught and kept, as `path::Class.method`."""


@dataclass(frozen=True)
class Import:
    """One name that a file imports, `Clock` of `hal.base` for example."""

    line: int
    module: str
    name: str | None = None

    @property
    def dotted(self) -> str:
        """The module and the name in it."""
        return self.module if self.name is None else f"{self.module}.{self.name}"


@dataclass
class Source:
    """A file of the project, by its path from the root, and its text."""

    path: str
    text: str
    public: Mapping[str, set[str]] = field(default_factory=dict)
    """What each package of `hal` lists in `__all__`; one not named here is open."""

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed text."""
        return ast.parse(self.text, self.path)

    @property
    def unit(self) -> str:
        """The package below `hal/` or `modules/`, or the name of a file there."""
        first = self.path.split("/")[1].removesuffix(".py")
        return "cli" if first.startswith("cli_") else first

    @property
    def in_hal(self) -> bool:
        """Whether the file is part of `hal`; the other ones are of `modules`."""
        return self.path.startswith("hal/")

    @cached_property
    def imports(self) -> list[Import]:
        """Everything imported anywhere in the file, in functions too."""
        return [
            found for node in ast.walk(self.tree) for found in _imports(node, self.path)
        ]


def _imports(node: ast.AST, path: str) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(node.lineno, alias.name)
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if node.level:
            here = path.split("/")[: -node.level]
            module = ".".join([*here, module] if module else here)
        for alias in node.names:
            yield Import(node.lineno, module, alias.name)
    elif isinstance(node, ast.Call) and node.args:
        called = ast.unparse(node.func).split(".")[-1]
        target = node.args[0]
        if (
            called in ("import_module", "__import__")
            and isinstance(target, ast.Constant)
            and isinstance(target.value, str)
        ):
            yield Import(node.lineno, target.value)


def _hal_unit(found: Import) -> str | None:
    """Return the unit of `hal` that is imported, None for anything else."""
    parts = found.dotted.split(".")
    if parts[0] != "hal":
        return None
    # `hal` itself: `import hal` and names like `from hal import __version__`.
    known = {*TOP, *(unit for layer in LAYERS for unit in layer)}
    if len(parts) == 1 or (found.module == "hal" and parts[1] not in known):
        return "__init__"
    return parts[1]


def _layer(unit: str) -> int:
    if unit in TOP:
        return len(LAYERS)
    return next((n for n, layer in enumerate(LAYERS) if unit in layer), -1)


def imports_point_down(source: Source) -> Iterator[str]:
    """Lower layers never import higher ones, nor siblings each other."""
    if not source.in_hal:
        return
    own = source.unit
    if own not in TOP and _layer(own) < 0:
        yield f"{source.path}: hal/{own} has no place in LAYERS"
        return
    for found in source.imports:
        unit = _hal_unit(found)
        if unit is None or unit == own or own == "testing":
            continue
        if found.dotted == "hal.__version__" or {own, unit} <= TOP:
            continue
        if _layer(unit) >= _layer(own):
            yield f"{source.path}:{found.line}: hal.{own} imports {found.dotted}"


def public_names_only(source: Source) -> Iterator[str]:
    """From outside, a package of `hal` is what its `__init__` lists in `__all__`."""
    for found in source.imports:
        unit = _hal_unit(found)
        if unit is None or unit in TOP or (source.in_hal and unit == source.unit):
            continue
        if source.in_hal and source.unit == "testing":
            continue
        package = f"hal.{unit}"
        name = found.dotted.removeprefix(package).removeprefix(".")
        allowed = source.public.get(package)
        if "." in name or name.startswith("_") or found.module.count(".") > 1:
            yield f"{source.path}:{found.line}: {found.dotted} is not public"
        elif name and allowed is not None and name not in {*allowed, "*"}:
            yield f"{source.path}:{found.line}: {found.dotted} is not in __all__"


def hal_never_imports_modules(source: Source) -> Iterator[str]:
    """`hal` reaches `modules` only by name through the loader."""
    if source.in_hal:
        yield from _importing(source, {"modules"}, "hal never imports modules")


def families_keep_apart(source: Source) -> Iterator[str]:
    """A family in `modules/` imports itself and `hal`, never another family."""
    if source.in_hal:
        return
    for found in source.imports:
        parts = found.dotted.split(".")
        if parts[0] == "modules" and parts[1:2] != [source.unit]:
            yield f"{source.path}:{found.line}: another family: {found.dotted}"


def packages_have_one_home(source: Source) -> Iterator[str]:
    """Pykka, pyserial, Qt and the time each have one place."""
    homes: list[tuple[set[str], bool, str]] = [
        ({"pykka"}, source.path.startswith("hal/kernel/"), "pykka: hal/kernel only"),
        (
            {"serial"},
            source.path.startswith("hal/links/"),
            "pyserial: hal/links only",
        ),
        (QT, source.path.startswith("modules/gui/"), "Qt: modules/gui only"),
        (
            {"time"},
            # The sentinel is a process without HAL.
            not source.in_hal or source.path in _TIME_FILES,
            "time: hal/base/clock.py only; take a Clock",
        ),
    ]
    for packages, at_home, words in homes:
        if not at_home:
            yield from _importing(source, packages, words)


def no_pools_that_join_at_exit(source: Source) -> Iterator[str]:
    """ThreadPoolExecutor and QThreadPool wait for hung work when Python ends."""
    for node in ast.walk(source.tree):
        name = _last_name(node)
        if name in ("ThreadPoolExecutor", "QThreadPool"):
            yield f"{source.path}:{_line(node)}: {name} joins hung work at exit"


def no_print_in_hal(source: Source) -> Iterator[str]:
    """Only the command line speaks on stdout."""
    if not source.in_hal or source.unit == "cli":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield f"{source.path}:{node.lineno}: print"


def no_unknown_catch_all(source: Source) -> Iterator[str]:
    """All exceptions end only where `CATCH_ALL` says why; `except:` never stands."""
    for where, node in catch_alls(source):
        if node.type is None:
            yield f"{source.path}:{node.lineno}: bare except"
        elif where not in CATCH_ALL:
            yield f"{source.path}:{node.lineno}: {where} keeps any exception"


def catch_alls(source: Source) -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Yield where exceptions of all kinds end, as `path::Class.method`.

    A handler whose last statement is `raise` cleans up and passes the error on.
    """

    def visit(node: ast.AST, place: str) -> Iterator[tuple[str, ast.ExceptHandler]]:
        for child in ast.iter_child_nodes(node):
            inner = place
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{place}.{child.name}" if place else child.name
            if isinstance(child, ast.ExceptHandler):
                names = {_last_name(n) for n in ast.walk(child.type or ast.Pass())}
                passed_on = isinstance(child.body[-1], ast.Raise)
                catches_all = names & {"Exception", "BaseException"} and not passed_on
                if child.type is None or catches_all:
                    yield f"{source.path}::{place}", child
            yield from visit(child, inner)

    return visit(source.tree, "")


def platform_calls_in_one_file(source: Source) -> Iterator[str]:
    """What exists on one system only stands in the files of `PLATFORM_FILES`."""
    if source.path not in PLATFORM_FILES:
        yield from platform_calls(source)


def platform_calls(source: Source) -> Iterator[str]:
    """Yield each use of something that only POSIX, or only Windows, has."""
    for found in source.imports:
        if {found.module.split(".")[0], found.dotted} & PLATFORM_ONLY:
            yield f"{source.path}:{found.line}: {found.dotted} on some systems only"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in PLATFORM_ONLY:
            name = ast.unparse(node)
            yield f"{source.path}:{node.lineno}: {name} on some systems only"


def files_stay_short(source: Source) -> Iterator[str]:
    """A file past 450 lines holds more than one idea."""
    lines = source.text.count("\n")
    if lines > MAX_LINES:
        yield f"{source.path}: {lines} lines, at most {MAX_LINES}"


def _importing(source: Source, packages: set[str], words: str) -> Iterator[str]:
    for found in source.imports:
        if found.module.split(".")[0] in packages:
            yield f"{source.path}:{found.line}: {found.dotted} ({words})"


def _last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.name if isinstance(node, ast.alias) else None


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


ALL_RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    imports_point_down,
    public_names_only,
    hal_never_imports_modules,
    families_keep_apart,
    packages_have_one_home,
    no_pools_that_join_at_exit,
    no_print_in_hal,
    no_unknown_catch_all,
    platform_calls_in_one_file,
    files_stay_short,
)


def project_sources() -> list[Source]:
    """Return every file of `hal/` and `modules/`."""
    public = {
        f"hal.{init.parent.name}": listed
        for init in sorted(ROOT.glob("hal/*/__init__.py"))
        if (listed := _listed_in_all(init)) is not None
    }
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"), public)
        for top in ("hal", "modules")
        for path in sorted((ROOT / top).rglob("*.py"))
    ]


def _listed_in_all(init: Path) -> set[str] | None:
    for node in ast.parse(init.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None
