"""What the drawings of a graph have in common: how an item is labelled, and what the colours stand for."""

from __future__ import annotations

from flake8_detach.flow.drawing import Drawing, Item

SEVERAL = 4
"""Of so many grad_fns the names are written out."""


def heading(item: Item) -> str:
    """The first line of a label: the grad_fn or the op; for a leaf, the name of the tensor."""
    if item.kind in ("leaf", "parameter"):
        return item.name or "a leaf"
    if item.kind == "unknown" and item.name:
        return f"{item.name}: {item.title}"
    return item.title


def made_of(item: Item) -> str:
    """The grad_fns of an op that is not one grad_fn itself, as far as they are known."""
    if item.kind != "op" or (len(item.ways) == 1 and len(item.ways[0]) == 1) or item.title.startswith(_stem(item)):
        return ""
    if len(item.ways) == 1:
        return " + ".join(item.ways[0])
    if not item.names:
        return "several grad_fns, not known which"
    names = item.names[:SEVERAL]
    return f"some of {', '.join(names)}{', ...' if len(item.names) > SEVERAL else ''}"


def _stem(item: Item) -> str:
    """The name that all grad_fns of the op begin with, if there is but one ("SumBackward"); else what no title is."""
    stems = {name.rstrip("0123456789") for name in item.names}
    return stems.pop() if len(stems) == 1 else "\0"


def details(item: Item) -> list[str]:
    """The other lines of a label."""
    if item.kind in ("leaf", "parameter"):
        return ["AccumulateGrad", *([item.remark] if item.remark else [])]
    named = f"{item.name} = {item.text}" if item.name and item.text and item.kind == "op" else item.text or item.name
    if item.kind == "cut":
        named = f"{item.name}: {item.text}" if item.name and item.text and item.name != item.text else named
    return [line for line in (made_of(item), named, item.place, item.remark) if line]


def title(drawing: Drawing, file: str, line: int, visits: int) -> str:
    """Over the whole drawing: what it shows."""
    names = ", ".join(dict.fromkeys(name for root in drawing.roots if (name := drawing.items[root].name)))
    when = f", {ordinal(drawing.visit)} of {visits} times that the line is gone through" if visits > 1 else ""
    return f"{names or 'the value'} at {file}:{line}{when}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
