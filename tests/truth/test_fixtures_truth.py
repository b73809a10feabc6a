"""Every fixture runs under torch and must do what its first line says."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixture_format import Fixture, name, paths, read, without_asserts
from program_run import Run, run

from flake8_detach.config import Settings
from flake8_detach.fixes.fixer import fix
from flake8_detach.rules import check, load
from flake8_detach.source import Source

pytestmark = pytest.mark.truth

CPU_SECONDS = 2.0
"""What a program may use, without the import of torch."""


def complaints(fixture: Fixture, result: Run) -> list[str]:
    """What differs between the claim and the run; empty when they agree."""
    outcome, category, message = fixture.truth
    lines = sorted({expected.line for expected in fixture.expected})
    found = []
    if outcome == "raises":
        if category not in result.raised or message not in result.message:
            found.append(f"should raise {category}: {message}")
        elif result.line != (fixture.raises or lines[0]):
            found.append(f"raises on line {result.line}, not on line {fixture.raises or lines[0]}")
    elif result.raised:
        found.append("should not raise")
    if outcome == "warns":
        met = {w.line for w in result.warned if category in w.categories and message in w.message}
        if met != set(lines):
            found.append(f"warns on lines {sorted(met, key=str)}, not on {lines}")
    if outcome in ("fine", "silent") and result.warned:
        found.append("should not warn")
    if result.cpu > CPU_SECONDS:
        found.append(f"takes {result.cpu:.1f} s")
    return found


@pytest.mark.parametrize("path", paths(), ids=name)
def test_torch_does_what_the_fixture_says(path: Path) -> None:
    fixture = read(path)
    result = run(path)
    found = complaints(fixture, result)
    assert not found, "\n".join([*found, *map(str, result.warned), result.trace])


SAFE = [
    path
    for path in paths()
    if path.name.startswith("bad_")
    and not path.name.endswith(".fixed.py")
    and "safe" in load()[path.parent.name].offers
    if read(path).truth.outcome != "raises"
]
"""What torch runs to its end, of the rules that have safe fixes."""


@pytest.mark.parametrize("path", SAFE, ids=name)
def test_a_safe_fix_changes_nothing_that_is_printed(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    outcome = fix(text, lambda now: check(Source(now), Settings(selected=(path.parent.name,))), {"safe"})
    printed = []
    for file, program in (("before.py", text), ("after.py", outcome.text)):
        (tmp_path / file).write_text(without_asserts(program), encoding="utf-8")
        result = run(tmp_path / file)
        assert not result.raised, result.trace
        printed.append(result.out)
    assert printed[0] == printed[1]


HAND = {
    code: [
        path
        for path in paths()
        if path.parent.name == code and read(path).kind == "bad" and read(path).fix == "hand" and not read(path).missed
    ]
    for code, rule in load().items()
    if {"safe", "unsafe"} & set(rule.offers)
}
"""The programs that were repaired by hand, by the rules that have fixes: these may repair them in another way."""


@pytest.mark.parametrize("code", [code for code in HAND if HAND[code]])
def test_what_a_fix_makes_of_a_program_that_was_repaired_by_hand_is_rid_of_its_error(code: str, tmp_path: Path) -> None:
    wrong = {}
    for path in HAND[code]:
        text = path.read_text(encoding="utf-8")
        outcome = fix(text, lambda now: check(Source(now), Settings(selected=(code,))), {"safe", "unsafe"})
        if outcome.text != text and not outcome.left:
            (tmp_path / path.name).write_text(without_asserts(outcome.text), encoding="utf-8")
            result = run(tmp_path / path.name)
            claimed = read(path).truth
            if result.raised and (claimed.outcome != "raises" or claimed.message in result.message):
                wrong[path.name] = result.trace
    assert not wrong, "\n".join(map(str, wrong.items()))


LOSS = "import torch\nloss = torch.ones(2, requires_grad=True).sum().detach()\n"

WRONG_CLAIMS = {
    "an error that does not come": ("raises RuntimeError: does not require grad", "print()  # AGD101: 1\n"),
    "an error with another message": ("raises RuntimeError: second time", LOSS + "loss.backward()  # AGD101: 1\n"),
    "an error of another class": ("raises TypeError: does not", LOSS + "loss.backward()  # AGD101: 1\n"),
    "an error on another line": ("raises RuntimeError: does not", LOSS + "print()  # AGD101: 1\nloss.backward()\n"),
    "an error that nobody announced": ("silent", LOSS + "assert loss.requires_grad  # AGD101: 1\n"),
    "a warning that does not come": ("warns UserWarning: .grad attribute", LOSS + "loss.grad  # AGD202: 1\n"),
    "a warning on one line of two": (
        "warns UserWarning: .grad attribute",
        LOSS + "x = loss.requires_grad_() * 2\nx.grad  # AGD202: 1\nloss.grad  # AGD202: 1\n",
    ),
    "a warning that nobody announced": ("silent", LOSS + "(loss.requires_grad_() * 2).grad  # AGD202: 1\n"),
    "a program that takes too long": (
        "silent",
        "import time\nstart = time.process_time()\nwhile time.process_time() < start + 2.1:  # AGD101: 1\n    pass\n",
    ),
}


@pytest.mark.parametrize("case", WRONG_CLAIMS)
def test_a_wrong_claim_is_noticed(case: str, tmp_path: Path) -> None:
    truth, text = WRONG_CLAIMS[case]
    path = tmp_path / "bad_claim.py"
    path.write_text(f"# truth: {truth}\n# fix: hand\n{text}", encoding="utf-8")
    assert complaints(read(path), run(path))


def test_a_program_that_kills_its_process_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "ok_exit.py"
    path.write_text("import os\nos._exit(3)\n", encoding="utf-8")
    with pytest.raises(pytest.fail.Exception, match="exit code 3"):
        run(path)
