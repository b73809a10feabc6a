"""The graph as a tree in the terminal: the value first, below each item what went into it."""

from __future__ import annotations

from typing import IO

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from flake8_detach.flow.drawing import Drawing, Item, Line
from flake8_detach.report.graph_text import details, heading

UNBOUNDED = 10_000
"""Lines that go to a file or another program are not wrapped."""

STYLES = {"leaf": "blue", "parameter": "bold blue", "cut": "bold red", "either": "yellow", "unknown": "dim italic"}


def print_tree(drawing: Drawing, title: str, file: IO[str] | None = None) -> None:
    """Print the tree, in colours if it goes to a terminal. What several items use is shown once, in full."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console.width = UNBOUNDED
    top = Tree(Text(title, "bold"), guide_style="dim")
    shown: set[int] = set()
    # an explicit stack: a graph may be deeper than Python's
    todo = [(top, Line(-1, root)) for root in reversed(drawing.roots)]
    while todo:
        above, line = todo.pop()
        item = drawing.items[line.end]
        inputs = list(drawing.inputs(line.end))
        again = line.end in shown and bool(inputs)
        label = _label(item, line)
        if again:
            label.append("  (shown above)", "dim")
        branch = above.add(label)
        if not again:
            shown.add(line.end)
            todo += [(branch, below) for below in reversed(inputs)]
    for box in drawing.boxes:
        top.add(Text(f"made under {box.title}: {', '.join(_short(drawing.items[i]) for i in box.items)}", "red"))
    console.print(top)


def _label(item: Item, line: Line) -> Text:
    style = "dim" if item.lost and item.kind != "cut" else STYLES.get(item.kind, "")
    if item.freed:
        style = f"{style} dim strike".strip()
    text = Text(heading(item), style)
    rest = "  ".join(details(item))
    if rest:
        text.append(f"  {rest}", "dim")
    if line.cut and item.kind != "cut":
        text.append("  (backward does not come here)", "red")
    elif not line.sure:
        text.append("  (perhaps)", "yellow")
    return text


def _short(item: Item) -> str:
    return item.name or item.text or heading(item)
