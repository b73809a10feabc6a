"""From events to findings: asks the rules that listen, and sees to it that one bug is reported once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from flake8_detach.flow.events import Event
from flake8_detach.rules._base import Finding, Rule
from flake8_detach.source import Source


class Collector:
    """Takes the events of one file in their order; `findings` has what the rules made of them."""

    def __init__(self, rules: Iterable[Rule], source: Source) -> None:
        self._source = source
        self._listeners: dict[type, list[Rule]] = defaultdict(list)
        for rule in rules:
            for kind in rule.listens:
                self._listeners[kind].append(rule)
        self._findings: dict[tuple[str, int], Finding] = {}
        self._told: dict[int, Finding] = {}

    @property
    def findings(self) -> list[Finding]:
        """Each is the first of its rule at its place."""
        return list(self._findings.values())

    def take(self, event: Event) -> None:
        """Let the rules that listen to this kind of event look at it."""
        for rule in self._listeners[type(event)]:
            if (rule.code, id(event.node)) not in self._findings:
                for found in rule.check(event, self._source):
                    finding = replace(found, confidence="likely") if event.presumed else found
                    if not self._told_already(finding):
                        self._findings.setdefault((rule.code, id(event.node)), finding)

    def _told_already(self, finding: Finding) -> bool:
        """Has another rule traced its finding to the same cause, or does Python never get as far as here?"""
        if finding.cause is None:
            return False
        teller = self._told.setdefault(id(finding.cause), finding)
        return teller is not finding and (teller.code != finding.code or finding.first_only)
