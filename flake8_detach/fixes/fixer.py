"""Fix a text: apply, lint again, keep what helped, until nothing more can be fixed.

A fix is kept only if its finding is gone, no other has come and the text still stands as Python. All fixes of a round
are tried together; when they fail that test, half of them, down to the one that is at fault, which is left out.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from flake8_detach.fixes.edits import Applicability, Applied, Change, apply, moved
from flake8_detach.rules._base import Finding
from flake8_detach.source import Lines

Lint = Callable[[str], Sequence[Finding]]
"""From a text to what is to be fixed in it, sorted by position. Raises any Exception when it cannot tell."""


class Fixed(NamedTuple):
    """A finding that is gone, and where it stood, in terms of the fixed text (line from 1, column from 0)."""

    finding: Finding
    line: int
    column: int


class Outcome(NamedTuple):
    """The text with the fixes in it, what they removed, and what is still found."""

    text: str
    fixed: tuple[Fixed, ...]
    left: tuple[Finding, ...]


class _Place(NamedTuple):
    """A finding by the offsets between which it begins; they part as the text changes under it."""

    finding: Finding
    first: int
    last: int

    def after(self, changes: Sequence[Change]) -> _Place:
        return _Place(self.finding, moved(self.first, changes)[0], moved(self.last, changes)[1])

    def holds(self, other: _Place) -> bool:
        """Whether `other`, which has just been found, is this finding."""
        return self.finding.code == other.finding.code and self.first <= other.first <= self.last


class _Round(NamedTuple):
    """A change that is kept: the new text, its changes, what it removed and what is found now."""

    applied: Applied
    done: tuple[_Place, ...]
    found: tuple[_Place, ...]


def fix(text: str, lint: Lint, applicable: Collection[Applicability]) -> Outcome:
    """Apply the fixes that are `applicable`. Raises what `lint` raises on `text`.

    It ends: every round that is kept leaves fewer findings, every other one halves the next try or gives up one fix.
    """
    found = _places(text, lint(text))
    fixed: list[_Place] = []
    refused: list[_Place] = []
    at_once = len(found)
    while wanted := [place for place in found if _applies(place, applicable) and not _among(place, refused)]:
        tried = wanted[:at_once]
        kept = _try(text, tried, found, lint)
        if kept is not None:
            fixed = [place.after(kept.applied.changes) for place in (*fixed, *kept.done)]
            refused = [place.after(kept.applied.changes) for place in refused]
            text, found, at_once = kept.applied.text, kept.found, len(kept.found)
        elif len(tried) > 1:
            at_once = len(tried) // 2
        else:
            refused += tried
            at_once = len(found)
    lines = Lines(text)
    done = sorted((Fixed(place.finding, *lines.position(place.first)) for place in fixed), key=lambda f: f[1:])
    return Outcome(text, tuple(done), tuple(place.finding for place in found))


def _try(text: str, tried: Sequence[_Place], found: Sequence[_Place], lint: Lint) -> _Round | None:
    """Apply the fixes of `tried`, as far as they agree with each other; None if the result is not to be kept."""
    applied = apply(text, [place.finding.fix for place in tried if place.finding.fix])
    done = [place for place, is_in in zip(tried, applied.done, strict=True) if is_in]
    if applied.text == text or _soundness(applied.text) < _soundness(text):
        return None
    try:
        now = _places(applied.text, lint(applied.text))
    except Exception:  # a text that cannot be linted any more is no improvement
        return None
    before = [place.after(applied.changes) for place in found if place not in done]
    for place in now:
        same = next((old for old in before if old.holds(place)), None)
        if same is None:
            return None
        before.remove(same)
    return _Round(applied, tuple(done), now)


def _applies(place: _Place, applicable: Collection[Applicability]) -> bool:
    return place.finding.fix is not None and place.finding.fix.applicability in applicable


def _among(place: _Place, refused: Sequence[_Place]) -> bool:
    return any(old.holds(place) for old in refused)


def _places(text: str, findings: Sequence[Finding]) -> tuple[_Place, ...]:
    lines = Lines(text)
    starts = [lines.offset(finding.span.line, finding.span.column) for finding in findings]
    return tuple(_Place(finding, start, start) for finding, start in zip(findings, starts, strict=True))


def _soundness(text: str) -> int:
    """2 for what compiles, 1 for what only parses (a top-level `return` or `await`, as in notebooks), else 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in the user's string is not for us to report
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return 0
        try:
            compile(tree, "<fixed>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return 1
    return 2
