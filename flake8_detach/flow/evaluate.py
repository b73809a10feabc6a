"""Expressions -> values, dispatched by node type."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, TypeVar

import libcst as cst

from flake8_detach.flow import (
    alternatives,
    attributes,
    calls,
    comprehensions,
    conversions,
    gradients,
    idle,
    iteration,
    lingering,
    narrowing,
    operators,
    strings,
    subscripts,
)
from flake8_detach.flow.machine import MAX_DEPTH, Machine
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Either,
    External,
    Function,
    Mapping_,
    Method,
    Ref,
    Scalar,
    Sequence,
    Truth,
    Tuple,
    Value,
)

E = TypeVar("E", bound=cst.CSTNode)
Handler = Callable[[Machine, Any], Value]
HANDLERS: dict[type[cst.CSTNode], Handler] = {}
BUILTINS = frozenset(dir(builtins))


def expression(kind: type[E]) -> Callable[[Callable[[Machine, E], Value]], Callable[[Machine, E], Value]]:
    """Decorator: the function evaluates nodes of that type."""

    def add(handler: Callable[[Machine, E], Value]) -> Callable[[Machine, E], Value]:
        HANDLERS[kind] = handler
        return handler

    return add


def evaluate(m: Machine, node: cst.CSTNode) -> Value:
    """The value of an expression; UNKNOWN for what the engine does not model or what is nested too deeply."""
    handler = HANDLERS.get(type(node))
    if handler is None or m.depth > MAX_DEPTH:
        return UNKNOWN
    m.step()
    m.depth += 1
    try:
        return handler(m, node)
    finally:
        m.depth -= 1


@expression(cst.Name)
def name(m: Machine, node: cst.Name) -> Value:
    found = m.lookup(node.value)
    if found is not None:
        if m.ledger.suspended:
            lingering.resumed(m, found)
        return found
    if node.value in ("True", "False", "None"):
        return Const({"True": True, "False": False, "None": None}[node.value])
    return External(f"builtins.{node.value}") if node.value in BUILTINS else UNKNOWN


@expression(cst.Integer)
def integer(m: Machine, node: cst.Integer) -> Value:
    return Const(int(node.value, 0)) if len(node.value) < 300 else Scalar("int")


@expression(cst.Float)
def floating(m: Machine, node: cst.Float) -> Value:
    return Const(float(node.value))


@expression(cst.Imaginary)
def imaginary(m: Machine, node: cst.Imaginary) -> Value:
    return Const(node.evaluated_value)


@expression(cst.SimpleString)
def string(m: Machine, node: cst.SimpleString) -> Value:
    text = node.value
    if text[0] in "\"'" and "\\" not in text:  # nearly all: no prefix, no escape
        return Const(text[3:-3] if text[:3] in ('"""', "'''") else text[1:-1])
    return Const(node.evaluated_value)


@expression(cst.ConcatenatedString)
def concatenated(m: Machine, node: cst.ConcatenatedString) -> Value:
    return strings.joined([evaluate(m, node.left), evaluate(m, node.right)])


ESCAPES = frozenset("\\{}")
"""What the text of an f-string writes in another way than it means."""


@expression(cst.FormattedString)
def formatted(m: Machine, node: cst.FormattedString) -> Value:
    parts: list[Value] = []
    for part in node.parts:
        if isinstance(part, cst.FormattedStringExpression):
            value = evaluate(m, part.expression)
            if part.format_spec and part.conversion is None:
                conversions.formatted(m, part.expression, value, part.expression)
            parts.append(Scalar("str") if part.format_spec or part.conversion or part.equal else value)
        else:
            assert isinstance(part, cst.FormattedStringText)
            parts.append(Scalar("str") if ESCAPES.intersection(part.value) else Const(part.value))
    return strings.joined(parts)


@expression(cst.Ellipsis)
def ellipsis(m: Machine, node: cst.Ellipsis) -> Value:
    return Const(...)


@expression(cst.Attribute)
def attribute(m: Machine, node: cst.Attribute) -> Value:
    value = attributes.get(m, evaluate(m, node.value), node.attr.value, node, node.value)
    if isinstance(value, Method) and value.name in gradients.CLEARING:
        gradients.hand_out(m, value.receiver)
    return value


@expression(cst.Call)
def call(m: Machine, node: cst.Call) -> Value:
    return calls.call_node(m, node)


