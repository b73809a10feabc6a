"""What has become of each parameter's gradient: the facts, where they are kept, what spoils them.

A `Gradient` at the address of a leaf says whether backward has filled its `.grad`, whether an optimizer has stepped
with it since, who cleared it, and whether it was clipped or scaled. Nothing is said of what unknown code may have
changed: `stir` makes all that was known before a matter of MAYBE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import misclipped, unspent
from flake8_detach.flow.events import Misstep
from flake8_detach.flow.happenings import Happening
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_YES,
    YES,
    Instance,
    Joined,
    Label,
    Optimizer,
    Ref,
    Tensor,
    Truth,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

GRADIENT = "gradient"
"""Slot of a leaf: its `Gradient`."""
GRADIENT_OF = "gradient of"
"""Slot of a storage: the leaf whose `.grad` lies there, as an int."""
STIRRED = (0, "stirred")
"""How often unknown code may have changed any gradient."""
OPENED = (0, "opened")
"""How often a backward may have filled gradients that are not seen."""
EARLY = "*early"
"""Slot of a scheduler that has stepped before its optimizer."""
STEPPED, SCHEDULED, SCALED = "*stepped", "*scheduled", "*scaled"
"""Slots: has the optimizer stepped since its scheduler was made; the scheduler; has the scaler scaled anything?"""
UNSCALED, SCALER_STEPPED = "*unscaled", "*scaler stepped"
"""Slots of an optimizer: since the scaler's last update, were its gradients unscaled, and has the scaler stepped it?"""
SEEN = "*seen"
"""Slot of an optimizer: how many such backwards there had been when it was made or last stepped, as a `Count`."""
PENDING = "*pending"
"""Slot of a scaler: has it unscaled or stepped any optimizer since its last update?"""
LOOSE = (0, "loose optimizer")
"""Set once unknown code holds an optimizer."""
HOOKED = (0, "hooked gradients")
"""Set once functions of the file run whenever a gradient is filled: they may step and clear."""
STRAYS = (0, "strays")
"""How many backwards have surely reached a parameter that no optimizer had been given."""


@dataclass(frozen=True, slots=True)
class Count(Joined):
    """A number that only grows; where paths meet, the greater one holds."""

    value: int = field(default=0, compare=False)

    def join(self, other: Any, presume: bool = False) -> Count:
        return self if self.value >= other.value else other


@dataclass(frozen=True, slots=True)
class Flag(Joined):
    """A fact about an optimizer, a scheduler or a scaler, and how often things had been stirred when it was noted."""

    fact: Truth = NO
    stir: int = field(default=0, compare=False)

    def join(self, other: Any, presume: bool = False) -> Flag:
        return Flag(_meet(self.fact, other.fact, presume), min(self.stir, other.stir))


@dataclass(frozen=True, slots=True)
class Gradient(Joined):
    """What has become of the gradient of one leaf.

    filled: backward has put a gradient there that nobody has cleared. used: an optimizer has stepped with it. cleared:
    it was cleared since the last step or backward. wasted: it was cleared before anybody stepped with it. stale:
    backward has added to a gradient that an optimizer had stepped with. crossed: a second backward added to it what the
    first had no business to leave there. scaled: by a GradScaler. clipped: since it was filled. early: nothing was
    there to clip. late: it was clipped after the step. moved: the leaf was moved along it by hand. heaped: backward has
    added to one that it was moved along. `when`: how each came to be. stir, opened: the counts then.
    """

    filled: Truth = NO
    used: Truth = NO
    cleared: Truth = NO
    wasted: Truth = NO
    stale: Truth = NO
    crossed: Truth = NO
    scaled: Truth = NO
    clipped: Truth = NO
    early: Truth = NO
    late: Truth = NO
    idle: Truth = NO
    moved: Truth = NO
    heaped: Truth = NO
    when: Mapping[str, Happening] = field(default_factory=dict, compare=False)
    stir: int = field(default=0, compare=False)
    opened: int = field(default=0, compare=False)

    def join(self, other: Any, presume: bool = False) -> Gradient:
        facts: dict[str, Any] = {name: _meet(getattr(self, name), getattr(other, name), presume) for name in FACTS}
        when = {**self.when, **other.when}
        return Gradient(**facts, when=when, stir=min(self.stir, other.stir), opened=min(self.opened, other.opened))

    def at(self, what: str) -> cst.CSTNode | None:
        """Where it came to be so."""
        found = self.when.get(what)
        return None if found is None else found.site

    def marked(self, now: Happening, **facts: Truth) -> Gradient:
        """With these facts, which come to be so now."""
        changed: dict[str, Any] = {**facts, "when": {**self.when, **dict.fromkeys(facts, now)}}
        return replace(self, **changed)

    @property
    def spent(self) -> Truth:
        """Was the leaf moved along it by hand, and has nobody cleared or clipped it since?"""
        return self.moved & self.filled & ~self.cleared & ~self.clipped

    @property
    def leftover(self) -> Truth:
        """Has an optimizer stepped with it, and has nobody on any path cleared it since?"""
        if self.filled.no or self.used.no or self.cleared.yes:
            return NO
        if self.cleared is MAYBE:
            return MAYBE
        return self.used if self.used.yes else PRESUMED_YES


