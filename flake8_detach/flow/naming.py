"""What the program calls its tensors at one moment: `loss`, `self.scale`, `net.0.weight`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flake8_detach.flow.values import Instance, Layer, Mapping_, Ref, Sequence, Tensor, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

DEPTH = 6
"""So many attributes or keys are followed from a variable."""
MOST = 5000
"""So many names are looked at; a file with more has its last ones unnamed."""


class Names:
    """`tensors`: address -> name. `nodes`: graph node -> name of the tensor that it has made. The shortest path counts,
    from the innermost scope on."""

    def __init__(self, m: Machine) -> None:
        self._m = m
        self.tensors: dict[int, str] = {}
        self.nodes: dict[int, str] = {}
        self._seen: set[int] = set()
        scope = {frame: rank for rank, frame in enumerate(m.frame.scope)}
        variables = [
            (scope[owner], name, value)
            for (owner, name), value in m.state.slots.items()
            if owner in scope and name.isidentifier() and isinstance(value, (Ref, Tuple))
        ]
        level: list[tuple[str, Value]] = [(name, value) for _, name, value in sorted(variables, key=lambda v: v[0])]
        for _ in range(DEPTH):
            level = [below for name, value in level for below in self._take(name, value)]

    def _take(self, name: str, value: Value) -> list[tuple[str, Value]]:
        """Write the tensors of a value down; what can be reached from it in one step."""
        if isinstance(value, Tuple):
            return [(f"{name}[{i}]", item) for i, item in enumerate(value.items)]
        if not isinstance(value, Ref) or len(value.addresses) != 1:
            return []
        address = value.addresses[0]
        cell = self._m.cell(value)
        if isinstance(cell, Tensor):
            self.tensors.setdefault(address, name)
            if cell.node is not None:
                self.nodes.setdefault(cell.node, name)
            return []
        if address in self._seen or len(self._seen) > MOST:
            return []
        self._seen.add(address)
        if isinstance(cell, Sequence):
            return [(f"{name}[{i}]", item) for i, item in enumerate(cell.items or ())]
        if isinstance(cell, Mapping_):
            return [(f"{name}[{key!r}]", item) for key, item in cell.items]
        if isinstance(cell, (Layer, Instance)):
            get = self._m.state.get
            own = dict.fromkeys(
                [*self._m.state.names(address), *(cell.children or () if isinstance(cell, Layer) else ())]
            )
            return [(f"{name}.{n}", found) for n in own if n[0] != "*" and (found := get((address, n))) is not None]
        return []
