"""functional_call and stack_module_state: a module is run with parameters that it is handed.

Sources: torch/_functorch/functional_call.py and torch/nn/utils/stateless.py of torch 2.13.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, iteration, module_tree, modules, pytrees
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.levels import refuse
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Cause,
    Const,
    Instance,
    Layer,
    Mapping_,
    Mode,
    Node,
    Ref,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge import layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

CALL, STACK = "torch.func.functional_call", "torch.func.stack_module_state"


@model(CALL, "torch.nn.utils.stateless.functional_call")
def _functional_call(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    module = args.get(0, "module") or UNKNOWN
    given = args.get(1, "parameter_and_buffer_dicts") or args.get(1, "parameters_and_buffers") or UNKNOWN
    inputs = args.get(2, "args")
    if args.open or inputs is None:
        escape(m, args.values())
        return UNKNOWN
    problem = _problem(m, module, given, args.kw.get("strict") == Const(True))
    if problem:
        refuse(m, node, CALL, *problem)
        return UNKNOWN
    if not modules.is_module(m, module):
        escape(m, args.values())
        return UNKNOWN
    keywords = m.cell(args.get(3, "kwargs") or NONE)
    extra = dict(keywords.items) if isinstance(keywords, Mapping_) else {}
    positional: list[Value] = list(inputs.items) if isinstance(inputs, Tuple) else [inputs]
    if inputs == UNKNOWN or (args.get(3, "kwargs") not in (None, NONE) and not isinstance(keywords, Mapping_)):
        return UNKNOWN
    return _run(m, module, given, Args(positional, {str(k): v for k, v in extra.items()}), node)


def _problem(m: Machine, module: Value, given: Value, strict: bool) -> tuple[str, str] | None:
    """Why torch refuses them, and what to do."""
    kind = kind_of(m, module)
    if kind not in ("?", "module"):
        return f"it is handed {pytrees.article(kind)}, not a module", "pass the module itself"
    cell = m.cell(given)
    kind = kind_of(m, given)
    if isinstance(cell, Sequence) and cell.kind == "generator":
        return "the parameters are a generator, not a dict", "wrap it: `dict(model.named_parameters())`"
    if kind not in ("?", "dict", "tuple", "list"):
        return f"the parameters are {pytrees.article(kind)}, not a dict", "pass `dict(model.named_parameters())`"
    if kind in ("tuple", "list"):
        items = iteration.exact(m, given)
        for item in items if items is not None else [iteration.element(m, given)]:
            inner = kind_of(m, item)
            if inner not in ("?", "dict"):
                return f"the list of parameters holds {pytrees.article(inner)}, not dicts", ""
        names = [str(k) for item in items or () if isinstance(c := m.cell(item), Mapping_) for k, _ in c.items]
        twice = next((n for n in names if names.count(n) > 1), None)
        return None if twice is None else (f"`{twice}` is in two of the dicts", "keep it in one")
    if not isinstance(cell, Mapping_):
        return None
    wrong = next((k for _, v in cell.items if (k := kind_of(m, v)) not in ("?", "tensor", "None")), None)
    if wrong is not None:
        return f"the dict holds {pytrees.article(wrong)}, not tensors", ""
    if strict and cell.rest is None and (own := names_of(m, module)) is not None:
        keys = {str(k) for k, _ in cell.items}
        lists = [f"{what} {', '.join(f'`{n}`' for n in sorted(some))}" for what, some in
                 (("no", keys - own), ("missing", own - keys)) if some]  # fmt: skip
        if keys - own:
            return f"strict=True, and the module has {lists[0]}", "use the names of `named_parameters()`"
        if own - keys:
            return f"strict=True, and the dict lacks {lists[0].removeprefix('missing ')}", "pass all, or strict=False"
    return None


def names_of(m: Machine, module: Value, prefix: str = "", depth: int = 0) -> set[str] | None:
    """The names of all parameters and buffers; None if they are not all known."""
    cell = m.cell(module)
    if not isinstance(module, Ref) or not module_tree.tree(m, module).complete or depth > 8:
        return None
    if isinstance(cell, Layer) and cell.children is None:
        return None
    if isinstance(cell, Instance) and modules.open_ended(cell.cls):
        return None
    spec = layers.layer(cell.kind) if isinstance(cell, Layer) else None
    if spec is not None and spec.buffers:
        return None
    found: set[str] = set()
    for name in m.state.names(module.addresses[0]):
        value = m.state.get((module.addresses[0], name))
        if name.startswith("*"):
            return None
        held = m.cell(value) if value is not None else None
        if isinstance(held, Tensor):
            if held.parameter:
                found.add(prefix + name)
            elif isinstance(cell, Instance):
                return None  # a buffer, or not
        elif modules.is_module(m, value or UNKNOWN):
            inner = names_of(m, value or UNKNOWN, f"{prefix}{name}.", depth + 1)
            if inner is None:
                return None
            found |= inner
    return found


def _run(m: Machine, module: Value, given: Value, args: Args, node: cst.CSTNode) -> Value:
    """The module runs with its own parameters, for their shapes; what comes out hangs on those that are given."""
    handed = list(_handed(m, given))
    own = module_tree.parameters(m, module)
    before = dict(m.tensors(own))
    buffers = not all(t.parameter for _, t in handed if t.made != "state_dict")
    if buffers:
        m.buffers_given += 1
    mode = m.mode
    m.set_mode(Mode(MAYBE, mode.inference, mode.why) if mode.grad.yes else mode)
    try:
        result = calls.call(m, module, args, node)
    finally:
        m.set_mode(mode)
        m.buffers_given -= buffers
    complete = len(before) > 0 and bool(handed) and _all_given(m, given)
    inputs = [p for value in args.values() for item in pytrees.leaves(m, value) for p in m.tensors(item)]
    seen = all(kind_of(m, item) != "?" for value in args.values() for item in pytrees.leaves(m, value))
    grad: Truth = NO
    for _, tensor in (*handed, *inputs):
        grad = grad | tensor.grad
    if not (complete and seen) or not all(t.grad.no for t in before.values()):
        grad = grad | MAYBE  # what is not given is the module's own
    return pytrees.copied(m, result, lambda _, t: _made(m, t, grad, [*handed, *inputs], node))


def _made(m: Machine, tensor: Tensor, grad: Truth, of: list[tuple[int, Tensor]], node: cst.CSTNode) -> Ref:
    grad = NO if tensor.dtype in ("int", "bool") else grad & m.mode.grad
    graph, why = None, None
    if grad.no:
        lost: Cause | None = next((t.why for _, t in of if t.why is not None and t.why.loss is not None), None)
        why = lost or next((t.why for _, t in of if t.why is not None), None)
        if tensor.why is not None and tensor.why.kind in ("op", "cut") and not tensor.grad.yes:
            why = tensor.why
    else:
        edges = tuple(m.edge(a, t)._replace(sure=False) for a, t in of if not t.grad.no)
        graph = m.graph_node(Node(CALL, edges, (), node, True))
        if tensor.grad.no and tensor.why is not None and tensor.why.kind in ("cut", "mode", "op", "scalar"):
            grad = MAYBE  # the forward itself cuts
    batched = tensor.batched.union(*(t.batched for _, t in of))
    return m.tensor(grad=grad, leaf=~grad, shape=tensor.shape, dtype=tensor.dtype, node=graph, why=why, batched=batched)


def _handed(m: Machine, given: Value) -> Iterator[tuple[int, Tensor]]:
    """The tensors of the dict or dicts."""
    for item in pytrees.leaves(m, given):
        cell = m.cell(item)
        if isinstance(cell, Mapping_):
            for value in [*(v for _, v in cell.items), *([cell.rest] if cell.rest is not None else [])]:
                yield from m.tensors(value)
        else:
            yield from m.tensors(item)


def _all_given(m: Machine, given: Value) -> bool:
    """Are the values all tensors, in a dict that was made of whatever the module has?"""
    cell = m.cell(given)
    return isinstance(cell, Mapping_) and cell.rest is not None and not cell.items and m.is_tensor(cell.rest)


# stack_module_state


@model(STACK)
def _stack(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    models = args.get(0, "models") or UNKNOWN
    items = iteration.exact(m, models)
    cell = m.cell(models)
    if modules.is_module(m, models) and not (isinstance(cell, Layer) and cell.kind.endswith("ModuleList")):
        refuse(m, node, STACK, "it is handed one module, not a list of them", "pass a list of modules")
        return UNKNOWN
    if items is not None:
        problem = _unlike(m, items)
        if problem:
            refuse(m, node, STACK, *problem)
            return UNKNOWN
    found = items if items is not None else [iteration.element(m, models)]
    grad: Truth | None = None
    for item in found:
        for _, tensor in m.tensors(module_tree.parameters(m, item)) if modules.is_module(m, item) else ():
            grad = tensor.grad if grad is None else grad.join(tensor.grad)
    stacked = m.tensor(grad=MAYBE if grad is None else grad, leaf=YES, dtype="float", parameter=True)
    return Tuple((m.new(Mapping_((), stacked)), m.new(Mapping_((), UNKNOWN))))


def _unlike(m: Machine, items: list[Value]) -> tuple[str, str] | None:
    """Why these modules cannot be stacked, and what to do."""
    if not items:
        return "it is handed no module at all", ""
    if not all(modules.is_module(m, item) for item in items):
        return None
    refs = [item for item in items if isinstance(item, Ref)]
    if len({_class(m, item) for item in refs}) > 1:
        return "the modules are not all of one class", ""
    modes = {modules.training(m, item.addresses[0]) for item in refs}
    if {Const(True), Const(False)} <= modes:
        return "some modules are in training mode and some are not", "call `train()` or `eval()` on all of them"
    each = [[t for _, t in m.tensors(module_tree.parameters(m, item))] for item in refs]
    for column in zip(*each, strict=False) if len({len(e) for e in each}) == 1 else ():
        if {YES, NO} <= {t.grad for t in column}:
            return "a parameter requires grad in some modules and not in others", "freeze it in all or in none"
        if len({t.shape for t in column if t.shape is not None and None not in t.shape}) > 1:
            return "a parameter has another shape in some modules than in others", ""
    return None


def _class(m: Machine, item: Ref) -> object:
    cell = m.cell(item)
    return cell.kind if isinstance(cell, Layer) else cell.cls if isinstance(cell, Instance) else None