FACTS = tuple(f.name for f in fields(Gradient) if f.name not in ("when", "stir", "opened"))
VAGUE: dict[str, Any] = dict.fromkeys(FACTS, MAYBE)


def _meet(a: Truth, b: Truth, presume: bool) -> Truth:
    joined = a.join(b)
    return b.presumed() if presume and joined is MAYBE else joined


# Reading and writing


def look(m: Machine, address: int) -> Gradient:
    """What is known of the gradient of the leaf at `address`."""
    found: Any = m.state.get((address, GRADIENT), UNTOUCHED)
    if not isinstance(found, Gradient):
        return Gradient(**VAGUE)
    return found if found.stir >= now(m) else replace(found, **VAGUE)


UNTOUCHED = Gradient()


def keep(m: Machine, address: int, gradient: Gradient) -> None:
    """What becomes of the gradient now."""
    m.state.set((address, GRADIENT), replace(gradient, stir=now(m), opened=count(m, OPENED)))


def remark(m: Machine, address: int, gradient: Gradient) -> None:
    """Say more of a gradient, be it there or not: a backward that was not all seen may have filled it before."""
    m.state.set((address, GRADIENT), replace(gradient, stir=now(m)))


def count(m: Machine, slot: tuple[int, str]) -> int:
    found: Any = m.state.get(slot, None)
    return found.value if isinstance(found, Count) else 0


def now(m: Machine) -> int:
    """What was noted before this number may not hold any more; where torch has raised, nothing that follows runs."""
    return count(m, STIRRED) + m.fatal


def more(m: Machine, slot: tuple[int, str]) -> None:
    m.state.set(slot, Count(count(m, slot) + 1))


def flag(m: Machine, address: int, name: str) -> Truth:
    """A fact that was noted about the object at `address`; NO if it never was."""
    found: Any = m.state.get((address, name), Flag())
    if not isinstance(found, Flag) or found.stir < now(m):
        return MAYBE
    return found.fact


def on_some_paths(m: Machine, address: int, name: str) -> bool:
    """Was it noted on some of the paths that met, and on others not? Not: may unknown code have changed it?"""
    found: Any = m.state.get((address, name))
    return isinstance(found, Flag) and found.stir == now(m) and found.fact is MAYBE


def note(m: Machine, address: int, name: str, fact: Truth) -> None:
    m.state.set((address, name), Flag(fact, now(m)))


def tell(
    m: Machine, what: str, node: cst.CSTNode, sure: Truth, at: cst.CSTNode | None = None, subject: Label = ""
) -> None:
    m.emit(Misstep, node, what=what, sure=sure, at=at, subject=subject)


def misplaced(
    m: Machine, what: str, done: Happening, sure: Truth, at: cst.CSTNode | None, *others: Happening | None
) -> None:
    """What was `done` should have come before or after the others: told where all of them are in sight."""
    place, inside = done.beside(*others)
    m.emit(Misstep, place, what=what, sure=sure, at=at, subject="", inside=inside)


