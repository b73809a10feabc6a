"""The adapter to flake8: options in, findings out. Whatever happens, no exception reaches flake8.

flake8 imports this module in every run, so it imports nothing that flake8 has not; the analysis comes in with the
first file that is checked.
"""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from flake8_detach import __version__
from flake8_detach.config import INTERNAL, OFF_BY_DEFAULT, Confidence, Settings

if TYPE_CHECKING:
    from argparse import Namespace

    from flake8_detach.rules._base import Finding

Report = tuple[int, int, str, type["Plugin"]]
"""What flake8 takes from a plugin: line (from 1), column (from 0), the message with its code, the plugin."""


class AnalysisError(Exception):
    """The analysis of a file failed; `__cause__` is what was raised."""


class Plugin:
    """The flake8 plugin of all AGD rules."""

    name: ClassVar[str] = "flake8-detach"
    version: ClassVar[str] = __version__
    settings: ClassVar[Settings] = Settings()

    def __init__(self, tree: ast.Module, lines: list[str], filename: str) -> None:
        self.tree = tree
        self.lines = lines
        self.filename = filename

    @classmethod
    def add_options(cls, manager: Any) -> None:
        """Register the options with flake8's OptionManager and put what is off by default on its ignore list."""
        manager.add_option(
            "--agd-confidence",
            choices=get_args(Confidence),
            default="likely",
            parse_from_config=True,
            help="Report only what is proved (certain), or also what rests on one presumption (likely, the default).",
        )
        manager.add_option(
            "--agd-debug",
            action="store_true",
            default=False,
            parse_from_config=True,
            help=f"Report {INTERNAL}, with a traceback on stderr, for a file whose analysis fails; else it is silent.",
        )
        manager.extend_default_ignore(OFF_BY_DEFAULT)

    @classmethod
    def parse_options(cls, options: Namespace) -> None:
        """Take the settings from flake8's parsed options. With `--agd-debug`, AGD000 is no longer ignored.

        Raises flake8's ExecutionError on a wrong value in a configuration file.
        """
        try:
            cls.settings = Settings.from_options(options)
        except ValueError as wrong:
            from flake8.exceptions import ExecutionError  # type: ignore[import-untyped]

            raise ExecutionError(str(wrong)) from wrong
        if cls.settings.debug:
            options.extended_default_ignore = [c for c in options.extended_default_ignore if c != INTERNAL]

    def run(self) -> Iterator[Report]:
        """The findings of the file, sorted; none where the analysis fails."""
        try:
            findings = lint("".join(self.lines), self.tree, self.settings)
        except AnalysisError as failure:
            if self.settings.debug:
                cause = failure.__cause__
                assert cause is not None
                print(f"flake8-detach {__version__} on {self.filename}:", file=sys.stderr)
                traceback.print_exception(cause)
                yield 1, 0, f"{INTERNAL} the file was not analysed: {last_line(cause)}", type(self)
            return
        for finding in findings:
            yield finding.span.line, finding.span.column, f"{finding.code} {finding.message}", type(self)


def lint(text: str, tree: ast.Module, settings: Settings) -> list[Finding]:
    """What is found in `text`, whose `ast` is `tree`, sorted by position.

    Raises AnalysisError, whatever goes wrong: libcst.ParserSyntaxError and CSTValidationError where libcst's idea of
    Python differs, RecursionError on deep nesting, a bug of ours.
    """
    try:
        from flake8_detach.rules import check
        from flake8_detach.source import Source

        with collector_paused():
            found = [finding for finding in check(Source(text, tree), settings) if settings.wants(finding.code)]
        return sorted(found, key=lambda finding: (finding.span, finding.code, finding.message))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as cause:  # a panic in libcst's parser, which is written in Rust, is not an Exception
        raise AnalysisError(last_line(cause)) from cause


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection meanwhile: a parse makes a million objects and hardly any cycle, and every tenth of a file
    the collector would go through all of them, for a quarter of the time that the analysis takes."""
    import gc

    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def last_line(failure: BaseException) -> str:
    """The last line of the traceback of `failure`, on one line."""
    return " ".join("".join(traceback.format_exception_only(failure)).split())
