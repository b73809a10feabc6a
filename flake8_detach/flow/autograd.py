"""Transfer functions of autograd itself: detach, requires_grad, .grad, backward, autograd.grad, grad modes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from flake8_detach.flow import (
    backward_arguments,
    checkpointed,
    freezing,
    gradients,
    hidden,
    leaks,
    shapes,
    tensors,
    terms,
    training,
    unfed,
    unspent,
)
from flake8_detach.flow.events import Backward, CustomMisuse, DetachedInPlace, GradRead, Hooked, Requires, Write
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Array,
    Cause,
    Const,
    Edge,
    Function,
    Label,
    Layer,
    Mapping_,
    Mode,
    Node,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

T = TypeVar("T")

SPOILED = (0, "spoiled")
"""Set by a backward of something that is not seen: from then on any gradient may have been filled."""


def detach(
    m: Machine, node: cst.CSTNode, owner: Ref, owner_node: cst.CSTNode, how: str, shares_version: bool = True
) -> Value:
    """A tensor without history over the same memory: `x.detach()`, `x.data`."""
    made = []
    for address in owner.addresses:
        tensor = m.state.cell(address)
        assert isinstance(tensor, Tensor)
        of = [(address, tensor)]
        why = m.cause("cut", f"cut by {how}", node, m.text(owner_node), tensor.grad, tensor.why, of)
        storage = tensor.storage if shares_version else m.state.address()
        gradients.alias(m, tensor.storage, storage)
        hidden.alias(m, tensor.storage, storage, ".data")
        made.append(
            m.tensor(
                grad=NO,
                leaf=YES,
                shape=tensor.shape,
                dtype=tensor.dtype,
                storage=storage,
                why=why,
                made="detach",
                batched=tensor.batched,
                device=tensor.device,
                inference=tensor.inference | m.mode.inference,
                form=tensor.form,
            ).addresses[0]
        )
    return Ref(tuple(made))


def copy_of(m: Machine, node: cst.CSTNode, value: Value, subject: Label, how: str, grad: Truth = NO) -> Value:
    """A new leaf with the values of a tensor: torch.tensor(x), copy.copy(x), nn.Parameter(x)."""
    source = m.cell(value)
    tensor = source if isinstance(source, Tensor) else Tensor(grad=MAYBE)
    why = m.cause("cut", f"cut by {how}", node, subject, tensor.grad, tensor.why, m.tensors(value))
    if grad is YES and why.loss is not None:
        why = faked(m, node, why)
    return m.tensor(
        grad=grad, leaf=YES, shape=tensor.shape, dtype=tensor.dtype, why=why, made=how, inference=m.mode.inference
    )


def require(
    m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, asked: Truth | None, subject: Label, how: str
) -> None:
    """`x.requires_grad = asked` or `x.requires_grad_(asked)`; None: not known which."""
    assigned = not isinstance(node, cst.Call)
    unfed.switched(m, address, node, asked)
    tensors.tell_requires(m, node, tensor, MAYBE if asked is None else asked, subject, m.text(node), assigned)
    if asked is YES and tensor.leaf.yes and assigned:
        freezing.thawed(m, address, node)
    elif asked is NO and tensor.leaf.yes and tensor.grad.yes:
        freezing.froze(m, address, node)
    if asked is YES and tensor.dtype in ("int", "bool"):
        tensors.mend_requires(m, Ref((address,)))
    elif asked is None:
        m.change(address, grad=MAYBE, leaf=tensor.leaf)
    elif asked is YES:
        if tensor.leaf.no:
            return  # silently nothing: a result of an op keeps what it has
        why = tensor.why
        if why is not None and why.loss is not None and tensor.grad.no:
            why = faked(m, node, why)
        m.change(
            address,
            why=why,
            grad=tensor.grad | YES if tensor.leaf.yes else MAYBE if tensor.grad is not YES else YES,
            node=tensor.node,
        )
    elif tensor.leaf.yes or tensor.grad.no:
        lost = tensor.grad
        if lost is not NO:
            why = m.cause("frozen", f"switched off by {how}" if how else "switched off", node, "", lost)
            m.change(address, grad=NO, leaf=YES, node=None, why=why)
    elif tensor.leaf is MAYBE:
        m.change(address, grad=NO, leaf=YES, node=None)


def faked(m: Machine, node: cst.CSTNode, why: Cause) -> Cause:
    """A value that was cut is made to require grad: from here on it is a leaf, with nothing behind it."""
    m.cuts = True
    what = "made to require grad, which does not bring back what it was computed from"
    cause = m.cause("faked", what, node, why.name or why.subject, YES, why)
    return replace(cause, source=why.origin)


def refuse(m: Machine, node: cst.CSTNode, tensor: Tensor, subject: Label, why: str) -> None:
    """An attribute of autograd is assigned what torch does not take, or what cannot be assigned at all."""
    m.raises()
    m.emit(Requires, node, tensor=tensor, subject=subject, asked=MAYBE, how=m.text(node), mode=m.mode, refused=why)


def read_grad(
    m: Machine, node: cst.CSTNode, owner_node: cst.CSTNode, address: int, tensor: Tensor, tested: bool
) -> Value:
    """`x.grad`."""
    m.wanted.add(address)
    held: Value = m.state.get((address, "grad"), NONE)
    kept: Truth = m.state.get((address, "kept"), NO)
    known = not m.state.get(SPOILED) and address not in m.escaped
    why = held.why if isinstance(held, Const) and held.why else m.cause("constant", "never filled by a backward", node)
    read = m.event(
        GradRead,
        node,
        tensor=tensor,
        subject=m.text(owner_node),
        made_at=None if tensor.node is None else m.state.graph[tensor.node].site,
        subject_node=owner_node,
        value=held,
        kept=kept,
        tested=tested,
        late=known and m.state.get((address, "kept late")) is YES,
        empty=why,
    )
    if not m.quiet:
        m.sink(read)
        if known and m.ledger.trains and tensor.grad.no:  # told at the end: that its None is used comes first
            m.ledger.at_end.append(lambda: m.sink(replace(read, trained=True)))
    if held != NONE:
        return held
    if m.state.get(SPOILED) or address in m.escaped or tensor.leaf is MAYBE or tensor.grad is MAYBE:
        return UNKNOWN
    if tensor.leaf.no and not kept.no:
        return UNKNOWN
    return Const(None, why)


def backward(
    m: Machine,
    node: cst.CSTNode,
    root: Value,
    root_node: cst.CSTNode,
    api: str,
    retain: Truth,
    create: Truth,
    gradient: bool,
    inputs: tuple[int, ...] | None = None,
    fill: bool = True,
    seed: Value | None = None,
) -> None:
    """Run backward from `root`: tell the rules, free the graph, fill the gradients of the leaves.

    inputs: only these tensors get a gradient (None: all leaves). fill: False for autograd.grad. seed: the gradient
    that is given for `root`.
    """
    m.ledger.trains = m.ledger.trains or api == "backward"
    found = m.tensors(root)
    if not found:
        m.emit(
            Backward,
            node,
            api=api,
            subject=m.text(root_node),
            root=None,
            value=root,
            freed=NO,
            freed_at=None,
            gradient=gradient,
            subject_node=root_node,
            written=None,
            kind=_kind(m, root),
        )
        if root != UNKNOWN and _kind(m, root):
            m.raises()
        if root == UNKNOWN:
            from flake8_detach.flow import hooks

            hooks.unseen_backward(m)
            training.filled(m, node, {}, True, MAYBE)
            m.state.set(SPOILED, YES)
            m.afterwards.blind = True
        return
    for address, tensor in found:
        followed = tensor.node is not None and tensor.grad.yes
        only = None if inputs is None or tensor.node is None else between(m, tensor.node, inputs)
        freed, where = _freed(m, tensor.node, only, node) if followed and tensor.node is not None else (NO, None)
        written = _written(m, tensor.node, only) if followed and tensor.node is not None and freed.no else None
        if followed and tensor.node is not None and m.ledger.hidden_writes:
            _hidden(m, node, tensor.node, only)
        underived = _underived(m, tensor.node, only) if followed and tensor.node is not None and freed.no else None
        m.emit(
            Backward,
            node,
            api=api,
            subject=m.text(root_node),
            root=tensor,
            value=root,
            freed=freed,
            freed_at=where,
            gradient=gradient,
            subject_node=root_node,
            written=written,
            underived=underived,
            misfit=(misfit := backward_arguments.gradient_problem(m, tensor, seed)),
        )
        if m.state.get(checkpointed.USED) is not None:
            checkpointed.differentiate(m, node, root_node, tensor, only, inputs is not None)
        vector = not gradient and shapes.several(tensor.shape)
        if tensor.grad.no or freed.yes or written is not None or underived is not None or vector or misfit:
            if tensor.node is not None:
                m.afterwards.started.add(tensor.node)  # what was meant to be backwarded is none that nobody backwards
                _passed(m, tensor.node)
            m.raises()
            m.state.set(SPOILED, YES)
            training.filled(m, node, {}, True, MAYBE)
            continue
        start = m.edge(address, tensor)
        if start.node is not None:
            m.afterwards.started.add(start.node)
        else:
            m.afterwards.leaves.add(address)
        if api == "backward":
            terms.ask(m, node, root_node, address, tensor, not gradient)
            unspent.ask(m, node, root_node, start)
            leaks.ask(m, start)
        walk(m, node, [replace_sure(start, tensor.grad.yes)], retain, create, inputs, fill, only)
        if start.node is None and tensor.grad is MAYBE:
            m.state.set(SPOILED, YES)


def _passed(m: Machine, start: int) -> None:
    """A backward that raises was to come by all of these nodes: keeping their graph was not needless."""
    seen: set[int] = set()
    todo = [start]
    while todo:
        number = todo.pop()
        if number not in seen:
            seen.add(number)
            m.step()
            m.retention.passes[number] = m.retention.passes.get(number, 0) + 1
            todo.extend(e.node for e in m.state.graph[number].edges if e.node is not None)


def _kind(m: Machine, value: Value) -> str:
    """What an object without `backward` is, in words."""
    if isinstance(value, (Const, Scalar, Tuple, Array, Function)):
        return "value"
    cell = m.cell(value)
    if isinstance(cell, Mapping_):
        return "a dict"
    if isinstance(cell, Sequence):
        return f"a {cell.kind}"
    if isinstance(cell, Layer) and cell.kind.startswith("torch.nn."):
        return f"a `{cell.kind.rpartition('.')[2]}` module: it was constructed, not called"
    return ""


def replace_sure(edge: Edge, sure: bool) -> Edge:
    return Edge(edge.node, edge.leaf, edge.sure and sure)


def between(m: Machine, start: int, inputs: tuple[int, ...]) -> frozenset[int]:
    """The nodes that a backward from `start` runs to reach `inputs`; what made an input, and all behind it, rests."""
    goals = {t.node for a in inputs for _, t in m.tensors(Ref((a,))) if t.node is not None}
    leaves = set(inputs)
    reaches: dict[int, bool] = {}
    todo = [start]
    while todo:
        number = todo[-1]
        if number in goals:
            reaches[number] = False
        if number in reaches:
            todo.pop()
            continue
        m.step()
        edges = m.state.graph[number].edges
        open_ = [e.node for e in edges if e.node is not None and e.node not in reaches and e.node not in goals]
        if open_:
            todo.extend(open_)
            continue
        ends = any(e.node in goals or (e.node is None and e.leaf in leaves) for e in edges)
        reaches[number] = ends or any(e.node is not None and reaches.get(e.node, False) for e in edges)
        todo.pop()
    return frozenset(n for n, yes in reaches.items() if yes)


def _freed(
    m: Machine, start: int, only: frozenset[int] | None = None, site: cst.CSTNode | None = None
) -> tuple[Truth, cst.CSTNode | None]:
    """Has backward already used up a node that is reached for sure and that saved a tensor? site: the backward now."""
    unsure: list[int] = []

    def used_up(number: int, node: Node) -> tuple[Truth, cst.CSTNode | None] | None:
        freed: Truth = m.state.get((number, "freed"), NO)
        if freed.no or not (only is None or number in only):
            return None
        if not node.saved and _behind(m, number, lambda _, inner: inner.saved or None) is None:
            return None  # it is used up as a whole, see `walk`, but perhaps nothing that it leads to had saved anything
        again = freed is PRESUMED_YES and m.state.get((number, "freed at")) is not site
        if freed is MAYBE or again:  # a branch that frees and this one may exclude each other, unless they are one
            unsure.append(number)
            return None
        return freed, m.state.get((number, "freed at"))

    found = _behind(m, start, used_up)
    return found or ((MAYBE, m.state.get((unsure[0], "freed at"))) if unsure else (NO, None))


def _written(m: Machine, start: int, only: frozenset[int] | None = None) -> Write | None:
    """A tensor that a node needs, that is reached for sure, and that was written since the node saved it."""

    def changed(number: int, node: Node) -> Write | None:
        for saved in node.saved if only is None or number in only else ():
            now = m.version(saved.storage) if saved.storage else saved.version
            if now != (0,) and {abs(token) for token in now}.isdisjoint(map(abs, saved.version)):
                at = m.state.get((saved.storage, "written at"))
                return Write(node.op, saved.role, saved.site, at, YES if now[0] > 0 else PRESUMED_YES)
        return None

    return _behind(m, start, changed)


def _hidden(m: Machine, site: cst.CSTNode, start: int, only: frozenset[int] | None) -> None:
    """Tell of what is reached for sure and was written after it had been saved, without a new version."""

    def look(number: int, node: Node) -> None:
        if only is None or number in only:
            hidden.look(m, number, node, site)

    _behind(m, start, look)


def _underived(m: Machine, start: int, only: frozenset[int] | None = None) -> Node | None:
    """An op that is reached for sure and raises in backward, because it has no derivative."""

    def raising(number: int, node: Node) -> Node | None:
        return node if node.derivative == "raises" and (only is None or number in only) else None

    return _behind(m, start, raising)


def _behind(m: Machine, start: int, look: Callable[[int, Node], T | None]) -> T | None:
    """What `look` finds in a node that a backward from `start` surely comes to: behind sure edges, and where paths of
    the program have met (a node "join"), behind each of them."""
    found: dict[int, T | None] = {}
    todo = [start]
    while todo:
        number = todo[-1]
        node = m.state.graph[number]
        meeting = node.op == "join"
        if number not in found:
            m.step()
            found[number] = look(number, node)
            if found[number] is None:
                edges = [e for e in node.edges if e.sure or meeting]
                todo.extend(e.node for e in edges if e.node is not None and e.node not in found)
                continue
        elif found[number] is None:
            behind = [found.get(e.node) if e.node is not None else None for e in node.edges if e.sure or meeting]
            hits = [hit for hit in behind if hit is not None]
            if hits and (not meeting or len(hits) == len(behind)):
                found[number] = hits[0]
        todo.pop()
    return found[start]


def _single(m: Machine, start: list[Edge]) -> frozenset[int]:
    """The nodes that backward comes to without passing through one that stands for many: `iteration._many`."""
    found: set[int] = set()
    todo = [e.node for e in start if e.node is not None]
    while todo:
        number = todo.pop()
        if number not in found:
            m.step()
            found.add(number)
            node = m.state.graph[number]
            if node.op != "join" or not any(e.sure for e in node.edges):
                todo.extend(e.node for e in node.edges if e.node is not None)
    return frozenset(found)


def _chooses(m: Machine, node: Node) -> bool:
    """Does it lead to what is one of several: of two paths, or of the elements of a list?"""
    return any(not e.sure or (e.node is not None and m.state.graph[e.node].op == "join") for e in node.edges)


def reaches(m: Machine, root: int, start: Tensor, address: int, tensor: Tensor) -> Truth:
    """Does the graph of the tensor `start` at `root` lead to `tensor` at `address`?"""
    if root == address:
        return YES
    if start.node is None:
        return NO if start.grad.yes and start.leaf.yes else MAYBE
    seen: set[int] = set()
    todo = [(start.node, True)]
    verdict = NO
    while todo:
        number, sure = todo.pop()
        if number == tensor.node and tensor.node is not None:
            return YES if sure else MAYBE
        if number in seen:
            continue
        seen.add(number)
        m.step()
        node = m.state.graph[number]
        if node.open:
            verdict = MAYBE
        for edge in node.edges:
            if edge.node is None and edge.leaf == address:
                if sure and edge.sure:
                    return YES
                verdict = MAYBE
            elif edge.node is not None:
                todo.append((edge.node, sure and edge.sure))
    if verdict is NO and tensor.leaf is MAYBE:
        return MAYBE
    return verdict


def walk(
    m: Machine,
    site: cst.CSTNode,
    start: list[Edge],
    retain: Truth,
    create: Truth,
    inputs: tuple[int, ...] | None,
    fill: bool,
    only: frozenset[int] | None = None,
) -> None:
    """Go through the graph from `start`: free its nodes and fill the `.grad` of the leaves."""
    surely: dict[int, bool] = {}
    leaves: dict[int, bool] = {}
    todo = list(start)
    opened = plural = False
    while todo:
        edge = todo.pop()
        m.step()
        if edge.node is None:
            if edge.leaf is not None:
                leaves[edge.leaf] = leaves.get(edge.leaf, False) or edge.sure
            continue
        if surely.get(edge.node, False) or (edge.node in surely and not edge.sure):
            continue
        surely[edge.node] = edge.sure
        node: Node = m.state.graph[edge.node]
        if node.op == "join" and any(e.sure for e in node.edges):
            plural = True
        opened = opened or node.open
        for kept in node.kept:
            if edge.sure and m.written_since(kept.storage, kept.version):
                m.emit(CustomMisuse, site, kind="stale", function=node.op, what=kept.role, used=YES, at=kept.site)
        todo.extend(replace_sure(e, edge.sure) for e in node.edges)
    m.retention.backwards += 1
    m.retention.passes.update(dict.fromkeys(surely, m.retention.backwards))
    if not retain.yes:
        one_of_many = frozenset(surely) - _single(m, start) if plural else frozenset()
        for number, sure in surely.items():
            node = m.state.graph[number]
            # whichever graph lies behind a choice, this backward has used it up, and the next one comes to the same
            whole = sure and only is None and node.op != "join" and _chooses(m, node)
            if (node.saved or whole) and (only is None or number in only):
                before: Truth = m.state.get((number, "freed"), NO)
                m.state.set(
                    (number, "freed"), before | (YES if sure and retain is NO and number not in one_of_many else MAYBE)
                )
                m.state.set((number, "freed at"), site)
    from flake8_detach.flow import backward_hooks

    chosen = leaves if inputs is None else {a: s for a, s in leaves.items() if a in inputs}
    ran = surely if only is None else {n: s for n, s in surely.items() if n in only}
    backward_hooks.passed(m, site, ran, chosen, create, opened)
    if fill:
        for address, sure in leaves.items():
            if inputs is None or address in inputs:
                accumulate(m, site, address, sure, create)
        for number, sure in surely.items():
            for address in m.state.get((number, "retained"), ()):
                accumulate(m, site, address, sure, create)
        for address in inputs or ():
            accumulate(m, site, address, False, create)
        reached = leaves if inputs is None else {a: leaves.get(a, False) for a in inputs}
        training.filled(m, site, reached, opened, gradients.scaled_by(m, surely), start)
        backward_hooks.accumulated(m, site, chosen)
    if opened:
        m.state.set(SPOILED, YES)


def accumulate(m: Machine, site: cst.CSTNode, address: int, sure: bool, create: Truth) -> None:
    """Backward adds to the `.grad` of the tensor at `address`."""
    held: Value = m.state.get((address, "grad"), NONE)
    if isinstance(held, Ref):
        if not create.no:
            for gradient, _ in m.tensors(held):
                m.change(gradient, grad=MAYBE, leaf=MAYBE)
        return
    if not sure:
        m.state.set((address, "grad"), UNKNOWN)
        return
    tensor = m.state.cell(address)
    assert isinstance(tensor, Tensor)
    grad = NO if create.no else MAYBE
    what = "filled by `backward()`, without a graph of its own"
    why = m.cause("gradient", what, site, lost=YES, of=[(address, tensor)]) if grad is NO else None
    made = m.tensor(grad=grad, leaf=~grad, shape=tensor.shape, dtype=tensor.dtype, why=why, made="grad")
    m.state.set((address, "grad"), made)
    gradients.belongs(m, made, address)


def clear(m: Machine, addresses: Iterable[int], to_none: Truth, why: Cause) -> None:
    """zero_grad() on these parameters."""
    addresses = tuple(addresses)
    training.cleared(m, addresses, why.site)
    for address in addresses:
        held: Value = m.state.get((address, "grad"), NONE)
        if to_none.yes:
            m.state.set((address, "grad"), Const(None, why))
        elif to_none is MAYBE and held != NONE:
            m.state.set((address, "grad"), UNKNOWN)


def retain_grad(m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, subject: Label) -> None:
    """`x.retain_grad()`."""
    tell_hook(m, node, tensor, subject, "retain_grad")
    if tensor.grad.no:
        m.change(address, grad=MAYBE)
    m.state.set((address, "kept"), YES)
    if tensor.node in m.retention.passes:  # backward has come by already
        m.state.set((address, "kept late"), YES)
    if tensor.node is not None:
        known: tuple[int, ...] = m.state.get((tensor.node, "retained"), ())
        m.state.set((tensor.node, "retained"), (*known, address))


def tell_hook(m: Machine, node: cst.CSTNode, tensor: Tensor, subject: Label, method: str) -> None:
    if tensor.grad.no:
        m.raises()
    m.emit(Hooked, node, tensor=tensor, subject=subject, method=method)


def detach_in_place(m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, subject: Label) -> None:
    """`x.detach_()`: torch raises on views."""
    if tensor.view in ("view", "multi"):
        m.raises()
    m.emit(DetachedInPlace, node, tensor=tensor, subject=subject)
    why = m.cause("cut", "cut by `.detach_()`", node, subject, tensor.grad, tensor.why, [(address, tensor)])
    m.change(address, grad=NO, leaf=YES, node=None, why=why)


# Modes

NO_GRAD = {
    "torch.no_grad": (NO, None),
    "torch.inference_mode": (NO, YES),
    "torch.enable_grad": (YES, None),
}


def enter(m: Machine, name: str, argument: Value | None, site: cst.CSTNode) -> bool:
    """Switch the mode as the context manager or decorator `name` does. False if it is not one of grad mode."""
    mode = m.mode
    lifts = name == "torch.enable_grad" or (name == "torch.set_grad_enabled" and argument == Const(True))
    if lifts and mode.inference is YES:
        return True  # inference mode stays, and with it nothing builds a graph
    if name == "torch.set_grad_enabled":
        known = argument.value if isinstance(argument, Const) else None
        asked = MAYBE if known is None else YES if known else NO
        why = m.cause("mode", "computed under `set_grad_enabled(False)`", site) if asked is NO else mode.why
        m.set_mode(Mode(asked, mode.inference, why))
        return True
    if name not in NO_GRAD:
        return False
    grad, inference = NO_GRAD[name]
    if name == "torch.inference_mode" and argument is not None and argument != Const(True):
        off = argument == Const(False)
        m.set_mode(Mode(YES if off else MAYBE, NO if off else MAYBE, mode.why))
        return True
    if grad is YES:
        m.set_mode(Mode(YES, mode.inference, mode.why))
        return True
    why = m.cause("mode", f"computed under `{name.removeprefix('torch.')}`", site)
    m.set_mode(Mode(grad, inference or mode.inference, why))
    return True


__all__ = ["PRESUMED_YES", "Cause", "backward", "detach", "enter", "read_grad", "replace"]
