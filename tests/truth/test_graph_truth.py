"""Is the drawn graph the one that torch makes? Each program of graphs/ is drawn, and run.

One item of a drawing is one call of an op. So torch's nodes are put together by the call that made them, which a
TorchFunctionMode sees, and then both graphs must be the same: as many nodes, the same edges, AccumulateGrad for the
same tensors, and for each op the classes of its nodes as the drawing says. Where the drawing leaves open
which of several it is, the program says so in its first line, `# open: nn.LSTM`; all else must be told exactly.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from flake8_detach.flow.drawing import Drawing, Item
from flake8_detach.report.graph_command import look

torch = pytest.importorskip("torch", reason="the truth tests need torch (pip install flake8-detach[oracle])")
from torch.overrides import TorchFunctionMode  # noqa: E402

pytestmark = pytest.mark.truth

PROGRAMS = sorted((Path(__file__).parent / "graphs").glob("*.py"))
MARK = "# draw: "


@dataclass(eq=False)
class Call:
    """The grad_fns that one call has made; or the leaf `leaf`. `inputs`: what they lead to outside of the call."""

    names: list[str] = field(default_factory=list)
    leaf: str = ""
    fns: list[Any] = field(default_factory=list)
    inputs: list[Call] = field(default_factory=list)


class Calls(TorchFunctionMode):  # type: ignore[misc]
    """Sees which grad_fns each call has made."""

    def __init__(self) -> None:
        super().__init__()
        self.owner: dict[Any, Any] = {}
        self.calls = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.take([args, kwargs], None)  # what no call has made: a custom Function
        result = function(*args, **(kwargs or {}))
        self.calls += 1
        self.take([result, args, kwargs], self.calls)
        return result

    def take(self, value: Any, call: int | None) -> None:
        """Give the call what is new behind the value (None: each node stands for itself)."""
        todo = [t.grad_fn for t in tensors(value)]
        while todo:
            fn = todo.pop()
            if fn is not None and fn not in self.owner and not is_leaf(fn):
                made_later = type(fn).__name__ == "AsStridedBackward0"  # by torch, when a view is asked after a write
                self.owner[fn] = fn if call is None or made_later else call
                todo += [after for after, _ in fn.next_functions]


def is_leaf(fn: Any) -> bool:
    return type(fn).__name__ == "AccumulateGrad"


def tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from tensors(inner)


def run(path: Path, name: str) -> tuple[Call, dict[str, Any]]:
    """torch's graph of the variable `name` after the program, put together by calls; and the variables."""
    space: dict[str, Any] = {"__name__": "__main__"}
    torch.manual_seed(0)
    with Calls() as calls:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    found: dict[Any, Call] = {}

    def call(fn: Any) -> Call:
        if is_leaf(fn):
            return found.setdefault(fn, Call(leaf=leaves[id(fn.variable)]))
        return found.setdefault(calls.owner.get(fn, fn), Call())

    leaves = {id(tensor): label for label, tensor in named(space)}
    root = space[name]
    seen: set[Any] = set()
    todo = [root.grad_fn]
    while todo:
        fn = todo.pop()
        if fn in seen or is_leaf(fn):
            continue
        seen.add(fn)
        own = call(fn)
        own.names.append(type(fn).__name__)
        own.fns.append(fn)
        for after, _ in fn.next_functions:
            if after is not None:
                todo.append(after)
                if call(after) is not own and call(after) not in own.inputs:
                    own.inputs.append(call(after))
    return call(root.grad_fn), space


