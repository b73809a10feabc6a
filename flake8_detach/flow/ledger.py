"""What the rooms about modules write down while a file is followed, to be asked at its end. Nothing is taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Holding:
    """Something that trains was put where `parameters()` may not find it.

    module: the address of the module (0: a layer made in a forward). name: the attribute. node: where.
    event: of that moment. made: the address of what a forward has made. single: a display of one element. owner: the
    class, if it is that which holds it. buffer: is it registered as a buffer?
    """

    module: int
    name: str
    node: Any
    event: Any
    made: int = 0
    single: bool = False
    owner: Any = None
    buffer: bool = False


@dataclass
class Hidden:
    """A holding whose content is known. leaves: its parameters; kinds: the classes of its modules."""

    holding: Holding
    leaves: tuple[int, ...]
    kinds: frozenset[Any]
    event: Any
    owned: bool


@dataclass
class Ledger:
    """Notes of one file.

    attributes_read: names of attributes of modules that are read; attributes_asked: those that `hasattr` asks for.
    trains: is there a backward? enables: is grad mode switched on anywhere? holdings, hidden: see there. registered:
    what became an attribute or child of a module. contained: lists that a container of modules was made from. asked:
    modules whose parameters were asked for. regroups: may the groups of an optimizer have got other parameters by hand?
    snapshots: by the place of a `state_dict()`, the memory of the parameters then. loaded: memory that
    `load_state_dict` has filled. unseen_owned: is there an optimizer whose parameters are not all known? read:
    attributes read in a forward with grad mode on. excused: places that are right for some object. wide: places
    that switch on what nobody had frozen. calmed: may anything switch anomaly detection off? clips: places that
    clip too early, and are told of. clippings: what is known of each. at_end: what to do when the file has been
    followed. lingering: evidence for modes that are off where nobody entered them, and whether they still are;
    lingered: that of those under which something was used. suspended: generators,
    with that evidence and the mode before. faked: leaves that a backward came to, and that were cut from something.
    computed: Parameters that were made of values with a graph.
    replicated: modules that DistributedDataParallel was given, and where. awaited: the call that a `for` statement is
    about to go through. declared: attributes of module classes that hold layers or Parameters, by the frame of the
    class. decided: how often it was known what to do in one iteration of a loop and not in another, as of a number it
    counts with. chosen: what was indexed with what is not known, and how many objects were in it. tensors: what
    attributes of modules have held that is no Parameter. toured: modules all of whose parts were gone through, each
    with the frame that did; named: the same of those whose parameters were, by name. timely: places that clip what
    a step then uses. optimizers: those that were made, with their leaves; lent: those that unseen code may have got
    hold of; stowed: those that an object of the file has; zeroed: what is told of those that clear gradients, if
    they never step; moved: leaves of those whose `.step` is asked for; steps: where that was asked for, and whether
    it was known of what; at_rest: leaves of those that never step, once asked. nones: of each cause for which
    gradients are None, is it a call that cleared them, and whose they are; questioned: tensors that were asked
    whether they have a gradient, with the number of conditions of unknown outcome that were met by then, and since
    when it was None.
    """

    attributes_read: set[str] = field(default_factory=set)
    attributes_asked: set[str] = field(default_factory=set)
    trains: bool = False
    enables: bool = False
    holdings: list[Holding] = field(default_factory=list)
    declared: dict[tuple[int, str], Any] = field(default_factory=dict)
    watched: set[tuple[int, str]] = field(default_factory=set)
    hidden: list[Hidden] = field(default_factory=list)
    registered: set[int] = field(default_factory=set)
    contained: set[int] = field(default_factory=set)
    asked: dict[int, Any] = field(default_factory=dict)
    optimized: set[int] = field(default_factory=set)
    unseen_owned: bool = False
    tensors: dict[tuple[int, str], set[int]] = field(default_factory=dict)
    toured: list[tuple[int, Any]] = field(default_factory=list)
    named: list[tuple[int, Any]] = field(default_factory=list)
    timely: set[int] = field(default_factory=set)
    optimizers: dict[int, frozenset[int] | None] = field(default_factory=dict)
    lent: set[int] = field(default_factory=set)
    zeroed: dict[int, Any] = field(default_factory=dict)
    stowed: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    steps: dict[int, bool] = field(default_factory=dict)
    nones: dict[int, tuple[Any, bool, set[int]]] = field(default_factory=dict)
    questioned: dict[int, tuple[int, int]] = field(default_factory=dict)
    at_rest: frozenset[int] | None = None
    regroups: bool = False
    loaded: set[int] = field(default_factory=set)
    snapshots: dict[int, dict[int, int]] = field(default_factory=dict)
    read: set[tuple[int, str]] = field(default_factory=set)
    excused: set[int] = field(default_factory=set)
    wide: set[int] = field(default_factory=set)
    freezes: dict[int, Any] = field(default_factory=dict)
    hidden_writes: bool = False
    chosen: dict[tuple[int, ...], int] = field(default_factory=dict)
    calmed: bool = False
    clippings: dict[int, Any] = field(default_factory=dict)
    clips: set[int] = field(default_factory=set)
    at_end: list[Callable[[], None]] = field(default_factory=list)
    lingering: dict[int, Callable[[], bool]] = field(default_factory=dict)
    suspended: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    lingered: set[int] = field(default_factory=set)
    faked: dict[int, Any] = field(default_factory=dict)
    computed: set[int] = field(default_factory=set)
    replicated: list[tuple[Any, Any]] = field(default_factory=list)
    awaited: Any = None
    decided: int = 0

    def used_under(self, why: Any) -> None:
        """Something that requires grad is used in a mode that is off because of `why`."""
        still = self.lingering.get(id(why))
        if still is not None and still():
            self.lingered.add(id(why))

    def close(self) -> None:
        """The file has been followed to its end."""
        for action in self.at_end:
            action()
