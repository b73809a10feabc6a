"""Transfer functions of tensor ops: from the knowledge of an op and the facts of its arguments to its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_NO,
    UNKNOWN,
    YES,
    Array,
    Cause,
    Const,
    Dtype,
    Edge,
    External,
    Foreign,
    Mapping_,
    Node,
    Ref,
    Saved,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
    worst,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

KINDS: Mapping[str, Dtype] = {
    **dict.fromkeys(
        ["float", "float16", "float32", "float64", "half", "double", "bfloat16", "float8_e4m3fn", "float8_e5m2"], "float"
    ),
    **dict.fromkeys(["int", "int8", "int16", "int32", "int64", "short", "long", "uint8", "qint8", "quint8"], "int"),
    "bool": "bool",
    **dict.fromkeys(["complex64", "complex128", "cfloat", "cdouble", "chalf", "complex32"], "complex"),
}
"""torch dtypes by name -> kind."""

BATCH = Foreign("batch")
"""What a data loader yields: tensors or containers of tensors that do not require grad."""


@dataclass
class Inputs:
    """The tensors among the arguments of an op. `unknown`: an argument may be or hold a tensor that is not seen."""

    tensors: list[tuple[int, Tensor, str]] = field(default_factory=list)
    unknown: bool = False
    presumed: bool = False
    arrays: bool = False
    numbers: list[Cause] = field(default_factory=list)

    def add(self, m: Machine, value: Value, name: str, depth: int = 0) -> None:
        if isinstance(value, Ref):
            for address, cell in m.cells(value):
                if isinstance(cell, Tensor):
                    self.tensors.append((address, cell, name))
                elif isinstance(cell, Sequence) and depth < 4:
                    for item in cell.items if cell.items is not None else [cell.element]:
                        self.add(m, item, name, depth + 1)
                elif isinstance(cell, Mapping_) and depth < 4:
                    for _, item in cell.items:
                        self.add(m, item, name, depth + 1)
                    if cell.rest is not None:
                        self.add(m, cell.rest, name, depth + 1)
                else:
                    self.unknown = True
        elif isinstance(value, Tuple):
            for item in value.items:
                self.add(m, item, name, depth + 1)
        elif isinstance(value, Array):
            self.arrays = True
            if value.why is not None:
                self.numbers.append(value.why)
        elif isinstance(value, (Const, Scalar)):
            if value.why is not None:
                self.numbers.append(value.why)
        elif value == BATCH:
            self.presumed = True
        elif not isinstance(value, External):
            self.unknown = True

    def grad(self, without: Iterable[str] = ()) -> Truth:
        """Does any input require grad?"""
        result = MAYBE if self.unknown else PRESUMED_NO if self.presumed else NO
        for _, tensor, name in self.tensors:
            if name not in without:
                result = result | tensor.grad
        return result

    def why(self) -> Cause | None:
        return worst([t.why for _, t, _ in self.tensors] + [c for c in self.numbers])


def gather(m: Machine, bound: Mapping[str, Value]) -> Inputs:
    inputs = Inputs()
    for name, value in bound.items():
        inputs.add(m, value, name)
    return inputs


def condition(m: Machine, op: ops.Op, bound: Mapping[str, Value], text: str) -> bool | None:
    """Does `text` (see `Op.given`) hold for these arguments?"""
    name, _, wanted = text.partition("=")
    value = bound.get(name)
    if value is None:
        return None if "*open" in bound else False
    if not wanted:
        return None if value == UNKNOWN else value != Const(None)
    if wanted == "<tensor>":
        return None if value == UNKNOWN else m.is_tensor(value)
    if wanted.startswith("<"):
        kind = dtype_of(value)
        return None if kind is None else (kind in ("int", "bool")) == (wanted == "<int>")
    if isinstance(value, Const):
        return repr(value.value) == wanted
    return None if value == UNKNOWN or isinstance(value, Scalar) else False


def dtype_of(value: Value | None) -> Dtype | None:
    """The kind of dtype that a value given as `dtype=` names."""
    if isinstance(value, External):
        return KINDS.get(value.name.rpartition(".")[2])
    return None


def apply(m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], subject: str = "") -> Value:
    """The result of calling `op` with `bound` (parameter name -> value; "*open": more arguments that are not seen).

    `subject` is the source text of the value that the op is applied to, for evidence.
    """
    op = op.given(lambda text: condition(m, op, bound, text))
    inputs = gather(m, {k: v for k, v in bound.items() if k not in ("out", "generator", "dtype", "device")})
    inputs.unknown = inputs.unknown or "*open" in bound
    if op.graph == "new":
        return _factory(m, site, op, bound, inputs)
    if op.graph == "python":
        lost = inputs.grad()
        why = None if lost is NO else m.cause("scalar", f"turned into a Python number by `{short(op)}`", site, subject, lost)
        return Scalar("number", why)
    if op.writes and op.params:
        return _in_place(m, site, op, bound, inputs, subject)
    return _result(m, site, op, bound, inputs, subject)


def short(op: ops.Op) -> str:
    """How messages call the op: ".argmax()" or "F.relu()"."""
    head, _, name = op.name.rpartition(".")
    if head == "Tensor":
        return f".{name}()"
    return f"{ {'torch.nn.functional': 'F'}.get(head, head)}.{name}()"


def _result(
    m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs, subject: str
) -> Value:
    rank, dtype = rank_of(m, op, bound, inputs), kind_of(m, op, bound, inputs)
    ignored = [name for name, what in op.nodiff.items() if what in ("ignore", "raise")]
    classes = op.outputs or (op.graph,)
    differentiable = any(c in ("yes", "zero", "raises", "unknown") for c in classes)
    node = None
    wanted = inputs.grad(ignored)
    first = next((v for v in bound.values() if m.is_tensor(v)), None)
    if differentiable and not wanted.no and not m.mode.grad.no:
        node = _node(m, site, op, inputs, ignored)
    results: list[Value] = []
    for index, graph in enumerate(classes):
        kind = dtype if not op.outputs or index == 0 else ("int" if graph == "no" else dtype)
        results.append(_output(m, site, op, graph, inputs, wanted, node, rank, kind, subject, first))
    if node is not None:
        saved = [m.save(m.state.cell(r.addresses[0]), role, site) for r, role in _saved_results(op, results)]  # type: ignore[arg-type]
        if saved:
            m.state.graph[node] = replace(m.state.graph[node], saved=(*m.state.graph[node].saved, *saved))
    if op.outputs:
        return Tuple(tuple(results), op.fields)
    if op.listed:
        return m.new(Sequence("tuple", None, results[0], filled=YES))
    return results[0]


def _saved_results(op: ops.Op, results: list[Value]) -> list[tuple[Ref, str]]:
    names = {"result": 0, **{f"result{i}": i for i in range(len(results))}}
    found = [(results[names[s]], s) for s in op.saves if s in names]
    return [(r, s) for r, s in found if isinstance(r, Ref)]


def _output(
    m: Machine,
    site: cst.CSTNode,
    op: ops.Op,
    graph: str,
    inputs: Inputs,
    wanted: Truth,
    node: int | None,
    rank: int | None,
    dtype: Dtype | None,
    subject: str,
    first: Value | None,
) -> Value:
    why = inputs.why()
    grad = wanted & m.mode.grad
    if graph == "unknown":
        grad = NO if wanted is NO else MAYBE
    elif graph == "no" or dtype in ("int", "bool"):
        grad = NO
        if not wanted.no:
            why = m.cause("op", f"made by `{short(op)}`, which has no derivative", site, subject, wanted)
    elif not wanted.no and m.mode.grad.no:
        why = mode_cause(m, site, subject, wanted)
    facts: dict[str, object] = {}
    if op.view in ("view", "multi", "maybe") and isinstance(first, Ref):
        address = first.addresses[0]
        base = m.state.cell(address)
        assert isinstance(base, Tensor)
        if op.view != "maybe":
            kind = "multi" if op.view == "multi" else "view" if m.mode.grad.yes else "no_grad"
            if m.mode.inference.yes:
                kind = "inference"
            facts = {"storage": base.storage, "view": kind, "base": base.base if base.base is not None else address}
        else:
            facts = {"storage": 0}
        facts["device"] = base.device
    if op.same == "always" and isinstance(first, Ref):
        return first
    leaf = ~grad
    if op.same == "maybe":  # the very same object if nothing changes
        leaf = leaf | (MAYBE if any(not t.leaf.no for _, t, _ in inputs.tensors) else NO)
        facts = {"storage": 0}
    return m.tensor(
        grad=grad,
        leaf=leaf if wanted is not MAYBE or not grad.no else leaf,
        rank=rank,
        dtype=dtype,
        node=None if grad.no else node,
        why=why,
        made=op.name,
        inference=m.mode.inference,
        **facts,
    )


def mode_cause(m: Machine, site: cst.CSTNode, subject: str, lost: Truth) -> Cause:
    mode = m.mode.why
    what = mode.what if mode else "computed while grad mode is off"
    return m.cause("mode", what, mode.site if mode else site, subject, lost)


def _node(m: Machine, site: cst.CSTNode, op: ops.Op, inputs: Inputs, ignored: list[str]) -> int:
    edges: list[Edge] = []
    saved: list[Saved] = []
    requiring = {name for _, t, name in inputs.tensors if not t.grad.no}
    for address, tensor, name in inputs.tensors:
        if name not in ignored and not tensor.grad.no:
            edges.append(m.edge(address, tensor))
        needed_by = op.saves_if.get(name)
        if name in op.saves and (needed_by is None or any(n in requiring for n in needed_by)):
            saved.append(m.save(tensor, name, site))
    derivative = op.graph if op.graph in ("zero", "raises") else "yes"
    node = Node(op.name, tuple(dict.fromkeys(edges)), tuple(saved), site, inputs.unknown, derivative)  # type: ignore[arg-type]
    return m.graph_node(node)


def _factory(m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs) -> Value:
    asked = bound.get("requires_grad")
    if asked is None:
        grad = MAYBE if "*open" in bound else NO
    else:
        grad = YES if asked == Const(True) else NO if asked == Const(False) else MAYBE
    why = m.cause("constant", f"made by `{short(op)}` without requires_grad", site)
    return m.tensor(
        grad=grad,
        leaf=YES,
        rank=rank_of(m, op, bound, inputs),
        dtype=kind_of(m, op, bound, inputs),
        why=why,
        made=op.name,
        inference=m.mode.inference,
    )


def _in_place(
    m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs, subject: str
) -> Value:
    result: Value = UNKNOWN
    node = None
    wanted = inputs.grad([n for n, what in op.nodiff.items() if what == "ignore"])
    if not wanted.no and not m.mode.grad.no and op.graph in ("yes", "zero", "raises", "unknown"):
        node = _node(m, site, op, inputs, [])
    for name in op.writes:
        target = bound.get(name)
        if not m.is_tensor(target or UNKNOWN):
            continue
        assert isinstance(target, Ref)
        write(m, site, target, wanted if op.graph != "no" else NO, node, op, inputs)
        result = target
    return result


def write(m: Machine, site: cst.CSTNode, target: Ref, wanted: Truth, node: int | None, op: ops.Op, inputs: Inputs) -> None:
    """The tensors of `target` are written in place by something that requires grad as `wanted` says."""
    for address in target.addresses:
        tensor = m.state.cell(address)
        assert isinstance(tensor, Tensor)
        if op.bumps and tensor.storage:
            m.state.set((tensor.storage, "version"), m.version(tensor.storage) + 1)
        if m.mode.grad.no or wanted.no:
            continue
        if tensor.leaf.yes and tensor.grad.yes:
            continue  # torch raises; go on as if the write had been put under no_grad
        grad = tensor.grad | (wanted & m.mode.grad)
        if tensor.dtype in ("int", "bool"):
            continue
        m.change(address, grad=grad, leaf=~grad & tensor.leaf, node=node if not grad.no else None, why=tensor.why)
        if tensor.base is not None:  # writing a view writes its base
            base = m.state.cell(tensor.base)
            if isinstance(base, Tensor) and not (base.leaf.yes and base.grad.yes):
                merged = base.grad | grad
                m.change(tensor.base, grad=merged, leaf=~merged & base.leaf, node=node if not merged.no else None)


# Ranks and dtypes


def rank_of(m: Machine, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs) -> int | None:
    """The number of dimensions of the result, or None."""
    ranks = [t.rank for _, t, _ in inputs.tensors]
    first = ranks[0] if ranks else None
    if "*open" in bound:
        return None
    if op.rank == "zero":
        return 0
    if op.rank == "same":
        return first
    if op.rank == "broadcast":
        return None if inputs.unknown or inputs.presumed or inputs.arrays or None in ranks else max(ranks, default=None)  # type: ignore[type-var]
    if op.rank == "reduction":
        how = bound.get("reduction")
        if how is None or how in (Const("mean"), Const("sum"), Const("batchmean")):
            return 0
        return max(ranks, default=None) if how == Const("none") and None not in ranks else None  # type: ignore[type-var]
    if op.rank == "reduce":
        return _reduced(m, bound, first)
    if op.rank in ("+1", "-1"):
        return None if first is None else max(first + int(op.rank), 0)
    if op.rank == "args":
        return sizes(m, bound)
    return None


def _reduced(m: Machine, bound: Mapping[str, Value], rank: int | None) -> int | None:
    dim = bound.get("dim", bound.get("axis"))
    if dim is None or dim == Const(None):
        return rank if bound.get("keepdim") == Const(True) else 0
    if bound.get("keepdim") == Const(True) or rank is None:
        return rank
    if bound.get("keepdim") not in (None, Const(False)):
        return None
    if isinstance(dim, Const):
        return max(rank - 1, 0)
    if isinstance(dim, Tuple):
        return rank - len(dim.items)
    cell = m.cell(dim)
    if isinstance(cell, Sequence) and cell.items is not None:
        return rank - len(cell.items)
    return None


def sizes(m: Machine, bound: Mapping[str, Value]) -> int | None:
    """The rank that size arguments ask for: torch.zeros(2, 3), torch.zeros((2, 3))."""
    given = next((bound[n] for n in ("*size", "size", "shape", "*shape", "*sizes", "sizes") if n in bound), None)
    if given is None:
        return None
    if isinstance(given, Tuple) and len(given.items) == 1 and not isinstance(given.items[0], (Const, Scalar)):
        given = given.items[0]
    if isinstance(given, Tuple):
        return len(given.items) if all(isinstance(i, (Const, Scalar)) for i in given.items) else None
    cell = m.cell(given)
    if isinstance(cell, Sequence) and cell.items is not None:
        return len(cell.items)
    return 1 if isinstance(given, (Const, Scalar)) else None


def kind_of(m: Machine, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs) -> Dtype | None:
    """The kind of dtype of the result."""
    asked = dtype_of(bound.get("dtype"))
    if asked:
        return asked
    if "dtype" in bound and bound["dtype"] != Const(None):
        return None
    kinds = [t.dtype for _, t, _ in inputs.tensors]
    first = kinds[0] if kinds else None
    how = op.dtype
    if how in ("float", "int", "bool", "complex"):
        return how  # type: ignore[return-value]
    if how == "same":
        return first
    if how == "float_of_int":
        return "float" if first in ("int", "bool") else first
    if how == "int_of_bool":
        return "int" if first == "bool" else first
    if how == "arg":
        return _literal_kind(m, bound)
    if how == "promote":
        numbers = [n for n in (_number_kind(v) for v in bound.values()) if n]
        known = [k for k in kinds if k] + numbers
        if "complex" in known:
            return "complex"
        if "float" in known:
            return "float" if None not in kinds or not inputs.tensors else None
        return None if None in kinds or inputs.unknown or not kinds else "int" if "int" in known else "bool"
    return None


def _number_kind(value: Value) -> Dtype | None:
    if isinstance(value, Const):
        return {bool: "bool", int: "int", float: "float", complex: "complex"}.get(type(value.value))  # type: ignore[return-value]
    if isinstance(value, Scalar) and value.kind in ("int", "float", "bool", "complex"):
        return value.kind  # type: ignore[return-value]
    return None


def _literal_kind(m: Machine, bound: Mapping[str, Value]) -> Dtype | None:
    """The dtype of a factory that is given no `dtype`: float, unless values tell otherwise (arange, full, tensor)."""
    names = [n for n in ("data", "fill_value", "start", "end", "step", "obj") if n in bound]
    if not names:
        return "float"
    kinds = [literal_kind(m, bound[n]) for n in names]
    if None in kinds:
        return None
    order: list[Dtype] = ["bool", "int", "float", "complex"]
    return max((k for k in kinds if k), key=order.index)


def literal_kind(m: Machine, value: Value, depth: int = 0) -> Dtype | None:
    """The dtype kind that torch.tensor gives to nested numbers."""
    if isinstance(value, Array):
        return value.dtype  # type: ignore[return-value]
    number = _number_kind(value)
    if number or depth > 4:
        return number
    cell = m.cell(value)
    if isinstance(cell, Tensor):
        return cell.dtype
    items: tuple[Value, ...] | None = None
    if isinstance(cell, Sequence):
        items = cell.items if cell.items is not None else (cell.element,)
    elif isinstance(value, Tuple):
        items = value.items
    if items is None:
        return None
    if not items:
        return "float"
    kinds = [literal_kind(m, item, depth + 1) for item in items]
    if None in kinds:
        return None
    order: list[Dtype] = ["bool", "int", "float", "complex"]
    return max((k for k in kinds if k), key=order.index)


def literal_rank(m: Machine, value: Value, depth: int = 0) -> int | None:
    """The rank that torch.tensor gives to nested numbers."""
    if isinstance(value, (Const, Scalar)):
        return 0
    cell = m.cell(value)
    if isinstance(cell, Tensor):
        return cell.rank
    items: tuple[Value, ...] | None = None
    if isinstance(cell, Sequence):
        items = cell.items if cell.items is not None else (cell.element,)
    elif isinstance(value, Tuple):
        items = value.items
    if items is None or depth > 4:
        return None
    if not items:
        return 1
    inner = literal_rank(m, items[0], depth + 1)
    return None if inner is None else inner + 1
