"""The command line of `tools/hal_trace.py`."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import orjson

from tracing.bundling import bundle
from tracing.export import export
from tracing.follow import follow
from tracing.late import find
from tracing.late import text_lines as late_lines
from tracing.page import write_page
from tracing.reader import NotATrace, Trace
from tracing.sequence import sequence
from tracing.show import Filter, show
from tracing.stats import collect
from tracing.stats_report import as_json
from tracing.stats_report import text_lines as stats_lines

_LOG = """\
LOG is a file of the session (all its parts and processes are read), a folder (the
newest session in it), or a name with wildcards, or the start of one.
Exit codes: 0 done, 2 bad input. Corrupt lines are named on stderr and skipped.
"""

_TOP = f"""\
examples:
  hal_trace.py show logs                     everything of the newest session
  hal_trace.py show logs --errors            only what went wrong, in full
  hal_trace.py stats logs                    how often, how long, how many failed
  hal_trace.py sequence logs                 who told whom
  hal_trace.py late logs                     who kept whom waiting
  hal_trace.py follow logs                   what happens just now
  hal_trace.py html logs timeline.html       a picture to zoom into, in any browser
  hal_trace.py export logs trace.json        for https://ui.perfetto.dev
  hal_trace.py bundle films run.zip          all that is known of a run, in one file

{_LOG}"""

_SHOW = f"""\
examples:
  hal_trace.py show logs --module stage              to, from or about the stage
  hal_trace.py show logs --type "move stage"         also: MoveStage
  hal_trace.py show logs --type log --module stage   what the stage logged
  hal_trace.py show logs --id 12                     main#12; elsewhere: camera1#12
  hal_trace.py show logs --run 01JD3N --errors       all that went wrong in a run

A record must match every option. --errors keeps errors and warnings, late things,
gaps and modules in trouble, and prints tracebacks and thread dumps.

{_LOG}"""

_STATS = f"""\
examples:
  hal_trace.py stats logs
  hal_trace.py stats logs/trace_20261120T060000_7K2QPX_main.001.jsonl
  hal_trace.py stats logs --summary
  hal_trace.py stats logs --json | python -m json.tool

queue: from the mailbox to the start; handling: from start to end (a job included);
total: from sending to the module's end. p99: 99 % of the values are not longer.

{_LOG}"""

_SEQUENCE = f"""\
examples:
  hal_trace.py sequence logs
  hal_trace.py sequence logs --run 01JD3N    a run, what caused it and what it caused

output:
  06:00:00.123 cli -> acquisition  start run  (3.10 ms) ok
  06:00:00.124   acquisition -> stage  move stage  (102.3 ms) ok

{_LOG}"""

_LATE = f"""\
examples:
  hal_trace.py late logs
  hal_trace.py late logs --percent 50        also what used half of its deadline
  hal_trace.py late logs --limit 5

output:
       5020 ms of 5000 ms      stage         job 'home stage' #12
            sent by cli at 2026-11-20 06:00:02.500 UTC; timeout by watchdog
            kept waiting: gui (2 messages, up to 480.0 ms)

{_LOG}"""


_FOLLOW = f"""\
examples:
  hal_trace.py follow logs                   until Ctrl-C; also when HAL starts anew
  hal_trace.py follow logs --errors          tells when something goes wrong
  hal_trace.py follow logs --module stage --last 100

Options as of show. New parts and processes of the session are found by themselves; of
a folder, also a new session.

{_LOG}"""

_EXPORT = f"""\
examples:
  hal_trace.py export logs trace.json        open it at https://ui.perfetto.dev

The format is Google's "Trace Event Format": a track for each module and generation,
spans of handlers and jobs, arrows from cause to effect, marks for what was late, failed
or changed.

{_LOG}"""

_HTML = f"""\
examples:
  hal_trace.py html logs timeline.html       open it in any browser, without network

{_LOG}"""

_BUNDLE = """\
examples:
  hal_trace.py bundle films/movie_0001.xml run.zip    the run of that film
  hal_trace.py bundle films run.zip                   the newest film that is not done
  hal_trace.py bundle logs run.zip --run 01JD3N       a run without a film

HAL writes such a bundle by itself when a run fails: NAME_postmortem.zip. This makes one
of any run, also after HAL was killed. It needs HAL, which the other commands do not.

