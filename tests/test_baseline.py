"""`flake8-detach baseline`: what is known stays known when code moves, and what is new is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Command

pytestmark = pytest.mark.usefixtures("words")

TEXT = "def f():\n    shown_a = 1\n    return shown_a\n\n\nrisky_b = f()\n"


@pytest.fixture
def known(place: Path, run: Command) -> Path:
    """A file whose reports are all known."""
    path = place / "a.py"
    path.write_text(TEXT)
    assert run("baseline", "write") == (0, "3 reports in 1 file written to .agd-baseline.json.\n", "")
    return path


def test_what_is_known_is_not_told(known: Path, run: Command) -> None:
    assert run("baseline", "check") == (0, "", "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# more\n\nimport os\n\n" + TEXT, id="lines above"),
        pytest.param(TEXT.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(TEXT.replace("    ", "\t").replace("f()\n", "(f( )) # why\n"), id="formatting"),
        pytest.param("risky_b = f()\n" + TEXT.removesuffix("risky_b = f()\n"), id="order"),
    ],
)
def test_what_is_known_stays_known_when_the_text_changes(known: Path, run: Command, text: str) -> None:
    known.write_bytes(text.encode())
    assert run("baseline", "check") == (0, "", "")


def test_a_file_may_be_renamed(known: Path, run: Command) -> None:
    (known.parent / "sub").mkdir()
    known.rename(known.parent / "sub" / "b.py")
    assert run("baseline", "check") == (0, "", "")


def test_a_copy_is_new(known: Path, run: Command) -> None:
    (known.parent / "b.py").write_text(TEXT)
    assert run("baseline", "check").code == 1


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        pytest.param("return shown_a", "return shown_a + 1", "3:12", id="another statement"),
        pytest.param("def f", "def g", "2:5", id="another function"),
        pytest.param("risky_b = f()\n", "risky_b = f()\nrisky_b = f()\n", "7:1", id="once more"),
        pytest.param("risky_b", "safe_b", "6:1", id="another code"),
    ],
)
def test_what_is_new_is_told_in_flake8s_form(known: Path, run: Command, old: str, new: str, where: str) -> None:
    known.write_text(TEXT.replace(old, new))
    result = run("baseline", "check")
    assert result.code == 1
    assert result.lines[0].startswith(f"./a.py:{where}: AGD")


def test_what_is_no_longer_found_is_told_and_forgotten(known: Path, run: Command) -> None:
    known.write_text("x = 1\n")
    code, out, err = run("baseline", "check")
    assert (code, out) == (0, "")
    assert err == "3 known reports no longer found (a.py: 3); `flake8-detach baseline write` forgets them.\n"
    assert run("baseline", "write").out == "0 reports in 0 files written to .agd-baseline.json.\n"
    assert run("baseline", "check") == (0, "", "")


def test_writing_a_part_keeps_the_rest(known: Path, run: Command) -> None:
    (known.parent / "b.py").write_text("shown_c = 1\n")
    assert run("baseline", "write", "b.py").out == "4 reports in 2 files written to .agd-baseline.json.\n"
    assert run("baseline", "check", "b.py") == (0, "", "")


def test_paths_count_from_the_baseline(known: Path, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (known.parent / "sub").mkdir()
    monkeypatch.chdir(known.parent / "sub")
    assert run("baseline", "check", "--file", "../.agd-baseline.json", "..") == (0, "", "")


def test_flake8_decides_what_is_reported(known: Path, run: Command) -> None:
    known.write_text(TEXT + "shown_x = 1  # noqa: AGD101\nleft_y = 2\n")
    assert run("baseline", "check", "--extend-ignore=AGD201").code == 0
    assert run("baseline", "check").code == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2, "files": {}}', '{"version": 1, "files": {"a.py": 1}}']
)
def test_what_is_no_baseline_is_refused(known: Path, run: Command, text: str) -> None:
    (known.parent / ".agd-baseline.json").write_text(text)
    for action in ("check", "write"):
        code, out, err = run("baseline", action)
        assert (code, out) == (2, "")
        assert "not a baseline" in err
    assert (known.parent / ".agd-baseline.json").read_text() == text


def test_wrong_usage_and_files_that_cannot_be_linted_are_2(known: Path, run: Command) -> None:
    assert run("baseline", "check", "--file=none.json").code == 2
    assert run("baseline", "check", "none").code == 2
    assert run("baseline").code == 2
    (known.parent / "broken.py").write_text("def f(:\n")
    assert run("baseline", "check").code == 2


def test_the_file_is_sorted_and_versioned(known: Path) -> None:
    data = json.loads((known.parent / ".agd-baseline.json").read_text())
    assert data["version"] == 1
    assert list(data["files"]) == ["a.py"]
    assert list(data["files"]["a.py"].values()) == [1, 1, 1]
