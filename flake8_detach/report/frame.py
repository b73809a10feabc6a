"""`flake8 --format=agd-frame`: for people. Each report with its lines of code, from the cause to the effect."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from flake8_detach.report._formatter import Formatter
from flake8_detach.source import Span

if TYPE_CHECKING:
    from flake8.style_guide import Violation  # type: ignore[import-untyped]

WIDTH = 120
"""So many characters of a line are shown, around what is marked."""

STYLES = {"place": "1", "code": "1;31", "cause": "36", "mark": "31", "fix": "32", "gutter": "2"}
"""What is coloured, and the number of its ANSI style."""


class Marked(NamedTuple):
    """A stretch of the file to underline, and what to say below it; its style."""

    span: Span
    text: str
    style: str


class Frame(Formatter):
    """flake8's own line, so that editors find the place, and below it the evidence line by line.

    Colours are flake8's `--color`; `auto` looks at the variable NO_COLOR, too (no-color.org), and at where the output
    goes.
    """

    def after_init(self) -> None:
        """flake8's hook after its own `__init__`."""
        super().after_init()
        if self.options.color == "auto" and (os.environ.get("NO_COLOR") or (self.filename and not self.options.tee)):
            self.color = False

    def format(self, error: Violation) -> str:
        """One violation with its frame; only the line of flake8 where the file has no such line."""
        place = self._style("place", f"{error.filename}:{error.line_number}:{error.column_number}:")
        head = f"{place} {self._style('code', error.code)} {error.text}"
        lines = self.files.lines(error.filename)
        marks = [mark for mark in self._marks(error) if 1 <= mark.span.line <= len(lines)]
        gutter = max((len(str(mark.span.line)) for mark in marks), default=0) + 4
        frame = [line for mark in marks for line in self._frame(lines[mark.span.line - 1], mark, gutter)]
        return "\n".join([head, *frame, *self._fix(error, gutter), ""])

    def _marks(self, error: Violation) -> Iterator[Marked]:
        finding = self.files.finding(error)
        if finding is None:
            column = error.column_number - 1
            yield Marked(Span(error.line_number, column, error.line_number, column + 1), "", "mark")
            return
        for note in finding.trail:
            if note.span != finding.span:
                yield Marked(note.span, note.text, "cause")
        own = [note.text for note in finding.trail if note.span == finding.span]
        yield Marked(finding.span, ", ".join(own), "mark")

    def _frame(self, line: str, mark: Marked, gutter: int) -> Iterator[str]:
        line = line.rstrip("\r\n")
        start = min(mark.span.column, len(line))
        end = mark.span.end_column if mark.span.end_line == mark.span.line else len(line)
        first = max(0, start - WIDTH // 2) if len(line) > WIDTH else 0
        shown = line[first : first + WIDTH]
        before, marked = _plain(line[first:start]), _plain(line[start : min(end, first + WIDTH)])
        carets = "^" * max(1, _cells(marked))
        bar = self._style("gutter", "|")
        yield f"{mark.span.line:>{gutter}} {bar} {_plain(shown)}".rstrip()
        label = f" {mark.text}" if mark.text else ""
        yield f"{' ' * gutter} {bar} {' ' * _cells(before)}{self._style(mark.style, carets + label)}"

    def _fix(self, error: Violation, gutter: int) -> Iterator[str]:
        finding = self.files.finding(error)
        if finding is not None and finding.fix is not None:
            how = {"safe": "", "unsafe": " (unsafe: it may change values)", "display": " (by hand)"}
            text = f"fix: {finding.fix.title}{how[finding.fix.applicability]}"
            yield f"{' ' * gutter} {self._style('gutter', '=')} {self._style('fix', text)}"

    def _style(self, style: str, text: str) -> str:
        return f"\033[{STYLES[style]}m{text}\033[m" if self.color else text


def _plain(text: str) -> str:
    """As a terminal can show it: four spaces for a tab, a dot for what would move the cursor."""
    return "".join("    " if c == "\t" else c if c.isprintable() else "\N{MIDDLE DOT}" for c in text)


def _cells(text: str) -> int:
    """How many cells of a terminal the text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
