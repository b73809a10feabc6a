"""What a Python expression may be, as far as autograd cares: frozen abstract values and their lattice.

A *value* is what a name is bound to. Objects with identity (tensors, modules, lists, instances) are *cells* that live
at an address of the state; a value points at them with `Ref`. So `y = x; y.requires_grad_()` changes `x`.
This module knows no syntax: the places in the file that it carries along (`site`) are opaque to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal, NamedTuple, TypeAlias


class Truth(Enum):
    """How much is known of a yes/no fact.

    NO and YES are proved from what stands in the file. PRESUMED is nearly always so (a loop over a data loader runs at
    least once). MAYBE means silence.
    """

    NO = "no"
    PRESUMED_NO = "presumed no"
    MAYBE = "maybe"
    PRESUMED_YES = "presumed yes"
    YES = "yes"

    @property
    def yes(self) -> bool:
        return self is Truth.YES or self is Truth.PRESUMED_YES

    @property
    def no(self) -> bool:
        return self is Truth.NO or self is Truth.PRESUMED_NO

    @property
    def proved(self) -> bool:
        return self is Truth.YES or self is Truth.NO

    def join(self, other: Truth) -> Truth:
        """What holds when one of two paths was taken."""
        if self is other:
            return self
        if self.yes and other.yes:
            return Truth.PRESUMED_YES
        if self.no and other.no:
            return Truth.PRESUMED_NO
        return Truth.MAYBE

    def presumed(self) -> Truth:
        """The same fact, resting on a presumption."""
        return {Truth.YES: Truth.PRESUMED_YES, Truth.NO: Truth.PRESUMED_NO}.get(self, self)

    def __invert__(self) -> Truth:
        return _NOT[self]

    def __and__(self, other: Truth) -> Truth:
        return ~(~self | ~other)

    def __or__(self, other: Truth) -> Truth:
        return self if _STRENGTH[self] >= _STRENGTH[other] else other


_STRENGTH = {truth: rank for rank, truth in enumerate(Truth)}
_NOT = dict(zip(Truth, reversed(Truth), strict=True))

NO, PRESUMED_NO, MAYBE, PRESUMED_YES, YES = Truth


Label: TypeAlias = Any
"""Text for messages: a str, or something whose `str()` is the text."""


def truth(fact: bool | None) -> Truth:
    """A Python bool as a proved fact; None as MAYBE."""
    return MAYBE if fact is None else YES if fact else NO


CauseKind = Literal["cut", "mode", "op", "frozen", "constant", "scalar", "gradient", "faked", "cancelled", "rounded"]
"""Why a value carries no gradient: cut (detach, data, copy), mode (no_grad), op (no derivative), frozen (parameters
that were switched off), constant (it never had one), scalar (it became a Python number), gradient (it is a gradient
without a graph of its own). faked: it was cut, and made a leaf that requires grad afterwards. cancelled: it was added
and taken away again. rounded: a number was rounded down to zero."""


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """What a value that lost its gradient was computed from.

    edges: the graph as it was before the cut. behind: what its inputs had lost before.
    """

    edges: tuple[Edge, ...]
    behind: tuple[Source, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Cause:
    """Evidence: what happened to a value, where, and what it was before.

    what: "cut by `.detach()`". subject: the source text of the value that it happened to. lost: did that value have a
    gradient to lose? before: the evidence of the value that it was made from. name: what the result was assigned to.
    source: what the value still depends on, without a gradient (None: on nothing, as a tensor of zeros does). either:
    was this on one of several paths, and something else on the others? rivals: all that were lost at once, as in a
    product of two values that were both cut.
    """

    kind: CauseKind
    what: str
    site: Any
    subject: Label = ""
    lost: Truth = MAYBE
    before: Cause | None = None
    name: Label = ""
    source: Source | None = None
    either: bool = False
    rivals: tuple[Cause, ...] = ()

    @property
    def divided(self) -> bool:
        """Has another path a cause of its own, for this or for what it comes from?"""
        cause: Cause | None = self
        while cause is not None and not cause.either:
            cause = cause.before
        return cause is not None

    @property
    def loss(self) -> Cause | None:
        """The last of the causes at which there was a gradient to lose: `x.detach().item()` lost it at `.detach()`."""
        cause: Cause | None = self
        while cause is not None and not (cause.lost.yes and cause.source is not None):
            cause = cause.before
        return cause

    @property
    def origin(self) -> Source | None:
        """What the value depends on, whoever cut it."""
        cause: Cause | None = self
        while cause is not None and cause.source is None:
            cause = cause.before
        return None if cause is None else cause.source


# Values


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything at all."""


