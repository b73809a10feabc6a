"""Edits and their builders, the rounds of the fixer, files as bytes."""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

import libcst as cst
import pytest
from conftest import find_words
from hypothesis import example, given
from hypothesis import strategies as st

from flake8_detach.fixes import build, place
from flake8_detach.fixes.document import Document, write
from flake8_detach.fixes.edits import Applicability, Change, Edit, Fix, Lines, apply, moved
from flake8_detach.fixes.fixer import Outcome, fix
from flake8_detach.rules._base import Finding
from flake8_detach.source import Source, Span


def edit(line: int, column: int, length: int, text: str) -> Edit:
    return Edit(Span(line, column, line, column + length), text)


def a_fix(*edits: Edit) -> Fix:
    return Fix("test", edits, "safe")


# --- apply


def test_fixes_of_different_places_are_applied_together() -> None:
    applied = apply("a b c\n", [a_fix(edit(1, 4, 1, "C")), a_fix(edit(1, 0, 1, "A"), edit(1, 2, 0, "-"))])
    assert applied.text == "A -b C\n"
    assert applied.done == (True, True)


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(edit(1, 1, 2, "x"), id="overlap"),
        pytest.param(edit(1, 1, 0, "x"), id="insertion inside"),
        pytest.param(edit(1, 0, 0, "x"), id="insertion at the beginning"),
        pytest.param(edit(1, 2, 0, "x"), id="insertion at the end"),
    ],
)
def test_of_two_fixes_in_conflict_the_later_one_waits(later: Edit) -> None:
    applied = apply("abcd\n", [a_fix(edit(1, 0, 2, "AB")), a_fix(edit(1, 3, 1, "D"), later)])
    assert applied.text == "ABcd\n"
    assert applied.done == (True, False)


def test_two_different_insertions_at_one_place_are_a_conflict() -> None:
    applied = apply("ab\n", [a_fix(edit(1, 1, 0, "1")), a_fix(edit(1, 1, 0, "2"))])
    assert (applied.text, applied.done) == ("a1b\n", (True, False))


def test_replacements_side_by_side_are_no_conflict() -> None:
    assert apply("ab\n", [a_fix(edit(1, 0, 1, "A")), a_fix(edit(1, 1, 1, "B"))]).text == "AB\n"


def test_the_same_fix_for_two_findings_is_made_once() -> None:
    applied = apply("x\n", [a_fix(edit(1, 1, 0, ".detach()")), a_fix(edit(1, 1, 0, ".detach()"))])
    assert (applied.text, applied.done) == ("x.detach()\n", (True, True))


def test_insertions_of_one_fix_at_one_place_keep_their_order() -> None:
    assert apply("x\n", [a_fix(edit(1, 1, 0, "1"), edit(1, 1, 0, "2"), edit(1, 0, 0, "0"))]).text == "0x12\n"


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param((), id="nothing"),
        pytest.param((edit(3, 0, 0, "x"),), id="line beyond the end"),
        pytest.param((edit(1, 2, 0, "x"),), id="column beyond the end of the line"),
        pytest.param((edit(1, 0, 1, "x"), edit(1, 0, 1, "y")), id="overlapping itself"),
        pytest.param((Edit(Span(1, 1, 1, 0), "x"),), id="backwards"),
    ],
)
def test_a_fix_that_cannot_be_applied_is_left_out(edits: tuple[Edit, ...]) -> None:
    applied = apply("a\n", [a_fix(*edits), a_fix(edit(1, 1, 0, "b"))])
    assert (applied.text, applied.done) == ("ab\n", (False, True))


def test_the_newlines_of_an_edit_are_those_of_its_line() -> None:
    text = "a\r\nb\nc\rd"
    fixes = [a_fix(edit(line, 1, 0, "\n+")) for line in (1, 2, 3, 4)]
    assert apply(text, fixes).text == "a\r\n+\r\nb\n+\nc\r+\rd\r\n+"


def test_form_feed_and_other_separators_of_str_do_not_end_a_line() -> None:
    assert apply("a\x0cb\x1c\x85\u2028c\nd\n", [a_fix(edit(1, 6, 1, "C")), a_fix(edit(2, 0, 1, "D"))]).text == (
        "a\x0cb\x1c\x85\u2028C\nD\n"
    )


@given(st.text(st.sampled_from("ab\n\r\x0c\u2028é"), max_size=30), st.data())
@example(text="a\r\n", data=None)
def test_positions_and_offsets_are_inverse(text: str, data: st.DataObject | None) -> None:
    lines = Lines(text)
    offset = data.draw(st.integers(0, len(text))) if data else 1
    if text[offset - 1 : offset + 1] != "\r\n" or not offset:  # the middle of a newline is no position
        assert lines.offset(*lines.position(offset)) == offset