def several(m: Machine, oldest: int) -> None:
    """What was made since the address `oldest` stands for several objects: which of them did what is not known."""
    for address in range(oldest, m.state.address()):
        tensor = m.state.get((address, CELL))
        if isinstance(tensor, Tensor) and tensor.parameter:
            m.plural.add(address)


def refuse(
    m: Machine, what: str, node: cst.CSTNode, sure: Truth, at: cst.CSTNode | None = None, subject: Label = ""
) -> None:
    """Tell of what torch raises an error for."""
    tell(m, what, node, sure, at, subject)
    m.raises()


def parameters(m: Machine, owned: Iterable[int] | None) -> list[int]:
    """Those of an optimizer's tensors that can have a gradient."""
    if owned is None:
        return []
    singles = owned if not m.plural else [a for a in owned if a not in m.plural]
    return [a for a in singles if isinstance(t := m.state.cell(a), Tensor) and not t.grad.no]


def older(m: Machine, address: int) -> bool:
    """Does its `.grad` stem from before the function that runs was called from outside? Then any backward may have come
    by in between."""
    visit = m.visit
    return (
        visit is not None
        and address < visit.id
        and all(slot != (address, "grad") for slot, _ in m.state.trail[visit.mark :])
    )


# Whose gradient is it?


def belongs(m: Machine, gradient: Value, address: int) -> None:
    """The tensor is the `.grad` of the leaf at `address`: who writes it changes what is known of the gradient."""
    for _, tensor in m.tensors(gradient):
        m.state.set((tensor.storage, GRADIENT_OF), address)


def alias(m: Machine, storage: int, other: int) -> None:
    """`other` names the same memory (`.data`)."""
    address = m.state.get((storage, GRADIENT_OF))
    if address is not None and storage != other:
        m.state.set((other, GRADIENT_OF), address)


def scaled_by(m: Machine, nodes: Iterable[int]) -> Truth:
    """Has a backward through these graph nodes gone through `scaler.scale(...)`?"""
    return next((m.scaled[n] for n in nodes if n in m.scaled), NO)


# What spoils what is known


CLEARING = frozenset({"zero_grad", "zero_", "fill_", "mul_", "copy_", "step", "unscale_"})
"""Methods that, of an unknown object, may clear or use gradients that are known."""


def moves(m: Machine) -> None:
    """The functions that are running do something to gradients."""
    m.movers.update(id(f.function.definition) for f in m.frames if f.function is not None)


def stir(m: Machine, spends: bool = True) -> None:
    """Unknown code may have filled, used or cleared any gradient; spends: may it step with those that are there?"""
    if m.bystanding:
        return
    moves(m)
    if spends:
        unspent.left(m)
        misclipped.left(m)
    more(m, STIRRED)


def loosen(m: Machine, address: int, tensor: Tensor) -> None:
    """Unknown code holds the tensor at `address`: a leaf, or somebody's gradient."""
    if m.bystanding:
        return
    rewritten(m, tensor.storage)
    if (address, GRADIENT) in m.state.slots or tensor.parameter:
        keep(m, address, Gradient(**VAGUE))


def hand_out(m: Machine, receiver: Value) -> None:
    """A bound `optimizer.step` or `zero_grad` is kept as a value: who calls it is not known from here on."""
    if isinstance(receiver, Ref) and any(isinstance(cell, (Optimizer, Instance)) for _, cell in m.cells(receiver)):
        m.state.set(LOOSE, YES)


def regrouped(m: Machine) -> None:
    """The parameters of some group of an optimizer may have been exchanged."""
    m.ledger.regroups = True
    m.state.set(LOOSE, YES)
    stir(m)


def loosen_optimizer(m: Machine, optimizer: Optimizer) -> None:
    """Unknown code holds an optimizer: it may step or clear now, and whenever unknown code runs again."""
    if m.bystanding:
        return
    m.state.set(LOOSE, YES)
    for address in parameters(m, optimizer.owned):
        keep(m, address, Gradient(**VAGUE))


def rewritten(m: Machine, storage: int) -> None:
    """Memory was written: is it a gradient's?"""
    address = m.state.get((storage, GRADIENT_OF))
    if isinstance(address, int):
        keep(m, address, Gradient(**VAGUE))
