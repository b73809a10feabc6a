"""How rules offer to take a cut out of the text: `.detach()`, `.item()`, `float(x)`, a copy by `torch.tensor`."""

from __future__ import annotations

from typing import Any

from flake8_detach import fixes
from flake8_detach.fixes.edits import Applicability, Fix
from flake8_detach.flow.values import Cause
from flake8_detach.source import Source, code

METHODS = frozenset({"detach", "item"})
"""Methods without arguments that cut."""

SWITCHES = frozenset({"requires_grad_"})
"""Methods that have no purpose but to make a leaf of what was cut."""


def connected(source: Source, cause: Cause | None, kind: Applicability = "unsafe") -> Fix | None:
    """The fix that takes out the cut; None if it is not one expression that can go."""
    import libcst as cst

    if cause is None or cause.divided:
        return None
    site = (cause.loss or cause).site
    build, place = fixes.build, fixes.place
    if isinstance(site, cst.Attribute) and site.attr.value == "data":
        return build.offer("drop `.data`", kind, build.delete_after(source, site.value, _end(source, site)))
    if not isinstance(site, cst.Call):
        return None
    if isinstance(site.func, cst.Attribute) and site.func.attr.value in METHODS and not site.args:
        kept, whole = _start(site), _end(source, site)
        if place.alone(source, whole):
            return None
        name = code(whole)[len(code(kept)) :] if whole is not site or kept is not site.func.value else ""
        name = name or f".{site.func.attr.value}()"
        assigned = source.parent(whole)
        if isinstance(assigned, cst.Assign) and any(t.target.deep_equals(kept) for t in assigned.targets):
            return build.offer(f"drop `{name}`", kind, build.delete_statement(source, whole))  # `x = x` is no statement
        return build.offer(f"drop `{name}`", kind, build.delete_after(source, kept, whole))
    name = code(site.func)
    if name == "float":
        return build.offer("drop `float()`", kind, build.unwrap(source, site))
    values = place.argument(site, 0)
    if name != place.spelling(source, "torch.tensor", site) or len(site.args) != 1 or not isinstance(values, cst.List):
        return None  # of a name alone it cannot be told whether it is one tensor or a list of them
    if any(isinstance(each.value, (cst.BaseNumber, cst.UnaryOperation)) for each in values.elements):
        return None
    stack = place.spelling(source, "torch.stack", site)
    return build.offer(f"use `{stack}`", kind, build.replace(source, site.func, stack) if stack else ())


def _start(site: Any) -> Any:
    """What the first of a chain of cuts is made of: `x` of `x.detach().item()`."""
    import libcst as cst

    kept = site.func.value
    while isinstance(kept, cst.Call) and isinstance(kept.func, cst.Attribute) and not kept.lpar:
        if kept.func.attr.value not in METHODS or kept.args:
            break
        kept = kept.func.value
    return kept


def _end(source: Source, site: Any) -> Any:
    """The last of the cuts that follow in the same chain."""
    import libcst as cst

    whole = site
    while not whole.lpar:
        attribute = source.parent(whole)
        call = source.parent(attribute) if isinstance(attribute, cst.Attribute) else None
        if not isinstance(attribute, cst.Attribute) or not isinstance(call, cst.Call) or call.func is not attribute:
            break
        if attribute.attr.value not in METHODS | SWITCHES:
            break
        whole = call
    return whole
