"""`flake8-detach graph FILE:LINE`: the autograd graph of the value at that line, drawn without running the program."""

from __future__ import annotations

import sys
import tokenize
from pathlib import Path
from typing import Literal, get_args

from flake8_detach.batch import Trouble, trouble
from flake8_detach.config import CLEAN, FAILED, FOUND
from flake8_detach.flow.drawing import Drawing
from flake8_detach.flow.watching import Watch, watch
from flake8_detach.report.graph_dot import NoGraphviz, dot, picture
from flake8_detach.report.graph_mermaid import mermaid
from flake8_detach.report.graph_text import title
from flake8_detach.report.graph_tree import print_tree
from flake8_detach.source import Source

Format = Literal["tree", "mermaid", "dot", "svg", "png"]
FORMATS: tuple[str, ...] = get_args(Format)
SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".png": "png"}
"""The format that the name of the output file asks for."""


class NoGraph(Exception):
    """There is nothing to draw on the line; the text says why."""


def run(place: str, form: str | None, output: str | None, visit: int | None) -> int:
    """Draw, and return the exit code: 0 drawn, 1 nothing to draw there, 2 wrong usage or a file that cannot be read."""
    form = form or (SUFFIXES.get(Path(output).suffix, "tree") if output else "tree")
    try:
        name, line = _place(place)
        drawing, heading = look(name, line, visit)
        if form == "png" and output is None and sys.stdout.isatty():
            raise Trouble("a png is no text; write it to a file with -o")
        _write(drawing, heading, form, output)
    except NoGraph as none:
        print(f"flake8-detach: {place}: {none}", file=sys.stderr)
        return FOUND
    except (Trouble, NoGraphviz) as wrong:
        print(f"flake8-detach: {wrong}", file=sys.stderr)
        return FAILED
    return CLEAN


def look(name: str, line: int, visit: int | None = None) -> tuple[Drawing, str]:
    """The drawing of that line of the file, and its title; see `look_at`. Raises Trouble if the file cannot be read."""
    with trouble(name):
        with tokenize.open(name) as stream:
            text = stream.read()
        return look_at(Source(text), name, line, visit)


def look_at(source: Source, name: str, line: int, visit: int | None = None) -> tuple[Drawing, str]:
    """The drawing of that line, and its title; `name` is what the title calls the file.

    visit: the how-manieth time that the line is gone through; by default the first one that shows a cut or a freed
    part, else the first. Raises NoGraph, and Trouble for what is wrong with the file.
    """
    if not 1 <= line <= len(source.lines):
        raise Trouble(f"{name}: no line {line}, the file has {len(source.lines)}")
    try:
        seen = watch(source, line)
    except (RecursionError, Exception) as failure:
        raise Trouble(f"{name}: the analysis failed: {type(failure).__name__}: {failure}") from failure
    drawing = _chosen(seen, visit)
    return drawing, title(drawing, name, line, seen.visits)


def _place(place: str) -> tuple[str, int]:
    name, _, number = place.rpartition(":")
    if not name or not number.isdecimal():
        raise Trouble(f"{place}: give the place as FILE:LINE")
    return name, int(number)


def _chosen(seen: Watch, visit: int | None) -> Drawing:
    if not seen.small:
        raise NoGraph("no statement on this line computes a value")
    if not seen.visits:
        raise NoGraph("the analysis does not come to this line: nothing reaches it, or the file is too long")
    if visit is not None:
        found = next((drawing for drawing in seen.drawings if drawing.visit == visit), None)
        if found is None:
            raise NoGraph(f"the line is gone through {seen.visits} times, and time {visit} shows no graph")
        return found
    if seen.drawings:
        return next((drawing for drawing in seen.drawings if drawing.telling), seen.drawings[0])
    if seen.unknown:
        raise NoGraph(f"what `{seen.unknown}` is cannot be known from this file")
    raise NoGraph("nothing on this line has a graph: no tensor that requires grad goes into it")


def _write(drawing: Drawing, heading: str, form: str, output: str | None) -> None:
    if form == "tree":
        if output is None:
            print_tree(drawing, heading)
            return
        with trouble(output), open(output, "w", encoding="utf-8") as stream:
            print_tree(drawing, heading, stream)
        return
    text = mermaid(drawing, heading) if form == "mermaid" else dot(drawing, heading)
    content = text.encode() if form in ("mermaid", "dot") else picture(text, form)
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    with trouble(output):
        Path(output).write_bytes(content)
