"""The graph as a Mermaid flowchart, which GitHub, GitLab and many editors render in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from flake8_detach.flow.drawing import Drawing, Item
from flake8_detach.report.graph_text import details, heading

SHAPES = {
    "op": ("[", "]"),
    "leaf": ("([", "])"),
    "parameter": ("([", "])"),
    "cut": ("[/", "\\]"),
    "either": ("{{", "}}"),
    "unknown": ("{{", "}}"),
}
"""How Mermaid brackets the label of each kind of item."""

STYLES = {
    "leaf": "fill:#d7ecff,stroke:#1c6fb8,color:#0b2e4d",
    "parameter": "fill:#d7ecff,stroke:#1c6fb8,color:#0b2e4d,stroke-width:2px",
    "cut": "fill:#ffd6d6,stroke:#c00000,color:#5c0000,stroke-width:2px",
    "either": "fill:#fff3cd,stroke:#8a6d00,color:#3d3000",
    "unknown": "fill:#eeeeee,stroke:#777777,color:#333333,stroke-dasharray:2 3",
    "freed": "stroke-dasharray:6 4,color:#777777",
    "lost": "fill:#f6f6f6,stroke:#bbbbbb,color:#888888",
}


def mermaid(drawing: Drawing, title: str) -> str:
    """A flowchart from the leaves down to the value; a line goes the way of the data, backward runs against it."""
    lines = ["flowchart TB", f"    accTitle: {_plain(title)}"]
    boxed = {index for box in drawing.boxes for index in box.items}
    lines += [f"    {_item(index, item)}" for index, item in enumerate(drawing.items) if index not in boxed]
    for number, box in enumerate(drawing.boxes):
        lines.append(f'    subgraph mode{number}["{_quoted(box.title)}"]')
        lines += [f"        {_item(index, drawing.items[index])}" for index in box.items]
        lines.append("    end")
    red = []
    for number, line in enumerate(drawing.lines):
        arrow = "-.-x" if line.cut else "-->" if line.sure else "-. perhaps .->"
        lines.append(f"    n{line.end} {arrow} n{line.start}")
        red += [str(number)] if line.cut else []
    if red:
        lines.append(f"    linkStyle {','.join(red)} stroke:#c00000")
    lines += _styles(drawing)
    return "\n".join(lines) + "\n"


def _styles(drawing: Drawing) -> Iterator[str]:
    for name, style in STYLES.items():
        marked = [f"n{index}" for index, item in enumerate(drawing.items) if name in classes(item)]
        if marked:
            yield f"    classDef {name} {style}"
            yield f"    class {','.join(marked)} {name}"


def classes(item: Item) -> list[str]:
    """The styles that apply to an item."""
    own = "lost" if item.lost and item.kind not in ("cut", "unknown") else item.kind
    return [own, *(["freed"] if item.freed else [])]


def _item(index: int, item: Item) -> str:
    left, right = SHAPES[item.kind]
    label = "<br/>".join(_quoted(text) for text in [heading(item), *details(item)])
    return f'n{index}{left}"{label}"{right}'


def _quoted(text: str) -> str:
    """As a label may hold it: what Mermaid, Markdown or HTML would read as its own is written as an entity."""
    special = '"#`<>&*~\\|[]{}' + ("_" if "__" in text or text.startswith("_") else "")
    return "".join(f"#{ord(c)};" if c in special else c for c in text)


def _plain(text: str) -> str:
    """As a title may hold it, which ends with the line and knows no entities."""
    return "".join(" " if c in "\n\r;#{}" else c for c in text)
