"""From chunk to chunk: in one module every value travels by a name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from flake8_detach.gate.reading import MODES, Facts
from flake8_detach.knowledge.numpy_api import ARRAY_LIBRARIES, HARMLESS

MODELLED = frozenset(
    {"accelerate", "attr", "attrs", "deepspeed", "functorch", "ignite", "lightning", "lightning_fabric", "pytest"}
    | {"pytorch_lightning", "torch", "torchvision"}
    | (sys.stdlib_module_names - {"logging", "os", "pathlib", "re", "typing", "warnings"})
    | ARRAY_LIBRARIES
    | HARMLESS
)
"""Packages of which the engine may know something. Whatever is handed to a function of any other is lost to it."""

INERT = frozenset(
    {"abs", "all", "any", "bool", "bytes", "complex", "float", "format", "hasattr", "hash", "id", "input", "int"}
    | {"isinstance", "issubclass", "len", "open", "print", "range", "repr", "round", "str"}
)
"""Builtins whose result holds nothing of what they are handed."""


def foreigners(facts: Sequence[Facts]) -> set[str]:
    """What is imported from packages of which the engine knows nothing: calls do nothing and return the unknown."""
    own = set().union(*(fact.binds for fact in facts if fact.kind != "import"))
    imports = [binding for fact in facts for binding in fact.imports]
    return {name for name, _ in imports} - own.union(name for name, parts in imports if parts[0] in MODELLED)


class Links:
    """The chunks of a file and the names that connect them."""

    def __init__(self, facts: Sequence[Facts]) -> None:
        self.facts = facts
        foreign = foreigners(facts)
        self.imports = {name for fact in facts if fact.kind == "import" for name in fact.binds}
        # What a chunk uses: a function of a foreign package does nothing with what it is handed.
        self.uses = [
            fact.names.union(
                *(names for start, names in fact.handed.items() if start not in foreign),
                fact.strings if fact.kind in ("function", "class") else (),
            )
            for fact in facts
        ]
        self.classes: set[str] = set()
        self.holders: set[str] = set()
        """The variables that can hold what comes from elsewhere, being more than constants, types and loggers."""
        inert = foreign | INERT
        for fact in facts:
            self.holders |= fact.late
            if fact.kind == "class":
                self.classes |= fact.binds
            elif fact.kind == "other":
                taken = fact.given - fact.binds
                if fact.displays or not fact.called <= inert or not taken.isdisjoint(self.classes | self.holders):
                    self.holders |= fact.binds
        self.users = _by_name(self.uses)
        self.makers = _by_name(fact.returns for fact in facts)
        self.binders = _by_name(fact.binds for fact in facts)
        self.changers = _by_name(fact.changes | fact.patches | fact.given for fact in facts)
        self.runners = _by_name(fact.called | fact.given for fact in facts)

    def closure(self, acting: Iterable[int]) -> frozenset[int]:
        """The acting chunks, their callers, what these need, and all imports."""
        imports = {index for index, fact in enumerate(self.facts) if fact.kind == "import"}
        return frozenset(self._needs(self._callers(acting)) | imports)

    def _callers(self, acting: Iterable[int]) -> set[int]:
        """The acting chunks and those that what they bind, or keep in variables, can come to."""
        done: dict[str, set[int]] = {"caller": set(), "source": set(), "helper": set()}
        reached: set[str] = set()
        todo = [(index, "caller") for index in acting]
        while todo:
            index, role = todo.pop()
            if index in done["caller"] or index in done[role]:
                continue
            done[role].add(index)
            fact, uses = self.facts[index], self.uses[index]
            carriers: set[str] = set()
            if role != "helper":
                carriers |= fact.binds
            if role != "source":
                # What a caller hands to a helper, the helper may keep in a variable.
                carriers |= uses & self.holders
                todo += [(i, "helper") for name in uses for i in self.binders.get(name, ()) if self._defines(i)]
            if role == "caller":
                carriers |= (fact.changes | fact.patches) & self.classes
            for name in carriers - reached:
                reached.add(name)
                todo += [(user, "caller") for user in self.users.get(name, ())]
                # A function that is only annotated to return it does nothing with it, but its callers may.
                todo += [(maker, "source") for maker in self.makers.get(name, ())]
        return done["caller"]

    def _needs(self, callers: set[int]) -> set[int]:
        """The callers and whatever can matter to the value of a name in them."""
        needed: set[int] = set()
        reaching: set[int] = set()
        """Functions and classes that, when they run, come to change something that is needed."""
        seen: set[str] = set()
        todo = list(callers)
        reach: list[int] = []
        for index, fact in enumerate(self.facts):
            if fact.global_effect or (fact.kind == "other" and not fact.patches.isdisjoint(self.imports)):
                todo.append(index)
            elif not MODES.isdisjoint(fact.words) or not fact.patches.isdisjoint(self.imports):
                reach.append(index)
        while todo or reach:
            if todo:
                index = todo.pop()
                if index in needed:
                    continue
                needed.add(index)
                fact = self.facts[index]
                names = (self.uses[index] | fact.binds | fact.returns) - seen
                seen |= names
                for name in names:
                    todo += self.binders.get(name, ())
                    if name in self.holders or name in self.classes:
                        todo += [
                            i
                            for i in self.changers.get(name, ())
                            if not self._defines(i) or name in self.facts[i].given
                        ]
                        reach += [user for user in self.users.get(name, ()) if self._defines(user)]
            else:
                index = reach.pop()
                if index not in reaching:
                    reaching.add(index)
                    for name in self.facts[index].binds:
                        todo += self.runners.get(name, ())
                        reach += [user for user in self.users.get(name, ()) if self._defines(user)]
        return needed

    def _defines(self, index: int) -> bool:
        return self.facts[index].kind in ("function", "class")


def _by_name(groups: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """Name -> the indices of the groups that it is in."""
    found: dict[str, list[int]] = {}
    for index, names in enumerate(groups):
        for name in names:
            found.setdefault(name, []).append(index)
    return found
