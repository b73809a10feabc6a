"""Operators, subscripts and conditions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import conversions, gradients, hidden, levels, shapes, tensors
from flake8_detach.flow.events import NoneUsed, ToNumpy
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Class,
    Const,
    External,
    Foreign,
    Function,
    Instance,
    Label,
    Layer,
    Mapping_,
    Mode,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Shape,
    Tensor,
    Thing,
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
INDEX = ops.Op("Tensor.__getitem__", params=("self",), view="view")
"""`x[0]`, `x[1:]`: a view. `TAKE`: `x[mask]`, `x[[1, 2]]`: a copy. Both save no values (docs: Tensor views)."""
TAKE = ops.Op("Tensor.__getitem__", params=("self",))


def binary(
    m: Machine, node: cst.CSTNode, kind: str, left: Value, right: Value, left_node: cst.CSTNode, right_node: cst.CSTNode
) -> Value:
    """`left <op> right`; `kind` is the name of the libcst operator class, with or without "Assign"."""
    name = DUNDER.get(kind.removesuffix("Assign"))
    if name is None:
        return UNKNOWN
    use_none(m, node, left, left_node)
    use_none(m, node, right, right_node)
    if name == "mod" and isinstance(left, Const) and isinstance(left.value, str):
        conversions.percent(m, node, left.value, right, right_node)
        return Scalar("str")
    if m.is_tensor(left) or m.is_tensor(right):
        return _tensor_binary(m, node, name, left, right, left_node, right_node)
    if isinstance(left, Const) and isinstance(right, Const):
        return _fold(name, left, right)
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
            if isinstance(cell, Sequence) and isinstance(count, (Const, Scalar)):
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
            for k, v in more.items:
                merged = merged.put(k, v)
            return m.new(merged)
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
    kinds = {_number(left), _number(right)}
    why = worst((left.why, right.why))
    if None in kinds:
        return Scalar("str") if "str" in kinds and name in ("mod", "add", "mul") else UNKNOWN
    if name == "truediv" or "float" in kinds:
        return Scalar("complex" if "complex" in kinds else "float", why)
    if "number" in kinds or name == "pow":
        return Scalar("number", why)
    return Scalar("int", why)


def _number(value: Const | Scalar) -> str | None:
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
    """An operator or attribute is about to be applied to `value`: it must not be a gradient that is None."""
    if isinstance(value, Const) and value.value is None and value.why is not None:
        m.emit(NoneUsed, node, subject=m.text(value_node), why=value.why)
        m.raises()


# Conditions


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
    m.doubts += 1
    return MAYBE


def compare(m: Machine, node: cst.Comparison, op: cst.BaseCompOp, left: Value, right: Value) -> Value:
    """One comparison; a Const if its outcome is known."""
    if isinstance(op, (cst.Is, cst.IsNot)):
        same = _identical(m, left, right)
        if same is None:
            return Scalar("bool")
        return Const(same == isinstance(op, cst.Is))
    if isinstance(op, (cst.In, cst.NotIn)):
        inside = _contains(m, left, right)
        return Scalar("bool") if inside is None else Const(inside == isinstance(op, cst.In))
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
        return Scalar("bool")
    if left == tensors.BATCH or right == tensors.BATCH:
        return tensors.BATCH
    return UNKNOWN


def _identical(m: Machine, left: Value, right: Value) -> bool | None:
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


def narrow(m: Machine, test: cst.BaseExpression, outcome: bool) -> None:
    """Learn on this path that `test` came out as `outcome`."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        narrow(m, test.expression, not outcome)
    elif isinstance(test, cst.BooleanOperation):
        if isinstance(test.operator, cst.And) == outcome:
            narrow(m, test.left, outcome)
            narrow(m, test.right, outcome)
    elif isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        if isinstance(target.operator, (cst.Is, cst.IsNot)) and _is_none(target.comparator):
            _narrow_none(m, test.left, outcome == isinstance(target.operator, cst.Is))
    elif isinstance(test, cst.Attribute) and test.attr.value == "requires_grad":
        for address, tensor in m.tensors(quiet(m, test.value)):
            m.change(address, grad=YES if outcome else NO, leaf=tensor.leaf if outcome else YES)
    elif isinstance(test, cst.Attribute) and test.attr.value == "is_leaf":
        for address, _ in m.tensors(quiet(m, test.value)):
            m.change(address, leaf=truth(outcome))
    elif isinstance(test, (cst.Name, cst.Attribute)) and outcome is False:
        pass
    elif isinstance(test, cst.Call):
        _narrow_call(m, test, outcome)


