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

import ast
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from flake8_detach.knowledge.numpy_api import ARRAY_LIBRARIES, HARMLESS

if TYPE_CHECKING:  # these import libcst, which takes longer than many a run
    from flake8_detach.rules._base import Rule
    from flake8_detach.source import Source

MODELLED = frozenset(
    {"accelerate", "attr", "attrs", "deepspeed", "functorch", "ignite", "lightning", "lightning_fabric", "pytest"}
    | {"pytorch_lightning", "torch", "torchvision"}
    | (sys.stdlib_module_names - {"logging", "os", "pathlib", "re", "typing", "warnings"})
    | ARRAY_LIBRARIES
    | HARMLESS
)
"""Packages of which the engine may know something. Whatever is handed to a function of any other is lost to it."""

MODES = frozenset({"set_grad_enabled", "_set_grad_enabled", "__enter__", "enter_context"})
"""Calls that switch a mode for whatever runs later, and name nothing that it runs on."""

EXITS = frozenset({"exit", "quit", "_exit"})
"""Calls after which nothing runs."""

DYNAMIC = frozenset({"globals", "exec", "eval"})
"""Builtins that reach top-level names without spelling them: where an acting file has one, every chunk counts."""

CONSTANTS = frozenset(
    {"ndarray", "dtype", "newaxis", "pi", "e", "inf", "nan", "bool_", "uint8", "int8", "int16", "int32", "int64"}
    | {"float16", "float32", "float64", "complex64", "complex128"}
)
"""Attributes of a module that, unless they are called, do nothing: `np.float32` is no action of numpy."""

INERT = frozenset(
    {"abs", "all", "any", "bool", "bytes", "complex", "float", "format", "hasattr", "hash", "id", "input", "int"}
    | {"isinstance", "issubclass", "len", "open", "print", "range", "repr", "round", "str"}
)
"""Builtins whose result holds nothing of what they are handed."""

WRAPPERS = frozenset({"cast", "partial", "dict", "list", "set", "tuple"})
"""Calls that keep what they are handed; whoever gets their result gets that."""

_SHORT = 80
"""A longer string is prose; a shorter one may spell a name: getattr(x, "backward"), batch: "list[Sample]"."""

_WORD = re.compile(r"[^\W\d]\w*")


def gate(source: Source, rules: Iterable[Rule]) -> frozenset[int]:
    """The indices of the chunks of `source` to analyse; empty when no rule can report anything."""
    triggers = {rule.triggers for rule in rules}
    everything = frozenset(range(len(source.chunks)))
    if () in triggers:
        return everything
    # `ast` has identifiers in their NFKC form (PEP 3131).
    text = source.text if source.text.isascii() else unicodedata.normalize("NFKC", source.text)
    present = {word for word in set().union(*chain.from_iterable(triggers)) if _occurs(word, text)}
    triggers = {sets for sets in triggers if not any(present.isdisjoint(words) for words in sets)}
    if not triggers:
        return frozenset()
    facts = [read(chunk.tree.body) for chunk in source.chunks]
    imports = [binding for fact in facts for binding in fact.imports]
    links = _Links(facts)
    dynamic = any(not DYNAMIC.isdisjoint(fact.names) for fact in facts)
    found: frozenset[int] = frozenset()
    for first, *others in triggers:
        # After `import numpy as xp`, `xp` stands for "numpy"; after `from numpy import *` ("*"), any name may.
        action = first.union(name for name, parts in imports if not first.isdisjoint(_forms(parts)))
        acting = {i for i, fact in enumerate(facts) if fact.kind != "import" and not action.isdisjoint(fact.words)}
        if "*" in action or (acting and dynamic):
            return everything
        if not acting <= found:
            part = links.closure(acting)
            words = set().union(*(facts[index].words | facts[index].type_words for index in part))
            if not any(words.isdisjoint(some) for some in others):
                found |= part
    return found


def acting(source: Source, chunks: Iterable[int], actions: frozenset[str]) -> frozenset[str] | None:
    """The names bound by those of `chunks` that mention one of `actions`, or (transitively) a name bound by such.

    A function that nobody calls need not be followed unless it is among them. None (all are) if `actions` is empty.
    """
    if not actions:
        return None
    facts = [read(source.chunks[index].tree.body) for index in chunks]
    imports = [binding for fact in facts for binding in fact.imports]
    wanted = actions.union(name for name, parts in imports if not actions.isdisjoint(parts))
    found = {i for i, fact in enumerate(facts) if not wanted.isdisjoint(fact.words)}
    bound: set[str] = set()
    new = found
    while new:
        bound |= set().union(*(facts[i].binds for i in new))
        new = {
            i
            for i, fact in enumerate(facts)
            if i not in found and not bound.isdisjoint(fact.names.union(*fact.handed.values(), fact.strings))
        }
        found = found | new
    return frozenset(bound)


