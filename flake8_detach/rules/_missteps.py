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
    """messages: what is out of order -> the message; `{at}` is the line of the other place, `{subject}` its subject.

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
        trail = (Note(source.span(event.at), "the other place"),) if event.at is not None else ()
        text = message.format(at=line, subject=event.subject)
        fix = self.repair(event, source)
        yield Finding(self.code, text, source.span(event.node), confidence(event.sure), trail, fix, event.cause)

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """What puts it in order, if that is certain to."""
        return None