def _is_none(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Name) and node.value == "None"


def quiet(m: Machine, node: cst.BaseExpression) -> Value:
    """The value of a name or a chain of plain attributes, looked up without any effect."""
    if isinstance(node, cst.Name):
        return m.lookup(node.value) or UNKNOWN
    if isinstance(node, cst.Attribute):
        owner = quiet(m, node.value)
        if isinstance(owner, Ref) and len(owner.addresses) == 1:
            value: Value = m.state.get((owner.addresses[0], node.attr.value), UNKNOWN)
            return value
    return UNKNOWN


def _narrow_none(m: Machine, node: cst.BaseExpression, is_none: bool) -> None:
    if isinstance(node, cst.Attribute) and node.attr.value == "grad":
        owner = quiet(m, node.value)
        found = m.tensors(owner)
        if len(found) > 1 and isinstance(node.value, cst.Name):
            # some of the tensors have a gradient, some not: go on with those that fit
            fitting = tuple(a for a, _ in found if not _contradicts(m, a, is_none))
            m.bind(node.value.value, Ref(fitting))
            found = [(a, t) for a, t in found if a in fitting]
        for address, tensor in found:
            if is_none:
                m.state.set((address, "grad"), NONE)
            elif m.state.get((address, "grad"), NONE) in (NONE, UNKNOWN):
                gradient = m.tensor(grad=NO, leaf=YES, shape=tensor.shape, dtype=tensor.dtype, made="grad")
                m.state.set((address, "grad"), gradient)
    elif isinstance(node, cst.Name):
        value = m.lookup(node.value)
        if is_none and value == UNKNOWN:
            m.bind(node.value, NONE)
        elif not is_none and value == NONE:
            m.bind(node.value, UNKNOWN)
    elif isinstance(node, cst.Attribute):
        owner = quiet(m, node.value)
        if isinstance(owner, Ref) and len(owner.addresses) == 1:
            slot = (owner.addresses[0], node.attr.value)
            value = m.state.get(slot)
            if is_none and value == UNKNOWN:
                m.state.set(slot, NONE)
            elif not is_none and value == NONE:
                m.state.set(slot, UNKNOWN)


def _contradicts(m: Machine, address: int, is_none: bool) -> bool:
    gradient = m.state.get((address, "grad"), NONE)
    return bool(gradient != UNKNOWN and (gradient == NONE) != is_none)


def _narrow_call(m: Machine, test: cst.Call, outcome: bool) -> None:
    from flake8_detach.flow.evaluate import evaluate

    if not isinstance(test.func, (cst.Name, cst.Attribute)):
        return
    function = evaluate(m, test.func) if isinstance(test.func, cst.Name) else quiet_external(m, test.func)
    if not isinstance(function, External):
        return
    if function.name == "torch.is_grad_enabled" and not test.args:
        m.set_mode(Mode(truth(outcome), m.mode.inference, m.mode.why))
    elif function.name in ("builtins.isinstance", "torch.is_tensor") and outcome and test.args:
        subject = test.args[0].value
        if function.name == "builtins.isinstance":
            kind = evaluate(m, test.args[1].value) if len(test.args) > 1 else UNKNOWN
            if kind != External("torch.Tensor"):
                return
        if isinstance(subject, cst.Name) and m.lookup(subject.value) == UNKNOWN:
            m.bind(subject.value, m.tensor(storage=0))


