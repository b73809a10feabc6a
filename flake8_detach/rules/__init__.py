"""The rules, one file each, found by name; and `check`, which runs them over a file in one pass."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from flake8_detach.config import Settings
from flake8_detach.gate import Gate
from flake8_detach.rules._base import RULES, Finding, Rule
from flake8_detach.source import Source

KNOWN = frozenset(
    {"torch", "functorch", "torchvision", "ignite", "accelerate", "deepspeed", "transformers"}
    | {"lightning", "lightning_fabric", "pytorch_lightning", "detach", "backward", "manual_backward"}
)
"""In a file with none of these words nothing is known of any tensor: packages that the engine knows, and methods that
tell a tensor by themselves. Such a file does not even cost the import of the rules."""


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
    gate = Gate(source)
    if settings.gate and KNOWN.isdisjoint(gate.spelt):
        return []
    wanted = [rule for rule in load().values() if settings.wants(rule.code)]
    trains = {words: gate.mentions(words) for words in {rule.within for rule in wanted if rule.within}}
    rules = [rule for rule in wanted if not rule.within or trains[rule.within]]
    if not settings.gate:
        chunks = reporting = frozenset(range(len(source.chunks)))
    elif any(rule.within for rule in rules):
        chunks = reporting = gate.everything
    else:
        chunks, reporting = gate.keep(rules)
    if not chunks:
        return []
    from flake8_detach.flow.program import follow  # libcst is imported for files that pass the gate only
    from flake8_detach.rules._collect import Collector

    collector = Collector(rules, source)
    follow(source, chunks, collector.take, _followed(gate, rules, chunks, reporting))
    sure = [f for f in collector.findings if settings.confidence == "likely" or f.confidence == "certain"]
    return sorted(sure, key=lambda f: (f.span, f.code))


EVERYWHERE = frozenset({"LightningModule", "Linear", "Module", "Parameter", "Sequential", "__init__", "forward", "nn"})
"""Actions that stand in every file that defines a module."""


def _followed(
    gate: Gate, rules: list[Rule], chunks: frozenset[int], reporting: frozenset[int]
) -> frozenset[str] | None:
    """Which of the functions and classes that nobody calls to follow; None: all of them.

    Those that lead to where a rule can report, or to an action of any rule: what happens there may excuse what would be
    reported elsewhere. Where no rule can report, actions that are found everywhere excuse nothing.
    """
    words: list[frozenset[str]] = [rule.within or next(iter(rule.triggers), frozenset()) for rule in rules]
    words += [first for rule in rules for first, *_ in rule.or_triggers]
    if not all(words):
        return None
    actions = frozenset(word for some in words for word in some if word.strip("._=+[]"))
    if reporting == chunks:
        return gate.leading(chunks, gate.acting(chunks, actions))
    return gate.leading(chunks, reporting | gate.acting(chunks, actions - EVERYWHERE))
