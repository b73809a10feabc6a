"""What the rules about dead terms of a loss share: where to report, and the second half of the message."""

from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import LostTerm, Unspent
from flake8_detach.rules._base import Finding
from flake8_detach.rules._evidence import confidence, trail
from flake8_detach.source import Source


def lost_term(code: str, event: LostTerm, source: Source, what: str, fix: Fix | None = None) -> Iterable[Finding]:
    """The finding at the place of the cut. what: "`x` was cut by `.detach()`"."""
    line = source.line(event.backward)
    if event.constant:
        effect = f"this term of `{event.root}` is a constant to `backward()` (line {line}) and trains nothing"
    elif event.drifts:
        effect = f"what it was computed from is only added to the loss (backward on line {line}), and drifts for ever"
    elif event.partly:
        effect = f"what it was drawn from is trained by other terms of `{event.root}` only (backward on line {line})"
    else:
        effect = f"what it was computed from is never trained: no gradient comes by from `backward()` (line {line})"
    yield Finding(
        code,
        f"{what}: {effect}",
        source.span(event.node),
        "likely" if event.partly else confidence(event.cause.lost),
        trail(event.cause, source),
        fix,
        cause=event.node,
    )


def unspent_term(event: Unspent, source: Source) -> str:
    """The second half of the message about a term whose gradient lands where no optimizer steps."""
    line = source.line(event.term)
    return f"the term of `{event.root}` on line {line} trains nothing: its gradients are never stepped with"
