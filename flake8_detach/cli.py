"""The command line, `flake8-detach COMMAND ...`. What a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flake8_detach import __version__
from flake8_detach.config import FAILED, FOUND, INTERRUPTED

if TYPE_CHECKING:
    from flake8_detach.report.as_flake8 import AsFlake8

FLAKE8_OPTIONS = ("--config", "--select", "--extend-select", "--ignore", "--extend-ignore", "--exclude", "--jobs")
"""Options that `fix` and `baseline` hand on to flake8 as they are."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` by default) and return its exit code. argparse raises SystemExit (2)."""
    args = _parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `flake8-detach rules | head`: nobody reads on, and the exit must not try to flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flake8-detach", description="Fixes for, and pages about, what flake8 reports under the codes AGDnnn."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fix = commands.add_parser(
        "fix",
        help="fix what flake8 reports",
        description="Fix what flake8, with your own configuration of it, reports under the codes AGDnnn.",
        epilog="Exit code: 0 clean, 1 something was fixed or remains, 2 wrong usage or a file that cannot be fixed.",
    )
    fix.add_argument("paths", nargs="+", metavar="PATH", help="a file, a directory, or - for stdin to stdout")
    fix.add_argument("--diff", action="store_true", help="write nothing, print what would change")
    fix.add_argument("--unsafe-fixes", action="store_true", help="apply also the fixes that may change values")
    fix.add_argument("--stdin-display-name", metavar="NAME", help="the file name of what comes from stdin")
    _add_flake8_options(fix)
    fix.set_defaults(run=_fix)

    baseline = commands.add_parser(
        "baseline",
        help="take today's reports as known, hear of new ones only",
        description="Write down what flake8 reports under the codes AGDnnn, or report only what is not written down.",
        epilog="Exit code: 0 nothing new, 1 something new, 2 wrong usage or a file that cannot be linted.",
    )
    actions = baseline.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, what in (("write", "write the baseline"), ("check", "report what is not in the baseline")):
        action = actions.add_parser(name, help=what, description=f"{what.capitalize()}.", epilog=baseline.epilog)
        action.add_argument("paths", nargs="*", metavar="PATH", default=["."], help="a file or a directory; else all")
        action.add_argument("--file", metavar="FILE", default=".agd-baseline.json", help="the baseline (%(default)s)")
        _add_flake8_options(action)
        action.set_defaults(run=_baseline)

    graph = commands.add_parser(
        "graph",
        help="draw the autograd graph of a line, without running it",
        description="Draw the autograd graph of what the statement on a line computes or backwards.",
        epilog="Exit code: 0 drawn, 1 nothing to draw on that line, 2 wrong usage or a file that cannot be read.",
    )
    graph.add_argument("place", metavar="FILE:LINE", help="where the value is")
    graph.add_argument("--format", choices=("tree", "mermaid", "dot", "svg", "png"), help="tree if OUT does not tell")
    graph.add_argument("-o", "--output", metavar="OUT", help="a file to write it to, as .mmd, .dot, .svg or .png")
    graph.add_argument("--visit", type=int, metavar="N", help="the Nth time that the line is gone through (loops)")
    graph.set_defaults(run=_graph)

    explain = commands.add_parser("explain", help="print the page of a rule")
    explain.add_argument("code", metavar="CODE", help="AGD101, or the name of the rule")
    explain.set_defaults(run=_explain)

    rules = commands.add_parser("rules", help="list all rules")
    rules.set_defaults(run=_rules)
    return parser


def _add_flake8_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--isolated", action="store_true", help="as for flake8")
    for option in FLAKE8_OPTIONS:
        parser.add_argument(option, metavar="VALUE", help="as for flake8")


def _with_flake8(args: argparse.Namespace, run: Callable[[AsFlake8], int]) -> int:
    """Run something with flake8 as `args` and the configuration of the working directory set it up."""
    from concurrent.futures.process import BrokenProcessPool

    from flake8_detach.report.as_flake8 import AsFlake8, ExecutionError

    options = ["--isolated"] if args.isolated else []
    for option in ("--stdin-display-name", *FLAKE8_OPTIONS):
        value = getattr(args, option[2:].replace("-", "_"), None)
        if value is not None:
            options.append(f"{option}={value}")
    try:
        flake8 = AsFlake8(options)
    except (ExecutionError, ValueError) as broken:  # flake8 raises either for a broken configuration
        print(f"flake8-detach: {broken}", file=sys.stderr)
        return FAILED
    try:
        return run(flake8)
    except BrokenProcessPool:
        print("flake8-detach: a process was killed (by the system, for want of memory?); try --jobs=1", file=sys.stderr)
    return FAILED


def _fix(args: argparse.Namespace) -> int:
    from flake8_detach.fixes.command import FixCommand

    def run(flake8: AsFlake8) -> int:
        return FixCommand(flake8, diff=args.diff, unsafe=args.unsafe_fixes).run(args.paths)

    return _with_flake8(args, run)


def _baseline(args: argparse.Namespace) -> int:
    from flake8_detach.baseline import Baseline

    def run(flake8: AsFlake8) -> int:
        baseline = Baseline(flake8, args.file)
        return baseline.write(args.paths) if args.action == "write" else baseline.check(args.paths)

    return _with_flake8(args, run)


def _graph(args: argparse.Namespace) -> int:
    from flake8_detach.report.graph_command import run

    return run(args.place, args.format, args.output, args.visit)


def _explain(args: argparse.Namespace) -> int:
    from flake8_detach.report.page import find, page

    rule = find(args.code)
    if rule is None:
        print(f"flake8-detach: no rule {args.code}; `flake8-detach rules` lists them all", file=sys.stderr)
        return FAILED
    text = page(rule)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        print(text, end="")
    return 0


def _rules(args: argparse.Namespace) -> int:
    from flake8_detach.report.page import catalogue, fix_kind
    from flake8_detach.report.text import table

    rows = [("code", "name", "default", "fix", "reports")]
    for rule in catalogue().values():
        rows.append((rule.code, rule.name, "on" if rule.default else "off", fix_kind(rule), rule.summary()))
    print(*table(rows), sep="\n")
    return 0
