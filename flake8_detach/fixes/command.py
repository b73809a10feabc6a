"""`flake8-detach fix`: from paths to fixed files, a diff, a report and an exit code."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from flake8_detach.batch import Trouble, distinct, each, files, trouble
from flake8_detach.config import CLEAN, FAILED, FOUND
from flake8_detach.fixes.document import Document, write
from flake8_detach.fixes.edits import Applicability
from flake8_detach.fixes.fixer import Outcome, fix
from flake8_detach.report.as_flake8 import AsFlake8
from flake8_detach.report.text import outcome_lines, summary


class _Change(NamedTuple):
    """The bytes of a file, what they say, and the bytes that are to take their place."""

    old: bytes
    document: Document
    new: bytes


class _Fixed(NamedTuple):
    """What came of a file. change: None where it stays as it is."""

    name: str
    outcome: Outcome
    change: _Change | None


class FixCommand:
    """One run: what to do, and what came of it so far.

    diff: write no file, print a unified diff. unsafe: apply the unsafe fixes, too.
    """

    def __init__(self, flake8: AsFlake8, *, diff: bool, unsafe: bool) -> None:
        self._flake8 = flake8
        self._diff = diff
        self._unsafe = unsafe
        self._applicable: set[Applicability] = {"safe", "unsafe"} if unsafe else {"safe"}
        self._outcomes: list[Outcome] = []
        self._failed = False
        self._report = sys.stdout

    def run(self, paths: Sequence[str]) -> int:
        """Fix everything that flake8 would lint under `paths`; one path that fails does not stop the others.

        No file is written before all have been linted, so that Ctrl-C until then leaves everything as it was.
        """
        if self._diff or "-" in paths:
            self._report = sys.stderr  # stdout belongs to the diff or the text
        names: list[str] = []
        seen: set[str] = set()
        for path in paths:
            if path == "-":
                self._fix_stdin()
                continue
            try:
                names += distinct(files(self._flake8, path), seen)
            except Trouble as error:
                self._fail(error)
        for fixed in each(self._flake8, partial(_fix_file, self._applicable), names):
            self._settle(fixed)
        for line in summary(self._outcomes, self._unsafe, self._diff):
            print(line, file=self._report)
        if self._failed:
            return FAILED
        return FOUND if any(outcome.fixed or outcome.left for outcome in self._outcomes) else CLEAN

    def _settle(self, fixed: _Fixed | Trouble) -> None:
        """Write the file, and tell what was fixed and what remains."""
        try:
            if isinstance(fixed, Trouble):
                raise fixed
            if fixed.change is not None and not self._diff:
                with trouble(fixed.name):
                    _write(fixed.name, fixed.change)
        except Trouble as error:
            self._fail(error)
        else:
            self._tell(fixed)

    def _fix_stdin(self) -> None:
        """Fix stdin. All of it goes to stdout, fixed or not, since an editor replaces its text by that."""
        name = self._flake8.stdin_name
        data = sys.stdin.buffer.read()
        fixed = _fix(self._flake8, self._applicable, name, data) if self._flake8.files("-") else None
        if not self._diff:
            change = fixed.change if isinstance(fixed, _Fixed) else None
            sys.stdout.buffer.write(change.new if change else data)
        if isinstance(fixed, Trouble):
            self._fail(fixed)
        elif fixed is not None:
            self._tell(fixed)

    def _tell(self, fixed: _Fixed) -> None:
        """Report what was fixed, and what remains."""
        self._outcomes.append(fixed.outcome)
        for line in outcome_lines(fixed.name, fixed.outcome, self._unsafe, self._diff):
            print(line, file=self._report)
        if self._diff and fixed.change is not None:
            self._print_diff(fixed.name, fixed.change.document, fixed.outcome.text)

    def _print_diff(self, name: str, document: Document, new: str) -> None:
        """Print a unified diff as bytes in the file's own encoding and newlines, so that `patch -p0` can apply it."""
        mark = document.bom.decode(document.encoding)
        lines = difflib.unified_diff(_lines(mark + document.text), _lines(mark + new), name, name)
        ends = (line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
        sys.stdout.buffer.write("".join(ends).encode(document.encoding, "replace"))
        sys.stdout.buffer.flush()

    def _fail(self, error: Trouble) -> None:
        self._failed |= error.failed
        print(error, file=sys.stderr)


def _fix_file(applicable: Collection[Applicability], flake8: AsFlake8, name: str) -> _Fixed | Trouble:
    """What becomes of the file `name`, which is not written yet; Trouble where it cannot be fixed."""
    try:
        with trouble(name), open(name, "rb") as stream:
            data = stream.read()
    except Trouble as error:
        return error
    return _fix(flake8, applicable, name, data)


def _fix(flake8: AsFlake8, applicable: Collection[Applicability], name: str, data: bytes) -> _Fixed | Trouble:
    try:
        with trouble(name):
            document = Document.decode(data)
            outcome = fix(document.text, partial(flake8.lint, name), applicable)
            new = document.encode(outcome.text)
    except Trouble as error:
        return error
    # It may have to go to another process, and a cause is a piece of a syntax tree.
    fixed = tuple(one._replace(finding=replace(one.finding, cause=None)) for one in outcome.fixed)
    left = tuple(replace(finding, cause=None) for finding in outcome.left)
    return _Fixed(name, Outcome(outcome.text, fixed, left), None if new == data else _Change(data, document, new))


def _write(name: str, change: _Change) -> None:
    """Write the file, unless it is no longer what was fixed. Raises OSError, Trouble."""
    with open(name, "rb") as stream:
        now = stream.read()
    if now == change.new:  # by another run of ours
        return
    if now != change.old:
        raise Trouble(f"{name}: not fixed, it was changed in the meantime")
    write(name, change.new)


def _lines(text: str) -> list[str]:
    """`text` cut after every \\n and nowhere else, as diff and patch do."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