@given(st.text(st.sampled_from("abc\n"), min_size=1, max_size=20), st.data())
def test_a_character_that_no_change_touches_is_found_where_moved_says(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    changes = [Change(a, b, data.draw(st.text("xy", max_size=3))) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    new, last = "", 0
    for start, end, put, _ in changes:
        new, last = new + text[last:start] + put, end
    new += text[last:]
    for offset, character in enumerate(text):
        first, beyond = moved(offset, changes)
        replaced = any(start <= offset < end for start, end, *_ in changes)
        if replaced:
            assert 0 <= first <= beyond <= len(new)
        else:
            assert new[beyond] == character


# --- builders


def node_of(source: Source, code: str) -> cst.BaseExpression:
    """The expression of `source` whose text without whitespace and own parentheses is `code`."""
    for chunk in source.chunks:
        todo: list[cst.CSTNode] = [chunk.module]
        while todo:
            node = todo.pop(0)
            if isinstance(node, cst.BaseExpression):
                bare = cst.Module([]).code_for_node(node.with_changes(lpar=(), rpar=()))
                if "".join(bare.split()) == code:
                    return node
            todo.extend(node.children)
    raise LookupError(code)


def built(text: str, *parts: build.Edits) -> str | None:
    offered = build.offer("test", "safe", *parts)
    return apply(text, [offered]).text if offered else None


@pytest.mark.parametrize(
    ("text", "code", "result"),
    [
        pytest.param("y = x.numpy()\n", "x", "y = x.detach().numpy()\n", id="name"),
        pytest.param("y = (a + b).numpy()\n", "a+b", "y = (a + b).detach().numpy()\n", id="has parentheses"),
        pytest.param("f(a + b)\n", "a+b", "f((a + b).detach())\n", id="needs parentheses"),
        pytest.param("f(-x)\n", "-x", "f((-x).detach())\n", id="minus binds less than a call"),
        pytest.param("f(await g())\n", "awaitg()", "f((await g()).detach())\n", id="await binds less than a call"),
        pytest.param("f(a if c else b)\n", "aifcelseb", "f((a if c else b).detach())\n", id="conditional"),
        pytest.param("f(x for x in y)\n", "xforxiny", "f((x for x in y).detach())\n", id="generator without its own"),
        pytest.param(
            "y = (  # why\n    a + b  # c\n  ).numpy()\n", "a+b",
            "y = (  # why\n    a + b  # c\n  ).detach().numpy()\n", id="comments between the parentheses",
        ),
        pytest.param("y = ((x)).numpy()\n", "x", "y = ((x)).detach().numpy()\n", id="two pairs of parentheses"),
        pytest.param("y = f'{x.numpy()}'\n", "x", "y = f'{x.detach().numpy()}'\n", id="inside an f-string"),
        pytest.param("é = 'ü'; ß = ö.numpy()\n", "ö", "é = 'ü'; ß = ö.detach().numpy()\n", id="wide characters"),
        pytest.param(
            "if x:\n\ty = (m(x)\n\t     .cpu()\n\t     .numpy())\n", "m(x)",
            "if x:\n\ty = (m(x).detach()\n\t     .cpu()\n\t     .numpy())\n", id="chain over several lines",
        ),
        pytest.param(
            "if x:\n    a = 1\n\x0c    b = f(a)\n", "f(a)", None, id="form feed in the indentation, libcst is lost"
        ),
    ],
)  # fmt: skip
def test_postfix(text: str, code: str, result: str | None) -> None:
    source = Source(text)
    assert built(text, build.postfix(source, node_of(source, code), ".detach()")) == result


def test_insert_before_and_after_stand_outside_the_parentheses() -> None:
    source = Source("y = ( x )\n")
    node = node_of(source, "x")
    parts = (build.insert_before(source, node, "f("), build.insert_after(source, node, ")"))
    assert built(source.text, *parts) == "y = f(( x ))\n"


def test_replace_keeps_the_parentheses_and_refuses_to_drop_a_comment() -> None:
    source = Source("y = (  # kept\n  a.b\n)\nz = a.c(  # lost\n)\n")
    assert built(source.text, build.replace(source, node_of(source, "a.b"), "c")) == (
        "y = (  # kept\n  c\n)\nz = a.c(  # lost\n)\n"
    )
    assert built(source.text, build.replace(source, node_of(source, "a.c(#lost)"), "c")) is None


@pytest.mark.parametrize(
    ("text", "code", "result"),
    [
        pytest.param("y = x.detach()\n", "x.detach()", "y = x\n", id="plain"),
        pytest.param("y = (a + b).detach() * c\n", "(a+b).detach()", "y = (a + b) * c\n", id="parentheses stay"),
        pytest.param("y = ( x.detach() )\n", "x.detach()", "y = ( x )\n", id="parentheses around the call stay"),
        pytest.param("y = x . detach ( )[0]\n", "x.detach()", "y = x[0]\n", id="blanks go"),
        pytest.param(
            "y = (x\n     .relu()\n     .detach()\n     .sum())\n", "x.relu().detach()",
            "y = (x\n     .relu()\n     .sum())\n", id="chain",
        ),
        pytest.param("y = x \\\n    .detach()\n", "x\\.detach()", "y = x\n", id="continued line"),
        pytest.param("y = (x  # a\n     .detach())\n", "x#a.detach()", None, id="comment before the dot"),
        pytest.param("y = x.detach(  # a\n)\n", "x.detach(#a)", None, id="comment between the brackets"),
        pytest.param("y = f(  # a\n  x).detach()\n", "f(#ax).detach()", "y = f(  # a\n  x)\n", id="comment that stays"),
        pytest.param("y = (  # a\n  x.detach())\n", "x.detach()", "y = (  # a\n  x)\n", id="comment outside"),
        pytest.param("y = detach(x)\n", "detach(x)", None, id="not a method"),
    ],
)  # fmt: skip
def test_delete_call(text: str, code: str, result: str | None) -> None:
    source = Source(text)
    node = node_of(source, code)
    assert isinstance(node, cst.Call)
    assert built(text, build.delete_call(source, node)) == result


def test_delete_attribute() -> None:
    source = Source("y = (x.data).sum()\n")
    node = node_of(source, "x.data")
    assert isinstance(node, cst.Attribute)
    assert built(source.text, build.delete_attribute(source, node)) == "y = (x).sum()\n"


def statement_of(source: Source, line: int) -> cst.BaseStatement | cst.BaseSmallStatement:
    """The outermost statement that begins on `line`, which may be a small one that shares it."""
    for chunk in source.chunks:
        todo: list[cst.CSTNode] = [chunk.module]
        while todo:
            node = todo.pop(0)
            if isinstance(node, (cst.BaseStatement, cst.BaseSmallStatement)) and source.line(node) == line:
                return node
            todo.extend(node.children)
    raise LookupError(line)


@pytest.mark.parametrize(
    ("text", "line", "result"),
    [
        pytest.param("w -= 1\n", 1, "with torch.no_grad():\n    w -= 1\n", id="top level"),
        pytest.param("w -= 1", 1, "with torch.no_grad():\n    w -= 1", id="no final newline"),
        pytest.param(
            "def f(w):\n  # why\n  w -= 1  # noqa: E1\n  return w\n", 3,
            "def f(w):\n  # why\n  with torch.no_grad():\n    w -= 1  # noqa: E1\n  return w\n",
            id="indentation of the file, comments stay",
        ),
        pytest.param(
            "def f(w):\n\tw.add_(\n1,\n\t\t2)\n", 2,
            "def f(w):\n\twith torch.no_grad():\n\t\tw.add_(\n\t1,\n\t\t\t2)\n", id="tabs, lines in brackets",
        ),
        pytest.param(
            'def f(w):\n    w.g("""\n  a\n\n    b""", 1,\n      2)\n', 2,
            'def f(w):\n    with torch.no_grad():\n        w.g("""\n  a\n\n    b""", 1,\n          2)\n',
            id="multi-line string untouched",
        ),
        pytest.param(
            "def f(w):\n    w.g(f'''\n  {w}\n''',\n      2)\n", 2,
            "def f(w):\n    with torch.no_grad():\n        w.g(f'''\n  {w}\n''',\n          2)\n",
            id="multi-line f-string untouched",
        ),
        pytest.param(
            "for p in ps:\n    if p:\n        p -= 1\n\n    else:\n        p += 1\n# end\n", 1,
            "with torch.no_grad():\n    for p in ps:\n        if p:\n            p -= 1\n\n        else:\n"
            "            p += 1\n# end\n",
            id="compound statement",
        ),
        pytest.param("w -= 1; v -= 1\n", 1, None, id="two statements on the line"),
        pytest.param("if w: w -= 1\n", 1, "with torch.no_grad():\n    if w: w -= 1\n", id="one-line compound"),
        pytest.param("@d\ndef f(): pass\n", 2, None, id="decorated"),
        pytest.param("if x:\n    a = 1\n\x0c    w -= 1\n", 3, None, id="form feed in the indentation"),
    ],
)  # fmt: skip
def test_wrap_in_with(text: str, line: int, result: str | None) -> None:
    source = Source(text)
    assert built(text, build.wrap_in_with(source, statement_of(source, line), "torch.no_grad()")) == result
    if result:
        ast.parse(result)


@pytest.mark.parametrize("index", [0, 1])
def test_wrap_in_with_refuses_one_of_two_statements_on_a_line(index: int) -> None:
    source = Source("if x:\n    w -= 1; v -= 1\n")
    line = statement_of(source, 2)
    assert isinstance(line, cst.IndentedBlock | cst.SimpleStatementLine)
    while not isinstance(line, cst.SimpleStatementLine):
        line = line.body[0]
    assert build.wrap_in_with(source, line.body[index], "torch.no_grad()") == ()


def test_wrap_in_with_refuses_the_body_of_a_one_line_if() -> None:
    source = Source("if x: w -= 1\n")
    suite = source.chunks[0].module.body[0].body
    assert isinstance(suite, cst.SimpleStatementSuite)
    assert build.wrap_in_with(source, suite.body[0], "torch.no_grad()") == ()


def call_of(source: Source, code: str) -> cst.Call:
    node = node_of(source, code)
    assert isinstance(node, cst.Call)
    return node


@pytest.mark.parametrize(
    ("text", "code", "result"),
    [
        pytest.param("f()\n", "f()", "f(k=True)\n", id="no argument"),
        pytest.param("f( )\n", "f()", "f( k=True)\n", id="blank between the brackets"),
        pytest.param("f(a)\n", "f(a)", "f(a, k=True)\n", id="one argument"),
        pytest.param("f((a))\n", "f((a))", "f((a), k=True)\n", id="parentheses of the argument"),
        pytest.param("f(a, j=1,)\n", "f(a,j=1,)", "f(a, j=1, k=True,)\n", id="trailing comma"),
        pytest.param("f(*a)\n", "f(*a)", "f(*a, k=True)\n", id="star"),
        pytest.param(
            "f(\n    a,  # why\n    b,  # how\n)\n", "f(a,#whyb,#how)",
            "f(\n    a,  # why\n    b, k=True,  # how\n)\n", id="comments stay",
        ),
        pytest.param("f(a,\r\n  b)\r\n", "f(a,b)", "f(a,\r\n  b, k=True)\r\n", id="CRLF"),
        pytest.param("f(a, k=False, b=1)\n", "f(a,k=False,b=1)", "f(a, k=True, b=1)\n", id="another value"),
        pytest.param("f(k=(False))\n", "f(k=(False))", "f(k=(True))\n", id="another value in parentheses"),
        pytest.param("f(k=g(  # why\n))\n", "f(k=g(#why))", None, id="another value with a comment"),
        pytest.param("f(k=True)\n", "f(k=True)", None, id="has it"),
        pytest.param("f(**options)\n", "f(**options)", None, id="options that may hold it"),
        pytest.param("f(x for x in y)\n", "f(xforxiny)", None, id="a generator stands alone"),
        pytest.param("f((x for x in y))\n", "f((xforxiny))", "f((x for x in y), k=True)\n", id="its own brackets"),
    ],
)  # fmt: skip
def test_add_argument(text: str, code: str, result: str | None) -> None:
    source = Source(text)
    assert built(text, build.add_argument(source, call_of(source, code), "k", "True")) == result
    if result:
        ast.parse(result)


@pytest.mark.parametrize(
    ("text", "code", "result"),
    [
        pytest.param("f(k=1)\n", "f(k=1)", "f()\n", id="only one"),
        pytest.param("f(k=1,)\n", "f(k=1,)", "f()\n", id="only one, with a comma"),
        pytest.param("f(k=1, a=2)\n", "f(k=1,a=2)", "f(a=2)\n", id="first"),
        pytest.param("f(a, k=(1), b=2)\n", "f(a,k=(1),b=2)", "f(a, b=2)\n", id="in the middle, in parentheses"),
        pytest.param("f((a), k=1)\n", "f((a),k=1)", "f((a))\n", id="last"),
        pytest.param("f(\n    a,\n    k=1,\n)\n", "f(a,k=1,)", "f(\n    a,\n)\n", id="last of several lines"),
        pytest.param("f(\r\n    k=1,\r\n    a=2)\r\n", "f(k=1,a=2)", "f(\r\n    a=2)\r\n", id="CRLF"),
        pytest.param("f(a,  # why\n  k=1)\n", "f(a,#whyk=1)", None, id="comment"),
        pytest.param("f(k)\n", "f(k)", None, id="not given by its name"),
        pytest.param("f(**k)\n", "f(**k)", None, id="options"),
    ],
)  # fmt: skip
def test_remove_argument(text: str, code: str, result: str | None) -> None:
    source = Source(text)
    assert built(text, build.remove_argument(source, call_of(source, code), "k")) == result
    if result:
        ast.parse(result)


@pytest.mark.parametrize(
    ("text", "code", "result"),
    [
        pytest.param("y = float(x)\n", "float(x)", "y = x\n", id="name"),
        pytest.param("y = -float(a + b)\n", "float(a+b)", "y = -(a + b)\n", id="needs parentheses"),
        pytest.param("y = float((a + b))\n", "float((a+b))", "y = (a + b)\n", id="has parentheses"),
        pytest.param("y = (float(x))\n", "float(x)", "y = (x)\n", id="parentheses around the call stay"),
        pytest.param("y = float(  # why\n  x)\n", "float(#whyx)", None, id="comment"),
        pytest.param("y = float(*x)\n", "float(*x)", None, id="star"),
        pytest.param("y = float(x=x)\n", "float(x=x)", None, id="keyword"),
        pytest.param("y = float()\n", "float()", None, id="no argument"),
    ],
)
def test_unwrap(text: str, code: str, result: str | None) -> None:
    source = Source(text)
    assert built(text, build.unwrap(source, call_of(source, code))) == result


def test_rename_touches_the_attribute_only() -> None:
    source = Source("y = (x  # why\n     . add_(1))\nadd_(y)\n")
    node = call_of(source, "x#why.add_(1)")
    assert built(source.text, build.rename(source, node.func, "add")) == "y = (x  # why\n     . add(1))\nadd_(y)\n"
    assert build.rename(source, node_of(source, "add_"), "add") == ()


NOT_A_LINE = [
    pytest.param("a = 1; b = here\n", id="second of two statements"),
    pytest.param("a = here; b = 1\n", id="first of two statements"),
    pytest.param("if a: b = here\n", id="one-line if"),
    pytest.param("if here:\n    a = 1\n", id="head of an if"),
    pytest.param("for a in here:\n    b = 1\n", id="head of a loop"),
    pytest.param("@here\ndef f(): pass\n", id="decorator"),
    pytest.param("def f(a=here): pass\n", id="default"),
    pytest.param("f = lambda: here\n", id="lambda"),
    pytest.param("a = [here for _ in b]\n", id="comprehension"),
    pytest.param("if a:\n    b = 1\n\x0c    c = here\n", id="form feed in the indentation"),
]
"""`here` is in no statement that has its lines for itself and is run where it stands."""


@pytest.mark.parametrize("text", NOT_A_LINE)
def test_builders_of_statements_refuse_what_is_not_a_line_of_its_own(text: str) -> None:
    text = f"{text}other = 1\n"
    source = Source(text)
    node = node_of(source, "here")
    assert build.insert_line(source, node, "new()") == ()
    assert build.insert_line(source, node, "new()", after=True) == ()
    assert build.replace_statement(source, node, "new()") == ()
    assert build.delete_statement(source, node) == ()
    assert build.move(source, node, node_of(source, "other")) == ()
    assert build.move(source, node_of(source, "other"), node) == ()


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        pytest.param("here()\n", "new()\nhere()\n", "here()\nnew()\n", id="top level"),
        pytest.param("here()", "new()\nhere()", "here()\nnew()", id="no final newline"),
        pytest.param(
            "if a:\n\t# why\n\tb = here  # how\nc\n", "if a:\n\t# why\n\tnew()\n\tb = here  # how\nc\n",
            "if a:\n\t# why\n\tb = here  # how\n\tnew()\nc\n", id="tabs, comments",
        ),
        pytest.param(
            "b = f(\n    here,\n)\n", "new()\nb = f(\n    here,\n)\n", "b = f(\n    here,\n)\nnew()\n",
            id="several lines",
        ),
        pytest.param("a\r\nhere\r\n", "a\r\nnew()\r\nhere\r\n", "a\r\nhere\r\nnew()\r\n", id="CRLF"),
    ],
)  # fmt: skip
def test_insert_line(text: str, before: str, after: str) -> None:
    source = Source(text)
    node = node_of(source, "here")
    assert built(text, build.insert_line(source, node, "new()")) == before
    assert built(text, build.insert_line(source, node, "new()", after=True)) == after


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("a = here  # why\n", "with m:\n    new()  # why\n", id="comment behind it stays"),
        pytest.param("if a:\n  b = (here)\n", "if a:\n  with m:\n      new()\n", id="indented"),
        pytest.param("a = f(\n  here,\n)\nb\n", "with m:\n    new()\nb\n", id="several lines"),
        pytest.param("here()\r\n", "with m:\r\n    new()\r\n", id="CRLF"),
        pytest.param("a = f(  # why\n  here)\n", None, id="comment inside"),
    ],
)
def test_replace_statement(text: str, result: str | None) -> None:
    source = Source(text)
    assert built(text, build.replace_statement(source, node_of(source, "here"), "with m:\n    new()")) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("a\nhere()\nb\n", "a\nb\n", id="line"),
        pytest.param("here()  # why\nb\n", "b\n", id="with the comment on it"),
        pytest.param("# above\nhere()\nb\n", "# above\nb\n", id="comment above stays"),
        pytest.param("a\r\nf(\r\n  here)\r\nb\r\n", "a\r\nb\r\n", id="several lines, CRLF"),
        pytest.param("if a:\n    here()\nb\n", None, id="only one of its block"),
        pytest.param("if a:\n    b\n    here()\nc\n", "if a:\n    b\nc\n", id="last of its block"),
        pytest.param("a\nhere()", None, id="no final newline"),
    ],
)
def test_delete_statement(text: str, result: str | None) -> None:
    source = Source(text)
    assert built(text, build.delete_statement(source, node_of(source, "here"))) == result


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        pytest.param("there()\na\nhere()\n", "here()\nthere()\na\n", "there()\nhere()\na\n", id="up"),
        pytest.param("here()\na\nthere()\n", "a\nhere()\nthere()\n", "a\nthere()\nhere()\n", id="down"),
        pytest.param(
            "if a:\n  there()  # t\n  b = f(\n      here)  # h\n",
            "if a:\n  b = f(\n      here)  # h\n  there()  # t\n",
            "if a:\n  there()  # t\n  b = f(\n      here)  # h\n", id="comments and lines go with it",
        ),
        pytest.param("there()\r\na\r\nhere\r\n", "here\r\nthere()\r\na\r\n", "there()\r\nhere\r\na\r\n", id="CRLF"),
        pytest.param("there()\nif a:\n    here()\n    b\n", None, None, id="another block"),
        pytest.param("f(here, there)\nb\n", None, None, id="the same statement"),
        pytest.param("there()\na\nhere()", None, None, id="no final newline"),
    ],
)  # fmt: skip
def test_move(text: str, before: str | None, after: str | None) -> None:
    source = Source(text)
    nodes = node_of(source, "here"), node_of(source, "there")
    assert built(text, build.move(source, *nodes)) == before
    assert built(text, build.move(source, *nodes, after=True)) == after


