"""Edits of the text: what they are, when they are safe, how several of them are applied at once."""

from __future__ import annotations

from typing import Literal, NamedTuple

from flake8_detach.source import Span

Applicability = Literal["safe", "unsafe", "display"]
"""As in ruff: `safe` keeps the program's values, `unsafe` may change them, `display` is shown but never applied."""


class Edit(NamedTuple):
    """Replace the text of `span` by `text` (an empty span inserts)."""

    span: Span
    text: str


class Fix(NamedTuple):
    """The edits that remove one finding; `title` says what they do ("insert `.detach()`")."""

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability
