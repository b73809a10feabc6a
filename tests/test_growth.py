"""The work that a file takes grows with the file and no faster, in whatever direction it grows.

Counted in steps of the engine, which are the same on every machine; tools/bench.py has the seconds.
"""

from __future__ import annotations

import gc
import math
import sys
from pathlib import Path

import libcst as cst
import pytest

from flake8_detach.flow import program
from flake8_detach.flow.machine import Machine
from flake8_detach.rules import check
from flake8_detach.source import Source

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import growing

MOST = 1.1
"""The largest exponent of growth."""


def steps(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many steps the engine takes for a file."""
    taken = 0

    class Counting(Machine):
        def step(self) -> None:
            nonlocal taken
            taken += 1
            super().step()

    monkeypatch.setattr(program, "Machine", Counting)
    check(Source(text))
    return taken


@pytest.mark.parametrize(
    "direction",
    [
        growing.Direction("lines", growing.lines, (300, 1000, 3000)),
        *(d for d in growing.DIRECTIONS if d.name != "nested loops"),
    ],
    ids=lambda direction: direction.name,
)
def test_the_work_grows_no_faster_than_the_program(
    direction: growing.Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = direction.sizes[0], direction.sizes[-1]
    few, many = (steps(direction.make(size), monkeypatch) for size in (small, large))
    assert few > small / 10, "the program is not followed at all"
    assert math.log(many / few) / math.log(large / small) <= MOST


def test_each_further_level_of_loops_adds_the_same_amount_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first levels multiply it, as their bodies are run several times; no power law shows that this ends."""
    few, more, most = (steps(growing.nested_loops(depth), monkeypatch) for depth in (7, 13, 19))
    assert most - more <= (more - few) * MOST


def test_the_deepest_nesting_that_python_parses_is_survived() -> None:
    for make, depth in ((growing.nested_expression, 150), (growing.nested_branches, 99)):
        text = make(depth)
        compile(text, "deep.py", "exec")
        check(Source(text))


def test_nothing_of_a_file_stays_in_memory() -> None:
    """Trees that stay, or that only the garbage collector can free, cost each later run of the collector its time."""

    def nodes() -> int:
        return sum(isinstance(thing, cst.CSTNode) for thing in gc.get_objects())

    text = growing.lines(300)
    check(Source(text))  # what is made once is made
    gc.collect()
    gc.disable()
    try:
        before = nodes()
        assert check(Source(text))
        assert nodes() == before
    finally:
        gc.enable()
