"""What a value that lost its gradient was computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flake8_detach.flow.values import Edge, Source, Tensor

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def behind(m: Machine, source: Source | None) -> tuple[set[int], dict[int, int]]:
    """The graph nodes, and the leaves that require grad with their storages, that a lost value was computed from."""
    nodes: set[int] = set()
    leaves: dict[int, int] = {}
    sources: set[int] = set()
    todo: list[Edge | Source] = [] if source is None else [source]
    while todo:
        one = todo.pop()
        if isinstance(one, Source):
            if id(one) not in sources:
                sources.add(id(one))
                todo.extend((*one.edges, *one.behind))
        elif one.node is not None:
            if one.node not in nodes:
                m.step()
                nodes.add(one.node)
                node = m.state.graph[one.node]
                todo.extend(node.edges)
                todo.extend(o for cut in node.cuts if (o := cut.cause.origin) is not None)
        elif one.leaf is not None and one.leaf not in leaves:
            cell = m.state.cell(one.leaf)
            if isinstance(cell, Tensor) and cell.grad.yes:
                leaves[one.leaf] = cell.storage
                if cell.why is not None and cell.why.kind == "faked" and cell.why.origin is not None:
                    todo.append(cell.why.origin)
    return nodes, leaves


def edges(source: Source | None) -> list[Edge]:
    """The edges that the cuts nearest to the value took away."""
    found: list[Edge] = []
    todo = [source] if source is not None else []
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen.add(id(one))
            found.extend(one.edges)
            todo.extend(one.behind)
    return found
