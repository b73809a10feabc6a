"""`backward` of an autograd.Function, run once with a gradient, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, custom, custom_checks, functions, shapes
from flake8_detach.flow.afterwards import Reached
from flake8_detach.flow.custom_ctx import (
    LATE,
    PUT,
    RAW,
    READ,
    SAVED_AT,
    find_method,
    kind_of,
    tell,
)
from flake8_detach.flow.events import CustomMisuse, GradientsReturned, Item
from flake8_detach.flow.machine import MAX_CONTEXTS, MODE
from flake8_detach.flow.second_order import APPLIED, Applied
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    PRESUMED_NO,
    UNKNOWN,
    YES,
    Class,
    Cut,
    Mode,
    Node,
    Ref,
    Saved,
    Sequence,
    Tensor,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def finish(m: Machine, call: custom.Call, number: int, outputs: list[Value], known: bool) -> None:
    """What the node saves, once it is known what backward reads."""
    saved = m.state.get((call.ctx, "saved_tensors"))
    at = m.state.get((call.ctx, SAVED_AT))
    if known and isinstance(saved, Tuple) and at is not None:
        for value in saved.items:
            if kind_of(m, value) not in ("tensor", "None", "?") and not call.used.no:
                tell(m, call.place(at), "saved no tensor", call.cls, call.used, kind_of(m, value), at)
                m.state.put(call.ctx, "saved_tensors", UNKNOWN)
    kept = _kept(m, call, outputs)
    read, opens = _backward(m, call, outputs)
    roles = {address: name for address, _, name in call.given(m)}
    node = m.state.graph[number]
    if known and isinstance(saved, Tuple) and read("saved_tensors"):
        pairs = [(roles.get(a, "result"), t) for v in saved.items for a, t in m.tensors(v)]
        node = replace(node, saved=tuple(m.save(t, role, call.node) for role, t in pairs))
    node = replace(node, kept=tuple(s for s in kept if read(s.role)), open=node.open or opens)
    node = _without_nothing(m, call, node)
    if custom.lacks(m, call.cls):
        node = replace(node, derivative="raises")
    m.state.graph[number] = node
    if known and not opens:
        m.state.set((number, APPLIED), Applied(call.cls, call.ctx, tuple(outputs), call.node))


def _without_nothing(m: Machine, call: custom.Call, node: Node) -> Node:
    """The node without the edges to inputs for which every `return` of backward has None: torch goes no further there,
    and does not fill their `.grad`."""
    ungiven = _ungiven(call)
    taken = {a for n, value in enumerate(call.inputs) if n not in ungiven for a, _ in m.tensors(value)}
    edges, cuts = list(node.edges), list(node.cuts)
    for number in ungiven:
        for address, tensor in m.tensors(call.inputs[number]):
            edge = m.edge(address, tensor)
            if address in taken or edge not in edges or not tensor.grad.yes:
                continue
            edges.remove(edge)
            what = f"given None as its gradient by `{call.cls.name}.backward`"
            place = _part(call.returned[0][0], number)
            cause = m.cause("cut", what, place, call.names[number], YES, None, [(address, tensor)])
            cuts.append(Cut(cause, False))
            m.cuts = True
    return replace(node, edges=tuple(edges), cuts=tuple(cuts))


def _ungiven(call: custom.Call) -> list[int]:
    """The numbers of the inputs for which backward returns None, wherever it returns."""
    if not call.exact or not call.applied or not call.returned:
        return []
    rows = [value.items if isinstance(value, Tuple) else (value,) for _, value in call.returned]
    return [n for n in range(len(call.inputs)) if all(len(row) > n and row[n] == NONE for row in rows)]


def _part(place: cst.CSTNode, number: int) -> cst.CSTNode:
    """The element of that number of what is returned, if it is written out."""
    value = place.value if isinstance(place, cst.Return) else place
    return value.elements[number].value if isinstance(value, cst.Tuple) and len(value.elements) > number else place


def _kept(m: Machine, call: custom.Call, outputs: list[Value]) -> list[Saved]:
    """Inputs and outputs that are attributes of `ctx`: nobody checks whether they are written to."""
    results = {v.addresses[0] for v in outputs if isinstance(v, Ref) and m.is_tensor(v) and len(v.addresses) == 1}
    inputs = {address for address, _, _ in call.given(m)}
    found = []
    for name in m.state.names(call.ctx):
        value = m.state.get((call.ctx, name))
        at = m.state.get((call.ctx, PUT + name))
        cell = m.cell(value)
        if at is None or not isinstance(cell, Tensor) or not isinstance(value, Ref):
            continue
        address = value.addresses[0]
        if address in results and address not in inputs and cell.grad.yes:
            tell(m, at, "output on ctx", call.cls, cell.grad, name)
        if cell.storage and (address in results or address in inputs):
            found.append(Saved(cell.storage, m.version(cell.storage), name, at))
    return found


def _backward(m: Machine, call: custom.Call, outputs: list[Value]) -> tuple[Callable[[str], bool], bool]:
    """Run backward as if it were called now. Returns what it surely reads of `ctx`, and whether it may reach tensors
    that are no inputs (it runs a backward of its own, or writes gradients)."""
    backward = find_method(m, call.cls, "backward") or find_method(m, call.cls, "vjp")
    if backward is None or m.contexts.get(id(backward.definition), 0) > MAX_CONTEXTS // 2:
        return (lambda name: False), True
    if not custom_checks.takes_all(m, call, backward, outputs):
        return (lambda name: False), True
    newest, mark, fatal, mode = m.state.address(), m.state.mark(), m.fatal, m.mode
    why = m.cause("mode", f"computed in `{call.cls.name}.{backward.name}`, where grad mode is off", backward.definition)
    m.set_mode(Mode(PRESUMED_NO, NO, why))
    m.state.set((call.ctx, LATE), YES)
    raw = m.state.get((call.ctx, RAW)) is not None
    if outputs == [UNKNOWN]:  # it may be a tuple: backward knows of how many
        outputs = outputs * max(len(backward.definition.params.params) - 1, 1)
    arrived = [UNKNOWN if raw else _gradient(m, value) for value in outputs]
    functions.call(
        m,
        backward,
        calls.Args([Ref((call.ctx,)), *arrived]),
        call.node,
        lambda place, value: _check_gradients(m, call, place, value),
    )
    _only_place(call)
    for value in arrived:
        for _, tensor in m.tensors(value):
            if m.written_since(tensor.storage, (tensor.storage,)) and call.used.yes:
                at = m.state.get((tensor.storage, "written at"))
                tell(m, at or call.node, "gradient written", call.cls, YES)
    reads = {n for n in ("saved_tensors", *m.state.names(call.ctx)) if m.state.get((call.ctx, READ + n), NO).yes}
    m.fatal = fatal
    m.set_mode(mode)
    changes = m.state.rollback(mark)
    opens = any((name == "grad" and owner < newest) or name == "spoiled" for owner, name in changes)
    left = {
        slot: content
        for slot, content in changes.items()
        if slot[0] > newest or not (slot[1] in _UNDONE or isinstance(content, Tensor))
    }
    m.state.join([{}, left])
    return reads.__contains__, opens


_UNDONE = frozenset({"version", "written at", "freed", "freed at", "grad", "spoiled", MODE[1]})
"""What backward does to tensors happens when it runs, not when `apply` is called."""


def _gradient(m: Machine, output: Value) -> Value:
    """What backward is handed for an output."""
    cell = m.cell(output)
    like = cell if isinstance(cell, Tensor) else Tensor()
    return m.tensor(grad=PRESUMED_NO, leaf=MAYBE, shape=like.shape, dtype=like.dtype, made="grad")


def _check_gradients(m: Machine, call: custom.Call, place: cst.CSTNode, value: Value) -> None:
    """Tell the rules what backward returns."""
    call.returned.append((place, value))
    if value == UNKNOWN or call.used.no:
        return
    cell = m.cell(value)
    if isinstance(value, Tuple):
        gradients: tuple[Value, ...] = value.items
    elif isinstance(cell, Sequence) and cell.kind == "tuple":
        return
    else:
        gradients = (value,)
    least = most = len(call.inputs)
    if not call.exact:
        least, most = 0, 10**6
    elif not call.applied:
        least, most = arity(m, call.cls)
    event = m.event(
        GradientsReturned,
        place,
        function=call.cls.name,
        least=least,
        most=most,
        inputs=tuple(
            Item(kind_of(m, v) if call.applied else "?", custom.requires(m, v), n)
            for v, n in zip(call.inputs, call.names, strict=True)
        )
        if call.exact
        else (),
        gradients=tuple(Item(kind_of(m, v), MAYBE, "") for v in gradients),
        implicit=isinstance(place, cst.Name),
        used=call.used,
        applied=call.node if call.applied else None,
        misfit=_misfit(m, call, gradients) if call.exact and call.applied else "",
    )
    if event.implicit and most <= 1 and not m.quiet:
        m.sink(event)  # nothing is returned for the only input: torch says nothing
    else:
        call.broken.append(event)


def _misfit(m: Machine, call: custom.Call, gradients: tuple[Value, ...]) -> str:
    """A gradient of a shape that torch does not sum up to that of its input."""
    for gradient, taken, name in zip(gradients, call.inputs, call.names, strict=False):
        got, due = m.cell(gradient), m.cell(taken)
        if not isinstance(got, Tensor) or not isinstance(due, Tensor) or not custom.requires(m, taken).yes:
            continue
        if shapes.never_broadcasts(due.shape, got.shape):
            given, wanted = shapes.spelled(got.shape), shapes.spelled(due.shape)
            return f"a gradient of the shape {given} for `{name}`, which has the shape {wanted}"
    return ""


def _only_place(call: custom.Call) -> None:
    """Of several places where backward returns, each may have the shapes that are right where it is taken."""
    if len({id(place) for place, _ in call.returned}) > 1:
        call.broken[:] = [replace(e, misfit="") if isinstance(e, GradientsReturned) else e for e in call.broken]


def arity(m: Machine, cls: Class) -> tuple[int, int]:
    """How many inputs forward may be given at least and at most."""
    forward = find_method(m, cls, "forward")
    if forward is None:
        return 0, 10**6
    params = forward.definition.params
    plain = (*params.posonly_params, *params.params)
    own = (find_method(m, cls, "setup_context") is None) + ("builtins.classmethod" in forward.wrappers)
    least = max(sum(p.default is None for p in plain) - own, 0)
    ended = isinstance(params.star_arg, cst.Param) or params.star_kwarg is not None or params.kwonly_params
    return least, 10**6 if ended else max(len(plain) - own, 0)


def unless_unused(m: Machine, number: int, event: CustomMisuse) -> Callable[[Reached], None]:
    return lambda reached: m.sink(event) if reached.inside(number) else None
