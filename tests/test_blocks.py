"""Builders of edits for blocks and decorators; statements of several fixes that share a block."""

from __future__ import annotations

import ast

import libcst as cst
import pytest
from test_edits import built, node_of, statement_of

from flake8_detach.fixes import blocks, build
from flake8_detach.fixes.edits import apply
from flake8_detach.source import Source


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("with mode():\n    a = 1\n    b = 2\nc = 3\n", "a = 1\nb = 2\nc = 3\n", id="two statements"),
        pytest.param(
            "def f(x):\n  # why\n  with mode():  # frozen\n    # a\n    y = x\n\n    return y  # b\n",
            "def f(x):\n  # why\n  # frozen\n  # a\n  y = x\n\n  return y  # b\n",
            id="comments stay",
        ),
        pytest.param("if x:\n\twith mode():\n\t\ty = (1,\n\t\t  2)\n", "if x:\n\ty = (1,\n\t  2)\n", id="tabs"),
        pytest.param(
            'with mode():\n    y = """\n    text\n"""\n    z = 1\n',
            'y = """\n    text\n"""\nz = 1\n',
            id="strings stay",
        ),
        pytest.param(
            "with mode():\n    y = (\n  1)\n    if y:\n        z = 1\n",
            "y = (\n  1)\nif y:\n    z = 1\n",
            id="lines further out stay",
        ),
        pytest.param("with mode():\n    with other():\n        y = 1\n", "with other():\n    y = 1\n", id="nested"),
        pytest.param("with (mode()):\n    y = 1\n", "y = 1\n", id="brackets"),
        pytest.param("@mode()\ndef f(): pass\n", "def f(): pass\n", id="decorator"),
        pytest.param("@other\n@mode\ndef f(): pass\n", "@other\ndef f(): pass\n", id="decorator that is a name"),
        pytest.param("class C:\n    @mode()  # why\n    def f(self): pass\n",
                     "class C:\n    # why\n    def f(self): pass\n", id="decorator with a comment"),
        pytest.param("with mode(), other():\n    y = 1\n", None, id="two things entered"),
        pytest.param("with mode() as m:\n    y = 1\n", None, id="a name bound"),
        pytest.param("with mode(): y = 1\n", None, id="on one line"),
        pytest.param("with mode(\n):\n    y = 1\n", None, id="a head of two lines"),
        pytest.param("async def f():\n    async with mode():\n        y = 1\n", None, id="async"),
        pytest.param("@mode(\n)\ndef f(): pass\n", None, id="a decorator of two lines"),
        pytest.param("y = mode()\n", None, id="neither"),
    ],
)  # fmt: skip
def test_leave_mode(text: str, result: str | None) -> None:
    source = Source(text)
    node = node_of(source, "mode" if "@mode\n" in text else "mode()")
    assert built(text, blocks.leave_mode(source, node)) == result
    if result:
        ast.parse(result)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("import torch\nwith torch.old(): pass\n", "import torch\nwith torch.new(): pass\n", id="call"),
        pytest.param(
            "import torch\n@torch.old\ndef f(): pass\n", "import torch\n@torch.new\ndef f(): pass\n", id="name"
        ),
        pytest.param("import torch\nwith torch.old(True): pass\n", None, id="an argument"),
        pytest.param("from torch import old\nwith old(): pass\n", None, id="the new one is not imported"),
        pytest.param(
            "from torch import old, new\nwith old(): pass\n",
            "from torch import old, new\nwith new(): pass\n",
            id="both",
        ),
        pytest.param("import torch\nold = torch.old\nwith old(): pass\n", None, id="by another name"),
    ],
)
def test_exchange_mode(text: str, result: str | None) -> None:
    source = Source(text)
    todo: list[cst.CSTNode] = [chunk.module for chunk in source.chunks]
    found: cst.CSTNode | None = None
    while todo and found is None:
        part = todo.pop()
        if isinstance(part, cst.WithItem):
            found = part.item
        elif isinstance(part, cst.Decorator):
            found = part.decorator
        todo.extend(part.children)
    assert found is not None
    assert built(text, blocks.exchange_mode(source, found, "torch.old", "torch.new")) == result


MODE = "with torch.no_grad():\n"


@pytest.mark.parametrize(
    ("text", "lines", "result"),
    [
        pytest.param("a -= 1\nb -= 1\nc -= 1\n", (1, 2, 3), f"{MODE}    a -= 1\n    b -= 1\n    c -= 1\n", id="three"),
        pytest.param("a -= 1\nb -= 1\n", (2, 1), f"{MODE}    a -= 1\n    b -= 1\n", id="found in another order"),
        pytest.param("a -= 1\n\nb -= 1\n", (1, 3), f"{MODE}    a -= 1\n\n{MODE}    b -= 1\n", id="apart"),
        pytest.param("a -= (1,\n 2)\nb -= 1\n", (1, 3), f"{MODE}    a -= (1,\n     2)\n    b -= 1\n", id="two lines"),
        pytest.param(f"{MODE}  a -= 1\nb -= 1\n", (3,), f"{MODE}  a -= 1\n  b -= 1\n", id="a block that is there"),
        pytest.param(
            f"{MODE}  a -= 1\nb -= 1\nc -= 1\n", (3, 4), f"{MODE}  a -= 1\n  b -= 1\n  c -= 1\n", id="and two of them"
        ),
        pytest.param(
            "with other():\n    a -= 1\nb -= 1\n", (3,), f"with other():\n    a -= 1\n{MODE}    b -= 1\n", id="another"
        ),
        pytest.param(f"{MODE[:-1]} a -= 1\nb -= 1\n", (2,), f"{MODE[:-1]} a -= 1\n{MODE}    b -= 1\n", id="a line"),
        pytest.param("a -= 1\r\nb -= 1\r\n", (1, 2), f"{MODE[:-1]}\r\n    a -= 1\r\n    b -= 1\r\n", id="CRLF"),
        pytest.param(
            "if a:\n    b -= 1\nelse:\n    c -= 1\n", (2, 4),
            f"if a:\n    {MODE}        b -= 1\nelse:\n    {MODE}        c -= 1\n", id="other blocks",
        ),
    ],
)  # fmt: skip
def test_statements_that_follow_each_other_share_a_block(text: str, lines: tuple[int, ...], result: str) -> None:
    source = Source(text)
    wraps = (build.wrap_in_with(source, statement_of(source, n), "torch.no_grad()") for n in lines)
    applied = apply(text, [fix for wrap in wraps if (fix := build.offer("test", "safe", wrap))])
    assert applied.text == result
    assert all(applied.done)
