"""The project about itself: every rule is complete, the rooms keep their order, the documents name what exists."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, project_files

from flake8_detach import rules
from flake8_detach.report import page
from flake8_detach.rules._base import Rule

PACKAGE = ROOT / "flake8_detach"
RULES = rules.load()
MODULES = sorted(PACKAGE.rglob("*.py"))

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


# Rules: their fixtures are looked after in test_fixtures.py, their generated pages in test_cli.py


@every_rule
def test_a_rule_has_a_file_of_its_own_named_after_it(rule: Rule) -> None:
    assert re.fullmatch(r"AGD[1-9]\d\d", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name), "kebab-case"
    module = type(rule).__module__.rpartition(".")[2]
    assert module == f"{rule.code}_{rule.name}".lower().replace("-", "_")


def test_no_two_rules_have_the_same_name() -> None:
    assert len({rule.name for rule in RULES.values()}) == len(RULES)


@every_rule
def test_a_rule_is_short(rule: Rule) -> None:
    text = (PACKAGE / "rules" / f"{type(rule).__module__.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150


@every_rule
def test_a_rules_page_has_all_sections(rule: Rule) -> None:
    text = page.page(rule)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(page.SECTIONS)
    assert not re.search(r"^## .*\n\n(## |\Z)", text, re.MULTILINE), "a section is empty"
    assert re.fullmatch(r"[^\n]+[^.\n]\.", rule.summary()), "the summary is one sentence"


@every_rule
def test_the_example_of_a_rule_is_reported_by_that_rule_alone(rule: Rule) -> None:
    assert {found.code for found in page.lint_example(rule, rule.example.bad)} == {rule.code}
    assert page.lint_example(rule, rule.example.good) == []
    assert rule.example.bad != rule.example.good


@every_rule
def test_a_rule_names_what_a_file_must_mention(rule: Rule) -> None:
    assert rule.listens
    assert rule.triggers or rule.within, "without triggers, every file in the world is parsed for this rule"
    assert all(rule.triggers)
    assert not (rule.triggers and rule.within)


def test_the_changelog_has_a_line_for_every_code() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    named = re.findall(r"^- (AGD\d{3}) ([a-z-]+):", text, re.MULTILINE)
    assert sorted(named) == [(rule.code, rule.name) for rule in page.catalogue().values()]


# Rooms

ARROWS: tuple[tuple[str, set[str]], ...] = (
    ("flow/values.py", set()),
    ("flow/meeting.py", {"flow.values"}),
    ("flow/slots.py", set()),
    ("flow/joining.py", {"flow.values", "flow.meeting", "flow.slots"}),
    ("flow/state.py", {"flow.values", "flow.meeting", "flow.slots", "flow.joining"}),
    ("flow/events.py", {"flow.values"}),
    ("flow/", {"flow", "imports", "knowledge", "source", "trees"}),
    ("knowledge/", {"knowledge"}),
    ("rules/__init__.py", {"config", "flow", "gate", "rules._base", "rules._collect", "source"}),
    (
        "rules/",
        {"=fixes", "config", "fixes.edits", "flow.events", "flow.values", "knowledge", "rules", "source", "trees"},
    ),
    ("fixes/build.py", {"fixes.edits", "fixes.place", "source", "trees"}),
    ("fixes/blocks.py", {"fixes.build", "fixes.edits", "fixes.place", "source"}),
    ("fixes/place.py", {"source", "trees"}),
    ("fixes/edits.py", {"source"}),
    ("gate/", {"gate", "knowledge"}),
    ("imports.py", set()),
    ("source.py", {"trees"}),
    ("trees.py", set()),
    ("config.py", set()),
)
"""What the modules of a room may import of the package; the first line that fits counts. Arrows run one way."""

WITHOUT_SYNTAX = (
    "flow/values.py",
    "flow/meeting.py",
    "flow/slots.py",
    "flow/joining.py",
    "flow/state.py",
    "flow/events.py",
    "knowledge/",
    "config.py",
    "gate/",
    "plugin.py",
)
"""These import no libcst: the algebra does not need it, and what runs before the gate cannot afford it."""

TORCH = {"torch", "numpy", "torchvision"}


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it; not those that only a type checker sees."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        todo.extend(ast.iter_child_nodes(node))


def inside(name: str, room: str) -> bool:
    """Is the module in the room? "=fixes" is the package's own `__init__` and nothing below."""
    if room.startswith("="):
        return name == room[1:]
    return f"{name}.".startswith(f"{room}.")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=room)
def test_a_module_imports_only_what_its_room_may_know(path: Path) -> None:
    allowed = next((names for prefix, names in ARROWS if room(path).startswith(prefix)), None)
    own = [name.removeprefix("flake8_detach.") for name in imported(path) if name.startswith("flake8_detach.")]
    if allowed is not None:
        assert [name for name in own if not any(inside(name, other) for other in allowed)] == []
    assert not any(inside(name, other) for name in imported(path) for other in TORCH)


@pytest.mark.parametrize("prefix", WITHOUT_SYNTAX)
def test_a_module_does_without_libcst(prefix: str) -> None:
    paths = [path for path in MODULES if room(path).startswith(prefix)]
    assert paths
    assert [room(path) for path in paths if any(inside(name, "libcst") for name in imported(path))] == []


def test_every_arrow_is_about_something() -> None:
    names = [room(path) for path in MODULES]
    assert [prefix for prefix, _ in ARROWS if not any(name.startswith(prefix) for name in names)] == []


# Documents

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
HOST = re.compile(r"\b(?:pypi\.org|pythonhosted\.org|download\.pytorch\.org|anaconda\.org|crates\.io|ghcr\.io)")
MACHINE = re.compile(r"(?<![\w.~-])/(?:root|home|work|opt|mnt|Users|private)/\w|[A-Z]:\\\\?Users\b")


def texts() -> Iterator[Path]:
    """Every text that is part of the project."""
    for name in ("flake8_detach", "docs", "fixtures", "tests", "tools", ".ci"):
        yield from project_files(name)
    yield from [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "pyproject.toml")]


def test_no_text_names_a_registry_host_or_a_place_on_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts()
        for pattern in (HOST, MACHINE)
        for match in pattern.finditer(path.read_bytes().decode("utf-8", "replace"))
    ]
    assert found == []


def test_contributing_names_every_module_of_the_engine() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = {path.name for path in (PACKAGE / "flow").glob("*.py")} - {"__init__.py"}
    assert names - set(re.findall(r"`(?:flow/)?(\w+\.py)`", text)) == set()
    mentioned = re.findall(r"`(flow/\w+\.py)`", text)
    assert [name for name in mentioned if not (PACKAGE / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


# Tests

SKIPS = """\
import pytest

@pytest.mark.truth
def test_truth():
    pytest.skip("no torch")

@pytest.mark.truth
@pytest.mark.skipif("True", reason="no torch")
def test_marked():
    pass

def test_other():
    pytest.skip("not about torch")
"""


@pytest.mark.parametrize(
    ("required", "text", "outcome"),
    [
        pytest.param("", SKIPS, "3 skipped", id="torch is not required"),
        pytest.param("1", SKIPS, "1 failed, 1 skipped, 1 error", id="torch is required"),
        pytest.param("1", "import pytest\npytest.importorskip('no_such_torch')\n", "1 error", id="a whole module"),
    ],
)
def test_a_truth_test_may_not_skip_where_torch_is_required(
    required: str, text: str, outcome: str, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        "-o",
        "markers=truth",
        ".",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "AGD_REQUIRE_TORCH": required}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].startswith(f"{outcome} in ")
