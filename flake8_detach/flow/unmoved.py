"""Samples that hide their parameters from a loss which trains these by another term: `dist.sample()` in an ELBO.

A sample without a gradient tells the parameters that it is drawn from nothing of what it does; its `log_prob`, the
score function, can. Who trains them in the same backward, by a divergence from a prior, and takes no `log_prob`
anywhere, means to train them by what the sample does, too.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flake8_detach.flow import leaks, origins
from flake8_detach.flow.afterwards import below
from flake8_detach.flow.values import Cause, Edge
from flake8_detach.knowledge.distributions import REPARAMETRIZED

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def hides(m: Machine, start: Edge, cause: Cause) -> bool:
    """Is `cause` a sample, taken by a network of its own, whose parameters the backward from `start` comes by?"""
    drawn = cause.what == leaks.DRAWN and cause.lost.yes and cause.subject in REPARAMETRIZED
    if not drawn or start.node is None:
        return False
    graph = m.state.graph
    reached, _ = below(graph, [start.node])
    parameters = {edge.node for edge in origins.edges(cause.origin) if edge.node is not None}
    if parameters.isdisjoint(reached):
        return False
    takers = [n for n in reached if any(cut.cause.loss is cause for cut in graph[n].cuts)]
    by_hand = not parameters.isdisjoint(below(graph, takers)[0])  # a score function takes both
    return any(_owns(m, n) for n in takers) and not by_hand and not _scores(m)


def _owns(m: Machine, node: int) -> bool:
    """Is it an op with a weight that an optimizer steps?"""
    return any(edge.leaf in m.owned for edge in m.state.graph[node].edges)


def _scores(m: Machine) -> bool:
    """Does the file ask any distribution for a `log_prob`?"""
    nodes = ast.walk(m.tree) if m.tree is not None else ()
    return any(isinstance(node, ast.Attribute) and node.attr == "log_prob" for node in nodes)
