"""The graph in the language of Graphviz, and as a picture where Graphviz is installed."""

from __future__ import annotations

import shutil
import subprocess

from flake8_detach.flow.drawing import Drawing, Item
from flake8_detach.report.graph_text import details, heading

STYLES = {
    "op": 'shape=box, style="filled,rounded", fillcolor="#ffffff"',
    "leaf": 'shape=ellipse, style=filled, fillcolor="#d7ecff", color="#1c6fb8"',
    "parameter": 'shape=ellipse, style=filled, fillcolor="#d7ecff", color="#1c6fb8", penwidth=2',
    "cut": 'shape=octagon, style=filled, fillcolor="#ffd6d6", color="#c00000", fontcolor="#5c0000", penwidth=2',
    "either": 'shape=diamond, style=filled, fillcolor="#fff3cd", color="#8a6d00"',
    "unknown": 'shape=hexagon, style="filled,dotted", fillcolor="#eeeeee", color="#777777"',
}
FREED = 'shape=box, style="filled,dashed", fillcolor="#ffffff", fontcolor="#777777"'
LOST = ', fillcolor="#f6f6f6", color="#bbbbbb", fontcolor="#888888"'


class NoGraphviz(Exception):
    """Graphviz' `dot` is not there, or it failed; the text says which."""


def dot(drawing: Drawing, title: str) -> str:
    """A directed graph from the leaves down to the value; a line goes the way of the data, backward runs against it."""
    lines = [
        "digraph autograd {",
        f"    graph [label={_quoted(title)}, labelloc=t, fontname=Helvetica]",
        "    node [fontname=Helvetica, fontsize=11]",
        "    edge [fontname=Helvetica, fontsize=9]",
    ]
    boxed = {index for box in drawing.boxes for index in box.items}
    lines += [f"    {_item(index, item)}" for index, item in enumerate(drawing.items) if index not in boxed]
    for number, box in enumerate(drawing.boxes):
        lines.append(f"    subgraph cluster{number} {{")
        lines.append(f'        label={_quoted(box.title)}; color="#c00000"; fontcolor="#c00000"')
        lines += [f"        {_item(index, drawing.items[index])}" for index in box.items]
        lines.append("    }")
    for line in drawing.lines:
        style = ' [color="#c00000", style=dashed, arrowhead=tee]' if line.cut else ""
        style = style or ("" if line.sure else " [style=dotted, label=perhaps]")
        lines.append(f"    n{line.end} -> n{line.start}{style}")
    return "\n".join([*lines, "}"]) + "\n"


def picture(text: str, kind: str) -> bytes:
    """What Graphviz makes of `text` ("svg", "png"). Raises NoGraphviz."""
    program = shutil.which("dot")
    if program is None:
        raise NoGraphviz(f"{kind} needs Graphviz, whose `dot` is not on the path; --format dot or mermaid do without")
    done = subprocess.run([program, f"-T{kind}"], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise NoGraphviz(f"dot failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _item(index: int, item: Item) -> str:
    style = FREED if item.freed and item.kind == "op" else STYLES[item.kind]
    label = _quoted("\n".join([heading(item), *details(item)]))
    return f"n{index} [label={label}, {style}{LOST if item.lost and item.kind != 'cut' else ''}]"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
