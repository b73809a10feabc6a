"""The formats for CI systems, programs and people: `flake8 --format=agd-sarif | agd-github | agd-json | agd-frame`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, Command

from flake8_detach.fixes.edits import Edit, Fix, apply
from flake8_detach.source import Span

SCHEMA = json.loads((ROOT / "tests" / "data" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
FORMATS = ("agd-frame", "agd-github", "agd-json", "agd-sarif")

PROGRAM = """\
import os
import torch
from torch import nn

net = nn.Linear(4, 1)


def evaluate(inputs):
    print("漢", net(inputs).numpy())


with torch.no_grad():
    predictions = net(torch.randn(8, 4))
predictions.sum().backward()
"""
CODES = ["F401", "AGD102", "AGD101"]


def sarif(text: str) -> dict[str, Any]:
    """The one run of a log that the schema allows."""
    log = json.loads(text)
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    run: dict[str, Any] = log["runs"][0]
    return run


@pytest.fixture
def program(place: Path) -> Path:
    path = place / "train ü.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_workers_stdin_and_one_process_say_the_same(place: Path, program: Path, name: str) -> None:
    (place / "b.py").write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}

    def flake8(*args: str, stdin: bytes = b"") -> bytes:
        command = [sys.executable, "-m", "flake8", f"--format={name}", *args]
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (1, b"")
        return done.stdout

    one = flake8("--jobs=1", ".")
    assert flake8("--jobs=2", ".") == one
    assert one.count(b"AGD101") >= 2
    alone = flake8("b.py")
    assert flake8("--stdin-display-name=b.py", "-", stdin=PROGRAM.encode()) == alone


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_found_is_an_empty_report(place: Path, run: Command, name: str) -> None:
    (place / "a.py").write_text("x = 1\n")
    code, out, err = run("flake8", f"--format={name}", "a.py")
    assert (code, err) == (0, "")
    if name == "agd-sarif":
        assert sarif(out)["results"] == []
    else:
        assert out == ""


def test_sarif_has_rules_places_evidence_and_fixes(program: Path, run: Command) -> None:
    log = sarif(run("flake8", "--format=agd-sarif", program.name).out)
    results = log["results"]
    rules = log["tool"]["driver"]["rules"]
    assert [result["ruleId"] for result in results] == CODES
    assert [rules[result["ruleIndex"]]["id"] for result in results] == CODES
    assert [result["level"] for result in results] == ["warning", "error", "error"]
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert {place["artifactLocation"]["uri"] for place in places} == {"train%20%C3%BC.py"}
    assert places[1]["region"] == {"startLine": 9, "startColumn": 16, "endLine": 9, "endColumn": 35}
    (note,) = results[2]["relatedLocations"]
    assert note["physicalLocation"]["region"]["startLine"] == 12
    ours = [rule for rule in rules if rule["id"].startswith("AGD")]
    assert all(rule["helpUri"].startswith("https://") and rule["fullDescription"]["text"] for rule in ours)


def test_the_fix_in_the_sarif_log_is_the_fix(program: Path, run: Command) -> None:
    log = sarif(run("flake8", "--select=AGD102", "--format=agd-sarif", program.name).out)
    (change,) = log["results"][0]["fixes"][0]["artifactChanges"]
    edits = []
    for replacement in change["replacements"]:
        region = replacement["deletedRegion"]
        start, end = (region["startLine"], region["startColumn"] - 1), (region["endLine"], region["endColumn"] - 1)
        edits.append(Edit(Span(*start, *end), replacement["insertedContent"]["text"]))
    fixed = apply(PROGRAM, [Fix("", tuple(edits), "safe")]).text
    assert run("fix", program.name).code == 1
    assert program.read_text(encoding="utf-8") == fixed != PROGRAM


def test_a_sarif_fingerprint_outlives_a_move_of_the_lines(program: Path, run: Command) -> None:
    def marks() -> list[str]:
        results = sarif(run("flake8", "--select=AGD", "--format=agd-sarif", program.name).out)["results"]
        return [result["partialFingerprints"]["statement/v1"] for result in results]

    before = marks()
    program.write_text("# new\n\n" + PROGRAM, encoding="utf-8")
    assert marks() == before
    assert len(set(before)) == 2


def test_a_sarif_file_holds_one_log_however_often_it_is_written(place: Path, program: Path, run: Command) -> None:
    for _ in range(2):
        options = ("--format=agd-sarif", "--output-file=out/log.sarif", "--statistics", program.name)
        assert run("flake8", *options).out == ""
    assert len(sarif((place / "out" / "log.sarif").read_text(encoding="utf-8"))["results"]) == 3


def test_sarif_of_what_cannot_be_parsed_or_read_is_valid(place: Path, run: Command) -> None:
    (place / "broken.py").write_text("def f(:\n")
    results = sarif(run("flake8", "--format=agd-sarif", "broken.py", "missing.py").out)["results"]
    assert {"E902", "E999"} <= {result["ruleId"] for result in results}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_tell_the_reports_of_every_rule(place: Path, run: Command, name: str) -> None:
    folders = sorted((ROOT / "fixtures").glob("AGD*"))
    given = [path for folder in folders for path in sorted(folder.glob("bad_*.py"))[:4] if ".fixed" not in path.name]
    _, out, err = run("flake8", "--extend-select=AGD", f"--format={name}", *map(str, given))
    assert err == ""
    text = json.dumps(sarif(out)["results"]) if name == "agd-sarif" else out
    text = re.sub(r"fixtures[/\\]+AGD\d+", "", text)  # the files' own names
    assert {folder.name for folder in folders} == {folder.name for folder in folders if folder.name in text}


def test_github_gets_workflow_commands(program: Path, run: Command) -> None:
    lines = run("flake8", "--format=agd-github", program.name).lines
    assert lines[0] == "::warning file=train ü.py,line=1,col=1,title=F401::'os' imported but unused"
    assert lines[1].startswith("::warning file=train ü.py,line=9,col=16,endLine=9,endColumn=35,title=AGD102::`net(")
    assert len(lines) == 3


def test_github_commands_are_escaped_and_name_files_from_the_root(
    place: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "sub").mkdir()
    (place / "sub" / "a,b%c.py").write_text("import os\n")
    monkeypatch.chdir(place / "sub")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(place))
    out = run("flake8", "--format=agd-github", "./a,b%c.py").out
    assert out.startswith("::warning file=sub/a%2Cb%25c.py,line=1,col=1,title=F401::")


def test_json_tells_what_we_know_of_our_own(program: Path, run: Command) -> None:
    other, numpy, backward = map(json.loads, run("flake8", "--format=agd-json", program.name).lines)
    assert other.keys() == {"path", "line", "column", "code", "message"}
    assert (numpy["line"], numpy["column"], numpy["end_line"], numpy["end_column"]) == (9, 16, 9, 35)
    assert numpy["fix"]["applicability"] == "safe"
    assert [edit["text"] for edit in numpy["fix"]["edits"]] == [".detach()"]
    assert (backward["confidence"], backward["fix"]) == ("certain", None)
    assert [note["line"] for note in backward["trail"]] == [12]


def test_a_frame_shows_the_code_from_the_cause_on(program: Path, run: Command) -> None:
    out = run("flake8", "--select=AGD", "--format=agd-frame", program.name).out
    assert out == (
        "train ü.py:9:16: AGD102 `net(inputs).numpy()` raises: `net(inputs)` requires grad; insert `.detach()`\n"
        '    9 |     print("漢", net(inputs).numpy())\n'
        "      |                 ^^^^^^^^^^^^^^^^^^^\n"
        "      = fix: insert `.detach()`\n"
        "\n"
        "train ü.py:14:1: AGD101 `predictions.sum().backward()` has no graph to follow: "
        "`predictions` was computed under `no_grad` (line 12)\n"
        "    12 | with torch.no_grad():\n"
        "       |      ^^^^^^^^^^^^^^^ computed under `no_grad`\n"
        "    14 | predictions.sum().backward()\n"
        "       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "\n"
    )


def test_a_frame_is_coloured_when_asked_for(program: Path, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--select=AGD", "--format=agd-frame", program.name)
    assert "\033[" in run("flake8", "--color=always", *options).out
    assert "\033[" not in run("flake8", "--color=never", *options).out
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033[" not in run("flake8", *options).out


def test_a_frame_moves_no_cursor_and_shows_a_part_of_a_long_line(place: Path, run: Command) -> None:
    (place / "a.py").write_text(f"x = '\x1b[2J{'y' * 4000}'; import os\n")
    out = run("flake8", "--select=F401", "--format=agd-frame", "a.py").out
    assert "\x1b" not in out
    shown, carets = out.splitlines()[1:3]
    assert len(shown) < 140
    assert shown[carets.index("^") :].startswith("import os")
