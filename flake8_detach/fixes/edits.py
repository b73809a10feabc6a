"""Edits of the text: what they are, when they are safe, how several of them are applied at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from flake8_detach.source import Lines, Span

Applicability = Literal["safe", "unsafe", "display"]
"""As in ruff: `safe` keeps the program's values, `unsafe` may change them, `display` is shown but never applied."""


class Edit(NamedTuple):
    """Replace the text of `span` by `text` (an empty span inserts).

    block: what it begins by is put into a block with this head; `text` ends by what indents it there.
    """

    span: Span
    text: str
    block: str = ""


class Fix(NamedTuple):
    """The edits that remove one finding; `title` says what they do ("insert `.detach()`")."""

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability


class Change(NamedTuple):
    """An edit in terms of offsets: `text` takes the place of the characters from `start` to before `end`."""

    start: int
    end: int
    text: str
    block: str = ""


class Applied(NamedTuple):
    """The new text, for each fix whether it is in it, and the changes in the order of the old text."""

    text: str
    done: tuple[bool, ...]
    changes: tuple[Change, ...]


def apply(text: str, fixes: Sequence[Fix]) -> Applied:
    """Apply those of `fixes` that do not get into each other's way; of two that do, the later one is left out.

    Two fixes with the same edits count as one and are both done. A fix is left out, too, when its edits overlap or do
    not lie in `text`. Newlines in the edits become those of the line where the edit begins.
    """
    lines = Lines(text)
    taken: list[Change] = []
    groups: dict[tuple[Change, ...], None] = {}
    done: list[bool] = []
    for fix in fixes:
        changes = _changes(lines, fix)
        fits = bool(changes) and (changes in groups or not any(_touch(new, old) for new in changes for old in taken))
        done.append(fits)
        if fits and changes not in groups:
            groups[changes] = None
            taken.extend(changes)
    taken = [change for group in _joined(lines, groups) for change in group]
    taken.sort(key=lambda change: change[:2])  # stable: insertions of one fix at one place keep their order
    pieces: list[str] = []
    last = 0
    for change in taken:
        pieces += (text[last : change.start], change.text)
        last = change.end
    return Applied("".join(pieces) + text[last:], tuple(done), tuple(taken))


def moved(offset: int, changes: Sequence[Change]) -> tuple[int, int]:
    """Where the character at `offset` is after `changes` (in order): the first and the last place that it can have.

    The two differ for what was replaced, and where text was inserted right before.
    """
    first = last = offset
    for start, end, text, _ in changes:
        if start < end <= offset or start == end < offset:
            first += len(text) - (end - start)
            last += len(text) - (end - start)
        elif start == end == offset:
            last += len(text)
        elif start <= offset < end:
            first -= offset - start
            last += len(text) - (offset - start)
    return first, last


def _changes(lines: Lines, fix: Fix) -> tuple[Change, ...]:
    """The edits of one fix as changes in order, or () when they cannot be applied."""
    changes: list[Change] = []
    for span, text, block in fix.edits:
        try:
            start, end = lines.offset(span.line, span.column), lines.offset(span.end_line, span.end_column)
        except ValueError:
            return ()
        newline = lines.newline(span.line)
        changes.append(Change(start, end, text.replace("\n", newline), block))
    changes.sort(key=lambda change: change[:2])
    clean = all(change.start <= change.end for change in changes)
    apart = all(before.end <= after.start for before, after in pairwise(changes))
    return tuple(changes) if clean and apart else ()


def _joined(lines: Lines, groups: Iterable[tuple[Change, ...]]) -> list[tuple[Change, ...]]:
    """Where two fixes put statements that follow each other into blocks of the same kind, they share one block."""
    joined: list[tuple[Change, ...]] = []
    block, inner, end = "", "", 0
    for group in sorted(groups):
        opening = group[0]
        line, column = lines.position(opening.start)
        indent = lines.text[opening.start - column : opening.start]
        *head, within = re.split("[\r\n]+", opening.text)
        if opening.block and (opening.block, within, line) == (block, inner, end + 1):
            opening = opening._replace(text=within.removeprefix(indent))
        block, inner = opening.block, within if head else indent + within
        end = lines.position(group[-1].start)[0]
        joined.append((opening, *group[1:]))
    return joined


def _touch(one: Change, other: Change) -> bool:
    """Whether changes of two fixes overlap, or one inserts at the edge of the other: their order would be a guess."""
    if one.start == one.end or other.start == other.end:
        return one.start <= other.end and other.start <= one.end
    return one.start < other.end and other.start < one.end
