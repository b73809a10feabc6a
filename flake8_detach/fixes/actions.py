"""What an editor can offer for a report: our fix, as an edit of the text, and silence for it with `# noqa`."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flake8_detach.fixes.edits import Edit
from flake8_detach.rules._base import Finding
from flake8_detach.source import Span

NOQA = re.compile(r"# noqa:[ \t]?(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)", re.IGNORECASE)
"""A comment that silences some codes, as flake8 reads it; its own expression has changed its name between versions."""


class Report(NamedTuple):
    """A report as the editor has it: its code, line (from 1) and column (from 0)."""

    code: str
    line: int
    column: int


class Action(NamedTuple):
    """One entry of the menu. preferred: what a key for "fix it" may choose without asking."""

    title: str
    report: Report
    edits: tuple[Edit, ...]
    preferred: bool = False


def actions(text: str, findings: Iterable[Finding], reports: Iterable[Report]) -> Iterator[Action]:
    """The actions for those of the `findings` in `text` that were reported."""
    wanted = list(reports)
    for finding in findings:
        report = Report(finding.code, finding.span.line, finding.span.column)
        if report not in wanted:
            continue
        wanted.remove(report)
        fix = finding.fix
        if fix is not None and fix.applicability != "display" and fix.edits:
            how = " (unsafe: it may change values)" if fix.applicability == "unsafe" else ""
            yield Action(f"{report.code}: {fix.title}{how}", report, fix.edits, fix.applicability == "safe")
        silence = noqa(text, report)
        if silence is not None:
            yield Action(f"{report.code}: silence with noqa", report, (silence,))


def noqa(text: str, report: Report) -> Edit | None:
    """The edit that silences the report: at the end of its statement, in a comment that may be there already.

    None for a text that is no Python, where nothing can be said about its lines.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    try:
        last = _end(text, report.line)
    except (tokenize.TokenError, SyntaxError):
        return None
    line = lines[last - 1]
    told = NOQA.search(line)
    if told is not None:
        at = told.end("codes")
        return Edit(Span(last, at, last, at), f",{report.code}")
    at = len(line.rstrip())
    return Edit(Span(last, at, last, len(line)), f"  # noqa: {report.code}")


def _end(text: str, line: int) -> int:
    """The last line of the statement that `line` is part of: a comment further up could stand within a string."""
    for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
        if token.type == tokenize.NEWLINE and token.start[0] >= line:
            return token.start[0]
    return line
