"""The gate: which top-level statements of a file can have a part in a finding?

Every file of every user passes here, and nearly all of them hold nothing to find. So the gate works on what flake8 has
at hand, the text and its `ast`, imports no libcst, and asks the cheapest question first:

1. Do the words that a rule must see (`Rule.triggers`) occur in the text at all? A substring search, no syntax.
2. If so, do they occur as identifiers, and in which chunks? A rule can report only in a chunk that holds an action, a
   word of the rule's first set.
3. Which other chunks can bear on those? In one module every value travels by a name. So: whoever names what an acting
   chunk binds ("callers", who hand it values), then whatever any of these name ("needs"); both transitively.

The answer may be too large, never too small: switching the gate off adds no finding, but for the rules that want
training in the file (`TRAINING` among their triggers), which it narrows on purpose. That holds while the engine
- takes a name that no analysed chunk binds for unknown, and assembles no identifier out of several strings;
- undoes what a function did that nobody calls (except that `global x` makes x unknown);
- knows nothing of a package outside `MODELLED`: what it is handed there, it neither calls nor keeps;
- gives a chunk a budget that does not depend on what other chunks are analysed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING

from flake8_detach.gate.forms import MARKED
from flake8_detach.gate.links import Links
from flake8_detach.gate.opaque import opaque
from flake8_detach.gate.reading import Facts, read
from flake8_detach.gate.together import complete

if TYPE_CHECKING:  # these import libcst, which takes longer than many a run
    from flake8_detach.rules._base import Rule
    from flake8_detach.source import Source

DYNAMIC = frozenset({"globals", "exec", "eval"})
"""Builtins that reach top-level names without spelling them: where an acting file has one, every chunk counts."""


class Gate:
    """What can matter in one file; it is read once, and only if some rule's words occur in it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.trees = [chunk.tree for chunk in source.chunks]

    @cached_property
    def facts(self) -> list[Facts]:
        """What each chunk does with names."""
        facts = [read(tree.body) for tree in self.trees]
        complete(self.trees, facts)
        return facts

    @cached_property
    def spelt(self) -> set[str]:
        """The identifiers in the text, comments and strings included, in the form of `ast`: NFKC (PEP 3131)."""
        text = self.source.text
        return set(_WORD.findall(text if text.isascii() else unicodedata.normalize("NFKC", text)))

    def occurs(self, word: str) -> bool:
        """Does the text hold the identifier of the word? A form without one may be anywhere."""
        name = _identifier(word)
        return not name or name in self.spelt

    @cached_property
    def everything(self) -> frozenset[int]:
        """The chunks that can do anything at all."""
        return frozenset(range(len(self.source.chunks))) - opaque(self.trees, self.facts)

    def mentions(self, words: frozenset[str]) -> bool:
        """Does one of the words occur in the code (comments and prose aside)?"""
        if not any(map(self.occurs, words)):
            return False
        return any(not words.isdisjoint(fact.words) for fact in self.facts)

    def keep(self, rules: Iterable[Rule]) -> tuple[frozenset[int], frozenset[int]]:
        """The indices of the chunks to analyse, and those among them in which a rule can report.

        Both are empty when no rule can report anything.
        """
        triggers = {way for rule in rules for way in (rule.triggers, *rule.or_triggers)}
        if () in triggers:
            return self.everything, self.everything
        present = set(filter(self.occurs, set().union(*chain.from_iterable(triggers))))
        triggers = {sets for sets in triggers if not any(present.isdisjoint(words) for words in sets)}
        if not triggers:
            return frozenset(), frozenset()
        facts = self.facts
        links = Links(facts)
        dynamic = any(not DYNAMIC.isdisjoint(fact.names) for fact in facts)
        parts: dict[frozenset[int], tuple[frozenset[int], set[str]]] = {}
        found: frozenset[int] = frozenset()
        reporting: frozenset[int] = frozenset()
        for first, *others in triggers:
            action = first | _aliases(first, facts)
            acting = frozenset(
                i for i, fact in enumerate(facts) if fact.kind != "import" and not action.isdisjoint(fact.words)
            )
            if "*" in action or (acting and dynamic):
                return self.everything, self.everything
            if not acting:
                continue
            if acting not in parts:
                part = links.closure(acting)
                parts[acting] = part, _words([facts[index] for index in part])
            part, words = parts[acting]
            if not any(words.isdisjoint(some) for some in others):
                found |= part
                reporting |= acting
        return found & self.everything, reporting & self.everything

    def acting(self, chunks: Iterable[int], actions: frozenset[str]) -> frozenset[int]:
        """Those of `chunks` that mention one of `actions`."""
        wanted = actions | _aliases(actions, [self.facts[index] for index in chunks])
        return frozenset(index for index in chunks if not wanted.isdisjoint(self.facts[index].words))

    def leading(self, chunks: Iterable[int], to: frozenset[int]) -> frozenset[str]:
        """The names that are bound by `to`, or by those of `chunks` that (transitively) mention such a name.

        A function that nobody calls need not be followed unless it is among them.
        """
        facts = [self.facts[index] for index in chunks]
        new = [self.facts[index] for index in to]
        bound: set[str] = set()
        while new:
            bound |= set().union(*(fact.binds for fact in new))
            facts = [fact for fact in facts if not fact.binds <= bound]
            new = [
                fact for fact in facts if not bound.isdisjoint(fact.names.union(*fact.handed.values(), fact.strings))
            ]
        return frozenset(bound)


def gate(source: Source, rules: Iterable[Rule]) -> frozenset[int]:
    """The indices of the chunks of `source` to analyse; empty when no rule can report anything."""
    return Gate(source).keep(rules)[0]


def _words(part: list[Facts]) -> set[str]:
    """The words of what hangs together, and "torch." where it uses something that is imported from torch."""
    code = [fact for fact in part if fact.kind != "import"]
    used = set().union(*(fact.names.union(fact.returns, fact.strings, *fact.handed.values()) for fact in code))
    packages = {
        f"{parts[0]}."
        for fact in part
        for name, parts in fact.imports
        if fact.kind != "import" or name in used or name == "*"
    }
    return packages.union(*(fact.words | fact.type_words for fact in part))


def _aliases(words: frozenset[str], facts: Iterable[Facts]) -> set[str]:
    """Names that stand for one of `words`: after `import numpy as xp`, `xp`; after `from numpy import *`, any ("*")."""
    wanted = {_identifier(word) for word in words if word.isidentifier() or _identifier(word) in MARKED}
    found = set()
    for fact in facts:
        for name, parts in fact.imports:
            writes = "._" in words and parts[0] == "torch" and "init" not in parts and parts[-1][-1:] == "_"
            if writes or (name not in wanted and not wanted.isdisjoint(parts)):
                found.add(name)
    return found


@cache
def _identifier(word: str) -> str:
    """What stands in the text where `word`, in its form for Rule.triggers, is found: "no_grad" of "no_grad&"."""
    found = _IDENTIFIER.search(word)
    return found[0] if found else ""


_WORD = re.compile(r"[^\W\d]\w*")
_IDENTIFIER = re.compile(r"[^\W\d]*[^\W\d_]\w*")
