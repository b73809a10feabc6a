"""`flake8 --format=agd-json`: one JSON object a line, for programs that read flake8's output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flake8_detach.report._formatter import MachineFormatter

if TYPE_CHECKING:
    from flake8.style_guide import Violation  # type: ignore[import-untyped]

    from flake8_detach.rules._base import Finding
    from flake8_detach.source import Span


class JsonLines(MachineFormatter):
    """Every violation that flake8 reports, of any plugin, with the keys path, line, column, code, message.

    One of ours has also end_line, end_column, confidence, trail (the evidence, from the cause on: places with a
    message) and fix (title, applicability, edits: places with a text), which is null where there is none. Lines and
    columns count from 1, as in flake8's own output; an end is the first column behind.
    """

    def format(self, error: Violation) -> str:
        """One violation as one line of JSON."""
        shown: dict[str, Any] = {
            "path": error.filename,
            "line": error.line_number,
            "column": error.column_number,
            "code": error.code,
            "message": error.text,
        }
        finding = self.files.finding(error)
        return json.dumps(shown if finding is None else {**shown, **_more(finding)})


def _more(finding: Finding) -> dict[str, Any]:
    fix = finding.fix
    return {
        "end_line": finding.span.end_line,
        "end_column": finding.span.end_column + 1,
        "confidence": finding.confidence,
        "trail": [{**_place(note.span), "message": note.text} for note in finding.trail],
        "fix": fix
        and {
            "title": fix.title,
            "applicability": fix.applicability,
            "edits": [{**_place(edit.span), "text": edit.text} for edit in fix.edits],
        },
    }


def _place(span: Span) -> dict[str, int]:
    return {
        "line": span.line,
        "column": span.column + 1,
        "end_line": span.end_line,
        "end_column": span.end_column + 1,
    }
