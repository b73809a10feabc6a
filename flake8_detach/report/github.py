"""`flake8 --format=agd-github`: workflow commands, which GitHub Actions shows as annotations of the changed lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flake8_detach.report._formatter import MachineFormatter
from flake8_detach.report.places import path_in_repository

if TYPE_CHECKING:
    from flake8.style_guide import Violation  # type: ignore[import-untyped]


class GitHub(MachineFormatter):
    """One `::warning` a violation, of any plug-in.

    The escapes are those of the Actions toolkit, packages/core/src/command.ts. Columns are given for what stands on one
    line only: the runner takes them for a mistake otherwise.
    """

    def format(self, error: Violation) -> str:
        """One violation as one workflow command."""
        finding = self.files.finding(error)
        facts: dict[str, object] = {"file": path_in_repository(error.filename)}
        facts["line"] = max(error.line_number, 1)  # E902, a file that cannot be read, has no line
        if finding is None or finding.span.line == finding.span.end_line:
            facts["col"] = error.column_number
        if finding is not None:
            facts["endLine"] = finding.span.end_line
            if "col" in facts:
                facts["endColumn"] = finding.span.end_column + 1
        facts["title"] = error.code
        properties = ",".join(f"{name}={_property(str(value))}" for name, value in facts.items())
        return f"::warning {properties}::{_data(error.text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
