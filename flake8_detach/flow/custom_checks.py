"""What torch refuses in `forward` of an autograd.Function: its class, outputs, and marks on `ctx`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, custom, tensors
from flake8_detach.flow.custom_ctx import (
    SAVED_AT,
    find_method,
    kind_of,
    misuse,
    switch,
    tell,
)
from flake8_detach.flow.values import (
    YES,
    Cause,
    Function,
    Ref,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def refused(m: Machine, call: custom.Call, forward: Function, setup: bool, args: calls.Args) -> bool:
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


def check_class(m: Machine, call: custom.Call) -> None:
    """Methods that exclude each other."""
    vjp, vmap = find_method(m, call.cls, "vjp"), find_method(m, call.cls, "vmap")
    if vjp is not None and find_method(m, call.cls, "backward") is not None:
        call.broken.append(misuse(m, vjp.definition.name, "backward and vjp", call.cls.name, call.used))
    if vmap is not None and switch(m, call.cls, "generate_vmap_rule"):
        tell(m, vmap.definition.name, "vmap twice", call.cls, YES)


def takes_all(m: Machine, call: custom.Call, backward: Function, outputs: list[Value]) -> bool:
    """Does `backward` take `ctx` and a gradient for each output?"""
    params = backward.definition.params
    plain = (*params.posonly_params, *params.params)
    ended = isinstance(params.star_arg, cst.Param) or params.star_kwarg is not None or params.kwonly_params
    bound = bool(set(backward.wrappers) - {"builtins.staticmethod"})
    if ended or bound or not call.applied or not all(m.is_tensor(value) for value in outputs):
        return True
    least, count = sum(p.default is None for p in plain), len(outputs) + 1
    if least <= count <= len(plain) or isinstance(backward.definition, cst.Lambda):
        return True
    given = "one gradient" if len(outputs) == 1 else f"{len(outputs)} gradients"
    taken = ", ".join(p.name.value for p in plain)
    what = f"({taken})` is handed `ctx` and {given}"
    call.broken.append(misuse(m, backward.definition.name, "backward arguments", call.cls.name, call.used, what))
    return False


def check_output(m: Machine, call: custom.Call, place: cst.CSTNode, value: Value) -> None:
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


def marked(m: Machine, call: custom.Call, slot: str) -> tuple[int, ...] | None:
    """The addresses that were marked dirty, or non-differentiable; None: not known."""
    marked = m.state.get((call.ctx, slot))
    if not isinstance(marked, Tuple) or not all(m.is_tensor(v) for v in marked.items):
        return None
    return tuple(a for v in marked.items if isinstance(v, Ref) for a in v.addresses)


def why(m: Machine, call: custom.Call) -> Cause | None:
    """Why the outputs have no graph, if they have none."""
    if not call.wanted.no:
        return tensors.mode_cause(m, call.node, "", call.wanted) if m.mode.grad.no else None
    hidden = tensors.gather(m, {n: v for n, v in zip(call.names, call.inputs, strict=True) if not m.is_tensor(v)})
    if hidden.grad().yes:
        what = f"computed by `{call.cls.name}.apply`, which does not see tensors inside of a list or dict"
        return m.cause("cut", what, call.node, "", hidden.grad())
    return tensors.gather(m, dict(zip(call.names, call.inputs, strict=True))).why()


def explain_container(m: Machine, call: custom.Call, value: Value) -> None:
    for address, tensor, _ in tensors.gather(m, {"": value}).tensors:
        if tensor.grad.no and not call.used.no:
            what = f"returned by `{call.cls.name}` in a container, where it gets no graph"
            m.change(address, why=m.cause("cut", what, call.node, "", call.used))


def check_writes(m: Machine, call: custom.Call, dirty: tuple[int, ...], outputs: list[Value]) -> None:
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


def check_returned_inputs(m: Machine, call: custom.Call, outputs: list[Value], dirty: tuple[int, ...]) -> None:
    """With `setup_context`, an input that is returned as it is cannot be saved: it is another tensor afterwards."""
    saved, at = m.state.get((call.ctx, "saved_tensors")), m.state.get((call.ctx, SAVED_AT))
    if not isinstance(saved, Tuple) or at is None or find_method(m, call.cls, "setup_context") is None:
        return
    for address, _, name in call.given(m):
        same = Ref((address,))
        if address not in dirty and same in outputs and same in saved.items and call.used.yes:
            tell(m, call.place(at), "saved as returned", call.cls, call.used, name, at)