@pytest.mark.parametrize(
    ("imports", "result"),
    [
        pytest.param("import torch", "with torch.no_grad():\n    here()\n", id="plain"),
        pytest.param("import torch as th", "with th.no_grad():\n    here()\n", id="as"),
        pytest.param("from torch import no_grad", "with no_grad():\n    here()\n", id="from"),
        pytest.param("import os", None, id="not imported"),
    ],
)
def test_under_no_grad_spells_it_as_the_file_imports_it(imports: str, result: str | None) -> None:
    source = Source(f"{imports}\nhere()\n")
    made = built(source.text, build.under_no_grad(source, node_of(source, "here")))
    assert made == (f"{imports}\n{result}" if result else None)


def test_a_name_that_is_imported_further_down_has_no_spelling() -> None:
    source = Source("here()\nimport torch\n")
    assert build.under_no_grad(source, node_of(source, "here")) == ()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("x = f()\nuse(x)\n", True, id="assigned"),
        pytest.param("def g(x):\n    use(x)\n", False, id="parameter: the caller holds it"),
        pytest.param("x = f()\ndef g():\n    use(x)\n", False, id="of another scope"),
        pytest.param("for x in y:\n    use(x)\n", False, id="of a loop: the list holds it"),
        pytest.param("with f() as x:\n    use(x)\n", False, id="of a with"),
        pytest.param("import x\nuse(x)\n", False, id="import"),
        pytest.param("def g():\n    global x\n    x = 1\n    use(x)\n", False, id="global"),
        pytest.param("x = f()\n[use(x) for y in z]\n", False, id="in a comprehension"),
    ],
)
def test_rebindable(text: str, answer: bool) -> None:
    source = Source(text)
    assert place.rebindable(source, call_of(source, "use(x)").args[0].value) is answer


