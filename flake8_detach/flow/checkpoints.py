"""torch.utils.checkpoint: what is computed again in backward, and what its reentrant form does to gradients.

Source: torch/utils/checkpoint.py. The reentrant form runs the function under no_grad; its result requires grad only if
one of the tensors that it is called with does, whatever parameters the function has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.checkpointed import GRAPHLESS, OP, USED
from flake8_detach.flow.events import Checkpointed
from flake8_detach.flow.machine import PACKED
from flake8_detach.flow.registry import model
from flake8_detach.flow.slots import ABSENT
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Const,
    External,
    Function,
    Mapping_,
    Node,
    Partial,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge.checkpointing import CHECKS, LATER, OPTIONS, SEQUENTIAL

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@model("torch.utils.checkpoint.checkpoint")
def _checkpoint(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.open or not args.pos:
        escape(m, args.values())
        return UNKNOWN
    rest = {k: v for k, v in args.kw.items() if k not in OPTIONS}
    return _run(m, args, Args(args.pos[1:], rest), node)


@model("torch.utils.checkpoint.checkpoint_sequential")
def _sequential(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(2, "input")
    if args.open or not args.pos or given is None:
        escape(m, args.values())
        return UNKNOWN
    wrong = next((k for k in args.kw if k not in SEQUENTIAL), None)
    if wrong is not None:
        return _refuse(m, node, "unknown keyword", wrong)
    return _run(m, args, Args([given]), node)


def _run(m: Machine, args: Args, inner: Args, node: cst.CSTNode) -> Value:
    function = args.pos[0]
    subject = m.text(args.nodes.get(0, node))
    if m.is_tensor(function) or isinstance(function, (Array, Scalar, Tuple)):
        return _refuse(m, node, "value", subject)
    asked = args.kw.get("use_reentrant")
    if asked is None:
        m.emit(Checkpointed, node, what="unsaid", at=None, subject=subject, sure=YES)
    reentrant = _reentrant(asked)
    if reentrant.yes:
        wrong = next((k for k in args.kw if k not in OPTIONS[:2] and k in (*inner.kw, *LATER)), None)
        if wrong is not None:
            return _refuse(m, node, "keyword", wrong)
    elif reentrant.no and (refused := _unfit(args)):
        return _refuse(m, node, refused, m.text(node))
    callable_ = isinstance(function, (Function, Partial, External)) or (
        isinstance(function, Ref) and len(function.addresses) == 1
    )
    if not callable_ or reentrant is MAYBE:
        escape(m, args.values())
        return UNKNOWN
    if reentrant.yes:
        return _reentered(m, function, inner, node, subject)
    # what backward needs is computed again: no write to it is noticed
    packed = m.state.get(PACKED, ABSENT)
    m.state.set(PACKED, YES)
    result = calls.call(m, function, inner, node)
    m.state.set(PACKED, packed)
    return result


def _reentrant(asked: Value | None) -> Truth:
    if asked is None or asked == NONE:
        return YES
    return MAYBE if not isinstance(asked, Const) else YES if asked.value else NO


def _unfit(args: Args) -> str:
    """Which options the form without reentrance refuses."""
    check = args.kw.get("determinism_check", Const(CHECKS[0]))
    if isinstance(check, Const) and check.value not in CHECKS:
        return "determinism"
    made = isinstance(args.kw.get("context_fn"), (Function, Partial))
    return "debug" if made and args.kw.get("debug") == Const(True) else ""


def _refuse(m: Machine, node: cst.CSTNode, what: str, subject: object) -> Value:
    m.raises()
    m.emit(Checkpointed, node, what=what, at=None, subject=subject, sure=YES)
    return UNKNOWN


def _reentered(m: Machine, function: Value, args: Args, node: cst.CSTNode, subject: object) -> Value:
    """What comes out hangs on the tensors that went in; what backward will compute again is behind it."""
    m.quiet += 1  # it runs under no_grad now and with grad in backward: what a rule would see is neither
    try:
        result = calls.call(m, function, args, node)
    finally:
        m.quiet -= 1
    grad = NO
    for value in args.pos:
        found = m.tensors(value)
        known = m.is_tensor(value) or isinstance(value, (Const, Scalar, Array, Tuple, Function))
        known = known or isinstance(m.cell(value), (Sequence, Mapping_))  # it does not look inside
        for _, tensor in found:
            grad = grad | tensor.grad
        grad = grad if known else grad | MAYBE
    lost = Truth.NO
    outputs = m.tensors(result) if not isinstance(result, Tuple) else [t for v in result.items for t in m.tensors(v)]
    for _, tensor in outputs:
        lost = lost | tensor.grad
    if grad.no and lost.yes and m.mode.grad.yes:
        sure = YES if grad is NO and lost is YES and m.mode.grad is YES else YES.presumed()
        m.emit(Checkpointed, node, what="inputs", at=None, subject=subject, sure=sure)
    m.state.set(USED, YES)
    whole = all(m.is_tensor(v) for v in (result.items if isinstance(result, Tuple) else (result,)))
    return _wrapped(m, result, grad & m.mode.grad, node, whole and lost is NO)


def _wrapped(m: Machine, value: Value, grad: Truth, node: cst.CSTNode, graphless: bool) -> Value:
    """graphless: what backward will compute again does not require grad, so there is nothing to go back through."""
    if isinstance(value, Tuple):
        return Tuple(tuple(_wrapped(m, v, grad, node, graphless) for v in value.items), value.names)
    cell = m.cell(value)
    if not isinstance(cell, Tensor) or not isinstance(value, Ref):
        return UNKNOWN
    inner = m.edge(value.addresses[0], cell)
    graph = None if grad.no else m.graph_node(Node(OP, (inner._replace(sure=grad.yes and inner.sure),), (), node, True))
    if graph is not None and graphless and m.mode.grad is YES:
        m.state.set((graph, GRAPHLESS), YES)
    why = None
    if grad.no:
        what = "computed by a reentrant checkpoint, none of whose inputs requires grad"
        why = m.cause("op", what, node, "", cell.grad, cell.why, [(value.addresses[0], cell)])
    return m.tensor(grad=grad, leaf=~grad, shape=cell.shape, dtype=cell.dtype, node=graph, why=why, made=OP)