def quiet_external(m: Machine, node: cst.BaseExpression) -> Value:
    """The External that a dotted name stands for."""
    from flake8_detach.imports import canonical

    if isinstance(node, cst.Name):
        return m.lookup(node.value) or UNKNOWN
    if isinstance(node, cst.Attribute):
        owner = quiet_external(m, node.value)
        if isinstance(owner, External):
            return External(canonical(f"{owner.name}.{node.attr.value}"))
    return UNKNOWN


# Subscripts


def get_item(m: Machine, node: cst.Subscript, owner: Value, key: Value) -> Value:
    """`owner[key]`."""
    use_none(m, node, owner, node.value)
    if m.is_tensor(owner):
        return _index_tensor(m, node, owner, key)
    if isinstance(owner, Array):
        return replace(owner, scalar=owner.scalar if is_slice(key) else MAYBE)
    if isinstance(owner, Foreign):
        return owner
    if isinstance(owner, Tuple):
        place = key.value if isinstance(key, Const) and isinstance(key.value, int) else 0
        if owner.items and not -len(owner.items) <= place < len(owner.items):
            from flake8_detach.flow import custom_ctx

            custom_ctx.misfit(m, node, owner, place + 1)
        conversions.index(m, node, key, node)
        return _index_items(m, owner.items, key, "tuple")
    cell = m.cell(owner)
    if isinstance(cell, Sequence):
        conversions.index(m, node, key, node)
        if cell.items is not None:
            return _index_items(m, cell.items, key, cell.kind)
        if is_slice(key):
            return m.new(replace(cell, filled=MAYBE))
        return cell.element
    if isinstance(cell, Mapping_):
        if isinstance(key, Const):
            found = cell.get(key.value)
            if found is not None:
                return found
        if cell.default is not None and cell.rest is None and isinstance(owner, Ref):
            return _missing(m, node, owner.addresses[0], cell, key)
        candidates = [v for _, v in cell.items] if not isinstance(key, Const) else []
        candidates += [cell.rest] if cell.rest is not None else []
        return candidates[0] if candidates and all(c == candidates[0] for c in candidates) else UNKNOWN
    if isinstance(cell, Layer) and isinstance(owner, Ref):
        if cell.children is None:
            one: Value = m.state.get((owner.addresses[0], "*element"), UNKNOWN)
            return UNKNOWN if is_slice(key) else one
        return _index_layer(m, owner.addresses[0], cell, key)
    if isinstance(cell, Instance):
        from flake8_detach.flow import calls, modules

        found_method = modules.find(m, owner, "__getitem__")
        if found_method is not None:
            return calls.call(m, found_method, calls.Args([key]), node)
    if isinstance(cell, Thing):
        return cell.part("element") or UNKNOWN
    return UNKNOWN


def _missing(m: Machine, node: cst.CSTNode, address: int, cell: Mapping_, key: Value) -> Value:
    """What a defaultdict makes for a key that it does not have.

    One list stands for the lists of all keys that are not known; nothing is known of what is in it.
    """
    from flake8_detach.flow import calls

    if isinstance(key, Const):
        made = calls.call(m, cell.default or UNKNOWN, calls.Args([]), node)
        now = m.state.cell(address)
        if isinstance(now, Mapping_):
            m.state.set((address, CELL), now.put(key.value, made))
        return made
    if cell.items or cell.default != External("builtins.list"):
        return UNKNOWN
    made = m.new(Sequence("list", None, UNKNOWN))
    m.state.set((address, CELL), Mapping_((), made))
    return made


def is_slice(key: Value) -> bool:
    return isinstance(key, Tuple) and key.names == ("slice",)