def test_an_attribute_may_be_bound_again_if_it_hangs_on_names() -> None:
    source = Source("use(a.b.c)\nuse(f().c)\n")
    assert place.rebindable(source, node_of(source, "a.b.c"))
    assert not place.rebindable(source, node_of(source, "f().c"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("x = 1\nuse(x)\n", True, id="once"),
        pytest.param("def g(x):\n    use(x)\n", True, id="parameter"),
        pytest.param("def g(x):\n    x = 1\n    use(x)\n", False, id="parameter and assignment"),
        pytest.param("x = 1\nuse(x)\nx = 2\n", False, id="twice"),
        pytest.param("x = 1\ndef g():\n    global x\n    x = 2\nuse(x)\n", False, id="by a function within"),
        pytest.param("x = 1\ndef g():\n    x = 2\nuse(x)\n", True, id="a function with a name of its own"),
    ],
)
def test_bound_once(text: str, answer: bool) -> None:
    source = Source(text)
    name = call_of(source, "use(x)").args[0].value
    assert isinstance(name, cst.Name)
    assert place.bound_once(source, name) is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("x = f()\nuse(x.grad)\n", True, id="the attribute"),
        pytest.param("x = f()\nuse(x.grad, y.x, x=1)\n", True, id="what is no such name"),
        pytest.param("x = f()\nuse(x.grad, x)\n", False, id="itself"),
        pytest.param("x = f()\nuse(x.grad, x.data)\n", False, id="another attribute"),
        pytest.param("x = f()\ndef g(): return x\nuse(x.grad)\n", False, id="in a function within"),
        pytest.param("x = f(x)\ndef g(x):\n    use(x.grad)\n", True, id="a name of another scope"),
    ],
)
def test_read_only_for(text: str, answer: bool) -> None:
    source = Source(text)
    attribute = node_of(source, "x.grad")
    assert isinstance(attribute, cst.Attribute)
    assert isinstance(attribute.value, cst.Name)
    assert place.read_only_for(source, attribute.value, "grad") is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("with m.no():\n    here\n", True, id="in the block"),
        pytest.param("with f() as a, m.no():\n    if a:\n        here\n", True, id="deeper, with another"),
        pytest.param("@m.no()\ndef f():\n    here\n", True, id="decorated"),
        pytest.param("with m.no():\n    with m.yes():\n        here\n", False, id="something else entered since"),
        pytest.param("with m.no():\n    def f():\n        here\n", False, id="function that is run later"),
        pytest.param("with m.no(1):\n    here\n", False, id="with an argument"),
        pytest.param("with m.no:\n    here\n", False, id="not called"),
        pytest.param("m.no()\nhere\n", False, id="elsewhere"),
    ],
)
def test_entered(text: str, answer: bool) -> None:
    source = Source(text)
    assert place.entered(source, node_of(source, "here"), "m.no") is answer


