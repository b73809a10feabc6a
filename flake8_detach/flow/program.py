"""A whole file: its statements run as a program, then whatever nothing in it calls."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeGuard

import libcst as cst

from flake8_detach.flow import (
    accumulation,
    anomalies,
    custom,
    custom_ctx,
    emptied,
    functions,
    interpreter,
    membership,
    memo,
    modules,
    phases,
    strangers,
)
from flake8_detach.flow.afterwards import Afterwards
from flake8_detach.flow.calls import Args
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.events import Event
from flake8_detach.flow.machine import MODE, Frame, Machine, OutOfBudget
from flake8_detach.flow.slots import Delta
from flake8_detach.flow.values import UNKNOWN, YES, Class, Function, Mode, Ref, Value
from flake8_detach.source import Chunk, Source

STEPS_PER_LINE = 120
"""Bound on the work: the engine stops silently when it has taken that many steps for every analysed line."""
STEPS_AT_LEAST = 15_000
VISITS = 3
"""So often the methods of an instance are run to see what they leave: each may need what another one has left."""


def follow(
    source: Source,
    chunks: Iterable[int],
    sink: Callable[[Event], None],
    acting: frozenset[str] | None = None,
    watch: Callable[[Machine, cst.CSTNode], None] | None = None,
) -> None:
    """Run the given chunks of the file as a program, then the functions and methods that nothing in it calls.

    acting: the names of those of the latter that matter (None: all do). watch: sees each statement before it is run.
    Raises what libcst raises for text that it cannot parse; RecursionError for nesting beyond Python's limit.
    """
    parts = [source.chunks[i] for i in sorted(chunks)]
    lines = sum(part.last_line - part.first_line + 1 for part in parts)
    m = Machine(sink, STEPS_AT_LEAST + STEPS_PER_LINE * lines)
    m.tree = source.tree
    m.watch = watch
    m.evaluate = lambda node: evaluate(m, node)
    m.frames.append(Frame((m.state.address(),)))
    waiting = _waiting(parts)
    m.define = lambda name: _define(m, waiting, name, False)
    try:
        for part in parts:
            if part not in waiting.values() and not interpreter.execute_block(m, part.module.body):
                break
        membership.settle(m)
        anomalies.close(m)
        for name in _rebound(source):
            m.state.set((m.frames[0].id, name), UNKNOWN)
        strangers.of_module(m, source.text)
        m.define = lambda name: _define(m, waiting, name, True)
        _uncalled(m, parts, acting)
        m.afterwards.answer(m.state.graph)
        m.afterwards.finish(m.state.graph)
        membership.tell(m)
        m.ledger.close()
        accumulation.close(m)
        emptied.close(m)
    except OutOfBudget:
        return
    finally:
        memo.forget()
        m.afterwards.forget()
        del m.evaluate, m.define, m.lookup_global  # they close over m: with the cycle gone, the trees go at once


def _waiting(parts: list[Chunk]) -> dict[str, Chunk]:
    """Definitions that need not be parsed before somebody asks for their name: plain ones that nothing re-binds, made
    of nothing that is something else later."""
    times = Counter(name for part in parts for name in _bound(part.tree))
    variables = set(times).difference(part.tree.body[0].name for part in parts if _defines(part.tree.body[0]))
    waiting = {}
    for part in parts:
        first, *others = part.tree.body
        if others or not _defines(first) or first.decorator_list or times[first.name] != 1:
            continue
        if all(times[name] <= 1 for name in _needs(first)) and variables.isdisjoint(_computed_from(first)):
            waiting[first.name] = part
    return waiting


def _defines(statement: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    return isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _define(m: Machine, waiting: dict[str, Chunk], name: str, over: bool) -> Value | None:
    """Run the definition of `name` now, as if it had been run in its place: on all paths alike, with grad mode on.

    Those that it needs at once are run before it and not within it, so that they may be as many as they like.
    over: the module has been run, and others may have had their hands on the class.
    """
    if name not in waiting:
        return None
    asked, parts = [name], dict[str, Chunk]()
    while asked:
        part = waiting.pop(asked[-1], None)
        if part is not None:
            parts[asked[-1]] = part
            asked += [needed for needed in _needs(part.tree.body[0]) if needed in waiting]
        elif (part := parts.pop(made := asked.pop(), None)) is not None:
            _run_definition(m, part, made if over else "")
    value: Value | None = m.state.get((m.frames[0].id, name))
    return value


def _run_definition(m: Machine, part: Chunk, touched: str) -> None:
    frames, depth, trail, mode = m.frames, m.depth, m.state.trail, m.mode
    m.frames, m.depth, m.state.trail = m.frames[:1], 0, []
    m.state.slots[MODE] = Mode()
    try:
        interpreter.execute_block(m, part.module.body)
        if isinstance(made := m.state.get((m.frames[0].id, touched)), Class):
            strangers.of_class(m, made)
    finally:
        m.frames, m.depth, m.state.trail = frames, depth, trail
        m.state.slots[MODE] = mode


def _needs(definition: ast.stmt) -> list[str]:
    """The names that a class extends, or that the defaults of a function's parameters are made from."""
    return _names(definition.bases if isinstance(definition, ast.ClassDef) else _defaults(definition))