def _index_items(m: Machine, items: tuple[Value, ...], key: Value, kind: str) -> Value:
    if isinstance(key, Const) and isinstance(key.value, int) and -len(items) <= key.value < len(items):
        return items[key.value]
    if is_slice(key):
        assert isinstance(key, Tuple)
        if all(isinstance(b, Const) and (b.value is None or isinstance(b.value, int)) for b in key.items):
            bounds = [b.value for b in key.items if isinstance(b, Const)]
            if bounds[2] != 0:
                part = items[slice(*bounds)]
                return Tuple(part) if kind == "tuple" else m.new(Sequence(kind, part, filled=truth(bool(part))))
        if kind != "tuple":
            element = items[0] if items and all(i == items[0] for i in items) else UNKNOWN
            return m.new(Sequence(kind, None, element))
        return UNKNOWN
    return items[0] if items and all(i == items[0] for i in items) else UNKNOWN


def _index_layer(m: Machine, address: int, layer: Layer, key: Value) -> Value:
    children = layer.children or ()
    if isinstance(key, Const):
        name = key.value if isinstance(key.value, str) else None
        if isinstance(key.value, int) and -len(children) <= key.value < len(children):
            name = children[key.value]
        if name in children:
            found: Value = m.state.get((address, name), UNKNOWN)
            return found
        return UNKNOWN
    if is_slice(key):
        return UNKNOWN
    found_all: list[Value] = [m.state.get((address, c), UNKNOWN) for c in children]
    if found_all and all(f == found_all[0] for f in found_all):
        return found_all[0]
    return UNKNOWN


def _index_tensor(m: Machine, node: cst.Subscript, owner: Value, key: Value) -> Value:
    parts = key.items if isinstance(key, Tuple) and not is_slice(key) else (key,)
    basic = all(
        is_slice(p)
        or (isinstance(p, Const) and isinstance(p.value, int | None | type(...)))
        or (isinstance(p, Scalar) and p.kind == "int")
        for p in parts
    )
    if basic and conversions.take(m, node, owner, parts):
        return UNKNOWN
    for part in parts:
        conversions.index_of_tensor(m, node, part)
    for part in (p for p in parts if is_slice(p)):
        for bound in part.items if isinstance(part, Tuple) else ():
            conversions.index(m, node, bound, node)
    levels.masked(m, node, parts)
    result = tensors.apply(m, node, INDEX if basic else TAKE, {"self": owner}, m.text(node.value))
    if isinstance(result, Ref):
        for (_, source), address in zip(m.tensors(owner), result.addresses, strict=False):
            m.change(address, shape=_indexed(source, parts) if basic else _picked(m, source, parts))
    return result


def _picked(m: Machine, source: Tensor, parts: tuple[Value, ...]) -> Shape | None:
    """The shape of `x[parts]` where some parts are tensors: their common shape stands where the first of them stood."""
    picks = [i for i, part in enumerate(parts) if not is_slice(part) and part != NONE and part != Const(...)]
    cells = [m.cell(parts[i]) for i in picks]
    if not picks or picks[-1] - picks[0] >= len(picks):
        return None  # apart from each other, they go to the front
    given = [c.shape if isinstance(c, Tensor) else () for c in cells]
    plain = [_number(part) if isinstance(part := parts[i], (Const, Scalar)) else None for i in picks]
    kinds = [c.dtype if isinstance(c, Tensor) else kind for c, kind in zip(cells, plain, strict=True)]
    common: Shape | None
    if kinds == ["bool"] and isinstance(given[0], tuple) and len(given[0]) <= 1:
        common = (None,)
    else:
        common = shapes.broadcast(given) if set(kinds) == {"int"} else None
    if common is None:
        return None
    around = _indexed(source, (*parts[: picks[0]], *(Const(0) for _ in picks), *parts[picks[-1] + 1 :]))
    if around is None or Const(...) in parts:
        return None
    at = sum(1 for part in parts[: picks[0]] if is_slice(part) or part == NONE)
    return (*around[:at], *common, *around[at:])