def test_no_fix_is_offered_when_one_of_its_parts_is_impossible() -> None:
    assert build.offer("test", "safe", (edit(1, 0, 0, "x"),), ()) is None


# --- the rounds


def fixed(text: str, *applicable: Applicability) -> Outcome:
    return fix(text, lambda new: find_words(Source(new)), applicable or ("safe",))


def test_safe_fixes_are_applied_and_the_others_left() -> None:
    outcome = fixed("safe_a = risky_b + shown_c\n")
    assert outcome.text == "a = risky_b + shown_c\n"
    assert [done.finding.code for done in outcome.fixed] == ["AGD102"]
    assert [finding.message for finding in outcome.left] == ["`risky_b` is risky", "`shown_c` is shown"]


def test_unsafe_fixes_are_applied_when_asked_for_and_display_fixes_never() -> None:
    outcome = fixed("safe_a = risky_b + shown_c\n", "safe", "unsafe")
    assert outcome.text == "a = b + shown_c\n"


def test_fixes_in_conflict_are_applied_one_round_after_the_other() -> None:
    outcome = fixed("x = pair_a\n")
    assert outcome.text == "x = a\n"
    assert sorted(done.finding.code for done in outcome.fixed) == ["AGD201", "AGD202"]


def test_a_fixed_finding_is_placed_in_the_fixed_text() -> None:
    outcome = fixed("safe_a = pair_b = safe_c\n")
    assert outcome.text == "a = b = c\n"
    assert [(done.finding.span.column, done.column) for done in outcome.fixed] == [(0, 0), (9, 4), (4, 4), (18, 8)]


