"""Calls of functions of the same file: run their body with the actual arguments, on the caller's state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import (
    autograd,
    forgetting,
    gradients,
    idle,
    membership,
    memo,
    misclipped,
    retention,
    steppers,
    subscripts,
    unspent,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.machine import GENERATOR, MAX_CALLS, MAX_CONTEXTS, Frame
from flake8_detach.flow.slots import CELL, Delta
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Const,
    Either,
    External,
    Function,
    Mapping_,
    Mode,
    Ref,
    Sequence,
    Thing,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

RETURN = "*return"
MANAGER = "contextlib.contextmanager"
"""Decorator of a function that `with` enters; also the kind of object that it makes when it is called."""
WAITING = "generator of the file"
"""Kind of object: a call of a generator function that waits for the loop over it."""
GENERIC = "*generic"
"""Slot of an instance that stands for those of any subclass: nobody in the file makes one."""


Watch = Callable[[cst.CSTNode, Value], None]


def call(m: Machine, function: Function, args: Args, node: cst.CSTNode, watch: Watch | None = None) -> Value:
    """The value that the call returns; UNKNOWN beyond the bounds on depth and contexts."""
    from flake8_detach.flow import generators

    definition = function.definition
    calls = (f.function for f in m.frames if not f.comprehension)
    running = sum(1 for called in calls if called is not None and called.definition is definition)
    done = m.contexts.get(id(definition), 0)
    if running > 1 or len(m.frames) > MAX_CALLS or done > MAX_CONTEXTS:
        harmless = id(definition) not in m.movers  # it has been run often enough to know
        m.bystanding += harmless
        reached = [*args.values(), *([function.bound] if function.bound is not None else [])]
        escape(m, reached)
        forgetting.attributes(m, reached)
        forgetting.unmade(m, function)
        m.bystanding -= harmless
        return UNKNOWN
    m.contexts[id(definition)] = done + 1
    if function.bound is not None:
        args = Args([function.bound, *args.pos], args.kw, args.open, args.nodes)
    if MANAGER in function.wrappers:
        return _put_off(m, MANAGER, function, args, node)  # it is run by the `with` statement
    if node is m.ledger.awaited and not function.wrappers and generators.suits(definition):
        return _put_off(m, WAITING, function, args, node)  # it is run by the `for` statement
    result = run(m, function, args, node, watch)
    if isinstance(function.bound, Ref) and m.state.get((function.bound.addresses[0], GENERIC)):
        return UNKNOWN if result == NONE or _stands_in(definition) else result
    return result


@memo.per_file
def _stands_in(definition: Any) -> bool:
    """Is the method there to be overridden in a subclass? It only returns what is made of nothing that it was given."""
    if isinstance(definition, cst.Lambda):
        return False
    statements: list[Any] = []
    for statement in definition.body.body:
        statements += statement.body if isinstance(statement, cst.SimpleStatementLine) else (statement,)
    if statements and isinstance(statements[0], cst.Expr) and isinstance(statements[0].value, cst.SimpleString):
        del statements[0]
    if len(statements) != 1 or not isinstance(statements[0], cst.Return) or statements[0].value is None:
        return False
    params = definition.params
    given = {p.name.value for p in (*params.posonly_params, *params.params, *params.kwonly_params)}
    return all(name.value not in given for name in trees.walk(statements[0].value) if isinstance(name, cst.Name))


def _put_off(m: Machine, kind: str, function: Function, args: Args, node: cst.CSTNode) -> Value:
    keywords = tuple((f"keyword {name}", value) for name, value in args.kw.items())
    parts: tuple[tuple[str, Value], ...] = (
        ("function", function),
        ("pos", Tuple(tuple(args.pos))),
        ("open", Const(args.open)),
        *keywords,
    )
    made = m.new(Thing(kind, parts))
    m.makers[made.addresses[0]] = node
    return made


def run(
    m: Machine,
    function: Function,
    args: Args,
    node: cst.CSTNode | None,
    watch: Watch | None = None,
    resume: Callable[[Value], None] | None = None,
) -> Value:
    """Run the body in a new frame. `node` is the call, None when nobody in the file calls the function. `resume` is
    called with each value that is yielded."""
    from flake8_detach.flow import statements

    m.step()
    frame_id = m.state.address()
    mode = m.mode
    depth, m.depth = m.depth, 0
    guards = m.guards
    path = m.frame.path if node is None else hash((m.frame.path, id(node)))
    frame = Frame(
        (frame_id, *function.scope), function, node, m.state.mark(), owner=function.owner, watch=watch, path=path
    )
    frame.resume = resume
    m.frames.append(frame)
    if node is None:
        m.at = function.definition
    try:
        bind_parameters(m, function, args)
        for wrapper in reversed(function.wrappers):
            name = wrapper.removesuffix("()").removesuffix("(False)")
            autograd.enter(m, name, _argument(wrapper), _decorator(function, name))
        wrapped, waits = m.mode, False
        if isinstance(function.definition, cst.Lambda):
            m.state.set((frame_id, RETURN), m.evaluate(function.definition.body))
            paths = [m.state.rollback(frame.mark)]
        else:
            alive = statements.execute_body(m, function.definition.body)
            paths = list(frame.returns)
            if alive:
                if (frame_id, RETURN) not in m.state.slots:
                    m.state.set((frame_id, RETURN), NONE)
                if watch is not None:
                    watch(function.definition.name, NONE)
                paths.append(m.state.rollback(frame.mark))
            else:
                m.state.undo(frame.mark)
            waits = not paths and bool(frame.pauses)
            if waits:  # it never ends: whoever called it goes on while it waits, if it has begun
                paths = [*frame.pauses, {}]
        early = any(isinstance(path.get((frame_id, RETURN)), Const) for path in paths)
        m.state.join(paths) if paths else None
        if function.wrappers or waits or m.mode == wrapped:
            m.set_mode(mode)
        result: Value = m.state.get((frame_id, RETURN), NONE if paths else UNKNOWN)
        if early and isinstance(result, Either):
            result = replace(result, since=m.doubts)
        if frame.yields:
            retention.give(m, frame.yields)
            made = m.new(Sequence("generator", None, _common(m, frame.yields)))
            m.state.set((made.addresses[0], GENERATOR), function.definition)
            if all(each.grad.no for each in frame.yield_modes):
                idle.holds(m, made, frame.yield_modes[0], wrapped, function)
            result = made
        return result
    finally:
        m.frames.pop()
        m.depth, m.guards = depth, guards


def _decorator(function: Function, wrapper: str) -> Any:
    """The decorator of that name; the function itself if it is known by another one, or was wrapped by a call."""
    for decorator in getattr(function.definition, "decorators", ()):
        expression: cst.BaseExpression = decorator.decorator
        called = expression.func if isinstance(expression, cst.Call) else expression
        name: cst.BaseExpression = called.attr if isinstance(called, cst.Attribute) else called
        if isinstance(name, cst.Name) and name.value == wrapper.rpartition(".")[2]:
            return expression
    return function.definition


def _argument(wrapper: str) -> Value | None:
    return Const(False) if wrapper.endswith("(False)") else None


def _common(m: Machine, values: list[Value]) -> Value:
    """One value for all that a generator yields."""
    seen = list(dict.fromkeys(values))
    rows = [v.items for v in seen if isinstance(v, Tuple)]
    if len(seen) > 1 and len(rows) == len(seen) and len({len(row) for row in rows}) == 1:
        return Tuple(tuple(_common(m, list(column)) for column in zip(*rows, strict=True)))
    if len(seen) > 1 and all(isinstance(v, Ref) and _parameters(m, v) for v in seen):
        if m.frame.asked:
            return UNKNOWN  # not each of them may have been yielded
        return Ref(tuple(dict.fromkeys(a for v in seen if isinstance(v, Ref) for a in v.addresses)))
    if not all(isinstance(v, Ref) and len(v.addresses) == 1 and (v.addresses[0], CELL) in m.state.slots for v in seen):
        return seen[0] if len(seen) == 1 else UNKNOWN
    result = seen[0]
    for value in seen[1:8]:
        result = subscripts._either(m, result, value)
    return result if len(seen) <= 8 else UNKNOWN


def _parameters(m: Machine, value: Ref) -> bool:
    """Are they parameters? An optimizer is given each of those that are yielded, so they are not to become one."""
    found = m.tensors(value)
    return bool(found) and all(t.parameter and t.leaf.yes for _, t in found)


def bind_parameters(m: Machine, function: Function, args: Args) -> None:
    """Give the parameters their arguments, defaults, or UNKNOWN (refined by annotations)."""
    params = function.definition.params
    defaults = dict(function.defaults)
    rest = list(args.pos)
    keywords = dict(args.kw)
    frame = m.frame.id
    for param in (*params.posonly_params, *params.params):
        name = param.name.value
        if rest:
            value = rest.pop(0)
        elif name in keywords:
            value = keywords.pop(name)
        elif name in defaults and not args.open:
            value = defaults[name]
        else:
            value = annotated(m, param)
        m.state.set((frame, name), value)
    if isinstance(params.star_arg, cst.Param):
        extra: Value = Tuple(tuple(rest)) if not args.open else m.new(Sequence("tuple"))
        m.state.set((frame, params.star_arg.name.value), extra)
    for param in params.kwonly_params:
        name = param.name.value
        value = keywords.pop(name) if name in keywords else UNKNOWN if args.open else defaults.get(name, UNKNOWN)
        m.state.set((frame, name), value)
    if params.star_kwarg is not None:
        rest_of = Mapping_(tuple(keywords.items()), UNKNOWN if args.open else None)
        m.state.set((frame, params.star_kwarg.name.value), m.new(rest_of))


def annotated(m: Machine, param: cst.Param) -> Value:
    """An argument that nobody gave: what its annotation says."""
    if param.annotation is None:
        return UNKNOWN
    kind = m.evaluate(param.annotation.annotation)
    if kind == External("torch.Tensor"):
        return m.tensor(grad=MAYBE, leaf=MAYBE, storage=0)
    return UNKNOWN


def run_unknown(
    m: Machine,
    function: Function,
    bound: Value | None = None,
    given: Args | None = None,
    watch: Watch | None = None,
) -> Delta:
    """Analyse a function that nobody in the file calls, with unknown arguments; undo its effects and return them.

    given: what is known of the arguments all the same. watch: sees what it returns.
    """
    mark = m.state.mark()
    since = m.state.address()
    presume_grad_mode(m)
    gradients.stir(m, spends=False)  # what other functions did before is not known
    takes_nothing = "builtins.staticmethod" in function.wrappers
    args = Args([], {}, True) if given is None else given
    args.pos[:0] = [bound] if bound is not None and not takes_nothing else []
    result = run(m, function, args, None, watch)
    steppers.handed(m, result)
    retention.give(m, [result] if bound is None else [result, bound])
    unspent.left(m)
    misclipped.left(m)
    idle.left_off(m, function)
    membership.settle(m, since)
    return m.state.rollback(mark)


def may_run(m: Machine, function: Function) -> None:
    """Unknown code was handed the function: it may call it, now or later, with whatever it likes."""
    definition = function.definition
    if m.contexts.get(id(definition), 0) > 3 or len(m.frames) > MAX_CALLS:
        return
    m.state.join([{}, run_unknown(m, function, function.bound)])
    if id(definition) in m.movers:
        m.state.set(gradients.LOOSE, YES)


def presume_grad_mode(m: Machine) -> None:
    """Who calls from outside is not known: grad mode is on, presumably, unless the file switched it off for good."""
    if not m.mode.grad.no:
        m.set_mode(Mode(PRESUMED_YES, NO, None))


__all__ = ["call", "run", "run_unknown"]
