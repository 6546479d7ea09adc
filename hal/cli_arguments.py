"""The arguments of the command line, checked as far as text alone allows."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from hal import __version__
from hal.base import BadInput

_RUN_EXAMPLES = """\
examples:
  python hal.py xml_configs/sim.xml                     run until Ctrl-C
  python hal.py xml_configs/sim.xml --film 100          record 100 frames, then exit
  python hal.py xml_configs/sim.xml --film 100 --name cells --output ~/data \\
      --format dax --format ome-tiff --set camera1.exposure_s=0.05
  python hal.py xml_configs/sim.xml --plan xml_configs/plans/timelapse.yaml
                                                        places, channels, heights, times
  python hal.py my_microscope.xml --simulation          the same without hardware
  python hal.py xml_configs/sim_chaos.xml --plan xml_configs/plans/rehearsal.yaml
                                                        with faults on purpose
  python hal.py check my_microscope.xml                 validate, touch no hardware
  python hal.py devices                                 what is installed
  python hal.py recover ~/data                          films after a crash

docs/plans.rst says what a plan may hold, docs/chaos.rst how to cause faults.

Ctrl-C (or SIGTERM) ends in order: a film is closed and checked, devices are made
safe. A second one ends at once; what was stored is readable all the same.

exit codes:
  0 done and complete; also without --film and --plan, when ended by Ctrl-C
  1 run failed or incomplete    2 bad input    3 HAL could not start
  130 a film was interrupted, or HAL while it started or was told twice
"""

_CHECK_EXAMPLES = """\
examples:
  python hal.py check xml_configs/sim.xml
  python hal.py check xml_configs/sim.xml --set camera1.exposure_s=0.05
  python hal.py check xml_configs/sim.xml --plan xml_configs/plans/timelapse.yaml

With --plan it also tells how many events and images the plan has, its axes, and how
long it takes by its own times; places and speeds are known once HAL runs.
"""

_DEVICES_EXAMPLES = """\
examples:
  python hal.py devices           every driver and module, with its parameters
  python hal.py devices --json    the same for programs
"""

_RECOVER_EXAMPLES = """\
examples:
  python hal.py recover ~/data                 every film in that folder
  python hal.py recover ~/data --recursive     and in all folders within it
  python hal.py recover ~/data --json          the same for programs

A film whose recorder was killed is cut back to its whole frames, each of them is read
back and compared with what the camera gave, and the sidecar says "interrupted" and
which frames are missing. Whole frames are never changed. A film that is being
recorded is left alone.

states:
  complete  nothing had to be done      repaired  now in order
  empty     no frame had been stored; removed
  damaged   frames are lost or not as recorded: the line says which
  in use    being recorded; left alone

exit codes:
  0 all is in order    1 damage remains    2 DIR is no folder    130 interrupted
"""

_MOST_FRAMES = 10**9


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed."""

    command: str
    """`run`, `check`, `devices` or `recover`."""
    config: str = ""
    film: int | None = None
    """Frames to record; None to run until interrupted."""
    plan: str | None = None
    """File of the plan to run, as it was typed."""
    chaos: str | None = None
    """File of the faults to cause, as it was typed."""
    name: str | None = None
    output: Path | None = None
    formats: tuple[str, ...] = ()
    overwrite: bool = False
    settings: Path | None = None
    simulation: bool = False
    overrides: tuple[str, ...] = ()
    log_dir: Path | None = None
    notes: str = ""
    folder: Path | None = None
    """Where the films to recover are."""
    recursive: bool = False
    json: bool = False


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def parse(argv: Sequence[str]) -> Arguments:
    """Return the arguments.

    Raises:
        BadInput: They make no sense.
        SystemExit: After `--help` or `--version`.
    """
    for text in argv:
        # Files, trace and JSON hold text; a name that is none would fail in the film.
        if not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text):
            raise BadInput(f"argument {text!r} is not valid text in this locale")
    if argv and argv[0] == "check":
        return _take("check", _check_parser().parse_args(argv[1:]))
    if argv and argv[0] == "devices":
        return _take("devices", _devices_parser().parse_args(argv[1:]))
    if argv and argv[0] == "recover":
        return _take("recover", _recover_parser().parse_args(argv[1:]))
    parser = _run_parser()
    arguments = _take("run", parser.parse_args(argv))
    if arguments.film is None and arguments.plan is None:
        for option, given in (
            ("--name", arguments.name),
            ("--output", arguments.output),
            ("--format", arguments.formats),
            ("--overwrite", arguments.overwrite),
            ("--notes", arguments.notes),
        ):
            if given:
                parser.error(
                    f"{option} is about a recording: expected --film FRAMES or "
                    "--plan FILE as well"
                )
    return arguments


