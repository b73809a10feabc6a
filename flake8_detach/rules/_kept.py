"""How the rules about memory tell what is held and for how long."""

from __future__ import annotations

from typing import Any

from flake8_detach.flow.events import Retained
from flake8_detach.rules._base import Note
from flake8_detach.source import Source


def held(event: Retained, source: Source) -> str:
    """What every iteration leaves behind."""
    if event.freed.yes and event.freed_at is not None:
        return f"every iteration's graph, freed by the backward on line {source.line(event.freed_at)}, stays in memory"
    return "every iteration's graph stays in memory with all of its activations"


def trail(event: Retained, source: Source) -> tuple[Note, ...]:
    """Where the graph was used up."""
    return (Note(source.span(event.freed_at), "frees the graph"),) if event.freed_at is not None else ()


def cause(event: Retained) -> Any:
    """A loop that never backwards keeps a graph because it builds one: what is told of that loop is told once."""
    return None if event.freed.yes else event.loop
