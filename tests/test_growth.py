"""The work that a file takes grows with the file and no faster, in whatever direction it grows.

Counted in steps of the engine and in calls, which are the same on every machine; tools/bench.py has the seconds.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import libcst as cst
import pytest

from flake8_detach.flow import program
from flake8_detach.flow.machine import Machine
from flake8_detach.rules import check
from flake8_detach.source import Source

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import growing

MOST = 1.1
"""The largest power of growth, where it is to be linear."""


class Work(NamedTuple):
    """What a file takes: steps of the engine; calls of functions, which are also made by what hides behind a step."""

    steps: int
    calls: int


def work(text: str, monkeypatch: pytest.MonkeyPatch) -> Work:
    """What the file takes to be followed to its end."""
    steps = calls = 0

    class Counting(Machine):
        def step(self) -> None:
            nonlocal steps
            steps += 1
            super().step()

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    monkeypatch.setattr(program, "Machine", Counting)
    source = Source(text)
    sys.setprofile(count)
    try:
        found = check(source)
    finally:
        sys.setprofile(None)
    assert ("AGD101", text.count("\n")) in [(f.code, f.span.line) for f in found], "it is not followed to its end"
    return Work(steps, calls)


@pytest.mark.parametrize("direction", growing.DIRECTIONS, ids=lambda direction: direction.name)
def test_the_work_grows_no_faster_than_the_program(
    direction: growing.Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = direction.sizes[:3]
    programs = [direction.program(size) for size in sizes]
    check(Source(programs[0]))  # what is made once is made
    taken = [work(text, monkeypatch) for text in programs]
    assert growing.power(sizes, [w.steps for w in taken]) <= MOST
    assert growing.power(sizes, [w.calls for w in taken]) <= direction.power + MOST - 1


def peak(text: str) -> int:
    """The most memory, in bytes, that checking `text` takes at once."""
    tracemalloc.start()
    try:
        check(Source(text))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_no_faster_than_the_program() -> None:
    sizes = growing.LINES.sizes[:3]
    programs = [growing.LINES.program(size) for size in sizes]
    # The lesser of two: what is made once, like the knowledge or a table of Python's own that grows, is no part of it.
    peaks = [min(peak(text), peak(text)) for text in programs]
    assert growing.power(sizes, peaks) <= MOST


def test_the_power_of_growth_is_that_of_what_each_part_costs() -> None:
    for power in (1, 2, 3):
        assert growing.power((8, 16, 32), [1000 + n**power for n in (8, 16, 32)]) == pytest.approx(power)
    assert growing.power((7, 13, 19), [500 + 3 * n for n in (7, 13, 19)]) == pytest.approx(1)
    assert growing.power((1, 2, 3), [5, 5, 5]) == 0


def test_the_deepest_nesting_that_python_parses_is_survived() -> None:
    directions = {direction.name: direction for direction in growing.DIRECTIONS}
    for name, depth in (("brackets", 150), ("if in if", 99)):
        text = directions[name].program(depth)
        compile(text, "deep.py", "exec")
        check(Source(text))


def test_nothing_of_a_file_stays_in_memory() -> None:
    """Trees that stay, or that only the garbage collector can free, cost each later run of the collector its time."""

    def nodes() -> int:
        return sum(issubclass(type(thing), cst.CSTNode) for thing in gc.get_objects())

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
