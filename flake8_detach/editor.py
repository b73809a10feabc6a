"""python-lsp-server's hook: quick fixes for the reports under the cursor, in every editor that speaks its protocol.

pylsp shows what flake8 reports; this adds what can be done about it. Nothing but pylsp imports this module.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

from pylsp import hookimpl

from flake8_detach.config import Settings
from flake8_detach.fixes.actions import Action, Report, actions
from flake8_detach.fixes.edits import Edit
from flake8_detach.plugin import AnalysisError, lint


def pylsp_code_actions(config: Any, workspace: Any, document: Any, range: Any, context: Any) -> list[dict[str, Any]]:
    """The actions for the diagnostics that the editor has at hand, each with its edit of the text."""
    given = [d for d in context.get("diagnostics", ()) if str(d.get("code", "")).startswith("AGD")]
    if not given:
        return []
    text = document.source.removeprefix("\ufeff")
    reports = [Report(d["code"], d["range"]["start"]["line"] + 1, d["range"]["start"]["character"]) for d in given]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's, on the user's text
            tree = ast.parse(text)
        findings = lint(text, tree, Settings(selected=tuple({report.code for report in reports})))
    except (AnalysisError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lines = document.source.splitlines()
    return [
        _action(document.uri, lines, action, given[reports.index(action.report)])
        for action in actions(text, findings, reports)
    ]


hookimpl(pylsp_code_actions)  # marks it


def _action(uri: str, lines: list[str], action: Action, diagnostic: Any) -> dict[str, Any]:
    return {
        "title": action.title,
        "kind": "quickfix",
        "diagnostics": [diagnostic],
        "isPreferred": action.preferred,
        "edit": {"changes": {uri: [_edit(lines, edit) for edit in action.edits]}},
    }


def _edit(lines: list[str], edit: Edit) -> dict[str, Any]:
    span = edit.span
    return {
        "range": {
            "start": _position(lines, span.line, span.column),
            "end": _position(lines, span.end_line, span.end_column),
        },
        "newText": edit.text,
    }


def _position(lines: list[str], line: int, column: int) -> dict[str, int]:
    """As the protocol counts: lines from 0, columns in UTF-16 units."""
    before = lines[line - 1][:column] if line <= len(lines) else ""
    return {"line": line - 1, "character": len(before.encode("utf-16-le")) // 2}
