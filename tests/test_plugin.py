"""The plug-in inside flake8: options, codes that are off, files of every kind, failures of our own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command, find_words

from flake8_detach import rules
from flake8_detach.config import OFF_BY_DEFAULT, Settings
from flake8_detach.plugin import Plugin
from flake8_detach.rules._base import Finding
from flake8_detach.source import Source, Span

SOME = "import torch\nsafe_a = 1\nrisky_b = 2\nhint_c = 3\n"


def found(text: str) -> list[tuple[int, int, str]]:
    return [(line, column, message) for line, column, message, _ in Plugin(ast.parse(text), [text], "a.py").run()]


def places(lines: list[str]) -> list[str]:
    """`a.py:1:2: AGD101` of each report of ours."""
    return [line.split(" `")[0] for line in lines if " AGD" in line]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Rules that raise the test's parameter."""

    def fail(source: Source, settings: Settings) -> list[Finding]:
        raise request.param

    monkeypatch.setattr(rules, "check", fail)


class Panic(BaseException):
    """What pyo3 raises for a panic in Rust: not an Exception."""


failures = pytest.mark.parametrize(
    "failing",
    [RecursionError("too\ndeep"), KeyError("a bug"), MemoryError(), Panic("index out of bounds"), SyntaxError("odd")],
    indirect=True,
    ids=lambda failure: type(failure).__name__,
)


# --- options


@pytest.mark.usefixtures("words")
def test_reports_have_flake8s_line_column_and_code(place: Path, run: Command) -> None:
    (place / "a.py").write_text("if True:\n    x = safe_a\n")
    assert run("flake8", "--extend-ignore=F", "a.py") == (1, "a.py:2:9: AGD102 `safe_a` is safe\n", "")


@pytest.mark.usefixtures("words")
def test_codes_that_are_off_by_default_are_silent(place: Path, run: Command) -> None:
    (place / "a.py").write_text(SOME)
    assert places(run("flake8", "a.py").lines) == ["a.py:2:1: AGD102", "a.py:3:1: AGD101"]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("ignore = E203", id="ignore, which makes flake8 forget the default ignores"),
        pytest.param("ignore =", id="empty ignore"),
        pytest.param("extend-ignore = E203", id="extend-ignore"),
        pytest.param("select = E,AGD1\nignore = E203", id="select of other codes"),
    ],
)
@pytest.mark.usefixtures("words")
def test_no_configuration_of_other_codes_switches_on_what_is_off(place: Path, run: Command, config: str) -> None:
    (place / ".flake8").write_text(f"[flake8]\n{config}\n")
    (place / "a.py").write_text(SOME)
    assert places(run("flake8", "a.py").lines) == ["a.py:2:1: AGD102", "a.py:3:1: AGD101"]


@pytest.mark.parametrize(
    "config",
    ["extend-select = AGD901", "extend-select = AGD9", "select = AGD", "ignore = E203\nextend-select = AGD9"],
)
@pytest.mark.usefixtures("words")
def test_selecting_them_switches_them_on(place: Path, run: Command, config: str) -> None:
    (place / ".flake8").write_text(f"[flake8]\n{config}\n")
    (place / "a.py").write_text(SOME)
    assert "a.py:4:1: AGD901" in places(run("flake8", "a.py").lines)


def test_the_written_list_of_what_is_off_agrees_with_the_rules() -> None:
    assert {code: rule.default for code, rule in rules.load().items()} == {
        code: not code.startswith(OFF_BY_DEFAULT) for code in rules.load()
    }