@pytest.mark.parametrize("word", ["stubborn", "spawning", "broken"])
def test_a_fix_that_does_not_help_is_refused_and_the_others_are_made(word: str) -> None:
    outcome = fixed(f"safe_a = 1\n{word}_b = safe_c\nsafe_d = 2\n")
    assert outcome.text == f"a = 1\n{word}_b = c\nd = 2\n"
    assert [finding.message for finding in outcome.left] == [f"`{word}_b` is {word}"]
    assert len(outcome.fixed) == 3


def test_fixing_is_idempotent() -> None:
    once = fixed("safe_a = pair_b = stubborn_c = broken_d = risky_e\n")
    twice = fixed(once.text)
    assert (twice.text, twice.fixed) == (once.text, ())


def test_many_fixes_take_few_lints() -> None:
    lints = 0

    def lint(text: str) -> list[Finding]:
        nonlocal lints
        lints += 1
        return find_words(Source(text))

    text = "".join(f"safe_x{n} = 1\n" for n in range(200)) + "broken_x = 1\n"
    outcome = fix(text, lint, {"safe"})
    assert len(outcome.fixed) == 200
    assert lints < 30


def test_what_compiled_must_still_compile() -> None:
    def lint(text: str) -> list[Finding]:
        ok = Fix("return early", (edit(1, 0, 4, "return"),), "safe")
        return [Finding("AGD101", "stop", Span(1, 0, 1, 4), fix=ok)] if text.startswith("stop") else []

    assert fix("stop\n", lint, {"safe"}).text == "stop\n"
    assert fix("stop\nreturn 1\n", lint, {"safe"}).text == "return\nreturn 1\n", "it did not compile before either"


