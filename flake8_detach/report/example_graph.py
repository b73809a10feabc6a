"""The picture in a rule's page: the graph of its bad example, where that shows what went wrong."""

from __future__ import annotations

from typing import NamedTuple

from flake8_detach.flow.drawing import Drawing
from flake8_detach.report.graph_command import NoGraph, look_at
from flake8_detach.report.graph_mermaid import mermaid
from flake8_detach.report.page import lint_example
from flake8_detach.rules._base import Rule
from flake8_detach.source import Source

FILE = "example.py"
ACTIONS = ("backward(", "autograd.grad(", ".step(")
"""Lines that start from the whole of a loss, so that its picture has the most to show."""


class Picture(NamedTuple):
    """The graph behind line `line` of an example."""

    line: int
    title: str
    drawing: Drawing


def picture(rule: Rule) -> Picture | None:
    """The first drawing with a cut or a freed part: of the lines that backward, else of the reported line and of those
    that led to it. None where no line has one, as the picture would look like that of a correct program."""
    source = Source(rule.example.bad)
    found = lint_example(rule, rule.example.bad)
    reported = [place.line for finding in found for place in (finding.span, *(note.span for note in finding.trail))]
    raises = rule.code.startswith("AGD1")  # then nothing after the reported line is run
    actions = [i for i, line in enumerate(source.lines, 1) if any(action in line for action in ACTIONS)]
    for line in dict.fromkeys([*(i for i in actions if not raises or i <= max(reported)), *reported]):
        try:
            drawing, title = look_at(source, FILE, line)
        except NoGraph:
            continue
        if drawing.telling:
            return Picture(line, title, drawing)
    return None


def example_graph(rule: Rule) -> str:
    """The picture in Markdown with a sentence before it, "" where there is none."""
    found = picture(rule)
    if found is None:
        return ""
    seen = "red is cut" if any(item.kind == "cut" for item in found.drawing.items) else "dashed is freed"
    return (
        f"What `flake8-detach graph {FILE}:{found.line}` draws of it ({seen}):\n\n"
        f"```mermaid\n{mermaid(found.drawing, found.title)}```"
    )
