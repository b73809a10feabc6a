"""The findings behind flake8's violations.

flake8's workers hand over a code, a place and a text, no more. A formatter that wants the evidence and the fix gets
them by linting the file again, in its own process and only where there is a violation of ours.
"""

from __future__ import annotations

import ast
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from flake8.processor import FileProcessor  # type: ignore[import-untyped]
from flake8.utils import is_using_stdin  # type: ignore[import-untyped]

from flake8_detach.plugin import AnalysisError, Plugin, lint

if TYPE_CHECKING:
    from argparse import Namespace

    from flake8.style_guide import Violation  # type: ignore[import-untyped]

    from flake8_detach.rules._base import Finding


class Analysed(NamedTuple):
    """A file as flake8 reads it (its lines end in \\n, there is no byte order mark) and what we find in it."""

    lines: list[str]
    tree: ast.Module
    findings: list[Finding]


def analyse(processor: FileProcessor) -> Analysed:
    """Lint what flake8 has read, with the settings of this run.

    Raises SyntaxError (ValueError for a null byte) where the text does not parse, AnalysisError where we fail.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's, on the user's text
        tree: ast.Module = processor.build_ast()
    return Analysed(processor.lines, tree, lint("".join(processor.lines), tree, Plugin.settings))


class Files:
    """The files of one run, read again. Violations come file by file, so one file is kept at a time."""

    def __init__(self, options: Namespace) -> None:
        self._options = options
        self._name: str | None = None
        self._processor: FileProcessor | None = None
        self._analysed: Analysed | None = None

    def lines(self, name: str) -> list[str]:
        """The lines of a file; none where it can no longer be read."""
        self._open(name)
        return self._processor.lines if self._processor else []

    def analysed(self, name: str) -> Analysed:
        """The file and its findings; nothing where the file can no longer be read or parsed."""
        self._open(name)
        if self._analysed is None:
            self._analysed = Analysed([], ast.Module(body=[], type_ignores=[]), [])
            if self._processor is not None:
                with suppress(AnalysisError, SyntaxError, ValueError, RecursionError, MemoryError):
                    self._analysed = analyse(self._processor)
        return self._analysed

    def finding(self, violation: Violation) -> Finding | None:
        """The finding that `violation` reports; None for one of another plug-in, and where the file has changed."""
        if not violation.code.startswith("AGD"):
            return None
        wanted = (violation.code, violation.line_number, violation.column_number - 1, violation.text)
        return next((found for found in self.analysed(violation.filename).findings if _key(found) == wanted), None)

    def _open(self, name: str) -> None:
        if name == self._name:
            return
        self._name, self._processor, self._analysed = name, None, None
        is_stdin = is_using_stdin(self._options.filenames) and name == self._options.stdin_display_name
        try:
            self._processor = FileProcessor("-" if is_stdin else name, self._options)
        except (OSError, SyntaxError, UnicodeError):
            return


def _key(finding: Finding) -> tuple[str, int, int, str]:
    return finding.code, finding.span.line, finding.span.column, finding.message
