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

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import calls, functions, modules, tensors
from flake8_detach.flow.afterwards import Reached
from flake8_detach.flow.custom_ctx import (
    CONTEXT,
    DIRTY,
    FLAT,
    INSTANCE,
    LATE,
    PUT,
    RAW,
    READ,
    SAVED_AT,
    find_method,
    is_function,
    kind_of,
    misuse,
    switch,
    tell,
)
from flake8_detach.flow.events import CustomMisuse, GradientsReturned, Item
from flake8_detach.flow.machine import MAX_CONTEXTS, MODE
from flake8_detach.flow.second_order import APPLIED, Applied
from flake8_detach.flow.state import Version
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
    Edge,
    Function,
    Method,
    Mode,
    Node,
    Ref,
    Saved,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

# Calling


@dataclass
class _Call:
    """One `apply`. inputs: what counts as an input of the node, in the order of forward's parameters; exact: are these
    all? wanted: does any require grad? used: do they, and is grad mode on?"""

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
    if setup is None and m.levels and not _lacks(m, cls):
        tell(m, node, "no setup_context", cls, YES)
    call = _call(m, cls, forward, setup is not None, args, node, applied)
    ctx = Ref((call.ctx,))
    if (
        applied
        and any(t.dual for _, t, _ in call.given(m))
        and find_method(m, cls, "jvp") is None
        and not _lacks(m, cls)
    ):
        tell(m, node, "no jvp", cls, YES)
    if applied and _refused(m, call, forward, setup is not None, args):
        return UNKNOWN
    _check_class(m, call)
    why = m.cause("mode", f"computed in `{cls.name}.forward`, where grad mode is off", forward.definition)
    m.set_mode(Mode(NO, mode.inference, why))
    head: list[Value] = [] if setup is not None else [ctx]
    result = functions.call(
        m,
        forward,
        calls.Args([*head, *args.pos], dict(args.kw), args.open),
        node,
        lambda place, value: _check_output(m, call, place, value),
    )
    if setup is not None:
        functions.call(m, setup, calls.Args([ctx, _tuple(m, call), result]), node)
    m.set_mode(mode)
    return _outputs(m, call, result)


def _call(
    m: Machine, cls: Class, forward: Function, setup: bool, args: calls.Args, node: cst.CSTNode, applied: bool
) -> _Call:
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
    call = _Call(cls, node, made.addresses[0], inputs, labels, not args.open, applied)
    call.wanted = MAYBE if args.open else NO
    for value in inputs:
        call.wanted = call.wanted | _requires(m, value)
    if not applied:
        call.wanted = PRESUMED_YES
    call.used = call.wanted & m.mode.grad
    for address, tensor, _ in call.given(m):
        if not tensor.grad.no:
            call.edges.append(m.edge(address, tensor))
        if tensor.storage:
            call.versions[tensor.storage] = m.version(tensor.storage)
    needs = tuple(_flag(_requires(m, value) & m.mode.grad) for value in inputs)
    m.state.put(call.ctx, "needs_input_grad", Tuple(needs) if call.exact and applied else UNKNOWN)
    m.state.put(call.ctx, "saved_tensors", Tuple(()))
    m.state.set((call.ctx, DIRTY), Tuple(()))
    m.state.set((call.ctx, FLAT), Tuple(()))
    return call


def _flag(grad: Truth) -> Value:
    return Const(grad is YES) if grad.proved else Scalar("bool")


def _tuple(m: Machine, call: _Call) -> Value:
    return Tuple(tuple(call.inputs)) if call.exact else m.new(Sequence("tuple"))


def _requires(m: Machine, value: Value) -> Truth:
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


# What is wrong before anything runs


def _refused(m: Machine, call: _Call, forward: Function, setup: bool, args: calls.Args) -> bool:
    """Can forward not take these arguments?"""
    params = forward.definition.params
    plain = (*params.posonly_params, *params.params)
    own = "builtins.classmethod" in forward.wrappers
    least = sum(p.default is None for p in plain) - own
    most = len(plain) - own
    count = len(call.inputs) + (not setup)
    if args.open or isinstance(params.star_arg, cst.Param) or params.star_kwarg is not None or params.kwonly_params:
        return False
    if least <= count <= most:
        return False
    m.raises()
    m.contexts.setdefault(id(forward.definition), 1)  # it is told already
    kind = "ctx with setup_context" if setup and count == least - 1 else "arguments"
    tell(m, call.node, kind, call.cls, YES, f"{count} given, {least if count < least else most} taken")
    calls.escape(m, args.values())
    return True


def _check_class(m: Machine, call: _Call) -> None:
    """Methods that exclude each other."""
    vjp, vmap = find_method(m, call.cls, "vjp"), find_method(m, call.cls, "vmap")
    if vjp is not None and find_method(m, call.cls, "backward") is not None:
        tell(m, vjp.definition.name, "backward and vjp", call.cls, call.used)
    if vmap is not None and switch(m, call.cls, "generate_vmap_rule"):
        tell(m, vmap.definition.name, "vmap twice", call.cls, YES)