def _take(command: str, space: argparse.Namespace) -> Arguments:
    given = {key: value for key, value in vars(space).items() if value is not None}
    for several in ("formats", "overrides"):
        # A format asked for twice is written once.
        given[several] = tuple(dict.fromkeys(given.get(several, ())))
    given.pop("headless", None)
    return Arguments(command=command, **given)


def _parser(prog: str, text: str, examples: str) -> _Parser:
    return _Parser(
        prog=prog,
        description=text,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _run_parser() -> _Parser:
    parser = _parser(
        "hal",
        "Run the microscope that CONFIG describes.\n"
        "More commands: 'check CONFIG', 'devices' and 'recover DIR'.",
        _RUN_EXAMPLES,
    )
    parser.add_argument("config", metavar="CONFIG", help="XML file of the microscope")
    parser.add_argument("--headless", action="store_true", help="no window")
    film = parser.add_argument_group("recording")
    what = film.add_mutually_exclusive_group()
    what.add_argument(
        "--film",
        type=_frame_count,
        metavar="FRAMES",
        help="record a film of FRAMES frames with every camera, then exit",
    )
    what.add_argument(
        "--plan",
        type=_typed_file,
        metavar="FILE",
        help="run the plan in FILE (.yaml, .json or .py), then exit",
    )
    film.add_argument("--name", help="file name; movie_0001, movie_0002 ... without")
    film.add_argument(
        "--output", type=_path, metavar="DIR", help="folder; that of CONFIG without"
    )
    film.add_argument(
        "--format",
        dest="formats",
        action="append",
        metavar="FORMAT",
        help="dax, ome-tiff (the default) or ome-zarr; may be repeated",
    )
    film.add_argument(
        "--overwrite", action="store_true", help="replace existing files of that name"
    )
    film.add_argument("--notes", default="", help="text for the sidecar")
    _add_config_options(parser)
    parser.add_argument(
        "--log-dir",
        type=_path,
        metavar="DIR",
        help="trace and thread dumps; <directory>/logs without",
    )
    parser.add_argument(
        "--json", action="store_true", help="last line of stdout is one JSON object"
    )
    parser.add_argument("--version", action="version", version=f"HAL {__version__}")
    return parser


def _check_parser() -> _Parser:
    parser = _parser(
        "hal check", "Validate CONFIG without touching hardware.", _CHECK_EXAMPLES
    )
    parser.add_argument("config", metavar="CONFIG", help="XML file of the microscope")
    parser.add_argument(
        "--plan",
        type=_typed_file,
        metavar="FILE",
        help="also read the plan in FILE (.yaml, .json or .py)",
    )
    _add_config_options(parser)
    return parser


def _devices_parser() -> _Parser:
    parser = _parser(
        "hal devices",
        "List the drivers and modules that are installed, and what each needs.",
        _DEVICES_EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="one JSON array")
    return parser


def _recover_parser() -> _Parser:
    parser = _parser(
        "hal recover",
        "Put films right whose recording was killed, and check every frame.",
        _RECOVER_EXAMPLES,
    )
    parser.add_argument("folder", metavar="DIR", type=_path, help="folder with films")
    parser.add_argument(
        "--recursive", action="store_true", help="also in all folders within DIR"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def _add_config_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("parameters")
    group.add_argument(
        "--settings",
        type=_path,
        metavar="FILE",
        help="start with these settings; a film's sidecar will do",
    )
    group.add_argument(
        "--set",
        dest="overrides",
        action="append",
        metavar="MODULE.PARAM=VALUE",
        help="change one parameter; may be repeated",
    )
    group.add_argument(
        "--simulation",
        action="store_true",
        help="replace every driver by its simulation; said in every file",
    )
    group.add_argument(
        "--chaos",
        type=_typed_file,
        metavar="FILE",
        help="cause the faults in FILE, and say at the end what they cost",
    )


def _path(text: str) -> Path:
    """Return where `text` points to; shells leave the `~` of `--output=~/x` to us."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: expected a path")
    try:
        return Path(os.path.abspath(Path(text).expanduser()))
    except (OSError, RuntimeError, ValueError) as exc:
        raise argparse.ArgumentTypeError(f"'{text}': {exc}") from exc


def _typed_file(text: str) -> str:
    """Return the name of a file as it was typed; errors shall say it like this."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: expected a path")
    return str(_path(text)) if text.startswith("~") else text


def _frame_count(text: str) -> int:
    try:
        frames = int(text)
    except ValueError:
        frames = 0
    if not 1 <= frames <= _MOST_FRAMES:
        raise argparse.ArgumentTypeError(
            f"'{text}': expected a whole number of frames from 1 to {_MOST_FRAMES}"
        )
    return frames