def _indexed(source: Tensor, parts: tuple[Value, ...]) -> Shape | None:
    """The shape of `x[parts]` for plain indices and slices."""
    if source.shape is None:
        return None
    rest = list(source.shape)
    result: list[int | None] = []
    taken = sum(1 for p in parts if p not in (NONE, Const(...)))
    for part in parts:
        if part == NONE:
            result.append(1)
        elif part == Const(...):
            kept = len(rest) - (taken - sum(1 for p in parts[: parts.index(part)] if p not in (NONE, Const(...))))
            result.extend(rest[:kept])
            rest = rest[kept:]
        elif is_slice(part):
            whole = isinstance(part, Tuple) and all(b == NONE for b in part.items)
            result.append(rest[0] if rest and whole else None)
            rest = rest[1:]
        elif isinstance(part, (Const, Scalar)):
            rest = rest[1:]
        else:
            return None
    return (*result, *rest)


def set_item(m: Machine, node: cst.Subscript, owner: Value, key: Value, value: Value) -> None:
    """`owner[key] = value`."""
    use_none(m, node, owner, node.value)
    if m.is_tensor(owner):
        assert isinstance(owner, Ref)
        inputs = tensors.Inputs()
        inputs.add(m, owner, "self")
        inputs.add(m, value, "value")
        levels.masked(m, node, key.items if isinstance(key, Tuple) else (key,))
        op = ops.method("copy_") or ops.method("add_")
        tensors.tell_write(m, node, owner, m.text(node))
        if op is not None:
            wanted = inputs.grad()
            graph = (
                None
                if wanted.no or m.mode.grad.no
                else tensors._node(m, node, replace(op, saves=frozenset()), {}, inputs, [])
            )
            tensors.write(m, node, owner, wanted, graph, op, inputs)
        return
    if isinstance(owner, Array):
        hidden.wrote_array(m, owner, node)
        if m.is_tensor(value):
            to_numpy(m, node, value, node, m.text(node), element=False)
        return
    if not isinstance(owner, Ref) or len(owner.addresses) != 1:
        return
    address = owner.addresses[0]
    cell = m.state.cell(address)
    if isinstance(cell, Mapping_):
        if key == Const("params"):
            gradients.regrouped(m)
        if isinstance(key, Const):
            m.state.set((address, CELL), cell.put(key.value, value))
        else:
            rest = value if cell.rest is None or cell.rest == value else _either(m, cell.rest, value)
            items = tuple((k, v if v == value else UNKNOWN) for k, v in cell.items)
            m.state.set((address, CELL), Mapping_(items, rest))
    elif isinstance(cell, Sequence):
        if cell.items is not None and isinstance(key, Const) and isinstance(key.value, int):
            items_list = list(cell.items)
            if -len(items_list) <= key.value < len(items_list):
                items_list[key.value] = value
                m.state.set((address, CELL), replace(cell, items=tuple(items_list)))
                return
        m.state.set((address, CELL), Sequence(cell.kind, None, UNKNOWN, filled=cell.filled))
    elif isinstance(cell, Layer) and cell.children is not None and isinstance(key, Const):
        name = (
            cell.children[key.value]
            if isinstance(key.value, int) and abs(key.value) < len(cell.children)
            else key.value
        )
        if isinstance(name, str):
            children = cell.children if name in cell.children else (*cell.children, name)
            m.state.set((address, CELL), replace(cell, children=children))
            m.state.put(address, name, value)
    elif isinstance(cell, Instance):
        from flake8_detach.flow import calls, modules

        found = modules.find(m, owner, "__setitem__")
        if found is not None:
            calls.call(m, found, calls.Args([key, value]), node)


def _either(m: Machine, a: Value, b: Value) -> Value:
    """One of two values, not known which."""
    mark = m.state.mark()
    slot = (m.frame.id, "*value")
    deltas = []
    for value in (a, b):
        m.state.set(slot, value)
        deltas.append(m.state.rollback(mark))
    m.state.join(deltas)
    result: Value = m.state.get(slot, UNKNOWN)
    return result