@pytest.mark.parametrize("source", ["command line", "configuration"])
def test_confidence_reaches_the_rules(place: Path, run: Command, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    seen: list[Settings] = []

    def check(source: Source, settings: Settings) -> list[Finding]:
        seen.append(settings)
        return []

    monkeypatch.setattr(rules, "check", check)
    (place / "a.py").write_text("x = 1\n")
    if source == "configuration":
        (place / ".flake8").write_text("[flake8]\nagd-confidence = certain\nagd_debug = true\n")
        assert run("flake8", "a.py").code == 0
    else:
        assert run("flake8", "--agd-confidence=certain", "--agd-debug", "a.py").code == 0
    assert seen == [Settings(confidence="certain", debug=True)]
    assert run("flake8", "--isolated", "a.py").code == 0
    assert seen[1] == Settings()


@pytest.mark.parametrize("where", ["command line", "configuration"])
def test_a_wrong_confidence_is_refused(place: Path, run: Command, where: str) -> None:
    (place / "a.py").write_text("x = 1\n")
    (place / ".flake8").write_text("[flake8]\nagd-confidence = maybe\n" if where == "configuration" else "")
    result = run("flake8", "a.py", *(["--agd-confidence=maybe"] if where == "command line" else []))
    assert result.code in (1, 2)
    assert "maybe" in result.out + result.err
    assert "certain" in result.out + result.err


# --- failures


@failures
@pytest.mark.usefixtures("failing")
def test_a_failure_of_ours_is_silence(place: Path, run: Command) -> None:
    (place / "a.py").write_text("import os\n")
    assert run("flake8", "a.py") == (1, "a.py:1:1: F401 'os' imported but unused\n", "")


@failures
@pytest.mark.usefixtures("failing")
def test_with_agd_debug_it_is_reported_with_a_traceback(place: Path, run: Command) -> None:
    (place / "a.py").write_text("x = 1\n")
    code, out, err = run("flake8", "--agd-debug", "a.py")
    assert code == 1
    assert out.startswith("a.py:1:1: AGD000 the file was not analysed: ")
    assert out.count("\n") == 1, "one report, one line"
    assert "Traceback" in err
    assert "a.py" in err


@pytest.mark.parametrize("failing", [KeyError("a bug")], indirect=True)
@pytest.mark.usefixtures("failing")
def test_even_then_the_user_can_ignore_it(place: Path, run: Command) -> None:
    (place / "a.py").write_text("x = 1\n")
    assert run("flake8", "--agd-debug", "--extend-ignore=AGD000", "a.py").code == 0


@pytest.mark.parametrize("failing", [KeyboardInterrupt()], indirect=True)
@pytest.mark.usefixtures("failing")
def test_ctrl_c_is_not_a_failure_of_ours() -> None:
    with pytest.raises(KeyboardInterrupt):
        found("x = 1\n")


def test_a_file_that_only_libcst_cannot_parse_is_silence(place: Path, run: Command) -> None:
    (place / "a.py").write_bytes(b"import torch\nx = torch.ones(1).detach()\nx.backward()\nif x:\n\ty = 1 \\\n\n")
    assert "AGD000" not in run("flake8", "a.py").out


def test_a_syntax_error_is_flake8s_to_report(place: Path, run: Command) -> None:
    (place / "a.py").write_text("def f(:\n")
    result = run("flake8", "--agd-debug", "a.py")
    assert "E999" in result.out
    assert "AGD" not in result.out
    assert result.err == ""


# --- files of every kind


KINDS = {
    "plain": (b"x = safe_a\n", "1:5"),
    "byte order mark": (b"\xef\xbb\xbfx = safe_a\n", "1:5"),
    "CRLF": (b"y = 1\r\nx = safe_a\r\n", "2:5"),
    "CR": (b"y = 1\rx = safe_a\r", "2:5"),
    "mixed newlines, none at the end": (b"y = 1\r\nz = 2\nx = safe_a", "3:5"),
    "form feeds": (b"\x0c\ny = '\x0c'\n\x0cx = safe_a\n", "3:6"),
    "latin-1 with a coding line": ("# coding: latin-1\nx = 'ß', safe_a\n".encode("latin-1"), "2:10"),
    "columns are characters": ("x = 'ß漢', safe_a\n".encode(), "1:11"),
    "separators that are no newlines": ("x = '\u2028\x1c', safe_a\n".encode(), "1:11"),
    "tab": (b"if 1:\n\tx = safe_a\n", "2:6"),
    "continued line": (b"x = (1 +\n     safe_a)\n", "2:6"),
}


@pytest.mark.parametrize(("data", "where"), KINDS.values(), ids=KINDS)
@pytest.mark.usefixtures("words")
def test_the_place_is_right_in(place: Path, run: Command, data: bytes, where: str) -> None:
    (place / "a.py").write_bytes(data)
    options = ("--agd-debug", "--select=AGD")
    assert run("flake8", *options, "a.py") == (1, f"a.py:{where}: AGD102 `safe_a` is safe\n", "")
    assert run("flake8", *options, "-", stdin=data) == (1, f"stdin:{where}: AGD102 `safe_a` is safe\n", "")


@pytest.mark.usefixtures("words")
def test_the_place_is_right_in_latin_1_that_does_not_say_so(place: Path, run: Command) -> None:
    (place / "a.py").write_bytes("x = 'ß', safe_a\n".encode("latin-1"))  # from stdin, flake8 itself fails on it
    assert run("flake8", "--select=AGD", "a.py").out == "a.py:1:10: AGD102 `safe_a` is safe\n"


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf", b"# only a comment", b"\x0c"])
def test_a_file_without_code_is_no_trouble(place: Path, run: Command, data: bytes) -> None:
    (place / "a.py").write_bytes(data)
    assert "AGD" not in run("flake8", "--agd-debug", "a.py").out
    assert "AGD" not in run("flake8", "--agd-debug", "-", stdin=data).out


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("safe_a = 1", True),
        ("safe_a = 1  # noqa", False),
        ("safe_a = 1  # noqa: AGD102", False),
        ("safe_a = 1  # noqa: AGD", False),
        ("safe_a = 1  # noqa: AGD101", True),
        ("safe_a = 1  # noqa:E501,AGD102", False),
        ("safe_a = '''\n'''  # noqa: AGD102", False),
    ],
)
@pytest.mark.usefixtures("words")
def test_noqa_is_flake8s(place: Path, run: Command, line: str, reported: bool) -> None:
    (place / "a.py").write_text(f"{line}\n")
    assert run("flake8", "--select=AGD", "a.py").code == reported


# --- cost


def imported_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_plugin_costs_nothing() -> None:
    flake8 = imported_by("import flake8.main.application")
    ours = imported_by("import flake8.main.application, flake8_detach.plugin") - flake8
    heavy = {name for name in ours if not name.startswith("flake8_detach")}
    assert heavy <= {"dataclasses"}, "flake8 imports the plug-in in every run"
    assert ours - heavy == {"flake8_detach", "flake8_detach.plugin", "flake8_detach.config"}


def test_findings_come_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "check", lambda source, settings: find_words(source)[::-1])
    assert [place[:2] for place in found("risky_a = safe_b\nsafe_c = 1\n")] == [(1, 0), (1, 10), (2, 0)]


def test_the_message_is_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("AGD101", "why", Span(1, 2, 1, 3))
    monkeypatch.setattr(rules, "check", lambda source, settings: [finding])
    assert found("x = 1\n") == [(1, 2, "AGD101 why")]


def test_of_what_one_mode_cut_the_message_names_the_nearest_value() -> None:
    path = Path(__file__).parents[1] / "fixtures" / "AGD211" / "bad_sampled_and_embedded.py"
    (message,) = [m for _, _, m in found(path.read_text()) if m.startswith("AGD211")]
    assert "`states` was computed under `no_grad`" in message
