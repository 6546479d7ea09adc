"""The drawing in the README holds: imports point down, and each thing has one home."""

from __future__ import annotations

import ast
import configparser
import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests import architecture_rules as rules
from tests.architecture_rules import ROOT, Source

SOURCES = rules.project_sources()
PUBLIC = {"hal.base": {"Clock"}, "hal.kernel": {"Module"}}


@pytest.mark.parametrize("rule", rules.ALL_RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_the_rule(rule):
    broken = [line for source in SOURCES for line in rule(source)]

    assert not broken, "\n" + "\n".join(broken)


def test_the_rules_see_the_whole_project():
    seen = {source.path for source in SOURCES}

    assert {"hal/__init__.py", "hal/base/clock.py", "modules/__init__.py"} <= seen


VIOLATIONS = [
    (rules.imports_point_down, "hal/base/x.py", "import hal.kernel"),
    (rules.imports_point_down, "hal/base/x.py", "from hal import kernel"),
    (rules.imports_point_down, "hal/base/x.py", "from hal import scope"),
    (rules.imports_point_down, "hal/kernel/x.py", "from hal.devices import Camera"),
    (rules.imports_point_down, "hal/kernel/x.py", "from ..frames import Ring"),
    (rules.imports_point_down, "hal/storage/x.py", "from hal.acquisition import A"),
    (rules.imports_point_down, "hal/storage/x.py", "from hal.messages import A"),
    (rules.imports_point_down, "hal/config/x.py", "from hal.app import App"),
    (rules.imports_point_down, "hal/config/x.py", "from hal.testing import Fake"),
    (rules.imports_point_down, "hal/surprise/x.py", ""),
    (
        rules.imports_point_down,
        "hal/base/x.py",
        "def late():\n    from hal.kernel import Module",
    ),
    (
        rules.imports_point_down,
        "hal/base/x.py",
        "import importlib\nimportlib.import_module('hal.kernel')",
    ),
    (rules.public_names_only, "modules/a/x.py", "from hal.kernel._x import Module"),
    (rules.public_names_only, "modules/a/x.py", "from hal.kernel.broker import Module"),
    (rules.public_names_only, "modules/a/x.py", "import hal.kernel.broker"),
    (rules.public_names_only, "modules/a/x.py", "from hal.kernel import _secret"),
    (rules.public_names_only, "modules/a/x.py", "from hal.kernel import broker"),
    (rules.public_names_only, "hal/kernel/x.py", "from hal.base.clock import Clock"),
    (rules.hal_never_imports_modules, "hal/app.py", "import modules.cameras"),
    (rules.hal_never_imports_modules, "hal/app.py", "from modules import cameras"),
    (rules.families_keep_apart, "modules/a/x.py", "import modules.b"),
    (rules.families_keep_apart, "modules/a/x.py", "from modules import b"),
    (rules.families_keep_apart, "modules/a/x.py", "from ..b import C"),
    (rules.packages_have_one_home, "hal/base/x.py", "import pykka"),
    (rules.packages_have_one_home, "modules/a/x.py", "from pykka import Future"),
    (rules.packages_have_one_home, "modules/a/x.py", "from serial.tools import x"),
    (rules.packages_have_one_home, "modules/a/x.py", "from qtpy import QtCore"),
    (rules.packages_have_one_home, "hal/app.py", "import PyQt5.QtCore"),
    (rules.packages_have_one_home, "hal/frames/x.py", "from time import sleep"),
    (rules.packages_have_one_home, "hal/testing/x.py", "import time"),
    (
        rules.no_pools_that_join_at_exit,
        "modules/a/x.py",
        "from concurrent.futures import ThreadPoolExecutor",
    ),
    (
        rules.no_pools_that_join_at_exit,
        "modules/gui/x.py",
        "QtCore.QThreadPool.globalInstance()",
    ),
    (rules.no_print_in_hal, "hal/app.py", "print('ready')"),
    (rules.no_unknown_catch_all, "modules/a/x.py", "try: f()\nexcept: pass"),
    (rules.no_unknown_catch_all, "hal/app.py", "try: f()\nexcept Exception: pass"),
    (
        rules.no_unknown_catch_all,
        "hal/app.py",
        "try: f()\nexcept (KeyError, builtins.BaseException) as e: log(e)",
    ),
    (rules.platform_calls_in_one_file, "hal/app.py", "import fcntl"),
    (rules.platform_calls_in_one_file, "hal/app.py", "from signal import SIGKILL"),
    (rules.platform_calls_in_one_file, "hal/app.py", "os.kill(1, signal.SIGKILL)"),
    (rules.platform_calls_in_one_file, "modules/a/x.py", "import msvcrt"),
    (rules.files_stay_short, "hal/app.py", "x = 1\n" * 451),
]


@pytest.mark.parametrize(("rule", "path", "text"), VIOLATIONS)
def test_a_violation_is_seen(rule, path, text):
    assert len(list(rule(Source(path, text, PUBLIC)))) == 1


ALLOWED = [
    ("hal/app.py", "import hal.cli\nfrom hal.config import load"),
    ("hal/cli_run.py", "print('done')\nfrom hal.app import App"),
    ("hal/testing/x.py", "from hal.app import App\nfrom hal.kernel._x import y"),
    ("hal/storage/x.py", "from hal import __version__\nfrom hal.base import Clock"),
    ("hal/kernel/x.py", "import pykka\nfrom hal.kernel.broker import Broker"),
    ("hal/kernel/x.py", "from .broker import Broker"),
    ("hal/links/x.py", "import serial"),
    ("hal/base/clock.py", "import time"),
    ("modules/a/x.py", "import time\nfrom modules.a.y import Z\nfrom .y import Z"),
    ("modules/a/x.py", "from hal.kernel import Module\nimport hal.base"),
    ("modules/gui/x.py", "from qtpy import QtCore"),
    ("hal/app.py", "try: f()\nexcept (OSError, ValueError): pass"),
    ("hal/app.py", "try: f()\nexcept BaseException:\n  close()\n  raise"),
    ("hal/app.py", "x = 1\n" * 450),
]


@pytest.mark.parametrize(("path", "text"), ALLOWED)
def test_what_is_allowed_is_not_reported(path, text):
    source = Source(path, text, PUBLIC)

    assert [line for rule in rules.ALL_RULES for line in rule(source)] == []


def test_an_allowed_catch_all_is_named_by_its_function(monkeypatch):
    text = "class Loop:\n  def run(self):\n    try: f()\n    except Exception: g()\n"
    monkeypatch.setitem(rules.CATCH_ALL, "hal/kernel/x.py::Loop.run", "thread main")

    assert not list(rules.no_unknown_catch_all(Source("hal/kernel/x.py", text)))
    assert list(rules.no_unknown_catch_all(Source("hal/kernel/y.py", text)))


def test_no_allowance_is_stale():
    catching = {where for s in SOURCES for where, _ in rules.catch_alls(s)}
    on_platform = {s.path for s in SOURCES if any(rules.platform_calls(s))}

    assert set(rules.CATCH_ALL) <= catching
    assert set(rules.PLATFORM_FILES) <= on_platform


def test_every_folder_with_code_is_a_package():
    """Setuptools and mypy would pass over any other."""
    folders = {(ROOT / source.path).parent for source in SOURCES}

    assert [str(f) for f in folders if not (f / "__init__.py").exists()] == []


IMPORT_EVERYTHING = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Blocked())
import hal