def _forms(parts: tuple[str, ...]) -> Iterable[str]:
    """The words that an import stands for: its parts, and "._" for `from torch import relu_`."""
    writes = parts[0] == "torch" and "init" not in parts and parts[-1][-1:] == "_"
    return (*parts, "._") if writes else parts


def _occurs(word: str, text: str) -> bool:
    """Does the text hold the word as a whole, whatever stands around it in its form for Rule.triggers?"""
    bare = word.strip(".=()[]+_")
    return not bare or (bare in text and _whole(word.strip(".=")).search(text) is not None)


@cache
def _whole(word: str) -> re.Pattern[str]:
    # The word comes first so that `re` looks for it as for a plain string, many times faster than with \b before it.
    return re.compile(rf"{word}(?<!\w{word})(?!\w)")


# ---------------------------------------------------------------------------------------------------------------------
# Reading a chunk

Kind = Literal["import", "function", "class", "other"]


@dataclass
class Facts:
    """What one chunk does with names. "Now" is when the module is imported; function bodies run later, if at all."""

    kind: Kind
    words: set[str] = field(default_factory=set)
    """Every identifier: variables, attributes (also with their dot), keywords, parts of imports, words of strings."""
    type_words: set[str] = field(default_factory=set)
    """The identifiers in annotations and in the second argument of isinstance: no action takes place there."""
    names: set[str] = field(default_factory=set)
    """The variables that may be top-level ones, except those that are only handed to a call."""
    handed: dict[str, set[str]] = field(default_factory=dict)
    """Where the function that is called starts from -> the variables that it is handed."""
    returns: set[str] = field(default_factory=set)
    """The names in the annotations of results."""
    strings: set[str] = field(default_factory=set)
    """The words of short strings."""
    binds: set[str] = field(default_factory=set)
    """The top-level names that it binds, now or by a `global` statement."""
    late: set[str] = field(default_factory=set)
    """Those that it binds by a `global` statement."""
    changes: set[str] = field(default_factory=set)
    """The variables of which it calls methods, or into which it stores (attribute, item, augmented)."""
    patches: set[str] = field(default_factory=set)
    """Those into which it stores."""
    given: set[str] = field(default_factory=set)
    """The variables that it uses now otherwise than by calling them: what they hold may be changed or kept."""
    called: set[str] = field(default_factory=set)
    """Where the functions start from that it calls now."""
    imports: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """(local name, parts of the dotted name), wherever in the chunk the import stands."""
    displays: bool = False
    """Does it make a list, dict or set now, other than to hand it to a call?"""
    global_effect: bool = False
    """Does it do something now that matters to all that follows: switch a mode, or end the program?"""


class _Part(NamedTuple):
    """Code with names of its own: the module's, the body of a function, lambda or class."""

    nodes: list[Any]
    level: Literal["module", "function", "class"]
    now: bool
    bound: set[str]
    """The names that it binds: to begin with, the parameters."""
    scopes: tuple[set[str], ...]
    """The local names of the functions around it."""


_KINDS: dict[type, Kind] = {
    ast.Import: "import",
    ast.ImportFrom: "import",
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "function",
    ast.ClassDef: "class",
}
_DISPLAYS = frozenset({ast.List, ast.Dict, ast.Set})
_COMPREHENSIONS = frozenset({ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp})
_ENDS = frozenset({ast.Raise, ast.Assert, ast.While})
"""Statements after which, perhaps, nothing runs."""
_BINDERS = frozenset({ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping})
_WITHOUT_NAMES = frozenset({"ctx", "op", "ops", "type_comment", "kind", "level", "simple", "is_async", "conversion"})
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _WITHOUT_NAMES)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


def read(body: list[ast.stmt]) -> Facts:
    """Sort the names of the chunk with these statements. No recursion: a tree may be deeper than Python's stack."""
    kinds = {_KINDS.get(statement.__class__, "other") for statement in body}
    facts = Facts(kinds.pop() if len(kinds) == 1 else "other")
    parts = [_Part(list(body), "module", True, set(), ())]
    while parts:
        part = parts.pop()
        parts += _Reader(facts, part).read()
        if part.level == "module" and not MODES.isdisjoint(facts.words):
            facts.global_effect = True
    return facts


def _holds_objects(node: Any) -> bool:
    """A display of objects that a call makes, or an empty list or dict: the form "=[" of Rule.triggers."""
    kind = node.__class__
    if kind in _COMPREHENSIONS:
        made = [node.value if kind is ast.DictComp else node.elt]
    elif kind is ast.Dict:
        made = node.values
    elif kind in (ast.List, ast.Tuple, ast.Set):
        made = node.elts
    else:
        return False
    return (not made and kind is not ast.Tuple) or any(
        part.__class__ is ast.Call or _holds_objects(part) for part in made
    )


