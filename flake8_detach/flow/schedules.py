"""Schedulers: has the optimizer stepped before the learning rate moves on?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import optimizer_contracts
from flake8_detach.flow.events import Misstep
from flake8_detach.flow.gradients import EARLY, SCHEDULED, STEPPED, flag, note, tell
from flake8_detach.flow.values import NO, NONE, YES, Const, Joined, Optimizer, Thing
from flake8_detach.knowledge.optimizers import SCHEDULERS, UNCHECKED

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine


STEPS = "*steps"
"""Slot of a scheduler: how often it has been stepped, as a `Steps`."""


@dataclass(frozen=True, slots=True)
class Steps(Joined):
    """A number that is known only where all paths agree."""

    value: int | None = 0

    def join(self, other: Any, presume: bool = False) -> Steps:
        return self if self == other else Steps(None)


def argument(m: Machine, node: cst.CSTNode, scheduler: Thing, address: int, args: Args) -> None:
    """What `scheduler.step(...)` is given, and how often it is called."""
    kind = scheduler.kind.rpartition(".")[2]
    spec = SCHEDULERS.get(kind)
    given = args.get(0, "metrics" if spec is not None and spec.argument == "metrics" else "epoch")
    if spec is None:
        return
    if spec.argument == "metrics" and (given is None or given == NONE):
        optimizer_contracts.tell(m, node, f"`{kind}` wants the metric that it watches: `step(loss)`")
    elif spec.argument == "" and given is not None:
        optimizer_contracts.tell(m, node, f"the `step` of `{kind}` takes no argument")
    elif spec.argument == "epoch" and given is not None and given != NONE:
        what = "a loss" if m.is_tensor(given) else "an epoch"
        tell(m, "epoch-given", node, YES, None, what)
    total = scheduler.part("*total")
    found: Any = m.state.get((address, STEPS), Steps())
    before = found.value if isinstance(found, Steps) else None
    m.state.set((address, STEPS), Steps(None if before is None else before + 1))
    if isinstance(total, Const) and before is not None and before >= total.value and address not in m.escaped:
        optimizer_contracts.tell(m, node, f"`{kind}` is made for {total.value} steps, this is one more")


def asked(m: Machine, node: cst.CSTNode, kind: str) -> None:
    """`scheduler.get_lr()` from outside of `step`."""
    name = kind.rpartition(".")[2]
    spec = SCHEDULERS.get(name)
    if spec is not None and not spec.rate:
        optimizer_contracts.tell(m, node, f"`{name}` has no `get_lr`; call `get_last_lr()`")
    elif spec is not None:
        tell(m, "rate-asked", node, YES)


def scheduler_made(m: Machine, address: int, optimizer: int | None) -> None:
    if optimizer is not None:
        note(m, optimizer, STEPPED, NO)
        note(m, optimizer, optimizer_contracts.RESUMABLE, YES)
        m.scheduled.add(optimizer)
    note(m, address, SCHEDULED, NO)


def scheduled(
    m: Machine, site: cst.CSTNode, kind: str, address: int, optimizer: int | None, counted: bool = True
) -> None:
    """`scheduler.step()`: torch looks only the first time whether its optimizer has stepped. counted: the scheduler
    counts its own steps; an epoch that is given skips none, though torch warns."""
    first = flag(m, address, SCHEDULED)
    note(m, address, SCHEDULED, YES)
    if (
        not counted
        or optimizer is None
        or optimizer in m.escaped
        or address in m.escaped
        or kind.rpartition(".")[2] in UNCHECKED
    ):
        return
    if first.no and flag(m, optimizer, STEPPED).no and isinstance(m.state.cell(optimizer), Optimizer) and not m.quiet:
        note(m, address, EARLY, YES)
        event = m.event(Misstep, site, what="scheduler-first", sure=YES, at=None, subject=kind.rpartition(".")[2])
        m.early.setdefault(optimizer, {})[address] = event
        m.afterwards.ask(lambda _: tell_early(m, optimizer))


def tell_early(m: Machine, optimizer: int, step: cst.CSTNode | None = None) -> None:
    """The optimizer steps at `step`, or the program ends: was a scheduler first, on all paths that lead here?"""
    for scheduler, event in m.early.get(optimizer, {}).items():
        if flag(m, scheduler, EARLY).yes:
            m.sink(replace(event, at=step))
