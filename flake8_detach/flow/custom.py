"""Subclasses of torch.autograd.Function in the file: `Fn.apply(...)` runs their forward, and looks at their backward.

`forward` runs with grad mode off; then its outputs get a graph node of their own. What is true of that node (facts of
torch 2.13, torch/csrc/autograd/python_function.cpp and custom_function.cpp):

- only tensors that are arguments themselves count as inputs, not those inside of a list or dict; and only outputs that
  are returned by themselves or in a tuple get the node;
- what `save_for_backward` was given is checked for later writes and freed, but only where backward reads
  `ctx.saved_tensors`; an attribute of `ctx` is neither;
- an input that is returned as it is becomes a view, unless it was marked dirty.

When `apply` is called nobody knows when, or whether, `backward` will run. So it is run at once, for what it returns and
for what the rules find inside, and what it changes counts as something that may have happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import (
    calls,
    custom_backward,
    custom_broken,
    custom_checks,
    functions,
    modules,
    origins,
    tensors,
    writes,
)
from flake8_detach.flow.custom_ctx import (
    CONTEXT,
    DIRTY,
    FLAT,
    INSTANCE,
    find_method,
    is_function,
    kind_of,
    misuse,
    switch,
    tell,
)
from flake8_detach.flow.events import CustomMisuse, GradientsReturned
from flake8_detach.flow.slots import Version
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_NO,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Cause,
    Class,
    Const,
    Cut,
    Edge,
    Function,
    Method,
    Mode,
    Node,
    Ref,
    Scalar,
    Sequence,
    Source,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@dataclass
class Call:
    """One `apply`. inputs: what counts as an input of the node, in the order of forward's parameters; exact: are these
    all? wanted: does any require grad? used: do they, and is grad mode on?
    broken: what backward will find wrong. returned: where backward returns, and what."""

    cls: Class
    node: cst.CSTNode
    ctx: int
    inputs: list[Value]
    names: list[str]
    exact: bool
    applied: bool
    wanted: Truth = NO
    used: Truth = NO
    edges: list[Edge] = field(default_factory=list)
    versions: dict[int, Version] = field(default_factory=dict)
    broken: list[CustomMisuse | GradientsReturned] = field(default_factory=list)
    returned: list[tuple[cst.CSTNode, Value]] = field(default_factory=list)

    def place(self, inside: cst.CSTNode) -> cst.CSTNode:
        """Where torch raises for what `forward` does at `inside`: in `apply`, if the file calls it."""
        return self.node if self.applied else inside

    def given(self, m: Machine) -> Iterator[tuple[int, Tensor, str]]:
        """The tensors among the inputs that are one certain tensor."""
        for value, name in zip(self.inputs, self.names, strict=True):
            cell = m.cell(value)
            if isinstance(cell, Tensor) and isinstance(value, Ref):
                yield value.addresses[0], cell, name


def call_method(m: Machine, cls: Class, name: str, args: calls.Args, node: cst.CSTNode) -> Value:
    """A method of the class that torch.autograd.Function defines: above all `apply`."""
    if name != "apply":
        calls.escape(m, args.values())
        return UNKNOWN
    forward = find_method(m, cls, "forward")
    if forward is None:
        if modules.find(m, cls, "forward") == Method(cls, "forward"):
            m.raises()
            tell(m, node, "no forward", cls, YES)
        calls.escape(m, args.values())
        return UNKNOWN
    return _apply(m, cls, forward, args, node, applied=True)


def _apply(m: Machine, cls: Class, forward: Function, args: calls.Args, node: cst.CSTNode, applied: bool) -> Value:
    mode = m.mode
    setup = find_method(m, cls, "setup_context")
    if setup is None and m.levels and not lacks(m, cls):
        tell(m, node, "no setup_context", cls, YES)
    call = _call(m, cls, forward, setup is not None, args, node, applied)
    ctx = Ref((call.ctx,))
    if (
        applied
        and any(t.dual for _, t, _ in call.given(m))
        and find_method(m, cls, "jvp") is None
        and not lacks(m, cls)
    ):
        tell(m, node, "no jvp", cls, YES)
    if applied and custom_checks.refused(m, call, forward, setup is not None, args):
        return UNKNOWN
    custom_checks.check_class(m, call)
    why = m.cause("mode", f"computed in `{cls.name}.forward`, where grad mode is off", forward.definition)
    m.set_mode(Mode(NO, mode.inference, why))
    head: list[Value] = [] if setup is not None else [ctx]
    result = functions.call(
        m,
        forward,
        calls.Args([*head, *args.pos], dict(args.kw), args.open),
        node,
        lambda place, value: custom_checks.check_output(m, call, place, value),
    )
    if setup is not None:
        functions.call(m, setup, calls.Args([ctx, _tuple(m, call), result]), node)
    m.set_mode(mode)
    return _outputs(m, call, result)


def _call(
    m: Machine, cls: Class, forward: Function, setup: bool, args: calls.Args, node: cst.CSTNode, applied: bool
) -> Call:
    """Line the arguments up with the parameters of forward: that is the order of the gradients."""
    skipped = (0 if setup else 1) + ("builtins.classmethod" in forward.wrappers)
    params = forward.definition.params
    names = [p.name.value for p in (*params.posonly_params, *params.params)][skipped:]
    inputs, keywords = list(args.pos), dict(args.kw)
    labels = [names[i] if i < len(names) else f"input {i + 1}" for i in range(len(inputs))]
    for name in [*names[len(inputs) :], *list(keywords)]:
        if name in keywords:
            inputs.append(keywords.pop(name))
            labels.append(name)
    made = m.new(Thing(CONTEXT))
    call = Call(cls, node, made.addresses[0], inputs, labels, not args.open, applied)
    call.wanted = MAYBE if args.open else NO
    for value in inputs:
        call.wanted = call.wanted | requires(m, value)
    if not applied:
        call.wanted = PRESUMED_YES
    call.used = call.wanted & m.mode.grad
    for address, tensor, _ in call.given(m):
        if not tensor.grad.no:
            call.edges.append(m.edge(address, tensor))
        if tensor.storage:
            call.versions[tensor.storage] = m.version(tensor.storage)
    needs = tuple(_flag(requires(m, value) & m.mode.grad) for value in inputs)
    m.state.put(call.ctx, "needs_input_grad", Tuple(needs) if call.exact and applied else UNKNOWN)
    m.state.put(call.ctx, "saved_tensors", Tuple(()))
    m.state.set((call.ctx, DIRTY), Tuple(()))
    m.state.set((call.ctx, FLAT), Tuple(()))
    return call


def _flag(grad: Truth) -> Value:
    return Const(grad is YES) if grad.proved else Scalar("bool")


def _tuple(m: Machine, call: Call) -> Value:
    return Tuple(tuple(call.inputs)) if call.exact else m.new(Sequence("tuple"))


def requires(m: Machine, value: Value) -> Truth:
    """Does it count as an input that requires grad? What is inside of a list does not count."""
    if isinstance(value, Ref) and m.is_tensor(value):
        facts = [t.grad for _, t in m.tensors(value)]
        result = facts[0]
        for other in facts[1:]:
            result = result.join(other)
        return result
    if value == tensors.BATCH:
        return PRESUMED_NO
    return NO if kind_of(m, value) not in ("?", "tensor") else MAYBE


def _outputs(m: Machine, call: Call, result: Value) -> Value:
    """Give what forward returned its graph node."""
    values: list[Value] = list(result.items) if isinstance(result, Tuple) else [result]
    dirty, flat = custom_checks.marked(m, call, DIRTY), custom_checks.marked(m, call, FLAT)
    known = dirty is not None and flat is not None and call.ctx not in m.escaped
    inputs = {address: tensor for address, tensor, _ in call.given(m)}
    if known and dirty is not None:
        custom_checks.check_writes(m, call, dirty, values)
    number = None
    if not call.used.no:
        open_ = not call.exact or any(kind_of(m, v) == "?" for v in call.inputs)
        cuts = _taken_from_elsewhere(m, call, values)
        node = Node(call.cls.name, tuple(dict.fromkeys(call.edges)), (), call.node, open_, cuts=cuts)
        number = m.graph_node(node)
    custom_checks.check_returned_inputs(m, call, values, dirty or ())
    made = [_output(m, call, value, number, inputs, dirty or (), flat or (), known) for value in values]
    if number is not None:
        custom_backward.finish(m, call, number, made, known)
        for event in call.broken:
            custom_broken.hold(m, number if call.applied else None, event)
    return Tuple(tuple(made), result.names) if isinstance(result, Tuple) else made[0]


def _taken_from_elsewhere(m: Machine, call: Call, outputs: list[Value]) -> tuple[Cut, ...]:
    """What forward takes from elsewhere than its arguments, such as the weight of a module, gets no gradient."""
    given = {m.edge(a, t)[:2] for value in call.inputs for a, t in m.tensors(value)}
    rest: dict[Edge, None] = {}
    for _, tensor in (pair for value in outputs for pair in m.tensors(value)):
        if tensor.grad.no and tensor.why is not None:
            rest.update((e, None) for e in origins.edges(tensor.why.origin) if e[:2] not in given)
    if not rest:
        return ()
    m.cuts = True
    what = f"computed in `{call.cls.name}.forward` with what is no argument of it"
    return (Cut(Cause("mode", what, call.node, m.text(call.node), YES, source=Source(tuple(rest))), False),)


def _output(
    m: Machine,
    call: Call,
    value: Value,
    number: int | None,
    inputs: dict[int, Tensor],
    dirty: tuple[int, ...],
    flat: tuple[int, ...],
    known: bool,
) -> Value:
    cell = m.cell(value)
    if not isinstance(value, Ref) or not isinstance(cell, Tensor):
        custom_checks.explain_container(m, call, value)
        return value
    address = value.addresses[0]
    if address in flat or cell.dtype in ("int", "bool"):
        return value
    grad = call.used if cell.dtype is not None else call.used.presumed()
    if not known:
        grad = grad & MAYBE
    facts: dict[str, Any] = {
        "grad": grad,
        "leaf": ~grad,
        "node": None if grad.no else number,
        "why": custom_checks.why(m, call),
    }
    if address in inputs and address not in dirty:
        return m.tensor(
            shape=cell.shape,
            dtype=cell.dtype,
            storage=cell.storage,
            view="custom",
            base=address,
            made=f"{call.cls.name}.apply",
            inference=cell.inference,
            **facts,
        )
    if address in inputs:
        writes.tell_write(m, call.node, value, m.text(call.node))
        if cell.leaf.yes and cell.grad.yes and m.mode.grad.yes:
            return value  # torch raises: a leaf that requires grad
    elif cell.view not in ("", "maybe"):
        facts["view"] = "custom"
    m.change(address, made=f"{call.cls.name}.apply", **facts)
    return value


def instance(m: Machine, cls: Class, args: calls.Args, node: cst.CSTNode) -> Value:
    """`Fn(...)`: a warning by itself, and an error when it is called."""
    calls.escape(m, args.values())
    made = m.new(Thing(INSTANCE, (("class", cls),)))
    if find_method(m, cls, "__init__") is None and find_method(m, cls, "__call__") is None and not m.quiet:
        event = misuse(m, node, "instance", cls.name, YES)
        m.afterwards.ask(lambda reached: None if id(node) in m.called_instances else m.sink(event))
        m.state.set((made.addresses[0], "*made"), node)
    return made


def call_instance(m: Machine, value: Ref, cell: Thing, args: calls.Args, node: cst.CSTNode) -> Value:
    """`Fn()(x)`."""
    cls = cell.part("class")
    if isinstance(cls, Class) and find_method(m, cls, "__call__") is None:
        m.raises()
        m.called_instances.add(id(m.state.get((value.addresses[0], "*made"))))
        tell(m, node, "instance called", cls, YES)
    calls.escape(m, args.values())
    return UNKNOWN


def called_directly(m: Machine, function: Function, args: calls.Args, node: cst.CSTNode) -> Value:
    """`Fn.forward(ctx, x)`: plain operations, of which autograd knows the derivative; `backward` is never asked."""
    cls = function.owner
    inside = any(f.owner is not None and is_function(f.owner) for f in m.frames)
    result = functions.call(m, function, args, node)
    if cls is None or inside or m.quiet or not m.mode.grad.yes or find_method(m, cls, "backward") is None:
        return result
    for _, tensor in m.tensors(result):
        if tensor.node is not None and tensor.grad.yes:
            m.afterwards.ask(
                custom_backward.unless_unused(m, tensor.node, misuse(m, node, "forward called", cls.name, tensor.grad))
            )
    return result


def apply_of_nothing(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    """`torch.autograd.Function.apply(x)`: the base class has no forward."""
    m.raises()
    m.emit(CustomMisuse, node, kind="no forward", function="Function", what="", used=YES, at=None)
    calls.escape(m, args.values())
    return UNKNOWN


def transformed(m: Machine, transform: str, given: Value, node: cst.CSTNode) -> None:
    """`torch.func.vmap(Fn.apply)`: is the class made for that?"""
    if isinstance(given, Method) and given.name == "apply" and isinstance(given.receiver, Class):
        cls = given.receiver
        if is_function(cls) and find_method(m, cls, "forward") is not None:
            kind = _unfit(m, cls, transform.rpartition(".")[2])
            if kind:
                tell(m, node, kind, cls, YES)


def _unfit(m: Machine, cls: Class, transform: str) -> str:
    """What the class lacks for this transform."""
    if modules.find(m, cls, "setup_context") == Method(cls, "setup_context"):
        return "no setup_context"
    lacking = {name: modules.find(m, cls, name) == Method(cls, name) for name in ("jvp", "vmap")}
    if transform in ("jvp", "jacfwd") and lacking["jvp"]:
        return "no jvp"
    if transform == "vmap" and lacking["vmap"] and not switch(m, cls, "generate_vmap_rule"):
        return "no vmap"
    return ""


def uncalled(m: Machine, cls: Class, called: set[int]) -> None:
    """A class whose `apply` nobody in the file calls: with unknown arguments, some of which require grad."""
    mark = m.state.mark()
    mode = m.mode
    functions.presume_grad_mode(m)
    forward = find_method(m, cls, "forward")
    if forward is not None and id(forward.definition) not in called and not lacks(m, cls):
        least, most = custom_backward.arity(m, cls)
        unknown: list[Value] = [UNKNOWN] * (most if most < 10**6 else least)
        _apply(m, cls, forward, calls.Args(unknown, {}, most >= 10**6), cls.definition, applied=False)
    for name in m.state.names(cls.frame):
        method = m.state.get((cls.frame, name))
        if (
            isinstance(method, Function)
            and id(method.definition) not in m.contexts
            and id(method.definition) not in called
        ):
            functions.run_unknown(m, method, None)
    m.set_mode(mode)
    m.state.undo(mark)


def lacks(m: Machine, cls: Class) -> bool:
    """Has the class surely no backward? A decorator that is not known makes it a value that is not known."""
    return all(modules.find(m, cls, name) == Method(cls, name) for name in ("backward", "vjp"))
