"""Transfer functions of autograd itself: detach, requires_grad, .grad, backward, autograd.grad, grad modes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    backward_arguments,
    checkpointed,
    custom_broken,
    freezing,
    gradients,
    graph_walk,
    hidden,
    leaf_roots,
    leaks,
    origins,
    questions,
    severed,
    shapes,
    tensors,
    terms,
    training,
    unfed,
    unspent,
    writes,
)
from flake8_detach.flow.events import AttributeMade, Backward, DetachedInPlace, GradRead, Hooked, Requires
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Cause,
    Const,
    Edge,
    Function,
    Instance,
    Label,
    Layer,
    Mapping_,
    Mode,
    Ref,
    Scalar,
    Sequence,
    Source,
    Tensor,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


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
                inference=tensor.inference,
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
        grad=grad, leaf=YES, shape=tensor.shape, dtype=tensor.dtype, why=why, made=how, inference=tensor.inference
    )


def require(
    m: Machine,
    node: cst.CSTNode,
    address: int,
    tensor: Tensor,
    asked: Truth | None,
    subject: Label,
    how: str,
    some: bool = False,
) -> None:
    """`x.requires_grad = asked` or `x.requires_grad_(asked)`; None: not known which. some: only of some of the tensors
    that this one stands for."""
    if some and tensor.grad is not asked:
        unfed.switched(m, address, node, None)
        m.change(address, grad=MAYBE, leaf=tensor.leaf)
        return
    if tensor.made == "state_dict" and asked is NO and not m.guards:
        m.emit(AttributeMade, node, owner="state_dict", subject=subject, name="requires_grad")
    assigned = not isinstance(node, cst.Call)
    unfed.switched(m, address, node, asked)
    tensors.tell_requires(m, node, tensor, MAYBE if asked is None else asked, subject, m.text(node), assigned)
    if asked is YES and tensor.leaf.yes:
        freezing.thawed(m, address, tensor, node)
    elif asked is NO and tensor.leaf.yes and tensor.grad.yes:
        freezing.froze(m, address, node)
    if asked is YES and tensor.inference.yes and m.mode.inference.no:
        m.change(address, grad=MAYBE)  # torch raises; go on as if it had been mended somehow
    elif asked is YES and tensor.dtype in ("int", "bool"):
        tensors.mend_requires(m, Ref((address,)))
    elif asked is None:
        m.change(address, grad=MAYBE, leaf=tensor.leaf)
        _ask_the_base(m, address)
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
        _ask_the_base(m, address)
    elif _may_ask(m, tensor):
        m.change(address, grad=tensor.grad if tensor.grad.no else MAYBE)
    elif tensor.leaf.yes or tensor.grad.no:
        lost = tensor.grad
        if lost is not NO:
            why = m.cause("frozen", f"switched off by {how}" if how else "switched off", node, "", lost)
            m.change(address, grad=NO, leaf=YES, node=None, why=why)
    elif tensor.leaf is MAYBE:
        m.change(address, grad=NO, leaf=YES, node=None)


def _may_ask(m: Machine, tensor: Tensor) -> bool:
    """May it be a view that was made without grad, which requires grad as its base does, whatever it is told?"""
    if tensor.base is None:
        return tensor.view == "maybe"  # on one path it is a view, on the other another tensor
    base = m.state.cell(tensor.base)
    return tensor.node is None and not (isinstance(base, Tensor) and base.grad.no)


def _ask_the_base(m: Machine, address: int) -> None:
    """The views of a tensor that does not require grad say what it says, but backward does not come through them."""
    for view, tensor in (pair for owner in (address, *m.state.alike(address)) for pair in writes.views(m, owner)):
        if tensor.grad.no:
            m.change(view, grad=MAYBE, leaf=MAYBE)  # what was written since makes torch ask the base for a grad_fn


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
    pointless = tested or held != NONE or not tensor.leaf.yes or tensor.grad is not YES
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
        severed=None if pointless or not known else severed.from_leaf(m, address),
    )
    if not m.quiet:
        m.sink(read)
        if known and m.ledger.trains and tensor.grad.no:  # told at the end: that its None is used comes first
            m.ledger.at_end.append(lambda: m.sink(replace(read, trained=True)))
    if held != NONE:
        return held
    questions.found(m, address, why, cleared=isinstance(held, Const) and held.why is why)
    if tested:
        questions.asked(m, Const(None, why))
    if m.state.get(SPOILED) or address in m.escaped or gradients.older(m, address):
        return UNKNOWN
    if (tensor.leaf is MAYBE or tensor.grad is MAYBE) and not _fresh(tensor):
        return UNKNOWN
    if tensor.leaf.no and not kept.no:
        return UNKNOWN
    return Const(None, why)


def _fresh(tensor: Tensor) -> bool:
    """Was it made by an op, as a new object? Then its .grad is None until a backward fills it."""
    op = ops.function(tensor.made) if tensor.made else None
    return tensor.made == "grad" or (op is not None and not op.same and not op.inplace)


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
    by: Label = "",
) -> None:
    """Run backward from `root`: tell the rules, free the graph, fill the gradients of the leaves.

    inputs: only these tensors get a gradient (None: all leaves). fill: False for autograd.grad. seed: the gradient
    that is given for `root`. by: what does it, if it is not called as a method of `root`.
    """
    m.ledger.trains = m.ledger.trains or api == "backward"
    found = m.tensors(root)
    if not found:
        m.emit(
            Backward,
            node,
            api=api,
            by=by,
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
            graph_walk.unseen(m, create)
            m.state.set(SPOILED, YES)
            m.afterwards.blind = True
        return
    for address, tensor in found:
        followed = tensor.node is not None and tensor.grad.yes
        only = None if inputs is None or tensor.node is None else graph_walk.between(m, tensor.node, inputs)
        firm = only  # what is surely run on the way to the inputs
        if inputs is not None and tensor.node is not None:
            firm = graph_walk.between(m, tensor.node, inputs, surely=True)
        freed, where = (
            graph_walk.freed(m, tensor.node, firm, node) if followed and tensor.node is not None else (NO, None)
        )
        unsure = any(m.state.alike(a) for a in inputs or ())
        if unsure:  # backward may stop at what an input may be
            freed = freed & MAYBE
        written = underived = None
        if followed and tensor.node is not None and freed.no and not unsure:
            written = graph_walk.written(m, tensor.node, firm)
        if followed and tensor.node is not None and m.ledger.hidden_writes:
            graph_walk.tell_hidden(m, node, tensor.node, only)
        if followed and tensor.node is not None and freed.no and not unsure:
            underived = graph_walk.underived(m, tensor.node, only, inputs or ())
        m.emit(
            Backward,
            node,
            api=api,
            by=by,
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
                if fill and not create.no:
                    _renewed(m, m.edge(address, tensor))
            m.raises()
            m.state.set(SPOILED, YES)
            training.filled(m, node, {}, True, MAYBE)
            continue
        if followed and tensor.node is not None:
            custom_broken.reached(m, node, tensor.node, only)
        start = m.edge(address, tensor)
        if start.node is None:
            m.afterwards.leaves.add(address)
        elif inputs is None:
            m.afterwards.started.add(start.node)
        else:
            m.afterwards.aimed.add(start.node)
            m.afterwards.leaves |= {*inputs, *m.state.alike(*inputs)}
        if api == "backward":
            leaf_roots.backwarded(m, node, root_node, address, tensor)
            terms.ask(m, node, root_node, address, tensor, not gradient)
            unspent.ask(m, node, root_node, start)
            leaks.ask(m, start)
        graph_walk.walk(m, node, [graph_walk.replace_sure(start, tensor.grad.yes)], retain, create, inputs, fill, only)
        if start.node is None and tensor.grad is MAYBE:
            m.state.set(SPOILED, YES)
            if fill:
                graph_walk.unseen(m, create)
        if tensor.grad is MAYBE and isinstance(root, Ref) and root.addresses == (address,) and not root.some:
            m.change(address, grad=YES)  # else torch has raised


def _renewed(m: Machine, start: Edge) -> None:
    """A backward with `create_graph=True` that raises on its way may have put new gradients with a graph in place of
    those that were there."""
    m.state.set(graph_walk.CREATED, YES)
    for leaf in origins.behind(m, Source((start,)))[1]:
        if m.state.get((leaf, "grad"), NONE) != NONE:
            m.state.set((leaf, "grad"), UNKNOWN)


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
    from flake8_detach.flow import modules

    if isinstance(cell, Instance) and modules.lacks(m, value, "backward"):
        return f"an object of `{cell.cls.name}`"
    return ""


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
    if not to_none.no:
        lose(m, m.state.alike(*addresses))


def lose(m: Machine, addresses: Iterable[int]) -> None:
    """The gradients that are there may be None from here on: these may be tensors whose gradients were cleared."""
    for address in addresses:
        if m.state.get((address, "grad"), NONE) != NONE:
            m.state.set((address, "grad"), UNKNOWN)


def retain_grad(m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, subject: Label) -> None:
    """`x.retain_grad()`."""
    tell_hook(m, node, tensor, subject, "retain_grad")
    if tensor.grad.no:
        m.change(address, grad=MAYBE)
    if tensor.leaf.yes:
        return  # a leaf keeps its gradient anyway: torch does nothing, also if it is none any more later
    m.state.set((address, "kept"), YES if tensor.leaf.no else MAYBE)
    for twin in m.state.alike(address) - {address}:
        if m.state.get((twin, "kept"), NO) is not YES:
            m.state.set((twin, "kept"), MAYBE)
    if tensor.node in m.retention.passes:  # backward has come by already
        m.state.set((address, "kept late"), YES)
    if tensor.node is not None:
        known: tuple[int, ...] = m.state.get((tensor.node, "retained"), ())
        m.state.set((tensor.node, "retained"), (*known, address))


def tell_hook(m: Machine, node: cst.CSTNode, tensor: Tensor, subject: Label, method: str) -> None:
    if tensor.grad.no:
        m.raises()
    m.emit(Hooked, node, tensor=tensor, subject=subject, method=method)


def detach_in_place(
    m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, subject: Label, some: bool = False
) -> None:
    """`x.detach_()`: torch raises on views. In inference mode, and to what was made there, it does nothing. some: only
    of some of the tensors that this one stands for."""
    asleep = m.mode.inference | tensor.inference
    if some or not asleep.no:
        if asleep is not YES:
            m.change(address, grad=tensor.grad & MAYBE, leaf=tensor.leaf | MAYBE)
        return
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
    if name in ("torch.enable_grad", "torch.set_grad_enabled") and mode.inference is YES:
        return True  # inference mode stays, and with it nothing builds a graph
    if name == "torch.set_grad_enabled":
        known = argument.value if isinstance(argument, Const) else None
        asked = MAYBE if known is None else YES if known else NO
        why = m.cause("mode", "computed under `set_grad_enabled(False)`", site) if asked is NO else mode.why
        m.set_mode(Mode(asked & ~mode.inference, mode.inference, why))
        return True
    if name not in NO_GRAD:
        return False
    grad, inference = NO_GRAD[name]
    if name == "torch.inference_mode" and argument is not None and argument != Const(True):
        off = argument == Const(False)
        m.set_mode(Mode(YES if off else MAYBE, NO if off else MAYBE, mode.why))
        return True
    if grad is YES:
        m.set_mode(Mode(~mode.inference, mode.inference, mode.why))
        return True
    why = m.cause("mode", f"computed under `{name.removeprefix('torch.')}`", site)
    m.set_mode(Mode(grad, inference or mode.inference, why))
    return True