@dataclass(frozen=True, slots=True)
class Const:
    """A Python constant: None, bool, int, float, str, bytes, Ellipsis."""

    value: Any
    why: Cause | None = field(default=None, compare=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


HOLE = "\0"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A Python number, bool or str whose value is not known; `why` tells from what tensor it came.

    form: of a str what is known of its text, with a HOLE for each part that is not. least, most: of an int, numbers
    that it is not less, not greater than.
    """

    kind: Literal["int", "float", "bool", "str", "complex", "number"]
    why: Cause | None = field(default=None, compare=False)
    form: str = ""
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """A numpy array and, if it was made from a tensor, how. scalar: is it a numpy scalar such as np.float64(2)?

    storage: that of a tensor with the same memory; 0 if there is none.
    """

    dtype: str | None = None
    scalar: Truth = NO
    why: Cause | None = field(default=None, compare=False)
    storage: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Ref:
    """The object at an address; with several addresses: each of these objects in turn (`for p in m.parameters()`).

    some: what is there stands for several objects (the layers that a loop made), and this is one of them or a part:
    what is done to it need not be done to the others.
    """

    addresses: tuple[int, ...]
    some: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Tuple:
    """A tuple of known length; `names` if it is a namedtuple such as torch.return_types.max."""

    items: tuple[Value, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """A number or None on some of the paths that met here, an object on the others: `loss = 0`, to which a term was
    added under a condition.

    since: where a function returned the number early, how many conditions of unknown outcome had been asked by then;
    one that is asked later may tell the two apart.
    """

    plain: Const | Scalar
    object: Ref | Tuple
    since: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class External:
    """Something imported, by its canonical dotted name; also builtins ("builtins.len")."""

    name: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object made by a library that the engine only knows by name ("matplotlib.axes")."""

    name: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method that is not defined in the file, bound to its receiver: `x.sum`, `losses.append`."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function, lambda or method of the file.

    definition: its syntax node. scope: the frames that its free names are looked up in, innermost first.
    defaults: values of the parameters that have one. wrappers: names of decorators that matter ("torch.no_grad").
    bound: the receiver if it is a bound method. owner: the class whose body it stands in, for `super()`.
    """

    definition: Any
    name: str
    scope: tuple[int, ...]
    defaults: tuple[tuple[str, Value], ...] = ()
    wrappers: tuple[str, ...] = ()
    bound: Value | None = None
    owner: Class | None = None


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the file; its attributes are slots of `frame`, which no other class has. Bases that are not values of
    the file stay External."""

    name: str
    frame: int
    bases: tuple[Value, ...] = field(compare=False)
    definition: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Super:
    """`super()` in a method of `owner`, for the receiver `instance`."""

    owner: Class
    instance: Value


@dataclass(frozen=True, slots=True)
class Partial:
    """functools.partial, or a callable wrapped so that some arguments are given."""

    function: Value
    args: tuple[Value, ...]
    kwargs: tuple[tuple[str, Value], ...]


class Joined:
    """Content of a slot that knows how to meet its like; a path without it has the content that `type(self)()` is."""

    __slots__ = ()

    def join(self, other: Any, presume: bool = False) -> Any:
        """What holds when one of two paths was taken; presume: `other` is the one that was taken, presumably."""
        raise NotImplementedError


Value: TypeAlias = (
    Unknown
    | Const
    | Scalar
    | Array
    | Ref
    | Tuple
    | Either
    | External
    | Foreign
    | Method
    | Function
    | Class
    | Super
    | Partial
)

UNKNOWN = Unknown()
NONE = Const(None)


# Cells

Dtype: TypeAlias = Literal["float", "int", "bool", "complex"]
Shape: TypeAlias = tuple[int | None, ...]

SOME = "?"
"""A dtype or device that was asked for and is not known: that which is asked for next may be the same."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What is known of one tensor.

    grad: requires_grad. leaf: is_leaf. shape: its dimensions (None: unknown). node: its grad_fn, an index into the
    graph. storage: tensors with the same storage share memory and version counter. view: "" or how it is a view
    ("view", "multi", "no_grad", "inference", "custom": returned by a custom Function, "hooked": by that
    of a full backward hook). base: the address of the tensor
    that it is a view of. why: evidence for having no gradient (or for having lost it). made: the op that made it.
    inference: made in inference mode. form: how it is stored, if numpy has nothing like it ("bfloat16", "sparse",
    "quantized", "conjugated"); "" says nothing. batched: the calls of vmap, by number, over whose samples it varies.
    dual: does it carry a tangent of forward-mode AD? device, precision: where it is, and which float dtype it has, as
    the program says (SOME: it says what is not known).
    """

    grad: Truth = MAYBE
    leaf: Truth = MAYBE
    shape: Shape | None = None
    dtype: Dtype | None = None
    node: int | None = None
    storage: int = 0
    view: Literal["", "view", "multi", "no_grad", "inference", "custom", "hooked", "maybe"] = ""
    base: int | None = None
    why: Cause | None = field(default=None, compare=False)
    made: str = field(default="", compare=False)
    parameter: bool = False
    inference: Truth = NO
    device: str | None = None
    form: str = ""
    batched: frozenset[int] = frozenset()
    dual: bool = False
    precision: str = field(default="", compare=False)

    @property
    def rank(self) -> int | None:
        """The number of dimensions."""
        return None if self.shape is None else len(self.shape)

    @property
    def several(self) -> bool:
        """Has it certainly not exactly one element?"""
        return self.shape is not None and any(d is not None and d != 1 for d in self.shape)


@dataclass(frozen=True, slots=True)
class Sequence:
    """list, set, deque, generator, iterator. `items` if every element is known, else `element` stands for all.

    each: the elements are distinct objects that one pass over the sequence visits once (module parameters).
    filled: has it at least one element? members: elements that are surely in it where `items` is not known.
    """

    kind: str
    items: tuple[Value, ...] | None = None
    element: Value = UNKNOWN
    each: bool = False
    filled: Truth = MAYBE
    members: tuple[Value, ...] = ()

    @property
    def held(self) -> tuple[Value, ...]:
        """The elements, or what stands for them."""
        return self.items if self.items is not None else (self.element,)


@dataclass(frozen=True, slots=True)
class Mapping_:
    """dict: values under known constant keys, and `rest`, which stands for values under other keys (None: none).

    kind: "dict", or "OrderedDict" where it was made as one.
    default: what a defaultdict calls for the value of a key that is missing.
    """

    items: tuple[tuple[Any, Value], ...] = ()
    rest: Value | None = None
    kind: str = field(default="dict", compare=False)
    default: Value | None = None

    @property
    def held(self) -> tuple[Value, ...]:
        """The values, and what stands for those under other keys."""
        return (*(v for _, v in self.items), *(() if self.rest is None else (self.rest,)))

    def get(self, key: Any) -> Value | None:
        return next((v for k, v in self.items if k == key and type(k) is type(key)), None)

    def put(self, key: Any, value: Value) -> Mapping_:
        return self.merged(((key, value),))

    def merged(self, pairs: Iterable[tuple[Any, Value]]) -> Mapping_:
        """With these put into it, one after the other; one pass, however many they are."""
        items = {(type(pair[0]), pair[0]): pair for pair in (*self.items, *pairs)}
        return Mapping_(tuple(items.values()), self.rest, self.kind, self.default)


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class of the file; its attributes are slots of its address."""

    cls: Class


@dataclass(frozen=True, slots=True)
class Layer:
    """A torch.nn module of torch itself; parameters, buffers and children are slots of its address.

    config: constructor arguments by name. children: names of the slots that hold submodules, in order;
    None: not known.
    """

    kind: str
    config: tuple[tuple[str, Value], ...] = ()
    children: tuple[str, ...] | None = ()

    def option(self, name: str) -> Value | None:
        return dict(self.config).get(name)


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer and the addresses of the parameters that it steps (None: not known).

    groups: how many parameters each of its groups was given (None: not known). options: its constructor's keywords.
    """

    kind: str
    owned: tuple[int, ...] | None
    groups: tuple[int, ...] | None = None
    options: tuple[tuple[str, Value], ...] = ()

    def option(self, name: str) -> Value | None:
        return dict(self.options).get(name)


@dataclass(frozen=True, slots=True)
class Thing:
    """Another library object that the engine models a little: a distribution, a GradScaler, a scheduler."""

    kind: str
    parts: tuple[tuple[str, Value], ...] = ()

    def part(self, name: str) -> Value | None:
        return dict(self.parts).get(name)


Cell: TypeAlias = Tensor | Sequence | Mapping_ | Instance | Layer | Optimizer | Thing


class Edge(NamedTuple):
    """An input of a graph node: the leaf at `leaf`, or the node `node`; `sure` unless the input may carry no graph."""

    node: int | None
    leaf: int | None
    sure: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """A tensor that a node needs in backward: its storage and the version that it had then.

    packed: the address of the hooks on saved tensors that were in force. sure: is it needed? A factor is needed for
    the gradient of the other one, which perhaps requires none.
    """

    storage: int
    version: tuple[int, ...]
    role: str
    site: Any = None
    packed: int = 0
    sure: Truth = YES


NUMBER = "number"
"""The role of a saved tensor that was made of a Python number."""


DERIVATIVE = "grad"
"""The op of a node that stands for what `autograd.grad(..., create_graph=True)` made."""
TWICE = "second derivative"
"""The op of a node that stands for a derivative which cannot be differentiated once more."""
FILLED = "filled by `backward()`, without a graph of its own"
"""How a gradient came about whose origin is its leaf; that of one of `autograd.grad` is the function."""


class Cut(NamedTuple):
    """An operand of a graph node that had lost its gradient before. scalar: a number, or a tensor of one element."""

    cause: Cause
    scalar: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the autograd graph, what torch calls a grad_fn.

    open: something unknown went in, so backward may reach tensors that the engine does not see. kept: tensors that a
    custom Function's backward needs, of which autograd does not know. cuts: operands that backward does not see,
    although what they were made of had a gradient. path: the calls that led here (equal paths: the same calls).
    unseen: an operand may be a tensor with a graph of which nothing is known (open also counts unknown sizes and such).
    given: the arguments of an op, by parameter: what their form tells about the grad_fns is of use for drawings.
    lacking: of these operands, by parameter, it has no derivative, though it has one of others (derivative: "raises").
    drawn: what torch makes of the op here, where that goes by another name. many: a "join" that stands for the elements
    of a list, each with a graph of its own; without it, for the one graph of whichever path was taken.
    """

    op: str
    edges: tuple[Edge, ...]
    saved: tuple[Saved, ...]
    site: Any
    open: bool = False
    derivative: Literal["yes", "zero", "raises"] = "yes"
    lacking: tuple[tuple[str, Edge], ...] = ()
    kept: tuple[Saved, ...] = ()
    cuts: tuple[Cut, ...] = ()
    path: int = 0
    unseen: bool = False
    given: Mapping[str, Value] = field(default_factory=dict, compare=False)
    drawn: str = ""
    many: bool = False

    @property
    def tensors(self) -> tuple[Saved, ...]:
        """What it saves, without the numbers: `x * 2` keeps a tensor made of the 2, which backward uses up as well."""
        return tuple(s for s in self.saved if s.role != NUMBER)


class Mode(NamedTuple):
    """Grad mode and inference mode, and where grad mode was switched off."""

    grad: Truth = YES
    inference: Truth = NO
    why: Cause | None = None

    def join(self, other: Mode) -> Mode:
        return Mode(self.grad.join(other.grad), self.inference.join(other.inference), self.why or other.why)


def worst(causes: Iterable[Cause | None], mode: Cause | None = None) -> Cause | None:
    """The evidence that explains best why nothing carries a gradient: a loss before a mere absence; before all the grad
    mode in which this happens, if one of them was lost by it, too (mode: its evidence).

    What the others depend on is not forgotten: the value depends on all of it.
    """
    found = [c for c in causes if c is not None]
    same = [c for c in found if mode is not None and c.kind == "mode" and c.site is mode.site]
    best = min(same or found, key=_rank, default=None)
    if best is None or len(found) == 1:
        return best
    origins = {id(o): o for c in found if (o := c.origin) is not None}
    if len(origins) < 2 or best.origin is None:
        return best
    lost = sorted((c for c in found if c.loss is not None), key=_rank)[:RIVALS]
    rivals = tuple(replace(c, rivals=()) for c in lost) if len(lost) > 1 else best.rivals
    return replace(best, source=Source((), tuple(origins.values())), rivals=rivals)


RIVALS = 4
"""So many causes are remembered where several values were lost at once."""


def _rank(cause: Cause) -> tuple[int, int]:
    order: Mapping[str, int] = {"cut": 0, "scalar": 0, "gradient": 0, "faked": 0, "mode": 1, "op": 1, "frozen": 2}
    lost = cause.lost.yes or cause.loss is not None
    return (0 if lost else 1 if cause.lost is MAYBE else 2, order.get(cause.kind, 3))