def test_a_text_that_cannot_be_linted_after_a_fix_is_not_kept() -> None:
    def lint(text: str) -> list[Finding]:
        if "safe_a" not in text:
            raise RecursionError
        return find_words(Source(text))

    assert fix("safe_a = 1\n", lint, {"safe"}).text == "safe_a = 1\n"


def test_what_the_lint_raises_on_the_original_text_passes_through() -> None:
    with pytest.raises(SyntaxError):
        fixed("safe_a = = 1\n")


# --- files


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"a = 1", id="no final newline"),
        pytest.param(b"\xef\xbb\xbfa = 1\r\n", id="byte order mark, CRLF"),
        pytest.param(b"a = 1\r\nb = 2\nc = 3\rd = 4\x0c\n", id="mixed newlines, form feed"),
        pytest.param("# -*- coding: latin-1 -*-\nx = 'ß'\n".encode("latin-1"), id="latin-1 with a coding line"),
        pytest.param("# coding: cp1251\nx = 'ж'\n".encode("cp1251"), id="cp1251 with a coding line"),
        pytest.param("# coding: euc-jp\nx = '漢'\n".encode("euc-jp"), id="two bytes per character"),
        pytest.param("x = 'ß'\n".encode("latin-1"), id="latin-1 without a coding line"),
        pytest.param(b"# coding: nonsense\nx = '\xff'\n", id="unknown coding"),
        pytest.param(b"# coding: rot13\nx = 1\n", id="a coding that is not one of text"),
        pytest.param(b"\xef\xbb\xbf# coding: latin-1\nx = 1\n", id="byte order mark against the coding line"),
    ],
)
def test_a_document_comes_back_byte_for_byte(data: bytes) -> None:
    document = Document.decode(data)
    assert document.encode(document.text) == data
    assert not document.text.startswith("\ufeff")


def test_a_coding_that_loses_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="would not survive"):
        Document.decode(b"# coding: iso-2022-jp\nx = '\x1b(B\x1b(B'\n")


def test_write_keeps_the_mode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")
    path.chmod(0o750)
    write(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert os.listdir(tmp_path) == ["a.py"]


def test_write_follows_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").write_bytes(b"old")
    (tmp_path / "link.py").symlink_to(Path("real") / "a.py")
    write(str(tmp_path / "link.py"), b"new")
    assert (tmp_path / "link.py").is_symlink()
    assert (tmp_path / "real" / "a.py").read_bytes() == b"new"
    assert os.listdir(tmp_path / "real") == ["a.py"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(failure)):
        write(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.py"]


def test_a_read_only_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")

    def only_readable(path: str, mode: int) -> bool:
        return mode != os.W_OK

    monkeypatch.setattr(os, "access", only_readable)  # root may write anything
    with pytest.raises(PermissionError):
        write(str(path), b"new")
    assert path.read_bytes() == b"old"
