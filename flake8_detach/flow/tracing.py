"""From values of the machine to a drawing of the graph behind them, as it is at this moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flake8_detach.flow.checkpointed import OP as CHECKPOINT
from flake8_detach.flow.drawing import Box, Drawing, Item, Kind, Line
from flake8_detach.flow.machine import constant
from flake8_detach.flow.naming import Names
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.tensors import Inputs
from flake8_detach.flow.values import (
    DERIVATIVE,
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    Cause,
    Edge,
    Node,
    Scalar,
    Source,
    Tensor,
    Truth,
    Value,
)
from flake8_detach.knowledge import grad_fns
from flake8_detach.source import Source as File
from flake8_detach.source import code

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

ENGINE = {
    "join": "one of these",
    "grad": "gradient with a graph of its own",
    CHECKPOINT: "checkpoint",
}
"""Nodes that are none of torch's: what the engine makes where it knows less."""

TEXT = 60
"""Characters of source text that an item shows."""


def draw(m: Machine, file: File, value: Value, name: str = "") -> Drawing | None:
    """The graph behind all tensors in `value`, which goes by `name`; None if there is none, and none was lost."""
    return _Painter(m, file).paint(value, name)


class _Painter:
    """Makes one drawing. Keys tell items apart: ("node", number), ("leaf", address), ("cut", id of the evidence)."""

    def __init__(self, m: Machine, file: File) -> None:
        self._m, self._file = m, file
        self._names = Names(m)
        self._keys: dict[Any, int] = {}
        self._items: list[Item] = []
        self._lines: dict[Line, None] = {}
        self._boxes: dict[str, list[int]] = {}
        self._todo: list[tuple[Any, int, bool]] = []

    def paint(self, value: Value, name: str) -> Drawing | None:
        inputs = Inputs()
        inputs.add(self._m, value, "")
        if isinstance(value, Scalar) and value.why is not None:
            inputs.numbers.append(value.why)
        roots = []
        for address, tensor, _ in inputs.tensors:
            if not tensor.grad.no:
                roots.append(self._edge(self._m.edge(address, tensor), False))
                self._call(roots[-1], name)
        lost = [tensor.why for _, tensor, _ in inputs.tensors if tensor.grad.no] + list(inputs.numbers)
        roots += [self._cut(cause.loss, name) for cause in lost if cause is not None and cause.loss is not None]
        if not roots:
            return None
        self._follow()
        boxes = tuple(Box(title, tuple(dict.fromkeys(items))) for title, items in self._boxes.items())
        return Drawing(tuple(dict.fromkeys(roots)), tuple(self._items), tuple(self._lines), boxes)

    def _call(self, index: int, name: str) -> None:
        if name and not self._items[index].name:
            self._items[index] = replace(self._items[index], name=name)

    def _follow(self) -> None:
        """All that is alive first, then what only stands behind cuts."""
        for lost in (False, True):
            again: list[tuple[Any, int, bool]] = []
            while self._todo:
                step = self._todo.pop(0)
                node, index, behind = step
                if behind is not lost:
                    again.append(step)
                else:
                    self._behind(node, index, behind)
            self._todo = again

    def _behind(self, what: Node | Source, index: int, lost: bool) -> None:
        if isinstance(what, Source):
            for edge in what.edges:
                self._lines[Line(index, self._edge(edge, True), edge.sure, True)] = None
            for source in what.behind:
                self._behind(source, index, lost)
            return
        for edge in what.edges:
            self._lines[Line(index, self._edge(edge, lost), edge.sure or what.op == "join")] = None
        for cut in what.cuts:
            if cut.cause.loss is not None:
                self._lines[Line(index, self._cut(cut.cause.loss, "", lost), True, True)] = None
        if _sees_not_all(what):
            made = self._add(("unknown", id(what)), Item("unknown", "not known", lost=lost))
            self._lines[Line(index, made, False)] = None

    def _add(self, key: Any, item: Item, after: Node | Source | None = None) -> int:
        if key not in self._keys:
            self._keys[key] = len(self._items)
            self._items.append(item)
            if after is not None:
                self._todo.append((after, self._keys[key], item.lost or item.kind == "cut"))
        return self._keys[key]

    # Items

    def _edge(self, edge: Edge, lost: bool) -> int:
        if edge.node is not None:
            return self._node(edge.node, lost)
        assert edge.leaf is not None
        tensor = self._m.state.slots.get((edge.leaf, CELL))
        kind: Kind = "unknown"
        if isinstance(tensor, Tensor) and (tensor.leaf.yes or tensor.grad.yes):
            kind = "parameter" if tensor.parameter else "leaf"
        title = "not known" if kind == "unknown" else "AccumulateGrad"
        return self._add(("leaf", edge.leaf), Item(kind, title, self._names.tensors.get(edge.leaf, ""), lost=lost))

    def _node(self, number: int, lost: bool) -> int:
        node = self._m.state.graph[number]
        fns = grad_fns.of(node.drawn or node.op)
        if (given := self._given(node)) is not None:
            fns = fns.of_call(given)
        ways = fns.ways
        title = (
            fns.single
            or ENGINE.get(node.op)
            or (node.drawn or node.op).removeprefix("torch.").replace("nn.functional.", "F.")
        )
        if node.op.isidentifier() and node.op not in ENGINE:  # a class of the file: a custom Function
            title = f"{node.op}Backward"
            ways = ((title,),)
        freed: Truth = self._m.state.get((number, "freed"), NO) if node.saved else NO
        site = self._m.state.get((number, "freed at"))
        item = Item(
            "either" if node.op == "join" else "unknown" if node.op == DERIVATIVE else "op",
            title,
            self._names.nodes.get(number, ""),
            "" if node.op == "join" else self._text(node.site),
            self._line(node.site),
            ways,
            "" if freed.no else "perhaps freed" if freed is MAYBE else "freed",
            0 if freed.no else self._line(site),
            lost,
        )
        return self._add(("node", number), item, node)

    def _given(self, node: Node) -> list[grad_fns.Argument] | None:
        """The arguments of the op; None if too little is known of them, or if they have changed since."""
        if node.drawn or (node.op.endswith("_") and not node.op.endswith("__")):
            return None
        leaves, nodes = {e.leaf for e in node.edges if e.sure}, {e.node for e in node.edges if e.sure}
        found = []
        for name, value in node.given.items():
            tensors = self._m.tensors(value)
            if value == UNKNOWN or name == "*open" or len(tensors) > 1:
                return None
            if not tensors:
                if value != NONE:
                    found.append(grad_fns.Argument(name, value=constant(value)))
                continue
            address, tensor = tensors[0]
            required = tensor.node in nodes if tensor.node is not None else address in leaves
            if tensor.rank is None or not (required if tensor.grad.yes else tensor.grad.no):
                return None
            found.append(grad_fns.Argument(name, tensor.rank, required))
        return found

    def _cut(self, cause: Cause, name: str, lost: bool = False) -> int:
        item = Item(
            "cut", str(cause.what), name or str(cause.name), str(cause.subject), self._line(cause.site), lost=lost
        )
        index = self._add(("cut", id(cause)), item, cause.source)
        if cause.kind == "mode":
            under = f"{cause.what}".removeprefix("computed under ").strip("`")
            self._boxes.setdefault(f"{under}, line {item.line}", []).append(index)
        return index

    def _line(self, site: Any) -> int:
        try:
            return self._file.line(site) if site is not None else 0
        except KeyError:  # a node that the engine has made up
            return 0

    def _text(self, site: Any) -> str:
        text = code(site) if site is not None else ""
        return text if len(text) <= TEXT else text[: TEXT - 3] + "..."


def _sees_not_all(node: Node) -> bool:
    """Did something go in that may be a tensor with a graph, and is not seen? Unknown sizes and flags do not count."""
    if node.op == "join":
        return False
    factor = node.op.rpartition(".")[2].strip("_") in ("mul", "rmul", "imul", "truediv", "div")
    return node.unseen or (node.open and (factor or not grad_fns.of(node.op).names))
