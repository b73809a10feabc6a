"""What several tests share: flake8 and the command line in-process, and a linter of words in the place of the rules."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import pytest
from flake8.main import cli as flake8_cli
from flake8.utils import stdin_get_value

from flake8_detach import cli, rules
from flake8_detach.config import Settings
from flake8_detach.fixes.edits import Applicability, Edit, Fix
from flake8_detach.rules._base import Finding
from flake8_detach.source import Source, Span

ROOT = Path(__file__).resolve().parent.parent


def project_files(folder: str) -> Iterator[Path]:
    """The files of one of the project's folders, but for what Python and the tools leave there."""
    for path in sorted((ROOT / folder).rglob("*")):
        below = path.relative_to(ROOT / folder).parts
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in below):
            yield path


TORCH_REQUIRED = os.environ.get("AGD_REQUIRE_TORCH") == "1"
"""As in CI: a truth test that would skip fails, so that no green run goes by without having asked torch."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A truth test that skips itself."""
    report = yield
    asked = hasattr(report, "wasxfail")  # an expected failure counts as skipped, but has asked torch
    if TORCH_REQUIRED and report.skipped and not asked and item.get_closest_marker("truth"):
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips all its tests. Only those that ask torch do."""
    report = yield
    if TORCH_REQUIRED and report.skipped:
        report.outcome = "failed"
    return report


class Run(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., Run]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with an empty flake8 configuration, so that none further up is found."""
    (tmp_path / ".flake8").write_text("[flake8]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `flake8` or `flake8-detach` in this process: run("flake8", "a.py"), run("fix", "-", stdin=b"...")."""
    if not entry_points(group="flake8.extension", name="AGD"):
        pytest.fail('flake8 does not know the plug-in: pip install -e ".[test]"')

    def command(first: str, *args: str, stdin: bytes = b"") -> Run:
        stdin_get_value.cache_clear()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        try:
            code = flake8_cli.main([*args, "-j1"]) if first == "flake8" else cli.main([first, *args])
        except SystemExit as leave:
            code = int(leave.code or 0)
        out, err = capsysbinary.readouterr()
        return Run(code, out.decode("utf-8", "surrogateescape"), err.decode())

    return command


class Word(NamedTuple):
    """A prefix of identifiers that the fake linter reports, and what its fix puts in the place of the identifier."""

    code: str
    becomes: str
    applicability: Applicability


WORDS = {
    "safe": (Word("AGD102", r"\2", "safe"),),
    "risky": (Word("AGD101", r"\2", "unsafe"),),
    "shown": (Word("AGD101", r"\2", "display"),),
    "hint": (Word("AGD901", r"\2", "safe"),),
    "optional": (Word("AGD902", r"\2", "display"),),
    "left": (Word("AGD201", r"\2", "safe"),),
    "right": (Word("AGD202", r"\2", "safe"),),
    "pair": (Word("AGD201", r"right_\2", "safe"), Word("AGD202", r"left_\2", "safe")),
    "stubborn": (Word("AGD102", r"stubborn__\2", "safe"),),
    "spawning": (Word("AGD102", r"shown_\2", "safe"),),
    "broken": (Word("AGD102", r"(\2", "safe"),),
}
"""`pair` has two findings whose fixes overlap; the last three have fixes that must be refused."""


def find_words(source: Source, settings: Settings | None = None) -> list[Finding]:
    """The fake linter: reports the identifiers that begin with one of WORDS and an underscore."""
    found = []
    for number, line in enumerate(source.lines, 1):
        for match in re.finditer(rf"\b({'|'.join(WORDS)})_(\w+)", line):
            span = Span(number, match.start(), number, match.end())
            for word in WORDS[match[1]]:
                fix = Fix(f"drop `{match[1]}_`", (Edit(span, match.expand(word.becomes)),), word.applicability)
                found.append(Finding(word.code, f"`{match[0]}` is {match[1]}", span, fix=fix))
    return found


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the fake linter in the place of the rules."""
    monkeypatch.setattr(rules, "check", find_words)
