"""Transfer functions of tensor ops: from the knowledge of an op and the facts of its arguments to its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import (
    by_hand,
    cancelling,
    conversions,
    dropping,
    events,
    freezing,
    hidden,
    levels,
    op_arguments,
    poles,
    shapes,
    told,
    writes,
)
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    NUMBER,
    PRESUMED_NO,
    UNKNOWN,
    YES,
    Array,
    Cause,
    Const,
    Cut,
    Dtype,
    Edge,
    Either,
    External,
    Foreign,
    Label,
    Mapping_,
    Node,
    Ref,
    Saved,
    Scalar,
    Sequence,
    Shape,
    Tensor,
    Truth,
    Tuple,
    Value,
    worst,
)
from flake8_detach.knowledge import kept, meaning, ops, scalars

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


BATCH = Foreign("batch")
"""What a data loader yields: tensors or containers of tensors that do not require grad."""


@dataclass
class Inputs:
    """The tensors among the arguments of an op. `unknown`: an argument may be or hold a tensor that is not seen."""

    tensors: list[tuple[int, Tensor, str]] = field(default_factory=list)
    unknown: bool = False
    unseen: bool = False
    presumed: bool = False
    arrays: bool = False
    numbers: list[Cause] = field(default_factory=list)

    def add(self, m: Machine, value: Value, name: str, depth: int = 0) -> None:
        if isinstance(value, Ref):
            found = m.cells(value)
            alike = len({cell.shape for _, cell in found if isinstance(cell, Tensor)}) == 1
            for address, cell in found:
                if isinstance(cell, Tensor):
                    # of several objects in turn, each may have a shape of its own
                    one = cell if alike else replace(cell, shape=None)
                    self.tensors.append((address, one, name))
                elif isinstance(cell, Sequence) and depth < 4:
                    for item in cell.items if cell.items is not None else [cell.element]:
                        self.add(m, item, name, depth + 1)
                    surely = ((a, t) for member in cell.members for a, t in m.tensors(member))
                    self.tensors += [(a, t, name) for a, t in surely if t.grad.yes and t.node is not None]
                elif isinstance(cell, Mapping_) and depth < 4:
                    for _, item in cell.items:
                        self.add(m, item, name, depth + 1)
                    if cell.rest is not None:
                        self.add_perhaps(m, cell.rest, name, depth + 1)
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
        elif isinstance(value, Either):
            self.add(m, value.plain, name, depth)
            self.add_perhaps(m, value.object, name, depth)
        elif value == BATCH:
            self.presumed = True
        elif not isinstance(value, External):
            self.unknown = True
            self.unseen = self.unseen or name in op_arguments.TENSORS

    def add_perhaps(self, m: Machine, value: Value, name: str, depth: int) -> None:
        """Add what may not be there."""
        before = len(self.tensors)
        self.add(m, value, name, depth)
        self.tensors[before:] = [(a, replace(t, grad=t.grad.join(NO)), n) for a, t, n in self.tensors[before:]]

    def batched(self) -> frozenset[int]:
        """The calls of vmap over whose samples a result varies."""
        return frozenset().union(*(t.batched for _, t, _ in self.tensors))

    def dual(self) -> bool:
        """Does an input carry a tangent of forward-mode AD?"""
        return any(t.dual for _, t, _ in self.tensors)

    def unclear(self) -> bool:
        """May an input hang on a graph that is not seen?"""
        return self.unseen or any(t.node is None and t.grad is MAYBE and not t.leaf.yes for _, t, _ in self.tensors)

    def grad(self, without: Iterable[str] = (), unsure: Iterable[str] = ()) -> Truth:
        """Does any input require grad? Those in `unsure` have a derivative under conditions that are not known."""
        result = MAYBE if self.unknown else PRESUMED_NO if self.presumed else NO
        for _, tensor, name in self.tensors:
            if name not in without:
                result = result | (tensor.grad & MAYBE if name in unsure else tensor.grad)
        return result

    def pairs(self) -> list[tuple[int, Tensor]]:
        """The tensors with their addresses."""
        return [(address, tensor) for address, tensor, _ in self.tensors]

    def cuts(self, without: Iterable[str] = ()) -> tuple[Cut, ...]:
        """The inputs that had lost their gradient before."""
        found = [Cut(c, not self.arrays) for c in self.numbers if c.loss is not None]
        for _, tensor, name in self.tensors:
            if name not in without and tensor.grad.no and tensor.why is not None and tensor.why.loss is not None:
                found.append(Cut(tensor.why, tensor.shape is not None and all(d == 1 for d in tensor.shape)))
        return tuple(found)

    def why(self, mode: Cause | None = None) -> Cause | None:
        """Why they carry no gradient; mode: the evidence for the grad mode, if it is off."""
        return worst([*(t.why for _, t, _ in self.tensors), *self.numbers], mode)


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
    if wanted == "<tall>":  # a matrix, or a stack of them, with more rows than columns
        cell = m.cell(value)
        sides = cell.shape[-2:] if isinstance(cell, Tensor) and cell.shape is not None else ()
        return sides[0] > sides[1] if len(sides) == 2 and sides[0] is not None and sides[1] is not None else None
    if wanted == "<tensor>":
        return None if value == UNKNOWN else m.is_tensor(value)
    if wanted.startswith("<"):
        cell = m.cell(value)
        kind = cell.dtype if isinstance(cell, Tensor) else dtype_of(value)
        return None if kind is None else (kind in ("int", "bool")) == (wanted == "<int>")
    if isinstance(value, Const):
        return repr(value.value) == wanted
    return None if value == UNKNOWN or isinstance(value, Scalar) else False


def dtype_of(value: Value | None) -> Dtype | None:
    """The kind of dtype that a value given as `dtype=` names."""
    if isinstance(value, External):
        return meaning.KINDS.get(value.name.rpartition(".")[2])
    return None


def apply(m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], subject: Label = "") -> Value:
    """The result of calling `op` with `bound` (parameter name -> value; "*open": more arguments that are not seen).

    `subject` is the source text of the value that the op is applied to, for evidence.
    """
    op = op.given(lambda text: condition(m, op, bound, text))
    if op.same == "always" and not op.inplace and conversions.special(m, bound):
        op = replace(op, same="")  # `resolve_conj()`: returns what is stored plainly, and makes plain what is not
    if op.same == "always" and op.dtype == "real":  # `x.real` of a complex tensor is a part of it
        kinds = {tensor.dtype for value in bound.values() for _, tensor in m.tensors(value)}
        if kinds & {"complex", None}:
            op = replace(op, same="", view="view") if kinds == {"complex"} else replace(op, same="maybe", view="maybe")
    if _drops(op, bound):
        op = replace(op, same="")
    inputs = gather(m, {k: v for k, v in bound.items() if k not in ("out", "generator", "dtype", "device")})
    inputs.unknown = inputs.unknown or "*open" in bound
    if m.levels or m.state.get(levels.DUAL) is not None:
        levels.op(m, site, op, bound, inputs)
    if conversions.wrong_kind(m, site, op, bound):
        return m.tensor(storage=0)  # go on as if it had been mended somehow
    if _refuse(m, site, op, bound):
        edges = tuple(m.edge(a, t)._replace(sure=False) for a, t, _ in inputs.tensors if not t.grad.no)
        mended = m.graph_node(Node(op.name, edges, (), site, True))
        return m.tensor(storage=0, node=mended)  # go on as if it had been mended somehow
    if op.graph in ("new", "no"):
        dropping.tell(m, site, op.name, bound)
    if op.graph == "new" or (op.graph == "no" and "requires_grad" in op.params):
        made = _factory(m, site, op, bound, inputs, subject)
        conversions.form(m, made, op.name, bound)
        return made
    if op.graph == "python":
        lost = inputs.grad()
        why = (
            None
            if lost is NO
            else m.cause("scalar", f"turned into a Python number by `{short(op)}`", site, subject, lost)
        )
        return Scalar("number", why)
    if op.inplace:
        idle = _drops_nothing(op, bound)
        if idle.no:
            return writes.in_place(m, site, op, bound, inputs, subject)
        target = bound.get(op.params[0], UNKNOWN)
        for _, tensor in m.tensors(target) if not idle.yes else ():
            m.wrote(tensor.storage, site, MAYBE)
        return target
    for name in op.writes:  # batch_norm writes its running statistics and returns a new tensor
        for _, tensor in m.tensors(bound.get(name, UNKNOWN)):
            if tensor.storage:
                m.wrote(tensor.storage, site)
    if op.either:  # what holds the graph of its operands from now on is not seen
        for _, tensor, _ in inputs.tensors:
            m.hand_out(tensor)
        return UNKNOWN
    freezing.computed(m, (address for address, _, _ in inputs.tensors))
    result = _result(m, site, op, bound, inputs, subject)
    by_hand.computed(m, op, inputs, m.tensors(result))
    conversions.form(m, result, op.name, bound)
    return result


def _refuse(m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value]) -> bool:
    """Does the op raise because an argument requires grad? Then the rules are told."""
    numbers = scalars.numbers(op.name)
    if not op.nodiff and not numbers:
        return False
    for name, value in bound.items():
        number = name in numbers
        if not number and (op.nodiff.get(name) != "raise" or not m.mode.grad.yes):
            continue
        for _, tensor in m.tensors(value):
            if tensor.grad.yes:
                why = "number" if number else "input" if op.params.index(name) == 0 else "argument"
                m.raises()
                subject = m.text(site)
                facts = {"tensor": tensor, "subject": subject, "op": op.name, "parameter": name, "why": why}
                m.emit(events.Refused, site, place=op.params.index(name), **facts)
                return True
    return False


def short(op: ops.Op) -> str:
    """How messages call the op: ".argmax()" or "F.relu()"."""
    head, _, name = op.name.rpartition(".")
    if head == "Tensor":
        return f".{name}()"
    return f"{ {'torch.nn.functional': 'F'}.get(head, head) }.{name}()"


def _result(
    m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs, subject: Label
) -> Value:
    shape, dtype = shapes.of_result(m, op, bound, inputs), op_arguments.kind_of(m, op, bound, inputs)
    ignored = [name for name, what in op.nodiff.items() if what in ("ignore", "raise")]
    classes = op.outputs or (op.graph,)
    differentiable = any(c in ("yes", "zero", "raises", "unknown") for c in classes)
    node = None
    wanted = inputs.grad(ignored, [name for name, what in op.nodiff.items() if what == "maybe"])
    if m.mode.inference.no and {t.inference.no for _, t, _ in inputs.tensors if t.grad.yes} == {False}:
        # autograd does not see most ops on inference tensors alone, but for `clone()`, casts and what makes tensors of
        # numbers; nor the first step of `@`, if only such tensors require grad
        wanted = wanted & MAYBE
    given = [v.items[0] if isinstance(v, Tuple) and len(v.items) == 1 else v for v in bound.values()]
    first = next((v for v in given if m.is_tensor(v)), None)
    if differentiable and not wanted.no and not m.mode.grad.no:
        node = node_of(m, site, op, bound, inputs, ignored)
    results: list[Value] = []
    for index, graph in enumerate(classes):
        kind = dtype if not op.outputs or index == 0 else ("int" if graph == "no" else dtype)
        results.append(_output(m, site, op, graph, inputs, wanted, node, shape, kind, subject, first))
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
    shape: Shape | None,
    dtype: Dtype | None,
    subject: Label,
    first: Value | None,
) -> Value:
    why = inputs.why(m.mode.why if m.mode.grad.no else None)
    told = wanted is MAYBE and why is not None and why.loss is not None  # lost already; the rest are sizes and the like
    grad = wanted & m.mode.grad
    if wanted.yes and m.ledger.lingering and not m.mode.grad.yes:
        m.ledger.used_under(m.mode.why)
    if graph == "unknown":
        grad = NO if wanted is NO else MAYBE
    elif graph == "no" or dtype in ("int", "bool"):
        grad = NO
        if not wanted.no and not told:
            what = f"made by `{short(op)}`, which has no derivative"
            why = m.cause("op", what, site, subject, wanted, None, inputs.pairs())
    elif not wanted.no and m.mode.grad.no and not told:
        why = mode_cause(m, site, subject, wanted, inputs.pairs())
    facts: dict[str, Any] = {}
    if op.view in ("view", "multi", "maybe") and isinstance(first, Ref):
        address = first.addresses[0]
        base = m.state.cell(address)
        assert isinstance(base, Tensor)
        if op.view == "maybe" or base.view == "maybe":
            facts = {"storage": 0, "view": "maybe"}
        else:
            kind = "multi" if op.view == "multi" else "view" if m.mode.grad.yes else "no_grad" if m.mode.grad.no else ""
            if m.mode.inference.yes:
                kind = "inference"
            if base.view in writes.REFUSING and kind != "inference":
                kind = base.view
            if not base.inference.no:
                kind = ""  # autograd keeps no record of the views of inference tensors
            facts = {"storage": base.storage, "view": kind}
        facts["base"] = base.base if base.base is not None else address
        facts["device"] = base.device
        facts["inference"] = base.inference if op.view != "maybe" else base.inference.join(m.mode.inference)
    if op.same == "always" and isinstance(first, Ref):
        return first
    devices = {tensor.device for _, tensor, _ in inputs.tensors}
    if devices == {"cpu"} and not inputs.unknown:
        facts["device"] = "cpu"
    leaf = ~grad
    of_inference = bool(op.view) and m.mode.inference.no and not facts.get("inference", NO).no  # it has no graph
    if (of_inference or (bool(op.view) and m.mode.grad.no)) and not wanted.no:
        # a view made under no_grad asks its base: it requires grad as the base does, without a grad_fn
        grad, leaf, why = MAYBE, MAYBE, None
    if op.same == "maybe":  # the very same object if nothing changes
        facts = {**facts, "storage": 0, "inference": m.mode.inference}
        for _, tensor, _ in inputs.tensors:
            if None not in (dtype, tensor.dtype) and dtype != tensor.dtype:
                continue
            grad, leaf = grad.join(tensor.grad), leaf.join(tensor.leaf)
            facts["inference"] = tensor.inference.join(m.mode.inference)
        if node is None and not grad.no:  # made without a graph, unless it is the same tensor
            edges = tuple(m.edge(a, t)._replace(sure=False) for a, t, _ in inputs.tensors if not t.grad.no)
            node = m.graph_node(Node("join", edges, (), site))
        if leaf.no:  # its memory is taken for its own: if this is written, what was saved of it has changed
            del facts["storage"]
    made = m.tensor(
        grad=grad,
        leaf=leaf,
        shape=shape,
        dtype=dtype,
        node=None if grad.no else node,
        why=why,
        made=op.name,
        batched=inputs.batched(),
        dual=inputs.dual() and graph in ("yes", "zero") and m.mode.inference.no,
        **{"inference": m.mode.inference, **facts},
    )
    if facts.get("view") in writes.REFUSING:
        owner = made.addresses[0] if grad.no or node is None else node
        m.state.set((owner, writes.VIEWED), m.version(facts["storage"]))
    for same, _, _ in inputs.tensors if op.same == "maybe" else ():  # if it is the same tensor, so is its gradient
        if m.state.get((same, "grad"), NONE) != NONE:
            m.state.set((made.addresses[0], "grad"), UNKNOWN)
        if not m.state.get((same, "kept"), NO).no:
            m.state.set((made.addresses[0], "kept"), MAYBE)
    writes.related(m, made, first if op.same == "maybe" else None)
    return made


def mode_cause(
    m: Machine, site: cst.CSTNode, subject: Label, lost: Truth, of: Iterable[tuple[int, Tensor]] = ()
) -> Cause:
    mode = m.mode.why
    what = mode.what if mode else "computed while grad mode is off"
    bases = [t.base for _, t in of if t.view == "no_grad" and t.node is None and t.base is not None]
    shown = ((a, m.state.get((a, CELL))) for a in bases)
    lasting = [(a, base) for a, base in shown if isinstance(base, Tensor) and base.grad.yes]
    if lasting:  # a view that was made here has no place in the graph: what it shows has
        of, lost = [*of, *lasting], YES
    of = of if m.mode.inference is NO else ()  # backward raises when it needs an inference tensor: another matter
    return m.cause("mode", what, mode.site if mode else site, subject, lost, None, of)


def _drops(op: ops.Op, bound: Mapping[str, Value]) -> bool:
    """Is it `F.dropout(x, 0.5)`, which keeps what it dropped? With nothing to drop it returns x itself."""
    if op.name != "torch.nn.functional.dropout" or "*open" in bound:
        return False
    p = bound.get("p", Const(0.5))
    some = isinstance(p, Const) and isinstance(p.value, (int, float)) and p.value > 0
    return some and bound.get("training", Const(True)) == Const(True)


def _drops_nothing(op: ops.Op, bound: Mapping[str, Value]) -> Truth:
    """Is it a dropout in place, in evaluation mode or of nothing, which gives back its input untouched?

    Source: _dropout_impl in aten/src/ATen/native/Dropout.cpp.
    """
    if "dropout" not in op.name:
        return NO
    p, training = bound.get("p", Const(0.5)), bound.get("training", bound.get("train", Const(True)))
    if (isinstance(p, Const) and p.value == 0) or training == Const(False):
        return YES
    return NO if isinstance(p, Const) and isinstance(training, Const) and "*open" not in bound else MAYBE


def node_of(
    m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs, ignored: list[str]
) -> int:
    edges: list[Edge] = []
    saved: list[Saved] = []
    # a view made without grad says that it requires grad if its base does, but has no place in the graph
    apart = [t.view in ("no_grad", "inference") and t.node is None and not t.grad.yes for _, t, _ in inputs.tensors]
    pairs = zip(inputs.tensors, apart, strict=True)
    requiring = {name for (_, t, name), outside in pairs if not t.grad.no and not outside}
    for address, tensor, name in inputs.tensors:
        if tensor.view in writes.REFUSING and name not in ignored:
            writes.stale(m, site, address, tensor)
        if name not in ignored and not tensor.grad.no:
            edges.append(m.edge(address, tensor))
        needed_by = op.saves_if.get(name)
        if name in op.saves and (needed_by is None or any(n in requiring for n in needed_by)):
            # if nothing else can require grad, the node is there only if it is needed
            alone = needed_by is None or requiring <= set(needed_by)
            asking = (t.grad for _, t, n in inputs.tensors if needed_by is not None and n in needed_by)
            sure = YES if alone else reduce(or_, asking)
            if _one_of_several(m, bound.get(name, UNKNOWN)):  # with this one there may be nothing that requires grad
                sure = sure & reduce(or_, (t.grad for _, t, n in inputs.tensors if n != name), tensor.grad)
            if not sure.no:
                saved.append(m.save(tensor, name, site, sure))
            requiring_sure = [(t, n) for _, t, n in inputs.tensors if t.grad.yes and not t.inference.yes]
            asked = any(needed_by is None or n in needed_by for _, n in requiring_sure)
            tell_inference(m, site, op.name, [tensor] if asked else [])
    numbers = any(isinstance(v, (Const, Scalar)) for n, v in bound.items() if n != "rounding_mode")
    if kept.inner(op.name, numbers) or _drops(op, bound):
        saved.append(Saved(0, (0,), NUMBER, site))
    derivative = op.graph if op.graph in ("zero", "raises") else "yes"
    none = [(n, m.edge(a, t)) for a, t, n in inputs.tensors if op.nodiff.get(n) == "backward" and t.grad.yes]
    lacking = tuple(none) if derivative == "yes" else ()
    derivative = "raises" if lacking else derivative
    if derivative == "yes" and cancelling.derivative_is_zero(m, op, bound):
        derivative = "zero"
    cuts = inputs.cuts()
    m.cuts = m.cuts or bool(cuts) or derivative == "zero"
    factor = op.name.rpartition(".")[2].strip("_") in ("mul", "rmul", "imul", "truediv", "div")
    unseen = inputs.unclear() and not (factor and inputs.unseen)  # an unknown factor is a weight from the options
    found = tuple(dict.fromkeys(edges))
    # what may be computed, from what is not known, may be computed from anything
    open_ = inputs.unknown or any(t.node is None and not (t.leaf.yes or t.grad.no) for _, t, _ in inputs.tensors)
    node = Node(op.name, found, tuple(saved), site, open_, derivative, lacking, cuts=cuts, unseen=unseen, given=bound)
    number = m.graph_node(node)
    if op.name.rpartition(".")[2] == "where":
        poles.chosen(m, number, node)
    for _, tensor, _ in inputs.tensors if m.ledger.hidden_writes else ():
        hidden.taken(m, tensor, op.name, number, site)
    return number


def _one_of_several(m: Machine, value: Value) -> bool:
    return isinstance(value, Ref) and len(value.addresses) > 1 and m.is_tensor(value)


def tell_inference(m: Machine, site: cst.CSTNode, op: str, kept: Iterable[Tensor]) -> None:
    """Tell the rules of tensors made in inference mode that an op would have to save for its backward."""
    for tensor in kept:
        if tensor.inference.yes and m.mode.grad.yes and m.mode.inference.no:
            m.raises()
            m.emit(events.InferenceSaved, site, tensor=tensor, subject=m.text(site), op=op)


def _factory(
    m: Machine, site: cst.CSTNode, op: ops.Op, bound: Mapping[str, Value], inputs: Inputs, subject: Label
) -> Value:
    asked = bound.get("requires_grad")
    if asked is None:
        grad = MAYBE if "*open" in bound else NO
    else:
        grad = YES if asked == Const(True) else NO if asked == Const(False) else MAYBE
    lost = inputs.grad()
    if lost.no:
        why = m.cause("constant", f"made by `{short(op)}` without requires_grad", site)
    else:
        why = m.cause("op", f"made by `{short(op)}`, which copies no gradient", site, subject, lost)
    placed = (
        m.elsewhere
        or "device" in bound
        or "*open" in bound
        or not op.name.startswith("torch.")
        or op.name.endswith("_like")
    )
    facts = {"device": None if placed or inputs.tensors else "cpu", **told.made(m, bound)}
    made = m.tensor(
        **facts,
        grad=grad,
        leaf=YES,
        shape=shapes.of_result(m, op, bound, inputs),
        dtype=op_arguments.kind_of(m, op, bound, inputs),
        why=why,
        made=op.name if "dtype" not in bound else f"{op.name}(dtype=...)",
        inference=m.mode.inference,
        batched=inputs.batched(),
    )
    if grad is YES:
        tell_requires(m, site, m.tensors(made)[0][1], YES, m.text(site), m.text(site))
        mend_requires(m, made)
    return made


def mend_requires(m: Machine, made: Ref) -> None:
    """An integer tensor was asked to require grad, which raises: go on as if it had been mended somehow."""
    for address, tensor in m.tensors(made):
        if tensor.dtype in ("int", "bool"):
            m.change(address, grad=MAYBE, dtype=None)


def tell_requires(
    m: Machine, site: cst.CSTNode, tensor: Tensor, asked: Truth, subject: Label, how: Label, assigned: bool = False
) -> None:
    """Tell the rules that requires_grad is switched; an integer tensor cannot require grad."""
    if (asked.yes and (tensor.dtype in ("int", "bool") or tensor.form == "quantized")) or (
        (asked is NO or assigned) and tensor.leaf.no and tensor.grad.yes
    ):
        m.raises()
    m.emit(events.Requires, site, tensor=tensor, subject=subject, asked=asked, how=how, mode=m.mode, assigned=assigned)