# Outputs


def _check_output(m: Machine, call: _Call, place: cst.CSTNode, value: Value) -> None:
    """Something that forward returns, in which torch sees no tensor."""
    kind = kind_of(m, value)
    backward = find_method(m, call.cls, "backward") or find_method(m, call.cls, "vjp")
    if backward is None or not call.used.yes:
        return
    inner = tensors.gather(m, {"": value})
    if kind in ("list", "dict"):
        if any(t.dtype not in ("int", "bool") for _, t, _ in inner.tensors):
            tell(m, place, "container out", call.cls, call.used, kind)
    elif call.applied and kind in ("float", "int", "number", "bool", "complex"):
        tell(m, place, "number out", call.cls, call.used, kind)
    elif call.applied and kind == "None" and isinstance(place, cst.Name):
        tell(m, place, "nothing out", call.cls, call.used)


def _outputs(m: Machine, call: _Call, result: Value) -> Value:
    """Give what forward returned its graph node."""
    values: list[Value] = list(result.items) if isinstance(result, Tuple) else [result]
    dirty, flat = _marked(m, call, DIRTY), _marked(m, call, FLAT)
    known = dirty is not None and flat is not None and call.ctx not in m.escaped
    inputs = {address: tensor for address, tensor, _ in call.given(m)}
    if known and dirty is not None:
        _check_writes(m, call, dirty, values)
    number = None
    if not call.used.no:
        open_ = not call.exact or any(kind_of(m, v) == "?" for v in call.inputs)
        node = Node(call.cls.name, tuple(dict.fromkeys(call.edges)), (), call.node, open_)
        number = m.graph_node(node)
    _check_returned_inputs(m, call, values, dirty or ())
    made = [_output(m, call, value, number, inputs, dirty or (), flat or (), known) for value in values]
    if number is not None:
        _finish(m, call, number, made, known)
    return Tuple(tuple(made), result.names) if isinstance(result, Tuple) else made[0]


def _marked(m: Machine, call: _Call, slot: str) -> tuple[int, ...] | None:
    """The addresses that were marked dirty, or non-differentiable; None: not known."""
    marked = m.state.get((call.ctx, slot))
    if not isinstance(marked, Tuple) or not all(m.is_tensor(v) for v in marked.items):
        return None
    return tuple(a for v in marked.items if isinstance(v, Ref) for a in v.addresses)


def _output(
    m: Machine,
    call: _Call,
    value: Value,
    number: int | None,
    inputs: dict[int, Tensor],
    dirty: tuple[int, ...],
    flat: tuple[int, ...],
    known: bool,
) -> Value:
    cell = m.cell(value)
    if not isinstance(value, Ref) or not isinstance(cell, Tensor):
        _explain_container(m, call, value)
        return value
    address = value.addresses[0]
    if address in flat or cell.dtype in ("int", "bool"):
        return value
    grad = call.used if cell.dtype is not None else call.used.presumed()
    if not known:
        grad = grad & MAYBE
    facts: dict[str, Any] = {"grad": grad, "leaf": ~grad, "node": None if grad.no else number, "why": _why(m, call)}
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
        tensors.tell_write(m, call.node, value, m.text(call.node))
        if cell.leaf.yes and cell.grad.yes and m.mode.grad.yes:
            return value  # torch raises: a leaf that requires grad
    elif cell.view:
        facts["view"] = "custom"
    m.change(address, made=f"{call.cls.name}.apply", **facts)
    return value


def _why(m: Machine, call: _Call) -> Cause | None:
    """Why the outputs have no graph, if they have none."""
    if not call.wanted.no:
        return tensors.mode_cause(m, call.node, "", call.wanted) if m.mode.grad.no else None
    hidden = tensors.gather(m, {n: v for n, v in zip(call.names, call.inputs, strict=True) if not m.is_tensor(v)})
    if hidden.grad().yes:
        what = f"computed by `{call.cls.name}.apply`, which does not see tensors inside of a list or dict"
        return m.cause("cut", what, call.node, "", hidden.grad())
    return tensors.gather(m, dict(zip(call.names, call.inputs, strict=True))).why()


def _explain_container(m: Machine, call: _Call, value: Value) -> None:
    for address, tensor, _ in tensors.gather(m, {"": value}).tensors:
        if tensor.grad.no and not call.used.no:
            what = f"returned by `{call.cls.name}` in a container, where it gets no graph"
            m.change(address, why=m.cause("cut", what, call.node, "", call.used))


def _check_writes(m: Machine, call: _Call, dirty: tuple[int, ...], outputs: list[Value]) -> None:
    """Inputs that forward has written in place have to be marked, and returned."""
    returned = {a for v in outputs if isinstance(v, Ref) for a in v.addresses}
    unknown = any(kind_of(m, v) == "?" for v in outputs)
    for address, tensor, name in call.given(m):
        written = m.written_since(tensor.storage, call.versions.get(tensor.storage, ()))
        if address in dirty:
            if address not in returned and not unknown:
                tell(m, call.node, "dirty not returned", call.cls, YES, name)
        elif written and tensor.grad.yes and tensor.leaf.no and m.mode.grad.yes:
            at = m.state.get((tensor.storage, "written at"))
            tell(m, at or call.node, "not marked dirty", call.cls, tensor.grad, name)