def _is_parameter(node: Any) -> bool:
    """`nn.Parameter(...)`: what is computed from it at once is the form "Parameter()" of Rule.triggers."""
    if node.__class__ is not ast.Call:
        return False
    return "Parameter" in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))


class _Reader:
    """Reads one part into the facts of its chunk."""

    def __init__(self, facts: Facts, part: _Part) -> None:
        self.facts = facts
        self.part = part
        self.nested: list[_Part] = []
        self.names: set[str] = set()
        self.handed: dict[str, set[str]] = {}
        self.changes: set[str] = set()
        self.patches: set[str] = set()
        self.called: set[str] = set()
        self.returns: set[str] = set()
        self.types: list[Any] = []
        self.results: list[Any] = []
        """Annotations still to be read: of variables and parameters, and of results."""
        self.bound = part.bound
        self.outer: set[str] = set()
        self.arguments: list[tuple[str, list[Any]]] = []
        """Arguments still to be read, with what the function starts from that they are handed to."""

    def read(self) -> list[_Part]:
        """Read the part; returns those nested in it."""
        facts, part = self.facts, self.part
        self._walk(part.nodes, self.names, facts.words)
        while self.arguments:
            function, nodes = self.arguments.pop()
            self._walk(nodes, self.handed.setdefault(function, set()), facts.words)
        self._walk(self.types, self.names, facts.type_words)
        self._walk(self.results, self.returns, facts.type_words)
        self.bound -= self.outer
        hidden = set().union(*part.scopes, self.bound if part.level == "function" else ())
        if part.level == "module":
            facts.binds |= self.bound
        facts.names |= self.names - hidden
        facts.returns |= self.returns - hidden
        facts.changes |= self.changes - hidden
        facts.patches |= self.patches - hidden
        for function, names in self.handed.items():
            facts.handed[function] = facts.handed.get(function, set()) | (names - hidden)
        if part.now:
            facts.called |= self.called - hidden
            plain = self.names if facts.kind == "other" else set()
            facts.given |= plain.union(*self.handed.values()) - hidden
        return self.nested

    def _walk(self, stack: list[Any], names: set[str], words: set[str]) -> None:
        """Read the trees on `stack`; `names` takes the variables, `words` every identifier."""
        facts, bound = self.facts, self.bound
        while stack:
            node = stack.pop()
            kind = node.__class__
            if kind is ast.Name:
                words.add(node.id)
                names.add(node.id)
                if node.ctx.__class__ is not ast.Load:
                    bound.add(node.id)
            elif kind is ast.Attribute:
                words.add(node.attr)
                words.add("." + node.attr)
                if node.attr[-1] == "_" and _writes(node):
                    words.add("._")
                if _is_parameter(node.value):
                    words.add("Parameter()")
                if node.attr in CONSTANTS and node.value.__class__ is ast.Name:
                    names.add(node.value.id)
                else:
                    stack.append(node.value)
                if node.ctx.__class__ is not ast.Load:
                    self.patches.add(root(node))
                    words.add("." + node.attr + "=")
            elif kind is ast.Constant:
                if node.value.__class__ is str and len(node.value) < _SHORT:
                    spelt = _WORD.findall(node.value)
                    (names if names is self.returns else facts.strings).update(spelt)
                    words.update(spelt)
                    words.update(["." + word for word in spelt])
            elif kind is ast.Call:
                self._call(node, stack, words)
            elif kind in _KINDS:
                self._define(node, stack)
            elif kind is str:
                words.add(node)
            elif kind is ast.Lambda:
                stack += node.args.defaults
                stack += node.args.kw_defaults
                self._nest([node.body], "function", self.part.now, parameters(node.args))
            elif kind in _COMPREHENSIONS:
                facts.displays = facts.displays or (self.part.now and kind is not ast.GeneratorExp)
                self._comprehend(node, stack)
            else:
                if kind is ast.Subscript:
                    if node.ctx.__class__ is not ast.Load:
                        self.patches.add(root(node))
                        words.add("[]=")
                elif kind is ast.arg:
                    words.add(node.arg)
                    self.types.append(node.annotation)
                    continue
                elif kind is ast.AnnAssign:
                    stack += [node.target, node.value]
                    self.types.append(node.annotation)
                    continue
                elif kind is ast.Assign:
                    if node.targets[0].__class__ is ast.Attribute and _holds_objects(node.value):
                        words.add("=[")
                elif kind is ast.BinOp:
                    if _is_parameter(node.left) or _is_parameter(node.right):
                        words.add("Parameter()")
                elif kind is ast.AugAssign:
                    self.patches.add(root(node.target))
                    words.add("+=")
                elif kind is ast.Global:
                    facts.late.update(node.names)
                    names.update(node.names)
                    self.outer.update(node.names)
                elif kind in _DISPLAYS:
                    facts.displays = facts.displays or (self.part.now and names is self.names)
                elif kind in _ENDS and self.part.level == "module":
                    facts.global_effect = True
                elif kind is ast.NamedExpr and self.part.now:
                    facts.binds.add(node.target.id)  # out of the comprehension that it may stand in
                for name in _FIELDS.get(kind, ()):
                    value = getattr(node, name, None)
                    if value.__class__ is list:
                        stack += value
                    elif value.__class__ is str:
                        words.add(value)
                        if kind in _BINDERS:
                            bound.add(value)
                    elif value is not None:
                        stack.append(value)

    def _call(self, node: ast.Call, stack: list[Any], words: set[str]) -> None:
        start = root(node.func)
        self.called.add(start)
        words.add(start)
        if isinstance(node.func, ast.Name):
            self.names.add(start)
            if start in ("setattr", "delattr") and node.args:
                self.patches.add(root(node.args[0]))
        else:
            stack.append(node.func)
            self.changes.add(start)
        name = getattr(node.func, "attr", start)
        if name in EXITS and self.part.level == "module":
            self.facts.global_effect = True
        if start in ("isinstance", "issubclass"):
            stack += node.args[:1]
            self.types += node.args[1:]
        elif name in WRAPPERS:
            stack += node.args
            stack += node.keywords
        elif node.args or node.keywords:
            self.arguments.append((start, [*node.args, *node.keywords]))

    def _comprehend(self, node: Any, stack: list[Any]) -> None:
        """A comprehension: a function of its own, but for the first iterable."""
        first, *others = node.generators
        stack.append(first.iter)
        inner = [*first.ifs, *others, *(getattr(node, name) for name in ("elt", "key", "value") if hasattr(node, name))]
        targets = {target.id for g in node.generators for target in ast.walk(g.target) if isinstance(target, ast.Name)}
        self._nest(inner, "function", self.part.now, targets)

    def _define(self, node: Any, stack: list[Any]) -> None:
        """An import, `def` or `class`."""
        facts = self.facts
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name, parts in imported(node):
                facts.imports.append((name, parts))
                facts.words.update(parts, (name,))
                self.bound.add(name)
            return
        facts.words.add(node.name)
        self.bound.add(node.name)
        stack += node.decorator_list
        stack += getattr(node, "type_params", ())
        if node.decorator_list:
            self.called.update(map(root, node.decorator_list))
            if self.part.level == "module":
                self.handed.setdefault("", set()).add(node.name)
        if isinstance(node, ast.ClassDef):
            self.types += [*node.bases, *node.keywords]
            self._nest(list(node.body), "class", self.part.now, set())
        else:
            stack.append(node.args)
            self.results.append(node.returns)
            self._nest(list(node.body), "function", False, parameters(node.args))

    def _nest(self, nodes: list[Any], level: Literal["function", "class"], now: bool, bound: set[str]) -> None:
        around = self.part.scopes
        if self.part.level == "function":
            around = (*around, self.bound)  # still growing, and complete before the nested part is read
        self.nested.append(_Part(nodes, level, now, bound, around))


