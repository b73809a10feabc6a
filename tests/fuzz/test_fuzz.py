"""Random programs: the linter and torch must agree. `AGD_FUZZ_SECONDS`: for how long (60). See also tools/fuzz.py."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import oracle_present  # noqa: F401  (first: the others need torch)
import pytest

from flake8_detach.flow.values import Tensor, Truth
from fuzz import verdict
from fuzz.analysis import Analysis, Reported, analyse
from fuzz.campaign import Campaign, Failure, shrunk, summary
from fuzz.verdict import judge

pytestmark = pytest.mark.truth

SECONDS = float(os.environ.get("AGD_FUZZ_SECONDS", "60"))
PROGRAMS = int(os.environ.get("AGD_FUZZ_PROGRAMS", "450"))
"""The same ones in every run, so that a red test means a change of ours; `tools/fuzz.py` goes on from there."""
FIRST_SEED = 1_000_000
MISSED = 0.01
"""The share of torch's autograd errors that may go unreported where nothing depends on what only the run decides."""

FOUND = sorted(Path(__file__).parent.glob("found/*.py"))


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return Campaign().run(itertools.islice(itertools.count(FIRST_SEED), PROGRAMS), SECONDS)


def told(failures: list[Failure]) -> str:
    """The first few failures, shrunk."""
    return "\n\n".join(str(shrunk(f, attempts=150)) for f in failures[:3])


def test_enough_was_compared(campaign: Campaign) -> None:
    counts = campaign.counts
    assert counts["ran to the end"] > 0.9 * counts["programs"] > 0, summary(counts)
    assert counts["facts"] > 50 * counts["programs"], summary(counts)


@pytest.mark.parametrize("kind", ["false alarm", "contradiction", "crash"])
def test_linter_and_torch_agree(campaign: Campaign, kind: str) -> None:
    wrong = campaign.of(kind) + campaign.of(kind, excused=True)
    assert not wrong, f"{len(wrong)} x {kind}\n{summary(campaign.counts)}\n\n{told(wrong)}"


def test_few_alarms_are_missed(campaign: Campaign) -> None:
    errors = sum(count for name, count in campaign.counts.items() if name.startswith("error "))
    missed = campaign.of("missed alarm")
    assert len(missed) <= MISSED * errors, f"{len(missed)} of {errors}\n{summary(campaign.counts)}\n\n{told(missed)}"


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_stays_mended(path: Path) -> None:
    found = judge(path.read_text(encoding="utf-8")).disagreements
    assert not found, found


# The fuzzer itself: a disagreement that is planted must be noticed.

FINE = "import torch\nx = torch.ones(3, requires_grad=True)\nloss = x.exp().sum()\nloss.backward()\nprint(x.grad)\n"
WRONG = FINE.replace("sum()", "sum().detach()")


def test_a_program_on_which_both_agree_gives_nothing() -> None:
    assert judge(FINE).disagreements == []
    assert judge(WRONG).disagreements == []


