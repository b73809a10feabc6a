"""How rules tell where a gradient went: shared wording, from the evidence that the engine collected."""

from __future__ import annotations

from flake8_detach.config import Confidence
from flake8_detach.flow.events import Event
from flake8_detach.flow.values import Cause, Truth
from flake8_detach.rules._base import Note
from flake8_detach.source import Source


def confidence(*facts: Truth) -> Confidence:
    """`certain` if every fact is proved."""
    return "certain" if all(f.proved for f in facts) else "likely"


def reason(cause: Cause | None, source: Source, fallback: str) -> str:
    """`pred` was cut by `.detach()` (line 12)."""
    if cause is None:
        return fallback
    line = source.line(cause.site)
    if cause.kind == "frozen":
        return f"its parameters were {cause.what} (line {line})"
    if cause.kind == "constant":
        return f"nothing in it requires grad: it was {cause.what} (line {line})"
    label = cause.name or cause.subject
    return f"`{label}` was {cause.what} (line {line})" if label else f"it was {cause.what} (line {line})"


def trail(cause: Cause | None, source: Source) -> tuple[Note, ...]:
    """The evidence from the first cause to the last."""
    notes: list[Note] = []
    while cause is not None:
        notes.append(Note(source.span(cause.site), cause.what))
        cause = cause.before
    return tuple(reversed(notes))


def caller(event: Event, source: Source) -> str:
    """ ", called from line 30" when the code stands in a function of the file."""
    if not event.calls:
        return ""
    return f", called from line {source.line(event.calls[-1])}"