RUN_DIR is the .xml beside a film, a folder of films, or a log folder. The trace is
looked for there, in its folder logs, and in logs beside it.
Exit codes: 0 done, 2 bad input.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 where the input is not a trace."""
    args = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # A name in µ must not end the tool on a terminal that cannot show it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(args, sys.stdout, sys.stderr)
        sys.stdout.flush()
    except (NotATrace, OSError) as exc:
        if _is_broken_pipe(exc):
            # The reader (`| head`) has enough; flushing at exit must not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        sys.stderr.write(f"hal_trace: {exc}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return code


def _run(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    if args.command == "bundle":
        return bundle(args.run_dir, args.out, args.run, args.logs, out, err)
    if args.command == "follow":
        _follow(args, out, err)
        return 0
    trace = Trace.find(args.log, err)
    if args.command == "show":
        chosen = Filter(args.module, args.type, args.run, args.id, args.errors)
        show(trace, chosen, out, err, local=args.local)
    elif args.command == "export":
        out.write(f"{args.out}: {export(trace, Path(args.out))} events\n")
    elif args.command == "html":
        out.write(f"{args.out}: {write_page(trace, Path(args.out))} spans and marks\n")
    elif args.command == "sequence":
        sequence(trace, args.run, out, err, local=args.local)
    elif args.command == "late":
        waits, total = find(trace, args.percent, args.limit)
        for line in late_lines(waits, total, args.percent, local=args.local):
            out.write(line + "\n")
    else:
        stats = collect(trace)
        if args.json:
            out.write(orjson.dumps(as_json(stats)).decode() + "\n")
        else:
            for line in stats_lines(stats, local=args.local, table=not args.summary):
                out.write(line + "\n")
    if damage := trace.damage.summary():
        err.write(f"hal_trace: {damage}\n")
    return 0


def _follow(args: argparse.Namespace, out: TextIO, err: TextIO) -> None:
    chosen = Filter(args.module, args.type, args.run, args.id, args.errors)
    stop = threading.Event()
    with contextlib.suppress(KeyboardInterrupt):  # the usual end of it
        follow(
            args.log,
            chosen,
            out,
            err,
            local=args.local,
            last=args.last,
            wait=stop.wait,
        )


def _is_broken_pipe(exc: Exception) -> bool:
    # Windows says EINVAL for a closed pipe (CPython issue 35754).
    return isinstance(exc, BrokenPipeError) or (
        isinstance(exc, OSError) and exc.errno == errno.EINVAL and exc.filename is None
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hal_trace.py",
        description="Read what HAL wrote about itself.",
        epilog=_TOP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = _command(commands, "show", "the records in order of time", _SHOW)
    _add_filter(one)

    one = _command(commands, "follow", "the records as they are written", _FOLLOW)
    _add_filter(one)
    one.add_argument(
        "--last",
        type=_count,
        default=10,
        metavar="N",
        help="begin with the last N there are (default: 10)",
    )

    one = _command(commands, "stats", "numbers per type and module", _STATS)
    one.add_argument("--json", action="store_true", help="one JSON object instead")
    one.add_argument("--summary", action="store_true", help="without the table")

    one = _command(commands, "sequence", "who told whom, by cause", _SEQUENCE)
    one.add_argument("--run", metavar="R", help="this run (start or end of its id)")

    one = _command(commands, "late", "who kept whom waiting", _LATE)
    one.add_argument(
        "--percent",
        type=_percent,
        default=80.0,
        metavar="P",
        help="deliveries that used so much of their deadline (default: 80)",
    )
    one.add_argument(
        "--limit",
        type=_count,
        default=50,
        metavar="N",
        help="the N longest only (default: 50)",
    )
    one = _command(commands, "export", "for the Perfetto and Chrome viewers", _EXPORT)
    one.add_argument("out", metavar="OUT.json", help="file to write")

    one = _command(commands, "html", "a picture in one page", _HTML)
    one.add_argument("out", metavar="OUT.html", help="file to write")

    one = commands.add_parser(
        "bundle",
        help="all that is known of a run, in one file",
        description="All that is known of a run, in one file.",
        epilog=_BUNDLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("run_dir", metavar="RUN_DIR", help="film or folder, see below")
    one.add_argument("out", metavar="OUT.zip", help="file to write, or to replace")
    one.add_argument("--run", default="", metavar="R", help="id of the run")
    one.add_argument("--logs", metavar="DIR", help="where its trace is")
    return parser


def _add_filter(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--module", metavar="M", help="from, to or about this module")
    add("--type", metavar="T", help="this type of message or record")
    add("--run", metavar="R", help="this run (start or end of its id)")
    add("--id", metavar="N", help="this delivery: 12, main#12, camera1#3")
    add("--errors", action="store_true", help="only trouble, in full")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    examples: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("log", metavar="LOG", help="file, folder or name, see below")
    command.add_argument(
        "--local", action="store_true", help="this machine's time zone, not UTC"
    )
    return command


def _percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < percent <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to 100")
    return percent


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)
