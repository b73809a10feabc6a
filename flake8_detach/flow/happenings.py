"""Where something happened, and by which calls the run had come there.

A helper that clears the gradients is right; it is called at the wrong place. What is out of order is told where the
order is made: in the innermost function that both have happened in or below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


class Happening(NamedTuple):
    """Something at a place in the text; calls: those in the file that had led there, outermost first."""

    site: cst.CSTNode
    calls: tuple[cst.CSTNode, ...] = ()

    def beside(self, *others: Happening | None) -> tuple[cst.CSTNode, cst.CSTNode | None]:
        """Its place in the innermost function that it shares with one of the others, and its site if that is deeper:
        then the place is the call that has led to it from there."""
        known = [other for other in others if other is not None]
        place = (*self.calls, self.site)[max((_shared(self.calls, other.calls) for other in known), default=-1)]
        if any(other.site is place for other in known):
            place = self.site  # in a hook of the other: no call could stand elsewhere
        return place, None if place is self.site else self.site


def happening(m: Machine, site: cst.CSTNode) -> Happening:
    """Something happens at `site` now."""
    return Happening(site, m.calls)


def _shared(a: tuple[cst.CSTNode, ...], b: tuple[cst.CSTNode, ...]) -> int:
    """How many calls both have in common, from the outermost on."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x is not y), min(len(a), len(b)))
