"""The bad/good pair of every rule runs under torch: the bad half misbehaves, the good half does not.

Skipped, or failed, together with the fixtures where torch is missing: it runs programs in the same way.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from program_run import Run, run

from flake8_detach import rules
from flake8_detach.report import page
from flake8_detach.rules._base import Rule

pytestmark = pytest.mark.truth

RULES = rules.load()
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)

NO_PROGRAM = {"NameError", "ImportError", "SyntaxError", "AssertionError"}
"""What an example may not raise: that is no misuse of autograd but a mistake in the example."""


def execute(program: str, folder: Path) -> Run:
    path = folder / "example.py"
    path.write_text(program, encoding="utf-8")
    return run(path)


@every_rule
def test_the_good_example_runs_without_an_error_or_a_warning(rule: Rule, tmp_path: Path) -> None:
    result = execute(rule.example.good, tmp_path)
    assert not result.raised, result.trace
    assert not result.warned


@every_rule
def test_the_bad_example_misbehaves_as_the_block_of_its_code_says(rule: Rule, tmp_path: Path) -> None:
    result = execute(rule.example.bad, tmp_path)
    assert NO_PROGRAM.isdisjoint(result.raised), result.trace
    if rule.code.startswith("AGD1"):
        reported = min(found.span.line for found in page.lint_example(rule, rule.example.bad))
        assert result.raised, "torch raises when the line runs"
        assert result.line is not None
        assert result.line >= reported