def _writes(node: ast.Attribute) -> bool:
    """Is it, by its name with one underscore at the end, a method that writes in place?

    Not so the functions of torch.nn.init, which do that where grad mode is off, and two methods that set flags.
    """
    owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
    return not node.attr.endswith("__") and owner != "init" and node.attr not in ("requires_grad_", "share_memory_")


def parameters(args: ast.arguments) -> set[str]:
    """The names of the parameters."""
    several = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return {arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, *several)}


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(local name, parts of the dotted name) of what an import binds; the parts of a relative import begin with "."."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            parts = tuple(alias.name.split("."))
            yield alias.asname or parts[0], parts
        else:
            parts = (*["."][: node.level], *(node.module or "").split("."), *alias.name.split("."))
            yield alias.asname or alias.name, parts


def root(node: Any) -> str:
    """The variable that an expression starts from: `a` of `a.b[0].c()`; "" if there is none."""
    while True:
        kind = node.__class__
        if kind is ast.Name:
            return str(node.id)
        if kind is ast.Attribute or kind is ast.Subscript or kind is ast.Starred or kind is ast.Await:
            node = node.value
        elif kind is ast.Call:
            node = node.func
        else:
            return ""


# ---------------------------------------------------------------------------------------------------------------------
# From chunk to chunk


class _Links:
    """The chunks of a file and the names that connect them."""

    def __init__(self, facts: Sequence[Facts]) -> None:
        self.facts = facts
        own = set().union(*(fact.binds for fact in facts if fact.kind != "import"))
        imports = [binding for fact in facts for binding in fact.imports]
        known = own.union(name for name, parts in imports if parts[0] in MODELLED)
        foreign = {name for name, _ in imports} - known
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
