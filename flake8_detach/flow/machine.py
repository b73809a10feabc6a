"""The abstract machine: the state, the call stack, what has been seen, and how much work is left.

Everything that evaluates (`evaluate`, `interpreter`, the transfer functions) works on one `Machine`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import libcst as cst

from flake8_detach.flow import accumulation, emptied, gradients, rebasing, unspent
from flake8_detach.flow.afterwards import Afterwards
from flake8_detach.flow.births import Births
from flake8_detach.flow.events import CustomMisuse, Event, GradientsReturned, Misstep
from flake8_detach.flow.ledger import Ledger
from flake8_detach.flow.levels import DUAL, Level
from flake8_detach.flow.retention import Notes
from flake8_detach.flow.slots import CELL, TOKENS, Delta, Version
from flake8_detach.flow.state import State
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    YES,
    Cause,
    CauseKind,
    Cell,
    Class,
    Const,
    Edge,
    External,
    Function,
    Label,
    Mode,
    Node,
    Ref,
    Saved,
    Source,
    Tensor,
    Truth,
    Value,
)
from flake8_detach.source import code

MODE = (0, "mode")
"""The slot that holds grad mode."""
GENERATOR = "*generator"
"""Slot of what a generator function returns: its definition."""
RECOMPUTED = "*recomputed"
"""Slot of a tensor that stands for a property of a module, computed with every look: the module does not hold it."""
BY_FORWARD = "*computed by forward"
"""Slot of a tensor that the layer holds, and that every forward of it computes again, in the grad mode of that."""
PACKED = (0, "packed")
"""Set once the file uses hooks on saved tensors: what is saved may be a copy."""

OPEN = "*dynamic"
"""Slot of a frame or object whose names can be changed by code that does not spell them."""

OWN = ("grad", "leaf", "shape", "dtype", "node")
"""What a tensor is told to be or become itself, so that all that may be the same tensor are."""
MAX_DEPTH = 150
"""Nesting of expressions and statements that is followed; what lies deeper is Unknown."""
MAX_CALLS = 25
"""Calls within calls that are followed."""
MAX_CONTEXTS = 24
"""How often one function is run through before its calls count as unknown."""

C = TypeVar("C", bound=Cell)
E = TypeVar("E", bound=Event)


class Text:
    """The source text of a node, made when a message needs it; most never do."""

    __slots__ = ("node",)

    def __init__(self, node: cst.CSTNode) -> None:
        self.node = node

    def __str__(self) -> str:
        text = code(self.node)
        return text if len(text) <= 40 else text[:37] + "..."


class Block(NamedTuple):
    """The innermost `with` about hooks on saved tensors: its hooks (0: none), and what it says if none are allowed."""

    hooks: int = 0
    disabled: Label | None = None


class OutOfBudget(Exception):
    """The file needs more work than is linear in its size; what has been found until then stands."""


@dataclass
class Loop:
    """A loop that is being run: the paths that left its body early; `withs`: how many `with` enclose it; `begun`: has
    it had its first iteration? since: objects with a lower address are older than it (0: it is known how often it
    runs). node: the statement, if it is a `for`. asked: `asked` of the frame when this iteration began."""

    mark: int
    withs: int
    begun: bool = False
    since: int = 0
    breaks: list[Delta] = field(default_factory=list)
    continues: list[Delta] = field(default_factory=list)
    node: cst.For | None = None
    asked: int = 0


@dataclass
class Frame:
    """One call. `scope`: frames in which names are looked up, innermost first; `withs`: the modes to go back to, grad
    mode and whether a level of forward-mode AD is entered (None: it leaves them as they are); `exits`: what of the file
    each of these `with` runs when it is left.

    watch: wants to see each value that is returned, and where (the definition, if it ends without `return`).
    path: a number for the calls that led here. resume: runs the `with` block that a `yield` gives way to. pauses: what
    a generator has changed when it yields. asked: how many `if` of unknown outcome it has come to.
    """

    scope: tuple[int, ...]
    function: Function | None = None
    call: cst.CSTNode | None = None
    mark: int = 0
    returns: list[Delta] = field(default_factory=list)
    yields: list[Value] = field(default_factory=list)
    yield_modes: list[Mode] = field(default_factory=list)
    pauses: list[Delta] = field(default_factory=list)
    asked: int = 0
    loops: list[Loop] = field(default_factory=list)
    withs: list[tuple[Mode, Truth | None] | None] = field(default_factory=list)
    exits: list[list[Callable[[], object]]] = field(default_factory=list)
    owner: Class | None = None
    watch: Callable[[cst.CSTNode, Value], None] | None = None
    path: int = 0
    resume: Callable[[Value], None] | None = None
    comprehension: bool = False

    @property
    def id(self) -> int:
        return self.scope[0]


class Machine:
    """The machine that runs one file. `sink` takes the events, `watch` each statement before it is run; `at`: the
    statement that is being run. `doubts` counts conditions of unknown outcome, `handlers` the `try` around that have
    any, `branches` the bodies of `if` around. elsewhere: has the file changed the device that tensors are made on?"""

    def __init__(self, sink: Callable[[Event], None], budget: int) -> None:
        self.state = State()
        self.sink = sink
        self.budget = budget
        self.depth = 0
        self.at: cst.CSTNode = cst.Pass()
        self.guards = 0
        self.branches = 0
        self.handlers = 0
        self.doubts = 0
        self.quiet = 0
        self.presumed = 0
        self.shortened = False
        self.fatal = 0
        self.caught = 0  # the same where a handler waits for it
        self.frames: list[Frame] = []
        self.levels: list[Level] = []
        self.buffers_given = 0
        self.contexts: dict[int, int] = {}
        self.escaped: set[int] = set()
        self.patched: set[str] = set()
        self.called_instances: set[int] = set()
        self.broken: dict[int, list[CustomMisuse | GradientsReturned]] = {}
        self.broken_told: set[Hashable] = set()
        self.afterwards = Afterwards()
        self.ledger = Ledger()
        self.retention = Notes()
        self.accumulation = accumulation.Notes()
        self.emptied = emptied.Notes()
        self.serial = 0
        self.scaled: dict[int, Truth] = {}
        self.asked: dict[int, set[int]] = {}
        self.movers: set[int] = set()
        self.bystanding = 0
        self.plural: set[int] = set()
        self.handed: dict[int, tuple[cst.CSTNode, int]] = {}
        self.starts: dict[int, tuple[tuple[Edge, ...], int]] = {}
        self.early: dict[int, dict[int, Misstep]] = {}
        # objects and graph nodes that have had hooks, and the registrations of those that a backward has run
        self.hooked: set[int] = set()
        self.hooks_run: set[int] = set()
        self.hooks_told: set[int] = set()
        self.block = Block()
        self.makers: dict[int, cst.CSTNode] = {}
        # what `terms` needs: did an operand ever lose its gradient? leaves that optimizers step, storages that are
        # filled by something else than a step, leaves whose gradient somebody reads, leaves told to be dead
        self.cuts = False
        self.owned: set[int] = set()
        self.elsewhere = False
        self.lazy = False
        self.switched: dict[int, Misstep] = {}
        self.scheduled: set[int] = set()
        self.steered: set[int] = set()
        self.wanted: set[int] = set()
        self.mourned: set[int] = set()
        self.births = Births()
        self.unspent: dict[unspent.Key, unspent.Term] = {}
        self.spent: set[unspent.Key] = set()
        # what `leaks` needs: log-probabilities of what was drawn from that very distribution; did anything leak?
        self.scores: set[int] = set()
        self.leaking = False
        # what `forgotten` needs: the names that scopes read
        self.tree: ast.Module | None = None
        self.read_names: set[str] | None = None
        self.scopes: dict[int, tuple[set[str], set[int]]] = {}
        # what `replaced` needs: the variables of frames that were set to zero, where, and to what
        self.zeros: dict[tuple[int, str], tuple[cst.Assign, Value]] = {}
        self.stowed: set[int] = set()  # graph nodes of tensors that were put into something unknown
        self.lookup_global: Callable[[str], Value | None] = lambda name: None
        self.define: Callable[[str], Value | None] = lambda name: None
        self.watch: Callable[[Machine, cst.CSTNode], None] | None = None
        self.evaluate: Callable[[cst.CSTNode], Value]
        self.state.set(MODE, Mode())

    # Work

    def step(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise OutOfBudget

    # Frames and names

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    @property
    def visit(self) -> Frame | None:
        """The innermost function that is followed without a call in the file: others call it, when is not known."""
        return next((f for f in reversed(self.frames) if not (f.call or f.comprehension or f.function is None)), None)

    def lookup(self, name: str) -> Value | None:
        """What `name` is bound to, or None if nothing in the file binds it."""
        for frame in self.frame.scope:
            value: Value | None = self.state.get((frame, name))
            if value is not None:
                if (frame, OPEN) in self.state.slots and not isinstance(value, External):
                    return UNKNOWN
                return value
        return self.define(name) or self.lookup_global(name)

    def forget_variables(self) -> None:
        """`exec`: any variable of the module or of this function may be bound to something else now."""
        for frame in {self.frames[0].id, self.frame.id}:
            for owner, name in list(self.state.slots):
                if (
                    owner == frame
                    and name
                    and name[0] != "*"
                    and not isinstance(self.state.get((owner, name)), External)
                ):
                    self.state.set((owner, name), UNKNOWN)

    def open_scope(self) -> None:
        """`globals()`, `locals()`: from now on variables may change behind our back."""
        for frame in {self.frames[0].id, self.frame.id}:
            self.state.set((frame, OPEN), YES)

    def open_object(self, value: Value) -> None:
        """`vars(x)`, `x.__dict__`: from now on the attributes of `x` may change behind our back."""
        for address, _ in self.cells(value):
            self.state.set((address, OPEN), YES)

    def patch(self, values: list[Value]) -> None:
        """`mock.patch.object(torch, "no_grad", ...)`, `mock.patch("torch.no_grad")`."""
        first, second = (*values, None, None)[:2]
        if isinstance(first, External) and isinstance(second, Const):
            self.patched.add(f"{first.name}.{second.value}")
        elif isinstance(first, Const) and isinstance(first.value, str):
            self.patched.add(first.value)

    def is_patched(self, name: str) -> bool:
        """Has the file replaced this attribute of a library (`torch.Tensor.detach = ...`)?"""
        owner = name.rpartition(".")[0]
        return name in self.patched or f"{owner}.*" in self.patched

    def bind(self, name: str, value: Value) -> None:
        target = self.frame.id
        where: int | None = self.state.get((target, f"*scope {name}"))
        owner = self.frame.owner
        if owner is not None and owner.frame == target:
            self.state.put(target, name, value)
        else:
            self.state.set((target if where is None else where, name), value)

    @property
    def calls(self) -> tuple[cst.CSTNode, ...]:
        """The calls in the file that have led here, outermost first."""
        return tuple(f.call for f in self.frames if f.call is not None)

    # Modes

    @property
    def mode(self) -> Mode:
        mode: Mode = self.state.get(MODE)
        return mode

    def set_mode(self, mode: Mode) -> None:
        self.state.set(MODE, mode)

    def modes(self) -> tuple[Mode, Truth | None]:
        """What a `with` statement goes back to."""
        return self.mode, self.state.get(DUAL)

    def go_back(self, modes: tuple[Mode, Truth | None]) -> None:
        self.set_mode(modes[0])
        if self.state.get(DUAL) is not modes[1]:
            self.state.set(DUAL, NO if modes[1] is None else modes[1])

    # Cells

    def new(self, cell: Cell) -> Ref:
        return self.state.new(cell)

    def cell(self, value: Value) -> Cell | None:
        """The object that a Ref to exactly one object points at."""
        if isinstance(value, Ref) and len(value.addresses) == 1:
            return self.state.cell(value.addresses[0])
        return None

    def cells(self, value: Value) -> list[tuple[int, Cell]]:
        """Every object that the value points at, with its address."""
        if isinstance(value, Ref):
            found = ((a, self.state.get((a, CELL))) for a in value.addresses)
            return [(a, cell) for a, cell in found if cell is not None]  # None: made on a path that was given up
        return []

    def tensors(self, value: Value) -> list[tuple[int, Tensor]]:
        return [(a, c) for a, c in self.cells(value) if isinstance(c, Tensor)]

    def is_tensor(self, value: Value) -> bool:
        return (
            isinstance(value, Ref)
            and bool(value.addresses)
            and all(isinstance(self.state.cell(a), Tensor) for a in value.addresses)
        )

    def refine(self, address: int, **facts: Any) -> Tensor:
        """Say more of the tensor at `address`, which was just made: nothing happens to it or what may be the same."""
        cell = self.state.cell(address)
        assert isinstance(cell, Tensor)
        refined = replace(cell, **facts)
        self.state.set((address, CELL), refined)
        return refined

    def change(self, address: int, **facts: Any) -> Tensor:
        """Update facts of the tensor at `address`: something is done to it."""
        cell = self.state.cell(address)
        changed = self.refine(address, **facts)
        if address in self.state.twins:
            unsure = (
                "grad" in facts and changed.grad is MAYBE
            )  # what was not known before may have changed all the same
            if unsure or any(getattr(cell, n) != getattr(changed, n) for n in OWN):
                self.state.weaken(address, changed)
        return changed

    def tensor(self, **facts: Any) -> Ref:
        """A new tensor with a storage of its own unless one is given."""
        facts.setdefault("storage", self.state.address())
        made = self.new(Tensor(**facts))
        if facts.get("leaf") is YES and self.frames:
            self.births.born(made.addresses[0], self.frame.path)
        return made

    # Evidence

    def cause(
        self,
        kind: CauseKind,
        what: str,
        site: cst.CSTNode,
        subject: Label = "",
        lost: Truth = NO,
        before: Cause | None = None,
        of: Iterable[tuple[int, Tensor]] = (),
    ) -> Cause:
        """of: the tensors that the value was made from, if it depends on what is in them."""
        self.serial += 1
        return Cause(kind, what, site, subject, lost, before, source=self.source(of))

    def source(self, tensors: Iterable[tuple[int, Tensor]]) -> Source | None:
        """What a value made from these tensors depends on; None if none of them has or had a gradient."""
        edges: dict[Edge, None] = {}
        behind: dict[int, Source] = {}
        for address, tensor in tensors:
            if not tensor.grad.no:
                edges[self.edge(address, tensor)] = None
            elif tensor.why is not None and (origin := tensor.why.origin) is not None:
                behind[id(origin)] = origin
        if not edges and len(behind) == 1:
            return next(iter(behind.values()))
        return Source(tuple(edges), tuple(behind.values())) if edges or behind else None

    # Graph

    def edge(self, address: int, tensor: Tensor) -> Edge:
        sure = tensor.grad.yes
        return Edge(tensor.node, None if tensor.node is not None else address, sure)

    def version(self, storage: int) -> Version:
        version: Version = self.state.get((storage, "version"), (storage,))
        return version

    def wrote(self, storage: int, site: cst.CSTNode, sure: Truth = YES) -> None:
        """The memory was written at `site`: its version is a new one (or perhaps the old one, unless `sure`)."""
        gradients.rewritten(self, storage)
        token = self.state.address()
        now = (token,) if sure is YES else (-token,) if sure.yes else (*self.version(storage)[:TOKENS], token)
        self.state.set((storage, "version"), now)
        self.state.set((storage, "written at"), site)
        rebasing.renewed(self, site, storage, sure)

    def written_since(self, storage: int, version: Version) -> bool:
        """Was the memory written since it had this version, on every path?"""
        now = self.version(storage)
        return storage != 0 and now != (0,) and {abs(token) for token in now}.isdisjoint(map(abs, version))

    def save(self, tensor: Tensor, role: str, site: cst.CSTNode, sure: Truth = YES) -> Saved:
        packed = self.state.get(PACKED) is not None
        if self.block.hooks:
            self.pack(tensor, site)
        return Saved(0 if packed else tensor.storage, self.version(tensor.storage), role, site, self.block.hooks, sure)

    def pack(self, tensor: Tensor, site: cst.CSTNode) -> None:
        from flake8_detach.flow import saved_hooks

        saved_hooks.packed(self, tensor, site)

    def graph_node(self, node: Node) -> int:
        number = self.state.address()
        self.state.graph[number] = node if not self.frame.path else replace(node, path=self.frame.path)
        return number

    def steer(self, tensor: Tensor) -> None:
        """Something else than an optimizer's step fills the tensor, and the leaf whose `.data` it is."""
        self.steered.add(tensor.storage)
        origin = tensor.why.origin if tensor.why is not None and tensor.made == "detach" else None
        for edge in origin.edges if origin is not None else ():
            leaf = self.state.slots.get((edge.leaf, CELL)) if edge.leaf is not None else None
            if isinstance(leaf, Tensor):
                self.steered.add(leaf.storage)

    def hand_out(self, tensor: Tensor) -> None:
        """Unknown code holds the tensor from now on and may backward it."""
        if tensor.node is not None:
            self.afterwards.given.add(tensor.node)

    # Events

    def raises(self) -> None:
        """Torch raises here on every path that comes by: what follows does not run until that is mended."""
        if self.guards:
            self.caught += 1
        else:
            self.fatal += 1

    def emit(self, make: Callable[..., Event], node: cst.CSTNode, **facts: Any) -> None:
        if not self.quiet:
            self.sink(self.event(make, node, **facts))

    def event(self, make: Callable[..., E], node: cst.CSTNode, **facts: Any) -> E:
        """An event of this moment, for the sink now or when a question to `afterwards` is answered."""
        return make(node=node, calls=self.calls, guarded=self.guards > 0, presumed=self.presumed > 0, **facts)

    def text(self, node: cst.CSTNode) -> Text:
        """Source text for messages, shortened."""
        return Text(node)


def constant(value: Value) -> Any:
    """The Python constant that `value` is, or the value itself."""
    return value.value if isinstance(value, Const) else value


def fact(value: Value | None, default: bool | None = None) -> Truth:
    """Is the value true as a condition? MAYBE if that is not known."""
    if value is None:
        return {None: Truth.MAYBE, True: YES, False: NO}[default]
    if isinstance(value, Const):
        return YES if value.value else NO
    return Truth.MAYBE


__all__ = ["CELL", "UNKNOWN", "Frame", "Loop", "Machine", "OutOfBudget", "constant", "fact"]
