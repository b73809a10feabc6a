"""All fixes of a file at once: they compose, a second run changes nothing, what they removed stays away."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import libcst as cst
import pytest
from fixture_format import name, paths, read

from flake8_detach.config import Settings
from flake8_detach.fixes.fixer import fix
from flake8_detach.rules import check, load
from flake8_detach.rules._base import Finding
from flake8_detach.source import Source

APPLICABLE = {"safe", "unsafe"}
BAD = [
    path for path in paths() if read(path).kind == "bad" and not APPLICABLE.isdisjoint(load()[path.parent.name].offers)
]
"""The programs of the rules that have fixes."""


class OneLine(cst.CSTTransformer):
    """Puts simple statements that follow each other on one line, so that fixes have to share it."""

    def _joined(self, body: object) -> list[cst.BaseStatement]:
        joined: list[cst.BaseStatement] = []
        for line in body if isinstance(body, (list, tuple)) else ():
            before = joined[-1] if joined else None
            if isinstance(line, cst.SimpleStatementLine) and isinstance(before, cst.SimpleStatementLine):
                parts = [part.with_changes(semicolon=cst.MaybeSentinel.DEFAULT) for part in (*before.body, *line.body)]
                joined[-1] = before.with_changes(body=parts)
            else:
                joined.append(line)
        return joined

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> cst.BaseSuite:
        return updated_node.with_changes(body=self._joined(updated_node.body))

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        return updated_node.with_changes(body=self._joined(updated_node.body))


def on_one_line(text: str) -> str:
    """The program with as many of its statements on one line as Python lets."""
    return cst.parse_module(text).visit(OneLine()).code


def in_a_function(text: str) -> str:
    """The program as the body of a function, imports aside, so that its names are not the module's."""
    tree = cst.parse_module(text)
    outside, inside = [], []
    for statement in tree.body:
        small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        (outside if isinstance(small, (cst.Import, cst.ImportFrom)) else inside).append(statement)
    function = cst.FunctionDef(cst.Name("main"), cst.Parameters(), cst.IndentedBlock(inside))
    return tree.with_changes(body=[*outside, function, cst.parse_statement("main()")]).code


def compose(path: Path, shape: Callable[[str], str]) -> None:
    """Fix all of the program in that shape, twice."""
    fixture = read(path)
    text = shape(fixture.text)

    def lint(now: str) -> list[Finding]:
        return check(Source(now), Settings(selected=(fixture.folder,)))

    before = lint(text)
    once = fix(text, lint, APPLICABLE)
    ast.parse(once.text)
    assert len(once.left) + len(once.fixed) <= len(before)
    again = fix(once.text, lint, APPLICABLE)
    assert (again.text, again.fixed) == (once.text, ())
    assert [(f.code, f.span) for f in lint(once.text)] == [(f.code, f.span) for f in once.left]


@pytest.mark.parametrize("path", BAD, ids=name)
def test_fixes_of_a_file_compose(path: Path) -> None:
    compose(path, str)


@pytest.mark.parametrize("path", BAD[::2], ids=name)
def test_fixes_in_a_function_compose(path: Path) -> None:
    compose(path, in_a_function)


@pytest.mark.parametrize("path", BAD[1::2], ids=name)
def test_fixes_of_one_line_compose(path: Path) -> None:
    compose(path, on_one_line)
