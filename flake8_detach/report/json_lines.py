"""`flake8 --format=agd-json`: one JSON object a line, for programs that read flake8's output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flake8.formatting.base import BaseFormatter  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from flake8.style_guide import Violation  # type: ignore[import-untyped]


class JsonLines(BaseFormatter):  # type: ignore[misc]
    """Every violation that flake8 reports, of any plugin, with the keys path, line, column, code, message.

    Lines and columns count from 1, as in flake8's own output.
    """

    def format(self, error: Violation) -> str:
        """One violation as one line of JSON."""
        return json.dumps(
            {
                "path": error.filename,
                "line": error.line_number,
                "column": error.column_number,
                "code": error.code,
                "message": error.text,
            }
        )