def named(space: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tensors of a program by the names that a drawing calls them."""
    for name, value in space.items():
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, torch.nn.Module):
            yield from ((f"{name}.{inner}", parameter) for inner, parameter in value.named_parameters())
        elif isinstance(value, list):
            yield from named({f"{name}[{i}]": inner for i, inner in enumerate(value)})


Pairs = dict[int, Call]


def pairings(drawing: Drawing, item: int, call: Call, pairs: Pairs) -> Iterator[Pairs]:
    """All ways to see the item and what is behind it in torch's graph, beyond the `pairs` that are settled."""
    if item in pairs or call in pairs.values():
        if pairs.get(item) is call:
            yield pairs
        return
    if not fits(drawing.items[item], call):
        return
    inputs = [line.end for line in drawing.inputs(item) if not line.cut]
    yield from matchings(drawing, inputs, call.inputs, {**pairs, item: call})


def matchings(drawing: Drawing, items: list[int], calls: list[Call], pairs: Pairs) -> Iterator[Pairs]:
    """All ways to give each of the items a call of its own, so that none is left over on either side."""
    if not items:
        if not calls:
            yield pairs
        return
    first, *rest = items
    kind = drawing.items[first].kind
    if kind == "unknown":  # it stands for anything, or for nothing
        yield from matchings(drawing, rest, calls, pairs)
        yield from (found for call in calls for found in matchings(drawing, rest, without(calls, call), pairs))
    elif kind == "either":  # it stands for one of its inputs
        for line in drawing.inputs(first):
            yield from matchings(drawing, [line.end, *rest], calls, pairs)
    else:
        for call in calls:
            for found in pairings(drawing, first, call, pairs):
                yield from matchings(drawing, rest, without(calls, call), found)


def without(calls: list[Call], call: Call) -> list[Call]:
    return [other for other in calls if other is not call]


def fits(item: Item, call: Call) -> bool:
    if item.kind in ("leaf", "parameter"):
        return item.name == call.leaf
    if call.leaf or item.lost:
        return False
    return not item.ways or tuple(sorted(call.names)) in item.ways


def freed(call: Call) -> bool:
    """Has torch thrown away what a node of the call had saved?"""
    for fn in call.fns:
        for attribute in dir(fn):
            if attribute.startswith("_raw_saved_") or attribute == "saved_tensors":
                continue
            if attribute.startswith("_saved_"):
                try:
                    getattr(fn, attribute)
                except RuntimeError as error:
                    if "freed" in str(error):
                        return True
    return False


def drawn(path: Path) -> tuple[Drawing, str, set[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    number = next(i for i, line in enumerate(lines, 1) if MARK in line)
    drawing, _ = look(str(path), number)
    open_ = re.match(r"# open: (.*)", lines[0])
    return drawing, lines[number - 1].partition(MARK)[2], set(open_[1].split(", ") if open_ else ())


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_the_drawing_is_torchs_graph(path: Path) -> None:
    drawing, name, open_ = drawn(path)
    root, space = run(path, name)
    (start,) = drawing.roots
    pairs = next(pairings(drawing, start, root, {}), None)
    assert pairs is not None, "no way to see the drawing in torch's graph"
    assert {item.title for item in drawing.items if item.kind == "op" and len(item.ways) != 1} == open_
    for index, call in pairs.items():
        assert (drawing.items[index].freed == "freed") == freed(call), drawing.items[index]
    for item in drawing.items:
        if item.kind == "cut" and item.name in space:
            assert not space[item.name].requires_grad
    alive = [i for i, item in enumerate(drawing.items) if item.kind in ("op", "leaf", "parameter") and not item.lost]
    either = any(item.kind == "either" for item in drawing.items)
    assert either or set(alive) == set(pairs), "the drawing has more than torch's graph"


def test_there_are_enough_programs_and_all_kinds_of_items() -> None:
    assert len(PROGRAMS) >= 15
    items = [item for path in PROGRAMS for item in drawn(path)[0].items]
    assert {item.kind for item in items} == {"op", "leaf", "parameter", "cut", "either", "unknown"}
    assert any(item.freed for item in items)


def test_a_wrong_drawing_would_be_seen(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    text = (Path(__file__).parent / "graphs" / "shared.py").read_text(encoding="utf-8")
    program.write_text(text)
    for wrong in (text.replace("tanh", "sinh"), text.replace("twice * hidden", "twice * w"), text.replace("+ w)", ")")):
        assert wrong != text
        other = tmp_path / "other.py"
        other.write_text(wrong)
        drawing, name, _ = drawn(program)
        assert next(pairings(drawing, drawing.roots[0], run(other, name)[0], {}), None) is None


def test_the_table_of_grad_fns_is_what_torch_says() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import make_grad_fns

    assert make_grad_fns.make() == make_grad_fns.TARGET.read_text(encoding="utf-8")
