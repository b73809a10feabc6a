"""Operators and comparisons of tensors, numbers and lists; what a value is worth as a condition."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import alternatives, conversions, counting, levels, questions, strings, tensors
from flake8_detach.flow.events import NoneUsed, ToNumpy
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Class,
    Const,
    Either,
    Function,
    Instance,
    Label,
    Layer,
    Mapping_,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Truth,
    Tuple,
    Value,
    truth,
    worst,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


DUNDER: Mapping[str, str] = {
    "Add": "add",
    "Subtract": "sub",
    "Multiply": "mul",
    "Divide": "truediv",
    "FloorDivide": "floordiv",
    "Modulo": "mod",
    "Power": "pow",
    "MatrixMultiply": "matmul",
    "BitAnd": "and",
    "BitOr": "or",
    "BitXor": "xor",
    "LeftShift": "lshift",
    "RightShift": "rshift",
}
PYTHON: Mapping[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
}
COMPARE: Mapping[type[cst.BaseCompOp], tuple[str, Callable[[Any, Any], Any]]] = {
    cst.Equal: ("eq", operator.eq),
    cst.NotEqual: ("ne", operator.ne),
    cst.LessThan: ("lt", operator.lt),
    cst.LessThanEqual: ("le", operator.le),
    cst.GreaterThan: ("gt", operator.gt),
    cst.GreaterThanEqual: ("ge", operator.ge),
}


def binary(
    m: Machine, node: cst.CSTNode, kind: str, left: Value, right: Value, left_node: cst.CSTNode, right_node: cst.CSTNode
) -> Value:
    """`left <op> right`; `kind` is the name of the libcst operator class, with or without "Assign"."""
    name = DUNDER.get(kind.removesuffix("Assign"))
    if name is None:
        return UNKNOWN
    use_none(m, node, left, left_node)
    use_none(m, node, right, right_node)
    if isinstance(left, Either) or isinstance(right, Either):
        return alternatives.operands(m, left, right, lambda a, b: binary(m, node, kind, a, b, left_node, right_node))
    if name == "mod" and isinstance(left, Const) and isinstance(left.value, str):
        conversions.percent(m, node, left.value, right, right_node)
        return strings.percent(left.value, right.items if isinstance(right, Tuple) else (right,))
    if m.is_tensor(left) or m.is_tensor(right):
        return _tensor_binary(m, node, name, left, right, left_node, right_node)
    if isinstance(left, Const) and isinstance(right, Const):
        result = _fold(name, left, right)
        if name == "floordiv" and result == Const(0) and left.value:
            return Const(0, m.cause("rounded", f"`{m.text(node)}` is {left.value} // {right.value} = 0", node))
        return result
    if tensors.BATCH in (left, right):
        return tensors.BATCH
    if isinstance(left, Array) or isinstance(right, Array):
        other = right if isinstance(left, Array) else left
        if isinstance(other, (Array, Const, Scalar)):
            why = next((v.why for v in (left, right) if isinstance(v, (Array, Scalar, Const)) and v.why), None)
            sure = any(isinstance(v, Array) and v.scalar.no for v in (left, right))
            return Array(None, NO if sure else MAYBE, why)
        return UNKNOWN
    if isinstance(left, (Const, Scalar)) and isinstance(right, (Const, Scalar)):
        return _scalar(name, left, right)
    if name == "add":
        joined = _concatenate(m, left, right)
        if joined is not None:
            return joined
    if name == "mul":
        for sequence, count in ((left, right), (right, left)):
            cell = m.cell(sequence)
            blank = isinstance(cell, Sequence) and cell.items == (NONE,) and count == UNKNOWN  # by no array, surely
            if isinstance(cell, Sequence) and (blank or isinstance(count, (Const, Scalar))):
                times = count.value if isinstance(count, Const) and isinstance(count.value, int) else None
                if cell.items is not None and times is not None and len(cell.items) * times <= 64:
                    return m.new(replace(cell, items=cell.items * times))
                element = cell.items[0] if cell.items is not None and len(cell.items) == 1 else UNKNOWN
                return m.new(Sequence(cell.kind, None, element if cell.items is not None else cell.element))
            if isinstance(sequence, Tuple) and isinstance(count, Const) and isinstance(count.value, int):
                return Tuple(sequence.items * count.value) if len(sequence.items) * count.value <= 64 else UNKNOWN
    if name == "or":
        mappings = [m.cell(left), m.cell(right)]
        merged, more = mappings
        if isinstance(merged, Mapping_) and isinstance(more, Mapping_):
            return m.new(merged.merged(more.items))
    return _dunder_of_instance(m, node, name, left, right)


def _dunder_of_instance(m: Machine, node: cst.CSTNode, name: str, left: Value, right: Value) -> Value:
    from flake8_detach.flow import calls, modules

    if isinstance(m.cell(left), Instance):
        found = modules.find(m, left, f"__{name}__")
        if found is not None:
            return calls.call(m, found, calls.Args([right]), node)
    return UNKNOWN


def _tensor_binary(
    m: Machine, node: cst.CSTNode, name: str, left: Value, right: Value, left_node: cst.CSTNode, right_node: cst.CSTNode
) -> Value:
    arrays = [v for v in (left, right) if isinstance(v, Array)]
    if arrays and (m.is_tensor(left) or m.is_tensor(right)):
        tensor, tensor_node = (left, left_node) if m.is_tensor(left) else (right, right_node)
        # numpy scalars multiply like Python numbers; an ndarray on either side calls Tensor.numpy()
        if arrays[0].scalar.no and (m.is_tensor(left) or name not in ("mul",)):
            to_numpy(m, node, tensor, tensor_node, m.text(node), element=False)
            if any(t.grad.yes for _, t in m.tensors(tensor)) and m.mode.grad.yes:
                return UNKNOWN
        if arrays[0].scalar.no and not m.is_tensor(left):
            if name in ARRAYS_REFUSE:
                problem = "numpy does not calculate with tensors; use `torch.as_tensor(...)` for the array"
                conversions.never(m, node, tensor, tensor_node, problem)
            return UNKNOWN
    reflected = not m.is_tensor(left)
    op = ops.method(f"__r{name}__" if reflected else f"__{name}__") or ops.method(f"__{name}__")
    if op is None:
        return UNKNOWN
    first, second = (right, left) if reflected else (left, right)
    names = [p for p in op.params if not p.startswith("*")] or ["self", "other"]
    bound = {names[0]: first, (names[1] if len(names) > 1 else "other"): second}
    subject = m.text(left_node if m.is_tensor(left) else right_node)
    return tensors.apply(m, node, op, bound, subject)


ARRAYS_REFUSE = frozenset({"add", "sub", "mul", "pow", "matmul", "floordiv", "mod"})
"""Operators that raise TypeError with a numpy array on the left and a tensor on the right, grad or not."""


def to_numpy(m: Machine, node: cst.CSTNode, value: Value, tensor_node: cst.CSTNode, via: Label, element: bool) -> None:
    """Tell the rules that every tensor in `value` becomes a numpy array."""
    for _, tensor in m.tensors(value):
        if tensor.grad.yes and m.mode.grad.yes:
            m.raises()
        levels.numpy(m, node, tensor)
        m.emit(
            ToNumpy,
            node,
            tensor=tensor,
            subject=m.text(tensor_node),
            tensor_node=tensor_node,
            via=via,
            element=element,
            mode=m.mode,
        )
        if not (element or (tensor.grad.yes and m.mode.grad.yes)):
            conversions.array(m, node, tensor, m.text(tensor_node))


def _fold(name: str, left: Const, right: Const) -> Value:
    function = PYTHON.get(name)
    a, b = left.value, right.value
    if isinstance(a, str) or isinstance(b, str):
        if name == "mod" or name == "mul":
            return Scalar("str")
        if name == "add" and isinstance(a, str) and isinstance(b, str) and len(a) + len(b) < 200:
            return Const(a + b)
        return UNKNOWN
    if not all(isinstance(v, (int, float, complex)) for v in (a, b)):
        return UNKNOWN
    if name == "pow" and abs(a) < 100 and abs(b) < 20:
        function = operator.pow
    if function is None:
        return _scalar(name, left, right)
    try:
        value = function(a, b)
    except (ArithmeticError, TypeError, ValueError):
        return UNKNOWN
    if isinstance(value, int) and abs(value) > 10**18:
        return Scalar("int")
    return Const(value, left.why or right.why)


def _scalar(name: str, left: Const | Scalar, right: Const | Scalar) -> Value:
    kinds = {number(left), number(right)}
    why = worst((left.why, right.why))
    if "str" in kinds:
        return strings.joined((left, right)) if name == "add" and kinds == {"str"} else Scalar("str")
    if None in kinds:
        return UNKNOWN
    if kinds == {"int"} and (number_ := counting.computed(name, left, right)) is not None:
        return replace(number_, why=why)
    if name == "truediv" or "float" in kinds:
        return Scalar("complex" if "complex" in kinds else "float", why)
    if "number" in kinds or name == "pow":
        return Scalar("number", why)
    return Scalar("int", why)


def number(value: Const | Scalar) -> str | None:
    if isinstance(value, Scalar):
        return value.kind
    names = {bool: "bool", int: "int", float: "float", complex: "complex", str: "str"}
    return names.get(type(value.value))


def _concatenate(m: Machine, left: Value, right: Value) -> Value | None:
    if isinstance(left, Tuple) and isinstance(right, Tuple):
        return Tuple(left.items + right.items)
    a, b = m.cell(left), m.cell(right)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        if a.each or b.each:
            merged = [v for c in (a, b) for v in (c.items if c.items is not None else (c.element,))]
            if all(isinstance(v, Ref) for v in merged):
                addresses = [x for v in merged if isinstance(v, Ref) for x in v.addresses]
                once = tuple(dict.fromkeys(addresses))
                known = YES if a.filled is YES and b.filled is YES else a.filled & MAYBE
                joined = m.new(Sequence(a.kind, None, Ref(once), each=True, filled=a.filled | b.filled))
                if len(once) < len(addresses) and known is YES:
                    again = tuple(x for x in once if addresses.count(x) > 1)
                    m.state.set((joined.addresses[0], "*again"), Ref(again))
                return joined
        if a.items is not None and b.items is not None:
            return m.new(Sequence(a.kind, a.items + b.items, filled=a.filled | b.filled))
        elements = [v for c in (a, b) for v in (c.items if c.items is not None else (c.element,))]
        from flake8_detach.flow import iteration

        return m.new(Sequence(a.kind, None, iteration.common(m, elements), filled=a.filled | b.filled))
    return None


def unary(m: Machine, node: cst.UnaryOperation, kind: str, value: Value) -> Value:
    if kind == "Not":
        known = truth_of(m, node.expression, value)
        return Scalar("bool") if not known.proved else Const(known is NO)
    use_none(m, node, value, node.expression)
    if m.is_tensor(value):
        if kind == "Plus":
            return value
        op = ops.method({"Minus": "__neg__", "BitInvert": "__invert__"}[kind])
        return UNKNOWN if op is None else tensors.apply(m, node, op, {"self": value}, m.text(node.expression))
    if isinstance(value, Const) and isinstance(value.value, (int, float, complex)):
        if kind == "Minus":
            return Const(-value.value)
        return value if kind == "Plus" else Scalar("int")
    if isinstance(value, (Scalar, Array)) or value == tensors.BATCH:
        return value
    return UNKNOWN


def use_none(m: Machine, node: cst.CSTNode, value: Value, value_node: cst.CSTNode) -> None:
    """An operator or attribute is about to be applied to `value`: it must not be a gradient that is None, nor one of
    several gradients some of which are, unless something was asked since."""
    one_of_many = isinstance(value, Either)
    if isinstance(value, Either) and value.since == m.doubts:
        value = value.plain
    if isinstance(value, Const) and value.value is None and value.why is not None:
        if questions.settled(m, value.why, one_of_many):
            return
        m.emit(NoneUsed, node, subject=m.text(value_node), why=value.why)
        m.raises()


def truth_of(m: Machine, node: cst.CSTNode, value: Value) -> Truth:
    """Is the value of the expression `node` true? A tensor of several elements is asked in vain."""
    conversions.truth_of(m, node, value)
    levels.read(m, node, value, "a condition")
    return condition(m, value)


def condition(m: Machine, value: Value) -> Truth:
    """Is the value true in a boolean context?"""
    if isinstance(value, Const):
        return truth(bool(value.value))
    if isinstance(value, Tuple):
        return truth(bool(value.items))
    if isinstance(value, (Function, Class)):
        return YES
    cell = m.cell(value)
    if isinstance(cell, Sequence) and cell.kind not in ("generator", "iterator"):
        return truth(bool(cell.items)) if cell.items is not None else cell.filled
    if isinstance(cell, Layer):
        return YES if not cell.kind.endswith(("List", "Dict", "Sequential")) else MAYBE
    if isinstance(cell, Optimizer):
        return YES
    if isinstance(cell, Mapping_) and cell.items:
        return YES
    if isinstance(cell, Instance):
        from flake8_detach.flow import modules

        if all(modules.lacks(m, value, name) for name in ("__bool__", "__len__")):
            return YES
    return counting.true(m, value)


def compare(m: Machine, node: cst.Comparison, op: cst.BaseCompOp, left: Value, right: Value) -> Value:
    """One comparison; a Const if its outcome is known."""
    if isinstance(op, (cst.Is, cst.IsNot)):
        questions.asked(m, left)
        same = _identical(m, left, right)
        if same is None:
            return Scalar("bool")
        return Const(same == isinstance(op, cst.Is))
    if isinstance(op, (cst.In, cst.NotIn)):
        inside = _contains(m, left, right)
        return Scalar("bool") if inside is None else Const(inside == isinstance(op, cst.In))
    if isinstance(left, Either) or isinstance(right, Either):
        return alternatives.operands(m, left, right, lambda a, b: compare(m, node, op, a, b))
    name, function = COMPARE[type(op)]
    if name not in ("eq", "ne"):  # None can be compared for equality, not for order
        use_none(m, node, left, node.left)
        use_none(m, node, right, next(t.comparator for t in node.comparisons if t.operator is op))
    if m.is_tensor(left) or m.is_tensor(right):
        rule = ops.method(f"__{name}__")
        if rule is None:
            return UNKNOWN
        first, second = (left, right) if m.is_tensor(left) else (right, left)
        names = list(rule.params) or ["self", "other"]
        return tensors.apply(m, node, rule, {names[0]: first, names[-1]: second}, m.text(node))
    if isinstance(left, Const) and isinstance(right, Const):
        try:
            return Const(bool(function(left.value, right.value)))
        except TypeError:
            return UNKNOWN
    if isinstance(left, Array) or isinstance(right, Array):
        return Array("bool", MAYBE)
    if isinstance(left, (Const, Scalar)) and isinstance(right, (Const, Scalar)):
        return counting.outcome(m, name, left, right)
    if left == tensors.BATCH or right == tensors.BATCH:
        return tensors.BATCH
    return UNKNOWN


def _identical(m: Machine, left: Value, right: Value) -> bool | None:
    if isinstance(left, Either) or isinstance(right, Either):
        return alternatives.identical(left, right) if isinstance(left, Either) else None
    if isinstance(left, Const) and isinstance(right, Const):
        singletons = (None, True, False, ...)
        if any(left.value is s for s in singletons) or any(right.value is s for s in singletons):
            return left.value is right.value
        return None
    other = right if isinstance(left, Const) else left if isinstance(right, Const) else None
    if other is not None:
        const = left if isinstance(left, Const) else right
        assert isinstance(const, Const)
        if isinstance(other, (Ref, Tuple, Array, Function, Class, Scalar)) and const.value is None:
            return False if not (isinstance(other, Ref) and not other.addresses) else None
        return None
    if isinstance(left, Ref) and isinstance(right, Ref) and len(left.addresses) == len(right.addresses) == 1:
        return True if left == right else None
    return None


def _contains(m: Machine, item: Value, container: Value) -> bool | None:
    if not isinstance(item, Const):
        return None
    if isinstance(container, Const) and isinstance(container.value, str) and isinstance(item.value, str):
        return item.value in container.value
    items: tuple[Value, ...] | None = None
    cell = m.cell(container)
    if isinstance(container, Tuple):
        items = container.items
    elif isinstance(cell, Sequence):
        items = cell.items
    elif isinstance(cell, Mapping_):
        if cell.get(item.value) is not None:
            return True
        return False if cell.rest is None else None
    if items is None or not all(isinstance(i, Const) for i in items):
        return None
    return item in items
