"""Quick fixes in editors: a real python-lsp-server, spoken to over its pipes as an editor does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flake8_detach.fixes.actions import Report, noqa
from flake8_detach.fixes.edits import Fix, apply

PROGRAM = """\
import torch

weights = torch.ones(3, requires_grad=True)
name = "\N{SMILING FACE WITH SUNGLASSES}", (weights * 2).numpy()
"""
"""The face is one character of Python and two units of the protocol."""


class Editor:
    """The client's side: numbered requests, and what the server says by itself."""

    def __init__(self, folder: Path) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "pylsp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        )
        self._number = 0
        self.uri = (folder / "program.py").as_uri()
        self.request("initialize", processId=None, rootUri=folder.as_uri(), capabilities={})
        plugins = {name: {"enabled": name == "flake8"} for name in ("flake8", "pycodestyle", "pyflakes", "mccabe")}
        self.tell("workspace/didChangeConfiguration", settings={"pylsp": {"plugins": plugins}})

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, **params: Any) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        return self._wait(lambda message: message.get("id") == self._number and "method" not in message)["result"]

    def diagnostics(self) -> list[dict[str, Any]]:
        """What the server shows next for the document."""
        message = self._wait(lambda message: message.get("method") == "textDocument/publishDiagnostics")
        found: list[dict[str, Any]] = message["params"]["diagnostics"]
        return found

    def close(self) -> None:
        self._server.kill()
        self._server.communicate()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._server.stdin is not None
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._server.stdin.flush()

    def _wait(self, wanted: Any) -> dict[str, Any]:
        assert self._server.stdout is not None
        while True:
            size = 0
            while line := self._server.stdout.readline().strip():
                name, _, value = line.partition(b": ")
                size = int(value) if name == b"Content-Length" else size
            if not size:
                pytest.fail("the server has gone")
            message: dict[str, Any] = json.loads(self._server.stdout.read(size))
            if wanted(message):
                return message


@pytest.fixture
def editor(place: Path) -> Iterator[Editor]:
    pytest.importorskip("pylsp", reason='python-lsp-server is not installed (pip install -e ".[lsp]")')
    (place / ".flake8").write_text("[flake8]\nselect = AGD\n")
    (place / "program.py").write_text(PROGRAM, encoding="utf-8")
    editor = Editor(place)
    yield editor
    editor.close()


def edited(text: str, action: dict[str, Any], uri: str) -> str:
    """The text after the edits of an action, as an editor applies them."""
    lines = [line.encode("utf-16-le") for line in text.splitlines(keepends=True)]
    for edit in sorted(action["edit"]["changes"][uri], key=lambda e: e["range"]["start"]["line"], reverse=True):
        start, end = edit["range"]["start"], edit["range"]["end"]
        assert start["line"] == end["line"]
        line = lines[start["line"]]
        new = edit["newText"].encode("utf-16-le")
        lines[start["line"]] = line[: 2 * start["character"]] + new + line[2 * end["character"] :]
    return b"".join(lines).decode("utf-16-le")


def test_a_report_can_be_fixed_or_silenced_from_the_editor(editor: Editor) -> None:
    document = {"uri": editor.uri, "languageId": "python", "version": 1, "text": PROGRAM}
    editor.tell("textDocument/didOpen", textDocument=document)
    (shown,) = editor.diagnostics()
    assert shown["code"] == "AGD102"
    where = shown["range"]
    found = editor.request(
        "textDocument/codeAction", textDocument={"uri": editor.uri}, range=where, context={"diagnostics": [shown]}
    )
    assert [(action["title"], action["isPreferred"]) for action in found] == [
        ("AGD102: insert `.detach()`", True),
        ("AGD102: silence with noqa", False),
    ]
    fixed, silenced = (edited(PROGRAM, action, editor.uri) for action in found)
    assert fixed == PROGRAM.replace("(weights * 2)", "(weights * 2).detach()")
    assert silenced == PROGRAM.replace(".numpy()", ".numpy()  # noqa: AGD102")
    for version, text in enumerate((fixed, silenced), 2):
        new = {"uri": editor.uri, "version": version}
        editor.tell("textDocument/didChange", textDocument=new, contentChanges=[{"text": text}])
        assert editor.diagnostics() == []


def test_nothing_is_offered_where_nothing_is_reported(editor: Editor) -> None:
    document = {"uri": editor.uri, "languageId": "python", "version": 1, "text": PROGRAM}
    editor.tell("textDocument/didOpen", textDocument=document)
    (shown,) = editor.diagnostics()
    other = {**shown, "code": "E501"}
    stale = {**shown, "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}}
    for given in ([], [other], [stale]):
        context = {"diagnostics": given}
        assert (
            editor.request(
                "textDocument/codeAction",
                textDocument={"uri": editor.uri},
                range=shown["range"],
                context=context,
            )
            == []
        )


@pytest.mark.parametrize(
    ("text", "line", "silent"),
    [
        ("x = 1\n", 1, "x = 1  # noqa: AGD101\n"),
        ("x = 1", 1, "x = 1  # noqa: AGD101"),
        ("x = 1  \r\ny\r\n", 1, "x = 1  # noqa: AGD101\r\ny\r\n"),
        ("x = 1  # why\n", 1, "x = 1  # why  # noqa: AGD101\n"),
        ("x = 1  # noqa: E501\n", 1, "x = 1  # noqa: E501,AGD101\n"),
        ("x = 1  # noqa:E501, W291 because\n", 1, "x = 1  # noqa:E501, W291,AGD101 because\n"),
        ("f(\n  1,\n)\ny\n", 2, "f(\n  1,\n)  # noqa: AGD101\ny\n"),
        ('f("""\n""")\n', 1, 'f("""\n""")  # noqa: AGD101\n'),
        ("x = 1 + \\\n  2\n", 1, "x = 1 + \\\n  2  # noqa: AGD101\n"),
    ],
)
def test_noqa_goes_to_the_end_of_the_statement(text: str, line: int, silent: str) -> None:
    edit = noqa(text, Report("AGD101", line, 0))
    assert edit is not None
    assert apply(text, [Fix("", (edit,), "safe")]).text == silent


def test_what_is_no_python_is_left_alone() -> None:
    assert noqa("f(\n", Report("AGD101", 1, 0)) is None
