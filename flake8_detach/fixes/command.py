"""`flake8-detach fix`: from paths to fixed files, a diff, a report and an exit code."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from flake8_detach.config import CLEAN, FAILED, FOUND
from flake8_detach.fixes.document import Document, write
from flake8_detach.fixes.edits import Applicability
from flake8_detach.fixes.fixer import Outcome, fix
from flake8_detach.plugin import AnalysisError
from flake8_detach.report.as_flake8 import AsFlake8
from flake8_detach.report.text import outcome_lines, summary


class _Fixed(NamedTuple):
    """A file before (`document`) and after its fixes (`outcome`, `data`)."""

    document: Document
    outcome: Outcome
    data: bytes


class FixCommand:
    """One run: what to do, and what came of it so far.

    diff: write no file, print a unified diff. unsafe: apply the unsafe fixes, too.
    """

    def __init__(self, flake8: AsFlake8, *, diff: bool, unsafe: bool) -> None:
        self._flake8 = flake8
        self._diff = diff
        self._unsafe = unsafe
        self._applicable: set[Applicability] = {"safe", "unsafe"} if unsafe else {"safe"}
        self._seen: set[str] = set()
        self._outcomes: list[Outcome] = []
        self._failed = False
        self._report = sys.stdout

    def run(self, paths: Sequence[str]) -> int:
        """Fix everything that flake8 would lint under `paths`; one path that fails does not stop the others."""
        if self._diff or "-" in paths:
            self._report = sys.stderr  # stdout belongs to the diff or the text
        for path in paths:
            if path == "-":
                self._fix_stdin()
            elif not os.path.exists(path):
                self._fail(path, "no such file or directory")
            else:
                self._fix_path(path)
        for line in summary(self._outcomes, self._unsafe, self._diff):
            print(line, file=self._report)
        if self._failed:
            return FAILED
        return FOUND if any(outcome.fixed or outcome.left for outcome in self._outcomes) else CLEAN

    def _fix_path(self, path: str) -> None:
        names = self._flake8.files(path)
        if not names and os.path.isdir(path) and not self._flake8.has_python(path):
            self._fail(path, "no Python files in this directory")
        for name in names:
            target = os.path.realpath(name)
            if target not in self._seen:
                self._seen.add(target)
                self._fix_file(name)

    def _fix_file(self, name: str) -> None:
        try:
            with open(name, "rb") as stream:
                data = stream.read()
            fixed = self._fix(name, data)
            if fixed is not None and fixed.data != data and not self._diff:
                write(name, fixed.data)
        except OSError as error:
            self._fail(name, error.strerror or str(error))
        else:
            self._tell(name, fixed)

    def _fix_stdin(self) -> None:
        """Fix stdin. All of it goes to stdout, fixed or not, since an editor replaces its text by that."""
        name = self._flake8.stdin_name
        data = sys.stdin.buffer.read()
        fixed = self._fix(name, data) if self._flake8.files("-") else None
        if not self._diff:
            sys.stdout.buffer.write(fixed.data if fixed else data)
        self._tell(name, fixed)

    def _fix(self, name: str, data: bytes) -> _Fixed | None:
        """What becomes of the bytes of a file; None if they cannot be linted, which is reported."""
        try:
            document = Document.decode(data)
            outcome = fix(document.text, partial(self._flake8.lint, name), self._applicable)
            return _Fixed(document, outcome, document.encode(outcome.text))
        except AnalysisError as failure:  # flake8 is silent about such a file: the user has nothing to mend in it
            print(f"{name}: passed over, the analysis failed: {failure}", file=sys.stderr)
        except SyntaxError as error:
            self._fail(f"{name}:{error.lineno or 1}", f"not valid Python: {error.msg}")
        except (ValueError, RecursionError, MemoryError) as error:
            self._fail(name, f"cannot be read as Python: {error or type(error).__name__}")
        return None

    def _tell(self, name: str, fixed: _Fixed | None) -> None:
        """Report what was fixed, and what remains."""
        if fixed is None:
            return
        self._outcomes.append(fixed.outcome)
        for line in outcome_lines(name, fixed.outcome, self._unsafe, self._diff):
            print(line, file=self._report)
        if self._diff:
            self._print_diff(name, fixed.document, fixed.outcome.text)

    def _print_diff(self, name: str, document: Document, new: str) -> None:
        """Print a unified diff as bytes in the file's own encoding and newlines, so that `patch -p0` can apply it."""
        mark = document.bom.decode(document.encoding)
        lines = difflib.unified_diff(_lines(mark + document.text), _lines(mark + new), name, name)
        ends = (line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
        sys.stdout.buffer.write("".join(ends).encode(document.encoding, "replace"))
        sys.stdout.buffer.flush()

    def _fail(self, path: str, why: str) -> None:
        self._failed = True
        print(f"{path}: {why}", file=sys.stderr)


def _lines(text: str) -> list[str]:
    """`text` cut after every \\n and nowhere else, as diff and patch do."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
