"""The format of the fixtures: what a program says about itself in comments (described in docs/truth.md).

Read by the linter's test and by the truth test, so that both judge the same claims. Needs no torch.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parent.parent / "fixtures"

Kind = Literal["bad", "fixed", "ok", "clean"]
Outcome = Literal["fine", "silent", "raises", "warns"]

_EXPECTATION = re.compile(r"# (AGD\d{3}: [1-9]\d*(?:, AGD\d{3}: [1-9]\d*)*)")
_RAISES = "# raises here"
_TRUTH = re.compile(r"# truth: (?:(fine|silent)|(raises|warns) (\w+): (\S.*))")
_FIX = re.compile(r"# fix: (hand|applied)(?:, missed: (\S.*))?")


class Expected(NamedTuple):
    """A report that the linter owes: line and column as flake8 prints them (both count from 1)."""

    line: int
    code: str
    column: int


class Truth(NamedTuple):
    """What torch does when the program runs.

    `fine`: ends without an error or a warning. `silent`: the same, and its own asserts prove the misuse.
    `raises` and `warns`: the class `category`, with `message` as a part of the text, on the expected line
    (`raises`: on the line marked `# raises here`, if there is one: the report may stand at the cause).
    """

    outcome: Outcome
    category: str = ""
    message: str = ""


@dataclass(frozen=True)
class Fixture:
    """One program of the fixtures folder and its claims. `fix` is None except for a `bad_` program.

    raises: the line marked `# raises here`, 0 if none is.
    missed: why the linter does not see this misuse yet ("" if it does); the day it does, the test fails.
    """

    path: Path
    kind: Kind
    text: str
    truth: Truth
    fix: Literal["hand", "applied"] | None
    expected: tuple[Expected, ...]
    missed: str = ""
    raises: int = 0

    @property
    def folder(self) -> str:
        """The rule's code, or "clean"."""
        return self.path.parent.name

    @property
    def fixed(self) -> Path:
        """Where the repaired form of a `bad_` program is."""
        return self.path.with_suffix(".fixed.py")


def paths() -> list[Path]:
    """Every fixture program, sorted."""
    return sorted(ROOT.glob("*/*.py"))


def name(path: Path) -> str:
    """The fixture's name in test ids: "AGD101/bad_x.py"."""
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> Fixture:
    """Read one fixture. Raises ValueError when it breaks the format."""
    text = path.read_text(encoding="utf-8")
    try:
        return parse(path, text)
    except ValueError as error:
        raise ValueError(f"{path.parent.name}/{path.name}: {error}") from error


def parse(path: Path, text: str) -> Fixture:
    """Read `text` as the fixture that `path` would hold. Raises ValueError when it breaks the format."""
    kind = _kind(path)
    lines = [*text.splitlines(), "", ""]
    truth = _truth(lines[0])
    fix = _FIX.fullmatch(lines[1])
    expected = tuple(_expectations(text))
    if (kind == "bad") != bool(fix):
        raise ValueError("a bad_ program, and no other, says on its second line where its repair comes from")
    if (kind == "bad") != bool(expected):
        raise ValueError("a bad_ program, and no other, expects reports")
    if (kind == "bad") == (truth.outcome == "fine"):
        raise ValueError("a bad_ program misbehaves, the others are fine")
    if len(re.findall(r"AGD\d", text)) != len(expected):
        raise ValueError("a code stands in the text outside of an expectation")
    found: Literal["hand", "applied"] | None = None
    if fix:
        found = "applied" if fix[1] == "applied" else "hand"
    marked = [number for number, line in enumerate(lines, 1) if line.endswith(_RAISES)]
    if len(marked) > (truth.outcome == "raises"):
        raise ValueError("one line at most is marked, and only in a program that raises")
    return Fixture(path, kind, text, truth, found, expected, fix[2] or "" if fix else "", sum(marked))


def program(text: str) -> str:
    """The program without what it claims: no truth line, no fix line, no expectations."""
    lines = [line for line in text.splitlines() if not (_TRUTH.fullmatch(line) or _FIX.fullmatch(line))]
    return "\n".join(_EXPECTATION.sub("", line).rstrip() for line in lines) + "\n"


def without_asserts(text: str) -> str:
    """The program without what it claims and what it proves: `assert` says of a bad program what it does wrong."""
    lines = program(text).splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Assert):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[line - 1] = ""
    return "\n".join(line for line in lines if line) + "\n"


def _kind(path: Path) -> Kind:
    if path.parent.name == "clean":
        return "clean"
    if path.name.startswith("ok_"):
        return "ok"
    if path.name.startswith("bad_"):
        return "fixed" if path.name.endswith(".fixed.py") else "bad"
    raise ValueError("the name begins with neither bad_ nor ok_")


def _truth(line: str) -> Truth:
    match = _TRUTH.fullmatch(line)
    if not match:
        raise ValueError(f"the first line is not a truth line: {line}")
    if match[1]:
        return Truth("fine" if match[1] == "fine" else "silent")
    return Truth("raises" if match[2] == "raises" else "warns", match[3], match[4])


def _expectations(text: str) -> list[Expected]:
    """Only real comments count: a string that looks like an expectation is part of the program."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        match = (
            _EXPECTATION.fullmatch(token.string.removesuffix(_RAISES).rstrip())
            if token.type == tokenize.COMMENT
            else None
        )
        if match:
            for item in match[1].split(", "):
                code, column = item.split(": ")
                found.append(Expected(token.start[0], code, int(column)))
    return found
