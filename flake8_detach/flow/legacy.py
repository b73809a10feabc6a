"""Calls of what PyTorch keeps for old code only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import events, missing
from flake8_detach.flow.values import Const, External
from flake8_detach.knowledge.legacy import LEGACY

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine


def called(m: Machine, node: cst.CSTNode, name: str, args: Args) -> None:
    """A function of that qualified name is called, or a method (`Tensor.resize`) of what is known to be a tensor."""
    for old in LEGACY.get(name, ()):
        given = args.get(old.place if old.place >= 0 else len(args.pos), old.keyword)
        if old.keyword and (given is None or given == Const(not old.value)):
            continue
        if old.value is False and given != Const(False):
            continue
        if old.ignored:
            missing.ignored(m, node, f"{old.keyword}=", f"{old.note}; use {old.instead}")
            return
        m.emit(events.Legacy, node, name=name, old=old, spelt=_spelt(m, node, name), open=args.open)
        return


def decorates(m: Machine, node: cst.CSTNode, function: External) -> None:
    """`@custom_fwd`: a function is decorated with what is not called."""
    for old in LEGACY.get(function.name, ()):
        if not old.keyword:
            m.emit(events.Legacy, node, name=function.name, old=old, spelt=False, open=False)


def _spelt(m: Machine, node: cst.CSTNode, name: str) -> bool:
    """Does the call name the function itself? Not if it comes by another name, through a partial or an argument."""
    from flake8_detach.flow.evaluate import evaluate

    if not isinstance(node, cst.Call) or not isinstance(node.func, (cst.Name, cst.Attribute)):
        return False
    last = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if last.value != name.rpartition(".")[2]:
        return False
    return name.startswith(("Tensor.", "Module.")) or evaluate(m, node.func) == External(name)