def _computed_from(definition: ast.stmt) -> list[str]:
    """The names from which a definition computes something at once: a default, an attribute of a class."""
    looked = _defaults(definition)
    if isinstance(definition, ast.ClassDef):
        looked = [default for statement in definition.body for default in _defaults(statement)]
        looked += [s.value for s in definition.body if isinstance(s, (ast.Assign, ast.AnnAssign, ast.Expr)) and s.value]
    return _names(expression for expression in looked if not _dotted(expression))


def _dotted(expression: ast.expr) -> bool:
    """Is it a constant or `a.b.c`, which computes nothing?"""
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return isinstance(expression, (ast.Name, ast.Constant))


def _defaults(definition: ast.stmt) -> list[ast.expr]:
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    return [*definition.args.defaults, *(d for d in definition.args.kw_defaults if d is not None)]


def _names(expressions: Iterable[ast.expr]) -> list[str]:
    return [node.id for expression in expressions for node in ast.walk(expression) if isinstance(node, ast.Name)]


def _rebound(source: Source) -> set[str]:
    """Variables of the module that functions re-bind: when an uncalled function runs, they may hold anything."""
    if not _GLOBAL.search(source.text):
        return set()
    return {name for node in ast.walk(source.tree) if isinstance(node, ast.Global) for name in node.names}


_GLOBAL = re.compile(r"(?:^|[;:])[ \t\f]*global[\s\\]", re.MULTILINE)
"""Where a `global` statement may begin; the search takes a hundredth of the time of a walk over the tree."""


def _bound(tree: ast.Module) -> set[str]:
    """The names that top-level statements bind in the module; those inside of a function or class are its own."""
    names: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(statement.name)
        else:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    names.update((node.id,) if isinstance(node.ctx, ast.Store) else ())
                elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    names.add(node.name)
    return names


def _uncalled(m: Machine, parts: list[Chunk], acting: frozenset[str] | None) -> None:
    """Functions and methods that nobody in the file calls: with unknown arguments."""
    del m.frames[1:]
    called = set(m.contexts)
    for name in dict.fromkeys(name for part in parts for name in _defined(part.tree.body)):
        if acting is not None and name not in acting:
            continue
        value = m.lookup(name)
        whole, m.afterwards = m.afterwards, Afterwards()
        if isinstance(value, Function) and id(value.definition) not in called:
            functions.run_unknown(m, value)
        elif isinstance(value, Class):
            _methods(m, value, called)
        m.afterwards.answer(m.state.graph)
        whole.absorb(m.afterwards)
        m.afterwards = whole


def _defined(body: list[ast.stmt]) -> list[str]:
    """Names of the functions and classes of the module, also under `if` and `try`."""
    found = []
    todo = list(reversed(body))
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            inner = [*node.body, *getattr(node, "orelse", ())]
            inner += [s for handler in getattr(node, "handlers", ()) for s in handler.body]
            todo.extend(reversed(inner))
    return found


def _methods(m: Machine, cls: Class, called: set[int]) -> None:
    """The methods of a class that are not called: on an instance as `__init__` and all of its methods leave it."""
    own = [value for name in m.state.names(cls.frame) if isinstance(value := m.state.get((cls.frame, name)), Function)]
    todo = [f for f in own if id(f.definition) not in called]
    if not todo:
        return
    if custom_ctx.is_function(cls):
        custom.uncalled(m, cls, called)
        return
    mark = m.state.mark()
    since = m.state.address()
    m.frames[0].function = None
    mode = m.mode
    functions.presume_grad_mode(m)
    instance = modules.instantiate(m, cls, Args([], {}, True), cls.definition)
    if isinstance(instance, Ref):
        m.state.set((instance.addresses[0], functions.GENERIC), YES)
        strangers.of_instance(m, instance)
        plain = (f for f in own if f.name != "__init__" and "builtins.staticmethod" not in f.wrappers)
        _settle_down(m, instance, list(plain))
    for function in todo:
        if function.name != "__init__" or not isinstance(instance, Ref):
            bound = None if "builtins.staticmethod" in function.wrappers else instance
            _by_the_framework(m, function, bound if bound is not None else UNKNOWN)
    m.set_mode(mode)
    membership.settle(m, since)
    m.state.undo(mark)


def _settle_down(m: Machine, instance: Ref, methods: list[Function]) -> None:
    """Leave the instance as all of the methods leave it, whichever comes first. Those that change it are run once more:
    on what others, and they themselves, have left, until they leave nothing new."""
    m.quiet += 1
    contexts = dict(m.contexts)
    for visit in range(VISITS):
        deltas = [_by_the_framework(m, function, instance) for function in methods]
        touched = [strangers.touched(m, instance, delta) for delta in deltas]
        methods = [function for function, slots in zip(methods, touched, strict=True) if slots]
        news = any(strangers.adds(m, delta, slots) for delta, slots in zip(deltas, touched, strict=True))
        m.state.join([{}, *deltas])
        if visit == 0:
            strangers.in_instance(m, instance)
        if not news:
            break
    strangers.thaw(m, instance)
    m.contexts.clear()
    m.contexts.update(contexts)
    m.quiet -= 1


def _by_the_framework(m: Machine, function: Function, bound: Value) -> Delta:
    """A method that nobody in the file calls, run as a framework does if it is one of a class for that framework."""
    mode = m.mode
    functions.presume_grad_mode(m)
    phases.enter(m, function)
    changes = functions.run_unknown(m, function, bound, phases.arguments(function), phases.watch(m, function, bound))
    m.set_mode(mode)
    return changes
