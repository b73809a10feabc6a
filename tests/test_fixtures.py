"""What the linter says about every fixture; what torch says is in truth/test_fixtures_truth.py. Needs no torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixture_format import ROOT, Expected, Fixture, name, parse, paths, program, read, without_asserts

from flake8_detach.config import Settings
from flake8_detach.fixes.fixer import fix
from flake8_detach.rules import check, load
from flake8_detach.rules._base import Finding
from flake8_detach.source import Source

PATHS = paths()
BAD = [path for path in PATHS if path.name.startswith("bad_") and not path.name.endswith(".fixed.py")]
APPLIED = [path for path in BAD if read(path).fix == "applied"]
ENOUGH = 12
"""Of each kind, for every rule; also the number of whole training programs."""


def findings(text: str, folder: str) -> list[Finding]:
    """What a user sees by default, and the rule that the folder is about if it is off by default."""
    return check(Source(text), Settings(selected=(folder,)))


def reported(fixture: Fixture) -> list[Expected]:
    """The reports in the form of the inline expectations, sorted."""
    found = findings(fixture.text, fixture.folder)
    return sorted(Expected(f.span.line, f.code, f.span.column + 1) for f in found)


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_the_linter_reports_exactly_what_the_fixture_expects(path: Path) -> None:
    fixture = read(path)
    assert reported(fixture) == ([] if fixture.missed else sorted(fixture.expected))


@pytest.mark.parametrize("path", APPLIED, ids=name)
def test_the_fixer_makes_the_repaired_program(path: Path) -> None:
    fixture = read(path)
    outcome = fix(fixture.text, lambda text: findings(text, fixture.folder), {"safe", "unsafe"})
    assert outcome.left == ()
    assert without_asserts(outcome.text) == without_asserts(fixture.fixed.read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", load())
def test_a_rule_offers_the_kinds_of_fixes_that_it_says(code: str) -> None:
    paths = [path for path in BAD if path.parent.name == code]
    found = [f for path in paths for f in findings(path.read_text(encoding="utf-8"), code) if f.code == code]
    assert {f.fix.applicability for f in found if f.fix} == set(load()[code].offers)


@pytest.mark.parametrize("path", BAD, ids=name)
def test_a_bad_program_has_a_repaired_sibling_and_a_report_of_its_own_rule(path: Path) -> None:
    fixture = read(path)
    assert fixture.fixed.is_file()
    assert fixture.folder in {expected.code for expected in fixture.expected}
    assert without_asserts(fixture.text) != without_asserts(fixture.fixed.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*.fixed.py")), ids=name)
def test_a_repaired_program_has_its_bad_sibling(path: Path) -> None:
    assert path.with_name(path.name.replace(".fixed.py", ".py")) in BAD


def test_every_rule_has_enough_fixtures_and_every_folder_a_rule() -> None:
    count = {code: {"bad": 0, "fixed": 0, "ok": 0} for code in load()}
    clean = 0
    for path in PATHS:
        fixture = read(path)
        if fixture.kind == "clean":
            clean += 1
        elif not fixture.missed:
            count[fixture.folder][fixture.kind] += 1
    short = {code: kinds for code, kinds in count.items() if min(kinds["bad"], kinds["ok"]) < ENOUGH}
    assert not short
    assert clean >= ENOUGH


def test_every_code_that_is_expected_is_a_rule() -> None:
    assert {expected.code for path in BAD for expected in read(path).expected} <= set(load())


@pytest.mark.parametrize("path", [path for path in BAD if read(path).truth.outcome == "silent"], ids=name)
def test_a_silent_program_proves_the_misuse_itself(path: Path) -> None:
    assert "\nassert " in path.read_text(encoding="utf-8").replace("\n    assert ", "\nassert ")


def test_no_program_hides_warnings() -> None:
    hiding = [name(path) for path in PATHS if "warnings" in path.read_text(encoding="utf-8")]
    assert not hiding


MISWRITTEN = {
    "no truth line": ("ok_x.py", "x = 1\n", "truth line"),
    "an unknown truth": ("ok_x.py", "# truth: good\nx = 1\n", "truth line"),
    "a raise without a message": ("bad_x.py", "# truth: raises E\n# fix: hand\nx  # AGD101: 1\n", "truth line"),
    "an empty file": ("ok_x.py", "", "truth line"),
    "a bad program without an expectation": ("bad_x.py", "# truth: silent\n# fix: hand\nx = 1\n", "expects reports"),
    "a bad program without a fix line": ("bad_x.py", "# truth: silent\nx  # AGD101: 1\n", "repair comes from"),
    "a bad program that is fine": ("bad_x.py", "# truth: fine\n# fix: hand\nx  # AGD101: 1\n", "misbehaves"),
    "a correct program that raises": ("ok_x.py", "# truth: raises E: message\nx = 1\n", "misbehaves"),
    "a correct program that expects": ("ok_x.py", "# truth: fine\nx  # AGD101: 1\n", "expects reports"),
    "a repaired program that expects": ("bad_x.fixed.py", "# truth: fine\nx  # AGD101: 1\n", "expects reports"),
    "a misspelt expectation": (
        "bad_x.py",
        "# truth: silent\n# fix: hand\nx  # AGD101: 1\ny  # AGD102:1\n",
        "outside of an expectation",
    ),
    "column nought": ("bad_x.py", "# truth: silent\n# fix: hand\nx  # AGD101: 0\n", "expects reports"),
    "a code in prose": ("ok_x.py", "# truth: fine\nx = 1  # not AGD101\n", "outside of an expectation"),
    "a name of neither kind": ("x.py", "# truth: fine\nx = 1\n", "neither bad_ nor ok_"),
}


@pytest.mark.parametrize("case", MISWRITTEN)
def test_a_miswritten_fixture_is_an_error(case: str) -> None:
    file, text, complaint = MISWRITTEN[case]
    with pytest.raises(ValueError, match=complaint):
        parse(Path("AGD101") / file, text)


def test_the_parts_of_a_fixture() -> None:
    text = '# truth: warns UserWarning: of: it\n# fix: applied\nx = "# AGD101: 3"\nf(a, b)  # AGD101: 1, AGD202: 6\n'
    with pytest.raises(ValueError, match="outside of an expectation"):
        parse(Path("AGD101/bad_x.py"), text)
    fixture = parse(Path("AGD101/bad_x.py"), text.replace("# AGD101: 3", "text"))
    assert fixture.truth == ("warns", "UserWarning", "of: it")
    assert fixture.expected == (Expected(4, "AGD101", 1), Expected(4, "AGD202", 6))
    assert (fixture.kind, fixture.folder, fixture.fix) == ("bad", "AGD101", "applied")
    assert fixture.fixed == Path("AGD101/bad_x.fixed.py")
    assert program(fixture.text) == 'x = "text"\nf(a, b)\n'