def broken(name):
    raise
for found in pkgutil.walk_packages(hal.__path__, "hal.", onerror=broken):
    importlib.import_module(found.name)
    print(found.name)
"""


def import_everything(*blocked: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING, *blocked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_of_hal_imports_without_qt_port_or_vendor_package():
    done = import_everything(*rules.QT, "serial", "pymmcore", "pymmcore_plus")

    assert done.returncode == 0, done.stderr
    assert "hal.base.clock" in done.stdout.split()


def test_the_import_test_can_fail():
    done = import_everything("structlog")

    assert done.returncode != 0
    assert "blocked: structlog" in done.stderr


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config


def entry_points(group: str) -> list[tuple[str, str]]:
    lines = setup_cfg()["options.entry_points"][group].strip().splitlines()
    return [
        (name.strip(), where.strip()) for name, where in (x.split("=") for x in lines)
    ]


@pytest.mark.parametrize(
    ("name", "where"), entry_points("hal.modules") + entry_points("hal.drivers")
)
def test_an_entry_point_imports_and_is_named_after_its_file(name, where):
    module, class_name = where.split(":")

    found = getattr(importlib.import_module(module), class_name)

    assert module == f"modules.{name}"
    assert found.__module__ == module


def test_the_console_script_imports():
    ((_, where),) = entry_points("console_scripts")
    module, function = where.split(":")

    assert callable(getattr(importlib.import_module(module), function))


def test_every_package_that_is_imported_is_declared():
    """A package that merely came along with another one may go with it, too."""
    options = setup_cfg()
    needed = options["options"]["install_requires"]
    extras = "\n".join(options["options.extras_require"].values())
    distributions = metadata.packages_distributions()
    undeclared = []
    for source in SOURCES:
        # The shipped contract tests run under the user's pytest.
        with_extras = not source.in_hal or source.unit == "testing"
        own = "\n".join(
            options["options.extras_require"][extra]
            for folder, extra in rules.OPTIONAL.items()
            if source.path.startswith(folder)
        )
        declared = requirement_names(needed + (extras if with_extras else own))
        for found in source.imports:
            package = found.module.split(".")[0]
            if package in {*sys.stdlib_module_names, "hal", "modules"}:
                continue
            homes = {n.lower() for n in distributions.get(package, [package])}
            if not homes & declared:
                undeclared.append(f"{source.path}:{found.line}: {package}")

    assert undeclared == []


def requirement_names(lines: str) -> set[str]:
    names = set()
    for line in lines.splitlines():
        name = line.strip().split("[")[0]
        for mark in "<>=!~":
            name = name.split(mark)[0]
        names.add(name.strip().lower())
    return names


@pytest.mark.parametrize("script", ["hal.py", "tools/start.py"])
def test_an_old_python_can_read_the_script(script):
    """It has to say that it is too old, not stumble over its syntax."""
    tree = ast.parse(Path(ROOT, script).read_text("utf-8"), feature_version=(3, 4))

    for node in ast.walk(tree):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign)
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert all(argument.annotation is None for argument in node.args.args)
