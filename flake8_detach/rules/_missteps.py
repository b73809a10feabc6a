"""The shared part of the rules about the order of a training step: which messages are theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Misstep
from flake8_detach.rules._base import Finding, Note, Rule
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


class OrderRule(Rule):
    """messages: what is out of order -> the message; `{at}` is the line of the other place, `{subject}` its subject,
    `{inside}` the line where it is done, in brackets, if what is reported is a call that leads there.

    raising: those of them that torch refuses, so that nothing is said where the error is caught.
    """

    listens = (Misstep,)
    messages: ClassVar[Mapping[str, str]]
    raising: ClassVar[frozenset[str]] = frozenset()

    def check(self, event: Misstep, source: Source) -> Iterable[Finding]:
        """Report the orders that are this rule's."""
        message = self.messages.get(event.what)
        if message is None or not event.sure.yes or (event.guarded and event.what in self.raising):
            return
        line = source.line(event.at) if event.at is not None else 0
        inside = "" if event.inside is None else f" (line {source.line(event.inside)})"
        notes = ((event.inside, "done here"), (event.at, "the other place"))
        trail = tuple(Note(source.span(place), text) for place, text in notes if place is not None)
        text = message.format(at=line, subject=event.subject, inside=inside)
        fix = self.repair(event, source)
        yield Finding(self.code, text, source.span(event.node), confidence(event.sure), trail, fix, event.cause)

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """What puts it in order, if that is certain to."""
        return None
