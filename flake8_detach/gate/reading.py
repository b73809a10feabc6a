"""What a chunk (a top-level statement) does with names: which it binds, uses, hands on and changes, and when."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from flake8_detach.gate.forms import FORMS, MARKED, is_parameter, mentioned
from flake8_detach.knowledge.contexts import GRAD_MODES

MODES = frozenset({"set_grad_enabled", "_set_grad_enabled", "__enter__", "enter_context"})
"""Calls that switch a mode for whatever runs later, and name nothing that it runs on."""

EXITS = frozenset({"exit", "quit", "_exit"})
"""Calls after which nothing runs."""

CONSTANTS = frozenset(
    {"ndarray", "dtype", "newaxis", "pi", "e", "inf", "nan", "bool_", "uint8", "int8", "int16", "int32", "int64"}
    | {"float16", "float32", "float64", "complex64", "complex128"}
)
"""Attributes of a module that, unless they are called, do nothing: `np.float32` is no action of numpy."""

WRAPPERS = frozenset({"cast", "partial", "dict", "list", "set", "tuple"})
"""Calls that keep what they are handed; whoever gets their result gets that."""

_SHORT = 80
"""A longer string is prose; a shorter one may spell a name: getattr(x, "backward"), batch: "list[Sample]"."""

_WORD = re.compile(r"[^\W\d]\w*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
"""What can be the name of an attribute or a module: an address of the net or an option with its value is neither."""


Kind = Literal["import", "function", "class", "other"]


@dataclass
class Facts:
    """What one chunk does with names. "Now" is when the module is imported; function bodies run later, if at all."""

    kind: Kind
    words: set[str] = field(default_factory=set)
    """Every identifier: variables, attributes (also with their dot), keywords, parts of imports, names in strings."""
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
        self.marked: list[tuple[str, set[str]]] = []
        """Names that mean something where they are not those of local variables, and the words that they go to."""
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
        for name, words in self.marked:
            if name not in hidden:  # a parameter called `inference_mode` is none of torch's modes
                words.add(name)
                mentioned(name, words)
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
                name = node.id
                names.add(name)
                if name in MARKED:
                    self.marked.append((name, words))
                else:
                    words.add(name)
                if node.ctx.__class__ is not ast.Load:
                    bound.add(name)
                continue
            form = FORMS.get(kind)
            if form is not None:
                form(node, words)
            if kind is ast.Attribute:
                own = node.attr in GRAD_MODES and getattr(node.value, "id", "") == "self"
                if not own:
                    words.add(node.attr)
                words.add("." + node.attr)
                if node.attr[-1] == "_" and _writes(node):
                    words.add("._")
                    words.add(f"*writes {getattr(node.value, 'attr', '')}")
                if node.attr in MARKED and not own:
                    mentioned(node.attr, words)
                if is_parameter(node.value):
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
                    if words is facts.type_words or _DOTTED.fullmatch(node.value):
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
                    if node.arg not in GRAD_MODES:
                        words.add(node.arg)
                    self.types.append(node.annotation)
                    continue
                elif kind is ast.AnnAssign:
                    stack += [node.target, node.value]
                    self.types.append(node.annotation)
                    continue
                elif kind is ast.keyword and node.arg in GRAD_MODES:
                    stack.append(node.value)
                    continue
                elif kind is ast.AugAssign:
                    self.patches.add(root(node.target))
                elif kind is ast.Global:
                    facts.late.update(node.names)
                    names.update(node.names)
                    self.outer.update(node.names)
                elif kind in _DISPLAYS:
                    facts.displays = facts.displays or (self.part.now and names is self.names)
                elif kind in _ENDS and self.part.level == "module":
                    facts.global_effect = True
                elif kind is ast.Expr and self.part.level == "module" and node.value.__class__ is ast.Call:
                    words.update(f"*runs {root(part)}" for part in ast.walk(node.value) if part.__class__ is ast.Call)
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
            self.changes.add(start)
            if isinstance(node.func, ast.Attribute) and node.func.attr in MARKED:
                words.update((node.func.attr, f".{node.func.attr}"))
                stack.append(node.func.value)  # called, so not `mentioned`
            else:
                stack.append(node.func)
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
        stack += [self._decorator(decorator) for decorator in node.decorator_list]
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

    def _decorator(self, node: Any) -> Any:
        """What is left to read of a decorator: of `@torch.no_grad`, which is no mention without a call, `torch`."""
        name = getattr(node, "attr", getattr(node, "id", ""))
        if name not in MARKED:
            return node
        self.facts.words.update((name, f".{name}", f"@{name}"))
        if isinstance(node, ast.Attribute):
            return node.value
        self.names.add(name)
        return ast.Constant(None)

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