def planted(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let `change` falsify what the linter says."""

    def falsified(text: str) -> Analysis:
        analysis = analyse(text)
        change(analysis)
        return analysis

    monkeypatch.setattr(verdict, "analyse", falsified)


@pytest.mark.parametrize(
    ("code", "line", "expression"),
    [("AGD101", 4, "loss.backward()"), ("AGD106", 3, "x.exp()"), ("AGD201", 5, "x.grad"), ("AGD202", 5, "x.grad")],
)
def test_a_false_alarm_is_noticed(monkeypatch: pytest.MonkeyPatch, code: str, line: int, expression: str) -> None:
    planted(monkeypatch, lambda a: a.findings.append(Reported(code, line, "certain", expression, "planted")))
    assert [(d.kind, d.key, d.line) for d in judge(FINE).disagreements] == [("false alarm", code, line)]


def test_a_likely_report_is_no_false_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda a: a.findings.append(Reported("AGD101", 4, "likely", "loss.backward()", "planted")))
    assert judge(FINE).disagreements == []


def test_a_report_in_a_branch_that_does_not_run_is_no_false_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda a: a.findings.append(Reported("AGD101", 6, "certain", "loss.backward()", "planted")))
    assert judge(FINE.replace("print", "if not x.is_leaf:\n    print")).disagreements == []


def test_a_missed_alarm_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda a: a.findings.clear())
    assert [(d.kind, d.key, d.line, d.excused) for d in judge(WRONG).disagreements] == [
        ("missed alarm", "AGD101", 4, False)
    ]


def test_a_missed_alarm_behind_a_coin_is_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda a: a.findings.clear())
    text = WRONG.replace("loss.backward()", "if x.sum().item() > 0:\n    loss.backward()")
    assert [(d.kind, d.excused) for d in judge(text).disagreements] == [("missed alarm", True)]


FACTS = {
    "requires_grad": {"grad": Truth.NO},
    "is_leaf": {"leaf": Truth.NO},
    "rank": {"shape": (3, 3)},
    "shape": {"shape": (4,)},
    "dtype": {"dtype": "int"},
    "is_inference": {"inference": Truth.YES},
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_wrong_fact_is_noticed(monkeypatch: pytest.MonkeyPatch, fact: str) -> None:
    def falsify(analysis: Analysis) -> None:
        for visit in analysis.visits[4]:
            address = visit.slots[visit.frame, "x"].addresses[0]
            tensor = visit.slots[address, ""]
            assert isinstance(tensor, Tensor)
            visit.slots[address, ""] = replace(tensor, **FACTS[fact])  # type: ignore[arg-type]

    planted(monkeypatch, falsify)
    assert [(d.kind, d.key, d.line) for d in judge(FINE).disagreements] == [("contradiction", fact, 4)]


def test_a_wrong_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def falsify(analysis: Analysis) -> None:
        for visit in analysis.visits[5]:
            visit.slots.pop((visit.slots[visit.frame, "x"].addresses[0], "grad"))

    planted(monkeypatch, falsify)
    assert [(d.kind, d.key, d.line) for d in judge(FINE).disagreements] == [("contradiction", ".grad", 5)]


def test_a_line_that_is_taken_for_dead_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda a: a.visits.pop(5))
    assert [(d.kind, d.key, d.line) for d in judge(FINE).disagreements] == [("contradiction", "unreached", 5)]


def test_a_wrongly_freed_graph_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda a: a.freed.update(loss=Truth.YES))
    found = judge(FINE.replace("loss.backward()", "loss.backward(retain_graph=True)")).disagreements
    assert [(d.kind, d.key) for d in found] == [("contradiction", "freed")]


def test_a_crash_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> Analysis:
        raise ZeroDivisionError

    monkeypatch.setattr(verdict, "analyse", broken)
    assert [d.kind for d in judge(FINE).disagreements] == ["crash"]


HANDLED = """\
import torch

x = torch.ones(3)
try:
    x = x * 2
except RuntimeError:
    x = x.clone().requires_grad_()
x.sum().backward()
"""


def test_a_missed_alarm_behind_an_idle_handler_is_excused() -> None:
    assert [(d.kind, d.key, d.excused) for d in judge(HANDLED).disagreements] == [("missed alarm", "AGD101", True)]


def test_a_missed_alarm_beside_an_idle_handler_is_not_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda a: a.findings.clear())
    assert [(d.kind, d.key, d.excused) for d in judge(HANDLED).disagreements] == [("missed alarm", "AGD101", False)]


TWICE = "import torch\nx = torch.ones(3, requires_grad=True)\nopt = torch.optim.SGD([x, x], lr=0.1)\n"


def test_a_report_of_a_warning_needs_the_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge(TWICE).disagreements == []
    planted(monkeypatch, lambda a: a.findings.append(Reported("AGD110", 2, "certain", "x", "odd (a warning now)")))
    assert [(d.kind, d.key, d.line) for d in judge(TWICE).disagreements] == [("false alarm", "AGD110", 2)]