def _check_returned_inputs(m: Machine, call: _Call, outputs: list[Value], dirty: tuple[int, ...]) -> None:
    """With `setup_context`, an input that is returned as it is cannot be saved: it is another tensor afterwards."""
    saved, at = m.state.get((call.ctx, "saved_tensors")), m.state.get((call.ctx, SAVED_AT))
    if not isinstance(saved, Tuple) or at is None or find_method(m, call.cls, "setup_context") is None:
        return
    for address, _, name in call.given(m):
        same = Ref((address,))
        if address not in dirty and same in outputs and same in saved.items and call.used.yes:
            tell(m, at, "saved as returned", call.cls, call.used, name)


def _finish(m: Machine, call: _Call, number: int, outputs: list[Value], known: bool) -> None:
    """What the node saves, once it is known what backward reads."""
    saved = m.state.get((call.ctx, "saved_tensors"))
    at = m.state.get((call.ctx, SAVED_AT))
    if known and isinstance(saved, Tuple) and at is not None:
        for value in saved.items:
            if kind_of(m, value) not in ("tensor", "None", "?") and not call.used.no:
                tell(m, at, "saved no tensor", call.cls, call.used, kind_of(m, value))
                m.state.put(call.ctx, "saved_tensors", UNKNOWN)
    kept = _kept(m, call, outputs)
    read, opens = _backward(m, call, outputs)
    roles = {address: name for address, _, name in call.given(m)}
    node = m.state.graph[number]
    if known and isinstance(saved, Tuple) and read("saved_tensors"):
        pairs = [(roles.get(a, "result"), t) for v in saved.items for a, t in m.tensors(v)]
        node = replace(node, saved=tuple(m.save(t, role, call.node) for role, t in pairs))
    node = replace(node, kept=tuple(s for s in kept if read(s.role)), open=node.open or opens)
    if _lacks(m, call.cls):
        node = replace(node, derivative="raises")
    m.state.graph[number] = node
    if known and not opens:
        m.state.set((number, APPLIED), Applied(call.cls, call.ctx, tuple(outputs), call.node))


def _kept(m: Machine, call: _Call, outputs: list[Value]) -> list[Saved]:
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


# Backward


def _backward(m: Machine, call: _Call, outputs: list[Value]) -> tuple[Callable[[str], bool], bool]:
    """Run backward as if it were called now. Returns what it surely reads of `ctx`, and whether it may reach tensors
    that are no inputs (it runs a backward of its own, or writes gradients)."""
    backward = find_method(m, call.cls, "backward") or find_method(m, call.cls, "vjp")
    if backward is None or m.contexts.get(id(backward.definition), 0) > MAX_CONTEXTS // 2:
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


def _check_gradients(m: Machine, call: _Call, place: cst.CSTNode, value: Value) -> None:
    """Tell the rules what backward returns."""
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
        least, most = _arity(m, call.cls)
    m.emit(
        GradientsReturned,
        place,
        function=call.cls.name,
        least=least,
        most=most,
        inputs=tuple(
            Item(kind_of(m, v) if call.applied else "?", _requires(m, v), n)
            for v, n in zip(call.inputs, call.names, strict=True)
        )
        if call.exact
        else (),
        gradients=tuple(Item(kind_of(m, v), MAYBE, "") for v in gradients),
        implicit=isinstance(place, cst.Name),
        used=call.used,
        applied=call.node if call.applied else None,
    )


def _arity(m: Machine, cls: Class) -> tuple[int, int]:
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


# Other ways to call


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
            m.afterwards.ask(_unless_unused(m, tensor.node, misuse(m, node, "forward called", cls.name, tensor.grad)))
    return result


def apply_of_nothing(m: Machine, args: calls.Args, node: cst.CSTNode) -> Value:
    """`torch.autograd.Function.apply(x)`: the base class has no forward."""
    m.raises()
    m.emit(CustomMisuse, node, kind="no forward", function="Function", what="", used=YES, at=None)
    calls.escape(m, args.values())
    return UNKNOWN


def _unless_unused(m: Machine, number: int, event: CustomMisuse) -> Callable[[Reached], None]:
    return lambda reached: m.sink(event) if reached.inside(number) else None


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
    if forward is not None and id(forward.definition) not in called and not _lacks(m, cls):
        least, most = _arity(m, cls)
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
    m.state.rollback(mark)


def _lacks(m: Machine, cls: Class) -> bool:
    """Has the class surely no backward? A decorator that is not known makes it a value that is not known."""
    return all(modules.find(m, cls, name) == Method(cls, name) for name in ("backward", "vjp"))


__all__ = ["call_method", "is_function", "uncalled"]