@expression(cst.Subscript)
def subscript(m: Machine, node: cst.Subscript) -> Value:
    owner = evaluate(m, node.value)
    if isinstance(owner, Either):
        owner = alternatives.settle(m, node.value, owner.object)
    keys = [index(m, element.slice) for element in node.slice]
    key = keys[0] if len(keys) == 1 and node.slice[0].comma is cst.MaybeSentinel.DEFAULT else Tuple(tuple(keys))
    return subscripts.get_item(m, node, owner, key)


def index(m: Machine, node: cst.BaseSlice) -> Value:
    """The value of one index; a slice is External("slice")."""
    if isinstance(node, cst.Index):
        return evaluate(m, node.value)
    assert isinstance(node, cst.Slice)
    bounds = [evaluate(m, b) if b is not None else NONE for b in (node.lower, node.upper, node.step)]
    return Tuple(tuple(bounds), ("slice",))


@expression(cst.Tuple)
def tuple_(m: Machine, node: cst.Tuple) -> Value:
    items = elements(m, node.elements)
    return UNKNOWN if items is None else Tuple(tuple(items))


@expression(cst.List)
def list_(m: Machine, node: cst.List) -> Value:
    return collection(m, "list", node.elements)


@expression(cst.Set)
def set_(m: Machine, node: cst.Set) -> Value:
    return collection(m, "set", node.elements)


def collection(m: Machine, kind: str, nodes: Any) -> Value:
    items = elements(m, nodes)
    if items is None:
        return m.new(Sequence(kind))
    return m.new(Sequence(kind, tuple(items), filled=YES if items else NO))


def elements(m: Machine, nodes: Any) -> list[Value] | None:
    """The elements of a display, or None if their number is not known."""
    items: list[Value] | None = []
    for element in nodes:
        value = evaluate(m, element.value)
        if isinstance(element, cst.StarredElement):
            inner = iteration.exact(m, value)
            one = iteration.element(m, value) if inner is None and iteration.once(m, value) else None
            if isinstance(one, Ref):  # `[*model.parameters()]`
                inner = [Ref((address,)) for address in one.addresses]
                iteration.consume(m, value)
            items = None if inner is None or items is None else items + inner
        elif items is not None:
            items.append(value)
    return items


@expression(cst.Dict)
def dict_(m: Machine, node: cst.Dict) -> Value:
    pairs: list[tuple[Any, Value]] = []
    rest: Value | None = None
    for element in node.elements:
        value = evaluate(m, element.value)
        if isinstance(element, cst.DictElement):
            key = evaluate(m, element.key)
            if isinstance(key, Const):
                pairs.append((key.value, value))
            else:
                rest = value if rest is None else UNKNOWN
        else:
            inner = m.cell(value)
            if isinstance(inner, Mapping_):
                pairs += inner.items
                rest = rest if inner.rest is None else inner.rest
            else:
                pairs, rest = [], UNKNOWN
    return m.new(Mapping_((), rest).merged(pairs))


@expression(cst.BinaryOperation)
def binary(m: Machine, node: cst.BinaryOperation) -> Value:
    # `a + b + c + ...` nests to the left as deep as it is long: walk down the left spine instead of recursing
    spine = [node]
    while isinstance(spine[-1].left, cst.BinaryOperation):
        spine.append(spine[-1].left)
    value = evaluate(m, spine[-1].left)
    for part in reversed(spine):
        m.step()
        right = evaluate(m, part.right)
        value = operators.binary(m, part, type(part.operator).__name__, value, right, part.left, part.right)
    return value


@expression(cst.UnaryOperation)
def unary(m: Machine, node: cst.UnaryOperation) -> Value:
    value = evaluate(m, node.expression)
    kind = type(node.operator).__name__
    if isinstance(value, Either) and kind != "Not":
        return alternatives.split(m, value, lambda one: operators.unary(m, node, kind, one))
    return operators.unary(m, node, kind, value)


@expression(cst.BooleanOperation)
def boolean(m: Machine, node: cst.BooleanOperation) -> Value:
    left = evaluate(m, node.left)
    known = operators.truth_of(m, node.left, left)
    is_and = isinstance(node.operator, cst.And)
    if known is (NO if is_and else YES):
        return left
    if known is (YES if is_and else NO):
        return evaluate(m, node.right)
    mark = m.state.mark()
    narrowing.narrow(m, node.left, is_and)
    right = evaluate(m, node.right)
    m.state.set((m.frame.id, "*value"), right)
    taken = m.state.rollback(mark)
    m.state.set((m.frame.id, "*value"), left)
    skipped = {(m.frame.id, "*value"): alternatives.true(m, left, not is_and) if isinstance(left, Either) else left}
    m.state.join([skipped, taken])
    result: Value = m.state.get((m.frame.id, "*value"), UNKNOWN)
    return result


