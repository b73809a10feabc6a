"""Calls of the standard library and of progress bars, and context managers that leave grad mode alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import containers, iteration, module_tree, tensors
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.copies import tell_copy
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    Const,
    External,
    Mapping_,
    Partial,
    Ref,
    Scalar,
    Sequence,
    Thing,
    Tuple,
    Value,
    truth,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@model("importlib.import_module", "builtins.__import__")
def _import_module(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    name = args.get(0, "name")
    return External(name.value) if isinstance(name, Const) and isinstance(name.value, str) else External("?")


@model("functools.partial")
def _partial(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if not args.pos or args.open:
        escape(m, args.values())
        return UNKNOWN
    return Partial(args.pos[0], tuple(args.pos[1:]), tuple(args.kw.items()))


@model("itertools.chain", "itertools.chain.from_iterable")
def _chain(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    parts = list(args.pos)
    if len(parts) == 1 and args.called.endswith("from_iterable"):
        parts = iteration.exact(m, parts[0]) or []
        if not parts:
            return UNKNOWN
    addresses: list[int] = []
    for part in parts:
        inner = module_tree.parameters_in(m, part)
        if inner is None:
            known = [iteration.exact(m, p) for p in parts]
            if all(k is not None for k in known):
                items = tuple(v for k in known for v in k or ())
                return m.new(Sequence("generator", items, filled=truth(bool(items))))
            return m.new(Sequence("generator"))
        addresses.extend(a for a in inner if a not in addresses)
    for part in parts:
        iteration.consume(m, part)
    return module_tree.each(m, Ref(tuple(addresses)))


@model("collections.deque", "queue.Queue", "collections.defaultdict", "collections.OrderedDict")
def _collections(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    name = args.called
    if name.endswith("OrderedDict"):
        return m.new(containers.mapping(m, args, "OrderedDict"))
    if name.endswith("defaultdict"):
        alone = len(args.pos) == 1 and not args.kw and not args.open
        return m.new(Mapping_((), None, default=args.pos[0]) if alone else Mapping_((), UNKNOWN))
    items = iteration.exact(m, args.pos[0]) if args.pos and name.endswith("deque") else []
    made = m.new(Sequence("deque", tuple(items) if items is not None else None, filled=MAYBE if args.pos else NO))
    if name.endswith("deque") and (len(args.pos) > 1 or args.kw.get("maxlen", NONE) != NONE or args.open):
        m.retention.bounded.update(made.addresses)
    return made


SENDERS = (
    "multiprocessing.SimpleQueue",
    "torch.multiprocessing.SimpleQueue",
    # its thread pickles: the error is printed there and the item never arrives
    "multiprocessing.Queue",
    "torch.multiprocessing.Queue",
)


@model(*SENDERS)
def _process_queue(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing("multiprocessing.SimpleQueue"))


@model("multiprocessing.Pipe", "torch.multiprocessing.Pipe")
def _pipe(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return Tuple((m.new(Thing("multiprocessing.Connection")), m.new(Thing("multiprocessing.Connection"))))


@model("multiprocessing.get_context", "torch.multiprocessing.get_context")
def _context(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """It has what the package has."""
    return External("torch.multiprocessing")


@model("multiprocessing.Pool", "torch.multiprocessing.Pool", "multiprocessing.pool.Pool")
def _pool(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing("multiprocessing.Pool"))


@model("multiprocessing.reduction.ForkingPickler.dumps")
def _forking_pickler(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    send(m, args, node, _handed_over(m, args.nodes.get(0)))
    return UNKNOWN


def _handed_over(m: Machine, node: cst.CSTNode | None) -> bool:
    """Is it a parameter of the function that is being run?"""
    function = m.frame.function
    if not isinstance(node, cst.Name) or function is None or m.frame.call is None:
        return False
    return any(p.name.value == node.value for p in function.definition.params.params)


def send(m: Machine, args: Args, node: cst.CSTNode, handed: bool = False, at: int = 0, name: str = "obj") -> None:
    """A message to another process; torch refuses to pickle a tensor that carries a graph for it. at, name: which
    argument is sent."""
    inputs = tensors.Inputs()
    message = args.get(at, name)
    for value in args.values() if message is None else [message]:
        inputs.add(m, value, "message")
    if m.is_patched("multiprocessing.reduction"):
        return
    stuck = [a for a, t, _ in inputs.tensors if t.leaf.no and t.grad.yes]
    if stuck:
        tell_copy(m, node, Ref((stuck[0],)), args.node(at, name, node), handed, not m.is_tensor(message or UNKNOWN))


@model("contextlib.suppress", "pytest.raises")
def _guard(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(Thing("contextlib.suppress"))


@model(
    "contextlib.nullcontext",
    "torch.autograd.profiler.profile",
    "torch.autograd.profiler.record_function",
    "torch.autocast",
    "torch.amp.autocast",
    "torch.cuda.amp.autocast",
    "torch.profiler.record_function",
    "torch.profiler.profile",
    "torch.random.fork_rng",
    "torch.backends.cudnn.flags",
    "torch.cuda.stream",
    "torch.cuda.device",
    "warnings.catch_warnings",
    "builtins.open",
)
def _plain_context(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """Context managers that leave grad mode as it is."""
    return m.new(Thing("context", (("enters", args.get(0, "enter_result") or UNKNOWN),)))


@model("torch.device", "torch.set_default_device", "torch.set_default_tensor_type")
def _device(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """The default device, and one that is entered, are where tensors are made."""
    m.elsewhere = m.elsewhere or args.called != "torch.device"
    named = args.get(0, "type") or args.get(0, "device")
    return m.new(Thing("torch.device", (("type", named),) if named is not None else ()))


@model("tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.trange", "tqdm.notebook.tqdm", "rich.progress.track")
def _progress(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    first = args.get(0, "iterable")
    if first is None or isinstance(first, Const):
        return m.new(Sequence("iterable", None, Scalar("int")))
    return first
