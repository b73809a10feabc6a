"""Methods of `nn.Module`, its containers, and `super()`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    casts,
    hidden,
    iteration,
    layer_calls,
    legacy,
    membership,
    methods,
    missing,
    module_groups,
    module_hooks,
    module_tree,
    modules,
    optimizers,
    parameters,
    phases,
    registration,
    snapshots,
    tensor_methods,
    training,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.machine import fact
from flake8_detach.flow.slots import CELL, RESET
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    SOME,
    UNKNOWN,
    YES,
    Const,
    Function,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Super,
    Tuple,
    Value,
    truth,
)
from flake8_detach.knowledge import layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def of_module(m: Machine, node: cst.CSTNode, receiver: Ref, name: str, args: Args) -> Value:
    """A method that nn.Module defines."""
    address = receiver.addresses[0]
    cell = m.state.cell(address)
    if missing.keywords(m, node, f"Module.{name}", args):
        return UNKNOWN
    legacy.called(m, node, f"Module.{name}", args)
    if name in ("parameters", "named_parameters"):
        m.ledger.asked[address] = cell.kind if isinstance(cell, Layer) else getattr(cell, "cls", None)
        deep = fact(args.get(0 if name == "parameters" else 1, "recurse"), True)
        found = module_tree.parameters(m, receiver) if deep.yes else module_tree.parameters(m, receiver, hidden=False)
        names = tuple(module_tree.tree(m, receiver).names)
        if name == "named_parameters":
            m.ledger.named.append((m.frame.id, receiver))
        if deep is NO:
            own = [(a, n) for a, n in zip(found.addresses, names, strict=False) if n is not None and "." not in n]
            found, names = replace(found, addresses=tuple(a for a, _ in own)), tuple(n for _, n in own)
        if name == "parameters":
            return module_tree.each(m, found)
        named = m.new(Sequence("generator", None, Tuple((Scalar("str"), found)), each=True, filled=YES))
        m.state.set((named.addresses[0], iteration.NAMES), names)
        return named
    if name in ("children", "modules", "named_children", "named_modules"):
        return _submodules(m, receiver, name)
    if name == "get_submodule":
        return _below(m, receiver, args.get(0, "target"))
    if name in ("train", "eval"):
        modules.set_training(m, receiver, args.get(0, "mode") or Const(True) if name == "train" else Const(False))
        return receiver
    if name in (
        "to",
        "cuda",
        "cpu",
        "float",
        "double",
        "half",
        "bfloat16",
        "type",
        "share_memory",
        "to_empty",
    ):
        snapshots.moved(m)
        if not m.mode.inference.no:  # what is converted there are inference tensors, what is not stays what it was
            for a, t in m.tensors(module_tree.parameters(m, receiver)):
                m.change(a, inference=MAYBE, grad=t.grad & MAYBE)
                for gradient, _ in m.tensors(m.state.get((a, "grad"), NONE)):
                    m.change(gradient, inference=MAYBE)
            for _, _, a, _ in module_tree.buffers(m, receiver):
                m.change(a, inference=MAYBE)
        if name in ("to", "type", "to_empty", "double", "half", "bfloat16"):
            for a, _ in m.tensors(module_tree.parameters(m, receiver)):
                m.refine(a, made="", precision=SOME)  # they are not known to be float32 any more
        if name not in ("cpu", "share_memory"):
            for a, _ in m.tensors(module_tree.parameters(m, receiver)):
                m.state.set((a, RESET), m.state.address())
        dtype = casts.float_dtype(name, args)
        if dtype is not None:
            module_tree.converted(m, receiver, dtype)
        return receiver
    if name in snapshots.HOOKING:
        snapshots.hooked(m)
    if name == "requires_grad_":
        asked = args.get(0, "requires_grad")
        flag = YES if asked is None else truth(bool(asked.value)) if isinstance(asked, Const) else None
        found = module_tree.parameters(m, receiver)
        for a, t in m.tensors(found):
            autograd.require(m, node, a, t, flag, m.text(node), "`.requires_grad_(False)`", found.some)
        return receiver
    if name == "__delattr__" and args.pos and isinstance(args.pos[0], Const):
        m.state.set((address, str(args.pos[0].value)), UNKNOWN)
        return NONE
    if name == "zero_grad":
        why = m.cause("constant", "cleared by `zero_grad()`", node)
        to_none = fact(args.get(0, "set_to_none"), None if args.open else True)
        autograd.clear(m, module_tree.parameters(m, receiver).addresses, to_none, why)
        return NONE
    if name in ("register_buffer", "register_parameter", "add_module", "register_module"):
        key, value = (
            args.get(0, "name"),
            args.get(1, {"register_buffer": "tensor", "register_parameter": "param"}.get(name, "module")),
        )
        registration.registers(m, address, name, key, value, node)
        if isinstance(value, Ref):
            m.ledger.registered.update(value.addresses)
        if value is not None:
            if not isinstance(cell, Layer) and module_groups.name_one(m, address, key, value):
                return NONE
            slot = f"*registered {len(m.state.names(address))}"
            if isinstance(key, Const) and isinstance(key.value, str):
                slot = key.value
            if name != "register_buffer":
                training.exchanged(m, address, m.state.get((address, slot)), value, node)
            m.state.put(address, slot, value)
            if name == "register_buffer":
                membership.buffered(m, address, slot, value, node)
            elif (address, module_tree.BUFFER + slot) in m.state.slots:
                m.state.set((address, module_tree.BUFFER + slot), NO)
            if isinstance(cell, Layer) and not isinstance(key, Const):
                module_groups.grow(m, address, cell, value)
                return NONE
            if isinstance(cell, Layer) and cell.children is not None and slot not in cell.children:
                m.state.set((address, CELL), replace(cell, children=(*cell.children, slot)))
        return NONE
    if name.startswith("register_") and "hook" in name:
        followed = module_hooks.register(m, node, receiver, name, args)
        if followed is not None:
            return followed
        if "forward" in name:
            m.state.set((address, "*hooked"), YES)
        escape(m, args.values())
        return UNKNOWN
    if name == "apply":
        from flake8_detach.flow import calls

        function = args.get(0, "fn")
        found_modules = module_tree.tree(m, receiver).modules
        if isinstance(function, Function) and len(found_modules) <= 40:
            for a in reversed(found_modules):
                calls.call(m, function, Args([Ref((a,))]), node)
        else:
            escape(m, [receiver])
        return receiver
    if name in ("append", "extend", "insert", "update", "pop", "keys", "values", "items"):
        return _of_container(m, node, receiver, name, args)
    if name == "state_dict" and ("keep_vars" in args.kw or args.open):
        return UNKNOWN
    if name == "state_dict":
        of = m.tensors(module_tree.parameters(m, receiver))  # one value stands for those of all
        lost = YES if any(t.grad.yes for _, t in of) else MAYBE
        why = m.cause("cut", "detached by `state_dict()`", node, m.text(methods.receiver_node(node)), lost, None, of)
        snapshots.taken(m, node, of)
        return m.new(Mapping_((), m.tensor(grad=NO, leaf=YES, why=why, made="state_dict"), "OrderedDict"))
    if name in ("load_state_dict", "extra_repr", "get_buffer", "buffers", "named_buffers", "type"):
        if name == "load_state_dict":
            missing.initialised(m, receiver)
            if "assign" not in args.kw and len(args.pos) < 3 and not args.open:
                snapshots.restored(m, node, receiver, args.get(0, "state_dict") or UNKNOWN, m.text(node))
            else:
                snapshots.moved(m)
            given = hidden.tensors_in(m, args.get(0, "state_dict") or UNKNOWN)
            hidden.dropped(m, node, "`load_state_dict()`", given, m.text(node))
            filled = {t.storage for _, t in m.tensors(module_tree.parameters(m, receiver))}
            m.steered |= filled
            m.ledger.loaded |= filled
        return UNKNOWN
    if name == "forward" and isinstance(cell, Layer):
        return layer_calls.call_layer(m, receiver, cell, args, node)
    loop = phases.loop_of(getattr(cell, "cls", None))
    if loop is not None and name == loop.manual and args.pos:
        rest = Args([], args.kw, args.open)
        tensor_methods.backward(m, node, args.pos[0], args.node(0, "loss", node), rest, m.text(node))
        return NONE
    if loop is not None and name in loop.notes:
        return NONE
    if isinstance(cell, Layer) and not layers.layer(cell.kind):
        escape(m, [receiver, *args.values()])
    escape(m, args.values())
    return UNKNOWN


def _submodules(m: Machine, receiver: Ref, name: str) -> Value:
    if name in ("modules", "named_modules"):
        found = module_tree.tree(m, receiver)
        items: list[Value] = [Ref((a,)) for a in found.modules]
        if name == "named_modules":
            items = [Tuple((_key(path), v)) for path, v in zip(found.paths, items, strict=True)]
        complete = found.complete and found.counted
        m.ledger.toured.append((m.frame.id, receiver))
    else:
        children = dict.fromkeys(module_tree.children(m, receiver.addresses[0]))  # each once, as in torch
        items = [v for v in children if modules.is_module(m, v)]
        complete = module_tree.tree(m, receiver).complete and module_groups.told_apart(m, receiver.addresses[0])
    if name == "named_children":
        address = receiver.addresses[0]
        named = {m.state.get((address, n)): n for n in reversed(m.state.names(address))}
        items = [Tuple((_key(named.get(v)), v)) for v in items]
    if not complete:
        return m.new(Sequence("generator", None, UNKNOWN))
    return m.new(Sequence("generator", tuple(items), filled=truth(bool(items))))


def _below(m: Machine, receiver: Ref, path: Value | None) -> Value:
    """The module that is registered under that path, as `"stage.0"`, below another."""
    found: Value = receiver
    for name in path.value.split(".") if isinstance(path, Const) and path.value else ():
        if not isinstance(found, Ref) or len(found.addresses) != 1 or name.startswith("*"):
            return UNKNOWN
        found = m.state.get((found.addresses[0], name), UNKNOWN)
        if not modules.is_module(m, found):
            return UNKNOWN
    return found if isinstance(path, Const) else UNKNOWN


def _key(name: str | None) -> Value:
    """The name under which a module is registered; None: it is not known."""
    return Scalar("str") if name is None or name[:1] == "*" else Const(name)


def _of_container(m: Machine, node: cst.CSTNode, receiver: Ref, name: str, args: Args) -> Value:
    """ModuleList, ModuleDict, Sequential, ParameterList as containers."""
    address = receiver.addresses[0]
    cell = m.state.cell(address)
    if not isinstance(cell, Layer):
        m.state.set((address, "*open"), YES)
        escape(m, args.values())
        return UNKNOWN
    if name == "append" and args.pos and (cell.children is None or module_groups.growing(m, address)):
        one_more = parameters.held(m, cell.kind, args.pos[0], node)
        training.exchanged(m, address, None, one_more, node)
        module_groups.grow(m, address, cell, one_more)
        return receiver
    if cell.children is None and name in ("values", "items"):
        one: Value = m.state.get((address, module_groups.ELEMENT), UNKNOWN)
        one = one if name == "values" or one == UNKNOWN else Tuple((Scalar("str"), one))
        return m.new(Sequence("iterable", None, one, filled=iteration.filled(m, receiver)))
    if cell.children is None:
        if name in ("extend", "insert", "update"):
            module_groups.forget(m, address, cell)
        return receiver if name == "extend" else UNKNOWN
    if name in ("keys", "values", "items"):
        pairs = [(Const(c), m.state.get((address, c), UNKNOWN)) for c in cell.children]
        chosen: list[Value] = [k if name == "keys" else v if name == "values" else Tuple((k, v)) for k, v in pairs]
        return m.new(Sequence("iterable", tuple(chosen), filled=truth(bool(chosen))))
    added = (
        [args.pos[0]]
        if name == "append" and args.pos
        else iteration.exact(m, args.pos[0])
        if name == "extend" and args.pos
        else None
    )
    if added is None:
        m.state.set((address, CELL), replace(cell, children=None))
        return UNKNOWN
    names = list(cell.children)
    for value in added:
        key = str(len(names))
        one_more = parameters.held(m, cell.kind, value, node)
        training.exchanged(m, address, None, one_more, node)
        m.state.put(address, key, one_more)
        names.append(key)
    m.state.set((address, CELL), replace(cell, children=tuple(names)))
    return receiver


def of_super(m: Machine, node: cst.CSTNode, receiver: Super, name: str, args: Args) -> Value:
    """`super().name(...)` where the base is not of the file."""
    instance = receiver.instance
    cell = m.cell(instance)
    if not isinstance(cell, Instance) or not isinstance(instance, Ref):
        escape(m, args.values())
        return UNKNOWN
    if name == "__init__":
        modules.initialise(m, instance, cell.cls, args, node)
        return NONE
    if name == "forward":
        base = modules.base_layer(cell.cls)
        if base is not None:
            layer = layer_calls.as_layer(m, instance.addresses[0], base)
            return layer_calls.call_layer(m, instance, layer, args, node)
    if name == "__setattr__" and len(args.pos) == 2 and isinstance(args.pos[0], Const):
        m.state.put(instance.addresses[0], str(args.pos[0].value), args.pos[1])
        return NONE
    if modules.is_module(m, instance):
        return of_module(m, node, instance, name, args)
    if modules.is_optimizer(m, instance):
        return optimizers.call(m, node, instance, name, args)
    escape(m, [instance, *args.values()])
    return UNKNOWN