@expression(cst.Comparison)
def comparison(m: Machine, node: cst.Comparison) -> Value:
    left = evaluate_tested(m, node)
    result: Value = UNKNOWN
    verdict: Truth | None = YES
    for target in node.comparisons:
        right = evaluate(m, target.comparator)
        result = operators.compare(m, node, target.operator, left, right)
        known = operators.condition(m, result)
        verdict = NO if known is NO or verdict is NO else MAYBE if known is MAYBE or verdict is MAYBE else verdict
        left = right
    if len(node.comparisons) == 1:
        return result
    return Scalar("bool") if verdict is MAYBE else Const(verdict is YES)


def evaluate_tested(m: Machine, node: cst.Comparison) -> Value:
    """The left side; reading `.grad` only to compare it with None is a question, not a use."""
    only = node.comparisons[0]
    asks = isinstance(only.operator, (cst.Is, cst.IsNot)) and isinstance(only.comparator, cst.Name)
    if asks and isinstance(node.left, cst.Attribute):
        owner = evaluate(m, node.left.value)
        return attributes.get(m, owner, node.left.attr.value, node.left, node.left.value, tested=True)
    return evaluate(m, node.left)


@expression(cst.IfExp)
def conditional(m: Machine, node: cst.IfExp) -> Value:
    known = operators.truth_of(m, node.test, evaluate(m, node.test))
    if known.proved:
        return evaluate(m, node.body if known is YES else node.orelse)
    slot = (m.frame.id, "*value")
    deltas = []
    for truth, side in ((True, node.body), (False, node.orelse)):
        mark = m.state.mark()
        narrowing.narrow(m, node.test, truth)
        m.state.set(slot, evaluate(m, side))
        deltas.append(m.state.rollback(mark))
    m.state.join(deltas)
    result: Value = m.state.get(slot, UNKNOWN)
    return result


@expression(cst.NamedExpr)
def walrus(m: Machine, node: cst.NamedExpr) -> Value:
    value = evaluate(m, node.value)
    if isinstance(node.target, cst.Name):
        m.bind(node.target.value, value)
    return value


@expression(cst.Await)
def await_(m: Machine, node: cst.Await) -> Value:
    return evaluate(m, node.expression)


@expression(cst.Yield)
def yield_(m: Machine, node: cst.Yield) -> Value:
    m.frame.yield_modes.append(m.mode)
    if isinstance(node.value, cst.From):
        value = iteration.element(m, evaluate(m, node.value.item))
    else:
        value = evaluate(m, node.value) if node.value is not None else NONE
    m.frame.yields.append(value)
    if m.frame.resume is not None:
        m.frame.resume(value)
    else:
        m.frame.pauses.append(m.state.delta(m.frame.mark))
    return UNKNOWN


@expression(cst.Lambda)
def lambda_(m: Machine, node: cst.Lambda) -> Value:
    defaults = tuple(
        (p.name.value, evaluate(m, p.default))
        for p in (*node.params.posonly_params, *node.params.params, *node.params.kwonly_params)
        if p.default is not None
    )
    return Function(node, "lambda", m.frame.scope, defaults)


@expression(cst.ListComp)
def list_comp(m: Machine, node: cst.ListComp) -> Value:
    return comprehensions.comprehension(m, node, "list")


@expression(cst.SetComp)
def set_comp(m: Machine, node: cst.SetComp) -> Value:
    return comprehensions.comprehension(m, node, "set")


@expression(cst.GeneratorExp)
def generator(m: Machine, node: cst.GeneratorExp) -> Value:
    made = comprehensions.comprehension(m, node, "generator")
    idle.lazy(m, node, made)
    return made


@expression(cst.DictComp)
def dict_comp(m: Machine, node: cst.DictComp) -> Value:
    return comprehensions.comprehension(m, node, "dict")


@expression(cst.StarredElement)
def starred(m: Machine, node: cst.StarredElement) -> Value:
    return evaluate(m, node.value)


def single(value: Value) -> int | None:
    """The address of a Ref to one object."""
    return value.addresses[0] if isinstance(value, Ref) and len(value.addresses) == 1 else None
