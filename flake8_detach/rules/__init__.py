"""The rules, one file each, found by name; and `check`, which runs them over a file in one pass."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from functools import cache

from flake8_detach.config import Settings
from flake8_detach.gate import gate
from flake8_detach.rules._base import RULES, Finding, Rule
from flake8_detach.source import Source


@cache
def load() -> dict[str, Rule]:
    """All rules by code, sorted. Importing a rule's module registers it."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("agd"):
            importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(RULES.items()))


def check(source: Source, settings: Settings | None = None) -> list[Finding]:
    """Everything that the rules find in `source`, in the order of the file.

    Raises what libcst raises for text that it cannot parse, and RecursionError.
    """
    settings = settings or Settings()
    rules = load()
    chunks = gate(source, rules.values()) if settings.gate else range(len(source.chunks))
    if not chunks:
        return []
    from flake8_detach.flow import follow  # libcst is imported for files that pass the gate only
    from flake8_detach.flow.events import Event

    listeners: dict[type, list[Rule]] = defaultdict(list)
    for rule in rules.values():
        for kind in rule.listens:
            listeners[kind].append(rule)
    findings: dict[tuple[str, int], Finding] = {}
    told: dict[int, str] = {}

    def sink(event: Event) -> None:
        for rule in listeners[type(event)]:
            if (rule.code, id(event.node)) not in findings:
                for finding in rule.check(event, source):
                    # one bug, one report: what another rule traced to the same cause is told already
                    if finding.cause is None or told.setdefault(id(finding.cause), rule.code) == rule.code:
                        findings.setdefault((rule.code, id(event.node)), finding)

    follow(source, chunks, sink)
    wanted = [f for f in findings.values() if settings.confidence == "likely" or f.confidence == "certain"]
    return sorted(wanted, key=lambda f: (f.span, f.code))
