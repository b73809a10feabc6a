"""`torch.autograd.backward` and `torch.autograd.grad`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    backward_arguments,
    events,
    graph_walk,
    hook_losses,
    iteration,
    levels,
    module_tree,
    origins,
    second_order,
)
from flake8_detach.flow.calls import Args
from flake8_detach.flow.machine import fact
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    DERIVATIVE,
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Const,
    Node,
    Ref,
    Scalar,
    Sequence,
    Source,
    Tensor,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.source import code

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@model("torch.autograd.backward")
def _autograd_backward(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if levels.forbid(m, node, "backward()", "return the loss, and let torch.func.grad or vjp differentiate it"):
        return NONE
    roots = args.get(0, "tensors") or UNKNOWN
    create = fact(args.get(3, "create_graph"), False)
    retain = args.get(2, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    problem = backward_arguments.inputs_problem(m, args.get(5, "inputs"))
    if args.get(4, "grad_variables") not in (None, NONE) and args.get(1, "grad_tensors") not in (None, NONE):
        problem = "`grad_variables` is the old name of `grad_tensors`: give one of them"
    if problem:
        backward_arguments.tell(m, node, problem)
        return NONE
    many = iteration.exact(m, roots)
    if many is None and isinstance(roots, (Const, Scalar, Array)):
        many = [roots]
    if many is None and not m.is_tensor(roots):
        many = [iteration.element(m, roots)]
    gradient = args.get(1, "grad_tensors") not in (None, NONE)
    starts = [roots] if m.is_tensor(roots) else many or []
    for left, root in zip(range(len(starts) - 1, -1, -1), starts, strict=True):
        # one pass starts from all of them: what they share is freed when the last is done
        kept = YES if left else keep
        autograd.backward(m, node, root, args.node(0, "tensors", node), "backward", kept, create, gradient)
    return NONE


@model("torch.autograd.graph.get_gradient_edge")
def _gradient_edge(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    for _, tensor in m.tensors(args.get(0, "tensor") or UNKNOWN):
        autograd.tell_hook(m, node, tensor, m.text(args.node(0, "tensor", node)), "get_gradient_edge")
    return UNKNOWN


@model("torch.autograd.grad")
def _autograd_grad(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    outputs, inputs = args.get(0, "outputs") or UNKNOWN, args.get(1, "inputs") or UNKNOWN
    create = fact(args.get(4, "create_graph"), None if args.open else False)
    retain = args.get(3, "retain_graph")
    keep = create if retain in (None, NONE) else fact(retain)
    many = [outputs] if m.is_tensor(outputs) else iteration.exact(m, outputs) or [iteration.element(m, outputs)]
    if isinstance(outputs, (Const, Scalar, Array)):
        many = [outputs]
    gradient = args.get(2, "grad_outputs") not in (None, NONE)
    problem = backward_arguments.inputs_problem(m, inputs)
    if args.kw.get("materialize_grads") == Const(True) and args.get(6, "allow_unused") == Const(False):
        problem = "`materialize_grads=True` contradicts `allow_unused=False`"
    seeds = args.get(2, "grad_outputs") or NONE
    batched = fact(args.get(5, "is_grads_batched"), None if args.open else False)
    each = iteration.exact(m, seeds) if seeds != NONE and not m.is_tensor(seeds) else None
    if each is not None and len(each) != len(many):
        problem = f"{len(each)} `grad_outputs` for {len(many)} outputs"
    if problem and not args.open:
        backward_arguments.tell(m, node, problem)
        return UNKNOWN
    chosen = module_tree.parameters_in(m, inputs)
    m.wanted.update(chosen or ())
    hook_losses.differentiated(m, args, node, chosen)
    for root in many:
        if root == UNKNOWN:
            continue
        where = args.node(0, "outputs", node)
        only = None if chosen is None else tuple(chosen)
        autograd.backward(
            m,
            node,
            root,
            where,
            "grad",
            YES if root is not many[-1] else keep if chosen is not None else keep | MAYBE,
            create,
            gradient,
            only,
            fill=False,
            seed=seeds if m.is_tensor(seeds) and len(many) == 1 and batched.no else None,
        )
    unused = fact(args.get(6, "allow_unused"), None if args.open else False)
    if unused.no and fact(args.kw.get("materialize_grads"), False).yes:
        unused = YES
    roots = [t for root in many for t in m.tensors(root)]
    targets = [inputs] if m.is_tensor(inputs) else iteration.exact(m, inputs)
    one = iteration.element(m, inputs) if targets is None else UNKNOWN
    iteration.consume(m, inputs)
    fixed = not gradient or (batched.no and _fixed(m, [seeds] if each is None else each))
    if roots:
        for target in targets if targets is not None else [one]:
            tell_grad_of(m, node, target, roots, args.node(1, "inputs", node), unused)
    if targets is None:
        result = _gradient(m, node, one, create, roots, unused, fixed, batched)
        return m.new(Sequence("tuple", None, result, each=isinstance(result, Ref) and len(result.addresses) != 1))
    return Tuple(tuple(_gradient(m, node, t, create, roots, unused, fixed, batched) for t in targets))


def _fixed(m: Machine, seeds: Iterable[Value]) -> bool:
    """Are the given gradients of the outputs certainly constants? Else what is computed may depend on them."""
    return all((found := m.tensors(seed)) and all(t.grad is NO for _, t in found) for seed in seeds)


def tell_grad_of(
    m: Machine,
    node: cst.CSTNode,
    target: Value,
    roots: list[tuple[int, Tensor]],
    target_node: cst.CSTNode,
    unused: Truth,
) -> None:
    """Is the tensor in the graph of the outputs?"""
    if any(t.grad.no for _, t in roots):
        return  # that is another error, reported already
    for address, tensor in m.tensors(target):
        verdicts = [graph_walk.reaches(m, a, t, address, tensor) for a, t in roots]
        reached = YES if YES in verdicts else NO if all(v is NO for v in verdicts) else MAYBE
        if reached is NO and m.state.alike(address):  # `x.contiguous()` may be x itself
            reached = MAYBE
        if tensor.grad.no or (reached is NO and unused.no):
            m.raises()
        subject = m.text(target_node)
        if reached is NO and unused.yes and tensor.node is not None and _anew(m, roots, tensor.node):
            made = m.state.graph[tensor.node].site
            late = {"subject": m.text(made), "reached": reached, "unused": unused, "at": node}
            m.emit(events.GradOf, made, tensor=tensor, **late)
            continue
        m.emit(events.GradOf, node, tensor=tensor, subject=subject, reached=reached, unused=unused)


def _anew(m: Machine, roots: list[tuple[int, Tensor]], number: int) -> bool:
    """Was the graph node made when the outputs were there already, or as another one in their graph was made?"""
    node = m.state.graph[number]
    if node.op == "join":  # of several tensors, one may be in the graph of the outputs
        return False
    if all(t.node is not None and t.node < number for _, t in roots):
        return True
    nodes, _ = origins.behind(m, Source(tuple(m.edge(a, t) for a, t in roots)))
    others = (m.state.graph[n] for n in nodes if n != number)
    return any(o.op == node.op and o.edges == node.edges and code(o.site) == code(node.site) for o in others)


def _gradient(
    m: Machine,
    node: cst.CSTNode,
    target: Value,
    create: Truth,
    roots: list[tuple[int, Tensor]],
    unused: Truth,
    fixed: bool,
    batched: Truth,
) -> Value:
    """One result of autograd.grad: connected to the graph of the outputs only with create_graph. fixed: are the
    gradients of the outputs constants? batched: is it computed for many of them at once, along a dimension of its own?
    """
    if not unused.no:
        return UNKNOWN
    made = []
    why = m.cause("gradient", "computed by `autograd.grad` without `create_graph=True`", node, "", YES, None, roots)
    for address, tensor in m.tensors(target) or [(0, Tensor())]:
        grad = NO if create.no else MAYBE if create is MAYBE else YES
        if create.yes:
            # the gradient of something linear does not depend on the leaves any more
            grad, delayed = second_order.gradient(m, address, tensor, roots, node) if fixed else (MAYBE, None)
            if delayed is not None:
                made.append(delayed)
                continue
            if grad is NO:
                what = "computed by `autograd.grad`, and nothing that requires grad is left in it"
                why = m.cause("gradient", what, node)
        graph = None
        if not grad.no:
            edges = tuple(m.edge(a, t) for a, t in roots if not t.grad.no)
            edges = tuple(e._replace(sure=False) for e in edges)
            graph = m.graph_node(Node(DERIVATIVE, edges, (), node, True))
        made.append(
            m.tensor(
                grad=grad,
                leaf=~grad,
                shape=tensor.shape if batched.no else None,
                dtype=tensor.dtype,
                node=graph,
                why=why if grad.no else None,
                made="grad",
                inference=NO if m.mode.inference.no else MAYBE,
            ).addresses[0]
        )
    return Ref(tuple(made))
