"""What a module keeps without registering it: layers in a plain list, computed parameters, layers made in forward,
attributes of its class; and what it registers as a buffer, though it is to be trained.

Each place that may be one is noted when it is run. When the part of the file that it belongs to has been followed, what
it holds is looked at; and at the end of the file it is told, unless somebody else registers or optimizes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import by_hand, closures, module_groups, module_tree, modules
from flake8_detach.flow.afterwards import below
from flake8_detach.flow.events import Unregistered
from flake8_detach.flow.hidden import WRITTEN
from flake8_detach.flow.ledger import Hidden, Holding
from flake8_detach.flow.machine import OPEN
from flake8_detach.flow.slots import CELL, RESET
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    YES,
    Class,
    Const,
    Function,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

MOVED = "*moved"
"""Slot of the result of a move that may be the very same tensor: MAYBE where it may not."""
NEST = 3
"""How deep containers within containers are looked into."""
CLASS_OVERRIDES = ("__init_subclass__", "__new__")
"""Methods by which a class may register for its objects what its subclasses declare."""
OVERRIDES = ("parameters", "named_parameters", "modules", "named_modules", "children", "_apply", "__setattr__")
"""Methods by which a class may find by itself what it keeps."""


def kept(m: Machine, address: int, name: str, value: Value, node: cst.CSTNode) -> None:
    """`module.name = value`."""
    if (address, module_tree.BUFFER + name) in m.state.slots:  # a Parameter takes the place of the buffer
        m.state.set((address, module_tree.BUFFER + name), NO)
    if isinstance(value, Ref):
        m.ledger.registered.update(value.addresses)
    cell = m.cell(value)
    container = isinstance(value, Tuple) or isinstance(cell, (Sequence, Mapping_))
    loose = isinstance(cell, Tensor) and not cell.parameter and not cell.grad.no
    container = container or (isinstance(value, Function) and value.scope[:1] == (m.frame.id,))  # with its variables
    container = container or (isinstance(cell, Instance) and not modules.is_module(m, value))
    if loose and isinstance(value, Ref):
        m.ledger.tensors.setdefault((address, name), set()).update(value.addresses)
    if (container or loose) and not m.quiet and _in_method(m):
        single = isinstance(cell, Sequence) and cell.items is not None and len(cell.items) == 1
        single = single or (isinstance(value, Tuple) and len(value.items) == 1)
        _note(m, Holding(address, name, node, _moment(m, node), single=single))


def declared(m: Machine, cls: Class) -> None:
    """The body of a class has been run: which of its attributes hold what only an object can register?"""
    if m.quiet or not modules.is_module_class(cls) or not isinstance(cls.definition, cst.ClassDef):
        return
    if cls.definition.keywords or any(isinstance(modules.find(m, cls, name), Function) for name in CLASS_OVERRIDES):
        return  # who writes a metaclass may register what the class declares
    lines = [line for line in cls.definition.body.body if isinstance(line, cst.SimpleStatementLine)]
    for statement in (part for line in lines for part in line.body):
        if not isinstance(statement, (cst.Assign, cst.AnnAssign)) or statement.value is None:
            continue
        targets = [t.target for t in statement.targets] if isinstance(statement, cst.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, cst.Name) and _inside(m, m.state.get((cls.frame, target.value), UNKNOWN), 0):
                m.ledger.declared[cls.frame, target.value] = _moment(m, target)


def created(m: Machine, address: int, cls: Class) -> None:
    """An object of a module class: what its class declares is none of its own."""
    if m.ledger.declared and not m.quiet:
        for owner in modules.lineage(cls):
            for (frame, name), event in m.ledger.declared.items():
                if frame == owner.frame:
                    m.ledger.holdings.append(Holding(address, name, event.node, event, owner=owner))


def buffered(m: Machine, address: int, name: str, value: Value, node: cst.CSTNode) -> None:
    """`module.register_buffer(name, value)`: not among the parameters, even if it is a Parameter."""
    m.state.set((address, module_tree.BUFFER + name), YES)
    cell = m.cell(value)
    if isinstance(cell, Tensor) and not cell.grad.no and not m.quiet:
        _note(m, Holding(address, name, node, _moment(m, node), buffer=True))


def made(m: Machine, value: Value, node: cst.CSTNode) -> None:
    """A layer with parameters, or a Parameter, is made. In a forward?"""
    if isinstance(value, Ref) and not m.quiet and _in_method(m) and (name := _forward(m)):
        subject = m.text(node.func) if isinstance(node, cst.Call) else name
        _note(m, Holding(0, str(subject), node, _moment(m, node), made=value.addresses[0]))


def _note(m: Machine, holding: Holding) -> None:
    m.ledger.holdings.append(holding)
    m.ledger.watched.add((holding.module, holding.name))


def _moment(m: Machine, node: cst.CSTNode) -> Unregistered:
    """The event of this moment; what it tells of is filled in when it is known."""
    return m.event(Unregistered, node, what="", container="", subject="", how="", moved=YES, seen=YES)


def _in_method(m: Machine) -> bool:
    """Is it a method of a module that is being run, of a class that has a constructor or forward of its own?"""
    owner = m.frame.owner
    if owner is None or not modules.is_module_class(owner):
        return False
    return any((owner.frame, name) in m.state.slots for name in ("__init__", "forward"))


def in_forward(m: Machine) -> bool:
    """Is a forward of a module of the file being run, and no constructor that it calls?"""
    return bool(_forward(m))


def _forward(m: Machine) -> str:
    """The name of the class whose forward is being run; "" if none is, or if a constructor is, called by it."""
    for frame in reversed(m.frames):
        function = frame.function
        if function is None:
            continue
        if function.name in ("__init__", "setup", "build"):
            return ""
        if function.name == "forward" and function.owner is not None and modules.is_module_class(function.owner):
            return function.owner.name
    return ""


def read(m: Machine, address: int, name: str) -> None:
    """`module.name` is read."""
    if (address, name) in m.ledger.watched and m.mode.grad.yes and _forward(m):
        m.ledger.read.add((address, name))


def settle(m: Machine, since: int = 0) -> None:
    """The part of the file that made the objects from address `since` on has been followed: what do they keep?"""
    rest = []
    for holding in m.ledger.holdings:
        if (holding.made or holding.module) < since:
            rest.append(holding)
        elif holding.made:
            _made_in_forward(m, holding)
        elif holding.owner is not None:
            _of_the_class(m, holding)
        elif (holding.module, holding.name) in m.state.slots:
            _kept(m, holding)
    m.ledger.holdings = rest


def _made_in_forward(m: Machine, holding: Holding) -> None:
    reference = Ref((holding.made,))
    if (holding.made, CELL) not in m.state.slots:
        return  # made on trial only, see watching.py
    cell = m.cell(reference)
    if holding.made in m.ledger.registered or cell is None or holding.made in m.escaped:
        return
    leaves = _trainable(m, module_tree.tree(m, reference).parameters)
    if leaves and _kind(cell) is not None:
        _hide(m, holding, leaves, frozenset({_kind(cell)}), "call", "", "", holding.name, YES, True)


def _kept(m: Machine, holding: Holding) -> None:
    address = holding.module
    instance = Ref((address,))
    owner = m.cell(instance)
    if not isinstance(owner, Instance) or not modules.is_module_class(owner.cls) or (address, OPEN) in m.state.slots:
        return
    if _registers(m, instance):
        m.ledger.excused.add(id(holding.node))
        return
    held: Value = m.state.get((address, holding.name))
    cell = m.cell(held)
    below = module_tree.tree(m, instance)
    own = frozenset(below.parameters)
    if holding.buffer:
        _buffer(m, holding, held, own)
        return
    if isinstance(cell, Tensor) and isinstance(held, Ref):
        _tensor(m, holding, held.addresses[0], cell, own)
        return
    inside = [r for r in _inside(m, held, 0) if r.addresses[0] >= address and r.addresses[0] not in m.escaped]
    found = [r for r in inside if r != instance] if isinstance(held, Function) else inside  # a method-like lambda
    if not found or (holding.single and len(found) < 2 and _length(m, held) == 1):
        return  # `self.teacher = [teacher]` hides it on purpose
    seen = own.union(below.modules, m.ledger.registered)
    if any(r.addresses[0] in seen for r in found) or (
        isinstance(held, Ref) and held.addresses[0] in m.ledger.contained
    ):
        m.ledger.excused.add(id(holding.node))
        return
    kind = (
        "dict" if isinstance(cell, Mapping_) else "tuple" if isinstance(held, Tuple) else getattr(cell, "kind", "list")
    )
    kind = "function" if isinstance(held, Function) else cell.cls.name if isinstance(cell, Instance) else kind
    if isinstance(cell, Instance) and not own & m.ledger.optimized:
        return  # nobody is seen to train the module; what it holds need not be trained either
    layers = [r for r in found if modules.is_module(m, r)]
    addresses = [a for r in layers for a in module_tree.tree(m, r).parameters if not _evaluating(m, r)]
    if layers:
        kinds = frozenset(_kind(m.cell(r)) for r in layers)
        what = "modules" if all(modules.is_module(m, r) for r in _first(m, held)) else "objects"
        what = "object" if isinstance(cell, Instance) else what
        _hide(m, holding, _trainable(m, addresses), kinds, what, kind, "", f"self.{holding.name}", YES, bool(own))
        return
    for reference in found:
        tensor = m.cell(reference)
        if isinstance(tensor, Tensor) and tensor.parameter and tensor.grad.yes:
            leaves = _trainable(m, [r.addresses[0] for r in found])
            what = "object" if isinstance(cell, Instance) else "parameters"
            _hide(m, holding, leaves, frozenset(), what, kind, "", f"self.{holding.name}", YES, bool(own))
            return
        if isinstance(cell, Instance):
            continue
        if isinstance(tensor, Tensor) and _tensor(m, holding, reference.addresses[0], tensor, own, kind):
            return


def _registers(m: Machine, instance: Ref) -> bool:
    """May the module register, or list as its own, what it does not spell?"""
    address = instance.addresses[0]
    by_hand = any(name.startswith(("*registered", module_groups.NAMED)) for name in m.state.names(address))
    overridden = any(isinstance(modules.find(m, instance, name), Function) for name in OVERRIDES)
    return by_hand or overridden or bool(m.state.get((address, "*open"))) or address in m.escaped


def _of_the_class(m: Machine, holding: Holding) -> None:
    """What the class of a module declares, for one of its objects."""
    address, instance = holding.module, Ref((holding.module,))
    own_name = (address, holding.name) in m.state.slots
    if own_name or (address, OPEN) in m.state.slots or _registers(m, instance):
        m.ledger.excused.add(id(holding.node))
        return
    assert isinstance(holding.owner, Class)
    held: Value = m.state.get((holding.owner.frame, holding.name), UNKNOWN)
    found = [r for r in _inside(m, held, 0) if not _evaluating(m, r)]
    trees = [module_tree.tree(m, r) for r in found]
    listed = module_tree.tree(m, instance)
    hidden_one = len(found) == 1 and not isinstance(held, Ref)  # `teacher = (net,)`
    seen = {a for r in found for a in r.addresses} & {*listed.parameters, *listed.modules, *m.ledger.registered}
    if hidden_one or seen or not listed.complete or not all(t.complete for t in trees):
        m.ledger.excused.add(id(holding.node))
        return
    leaves = _trainable(m, [a for t in trees for a in t.parameters])
    _ask(m, holding, leaves, frozenset(listed.parameters), "declared", f"{holding.owner.name}.{holding.name}")


def _buffer(m: Machine, holding: Holding, held: Value, own: frozenset[int]) -> None:
    """A buffer that requires grad."""
    cell = m.cell(held)
    if m.state.get((holding.module, module_tree.BUFFER + holding.name)) is not YES or not isinstance(cell, Tensor):
        m.ledger.excused.add(id(holding.node))
    elif isinstance(held, Ref) and cell.leaf is YES and cell.grad is YES:
        _ask(m, holding, held.addresses, own - {*held.addresses}, "buffer", f"self.{holding.name}")


def _ask(m: Machine, holding: Holding, leaves: tuple[int, ...], own: frozenset[int], what: str, subject: str) -> None:
    """Do backwards reach these leaves, while an optimizer has what the module lists, and nobody else touches them?"""
    storages = {t.storage for _, t in m.tensors(Ref(leaves))}

    def answer(reached: Reached) -> None:
        by_hand = not leaves or not m.wanted.isdisjoint(leaves) or not m.escaped.isdisjoint(leaves)
        if by_hand or m.ledger.unseen_owned or not storages.isdisjoint(m.steered):
            m.ledger.excused.add(id(holding.node))
        elif own & m.ledger.optimized and any(map(reached.trained, leaves)) and not reached.unclear:
            _hide(m, holding, leaves, frozenset(), what, "", "", subject, YES, True)

    m.afterwards.ask_last(answer)


def _tensor(
    m: Machine, holding: Holding, address: int, tensor: Tensor, own: frozenset[int], container: str = ""
) -> bool:
    """A tensor attribute that is no Parameter; True if it is one that trains."""
    if address < holding.module:
        return False
    if tensor.leaf is YES and tensor.grad is YES and not tensor.parameter:
        if not (own & m.ledger.optimized or _listed(m, holding.module)):
            return False
        _hide(m, holding, (address,), frozenset(), "tensor", container, "", f"self.{holding.name}", YES, True)
        return True
    moved: Truth = YES if tensor.leaf.no else m.state.get((address, MOVED)) or Truth.NO
    if tensor.node is None or moved.no or tensor.grad.no:
        return False
    leaves = _leaves(m, tensor.node)
    if not leaves or any(a < holding.module or a in own or a in m.ledger.registered for a in leaves):
        return False
    if not all(isinstance(c := m.cell(Ref((a,))), Tensor) and c.parameter for a in leaves):
        return False
    _hide(m, holding, leaves, frozenset(), "computed", container, tensor.made, f"self.{holding.name}", moved, True)
    return True


def _listed(m: Machine, address: int) -> bool:
    """Was a module, which may have no Parameter at all, asked for its parameters while there is an optimizer, or is it
    part of one whose parameters an optimizer has?"""
    if address in m.ledger.asked:
        return bool(m.ledger.optimized)
    trees = (module_tree.tree(m, Ref((root,))) for root in sorted(m.ledger.asked) if m.ledger.optimized)
    return any(address in t.modules and not m.ledger.optimized.isdisjoint(t.parameters) for t in trees)


def _leaves(m: Machine, start: int) -> tuple[int, ...]:
    """The leaves that a short graph ends in; () if it is long."""
    found: list[int] = []
    todo, steps = [start], 0
    while todo:
        steps += 1
        if steps > 12:
            return ()
        for edge in m.state.graph[todo.pop()].edges:
            if edge.node is not None:
                todo.append(edge.node)
            elif edge.leaf is not None:
                found.append(edge.leaf)
    return tuple(dict.fromkeys(found))


def _hide(
    m: Machine,
    holding: Holding,
    leaves: tuple[int, ...],
    kinds: frozenset[object],
    what: str,
    container: str,
    how: str,
    subject: str,
    moved: Truth,
    owned: bool,
) -> None:
    if leaves:
        event = replace(holding.event, what=what, container=container, how=how, subject=subject, moved=moved)
        m.ledger.hidden.append(Hidden(holding, leaves, kinds, event, owned))


def tell(m: Machine) -> None:
    """The end of the file: tell what is used with a gradient, and what nobody registers or optimizes otherwise."""
    if not m.ledger.hidden:
        return
    used = {e.leaf for node in m.state.graph.values() for e in node.edges if e.leaf is not None and e.sure}
    begun = m.afterwards.started | m.afterwards.aimed | m.afterwards.given
    reached = below(m.state.graph, begun)[1] if begun and not m.afterwards.blind else used
    asked = {kind for address, kind in m.ledger.asked.items() if address not in m.ledger.registered}
    told = []
    for hidden in m.ledger.hidden:
        holding, what = hidden.holding, hidden.event.what
        by_hand = not asked.isdisjoint(hidden.kinds) or not m.owned.isdisjoint(hidden.leaves)
        by_hand = by_hand or (what in ("tensor", "parameters", "object") and m.ledger.unseen_owned)
        wanted = what in ("tensor", "computed") and _looked_at(m, hidden)
        wanted = wanted or (what == "object" and _stepped(m, hidden.leaves))
        if by_hand or wanted:
            m.ledger.excused.add(id(holding.node))
        # an object may hold on purpose what is only looked at, as the target of a random network
        trains = not (reached if what == "object" else used).isdisjoint(hidden.leaves)
        if what in ("computed", "declared", "buffer"):
            trains = True
        elif what not in ("call", "object"):  # an object may well switch grad mode off itself
            trains = trains or (holding.module, holding.name) in m.ledger.read
        if trains:
            told.append(hidden)
    for hidden in told:
        if id(hidden.holding.node) not in m.ledger.excused:
            m.sink(hidden.event)


def _looked_at(m: Machine, hidden: Hidden) -> bool:
    """Does somebody read the gradient of one of the leaves, or of what the attribute has held before or in another run
    of the code?"""
    held = m.ledger.tensors.get((hidden.holding.module, hidden.holding.name), set())
    leaves = {*hidden.leaves, *held}
    return not m.wanted.isdisjoint(leaves) or not m.births.of(m.wanted).isdisjoint(m.births.of(leaves))


def stepped_by_hand(m: Machine, leaves: Iterable[int]) -> bool:
    """Does somebody read the gradient of one of them, and write to it, or give it to who may?"""
    found = m.tensors(Ref(tuple(m.wanted.intersection(leaves))))
    written = any(
        m.version(t.storage) != (t.storage,) or m.state.get((t.storage, WRITTEN)) is not None for _, t in found
    )
    handed = {leaf for _, t in m.tensors(Ref(tuple(m.escaped))) for leaf in by_hand.behind(t)} if found else set()
    if written or not m.ledger.loaded.isdisjoint(t.storage for _, t in found):
        return True
    return any(a in handed or m.state.get((a, RESET)) is not None for a, _ in found)


def _stepped(m: Machine, leaves: tuple[int, ...]) -> bool:
    """The same, or does somebody set the gradient of one?"""
    found = m.tensors(Ref(tuple(m.wanted.intersection(leaves))))
    return stepped_by_hand(m, leaves) or any(t.storage in m.steered for _, t in found)


def _trainable(m: Machine, addresses: list[int]) -> tuple[int, ...]:
    return tuple(a for a in addresses if isinstance(t := m.state.cell(a), Tensor) and t.grad.yes)


def _evaluating(m: Machine, layer: Ref) -> bool:
    return bool(m.state.get((layer.addresses[0], modules.TRAINING)) == Const(False))


def _kind(cell: object) -> object:
    return cell.kind if isinstance(cell, Layer) else cell.cls if isinstance(cell, Instance) else "parameter"


def _length(m: Machine, value: Value) -> int | None:
    cell = m.cell(value)
    items = value.items if isinstance(value, Tuple) else cell.items if isinstance(cell, Sequence) else None
    return None if items is None else len(items)


def _inside(m: Machine, value: Value, depth: int) -> list[Ref]:
    """The modules and tensors in a container, also in nested ones."""
    if depth > NEST:
        return []
    cell = m.cell(value)
    if isinstance(value, Tuple):
        items = list(value.items)
    elif isinstance(cell, Sequence):
        items = list(cell.items) if cell.items is not None else [cell.element]
    elif isinstance(cell, Mapping_):
        items = [v for _, v in cell.items] + ([cell.rest] if cell.rest is not None else [])
    elif isinstance(value, Ref) and len(value.addresses) > 1:
        items = [Ref((a,)) for a in value.addresses]
    elif isinstance(cell, Instance) and isinstance(value, Ref) and not modules.is_module(m, value):
        items = [m.state.get((value.addresses[0], name), UNKNOWN) for name in m.state.names(value.addresses[0])]
    elif isinstance(value, Function):
        items = _captured(m, value)
    else:
        known = isinstance(value, Ref) and (isinstance(cell, Tensor) or modules.is_module(m, value))
        return [value] if known and isinstance(value, Ref) else []
    return [r for item in items for r in _inside(m, item, depth + 1)]


def _first(m: Machine, held: Value) -> list[Value]:
    """What a container holds, without what is in that."""
    cell = m.cell(held)
    if isinstance(held, Tuple):
        return list(held.items)
    if isinstance(cell, Sequence):
        return [cell.element] if cell.items is None else list(cell.items)
    return list(cell.held) if isinstance(cell, Mapping_) else []


def _captured(m: Machine, function: Function) -> list[Value]:
    """The layers that a function uses which are variables of the one that it stands in."""
    frame = function.scope[0]
    found = [m.state.get((frame, name), UNKNOWN) for name in sorted(closures.caught(function.definition))]
    return [value for value in found if modules.is_module(m, value)]


__all__ = ["MAYBE", "buffered", "created", "declared", "kept", "made", "read", "settle", "stepped_by_hand", "tell"]
