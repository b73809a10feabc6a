"""Compares what the linter says of a program with what torch does when it runs."""

from __future__ import annotations

import ast
import functools
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch

from flake8_detach import rules
from flake8_detach.flow.values import Truth
from fuzz.analysis import Analysis, Reported, Visit, analyse, nested
from fuzz.errors import code_of
from fuzz.expressions import SURPRISES
from fuzz.facts import Comparison, Mismatch
from fuzz.oracle import FILE, Outcome, run

GRADIENT_RULES = ("AGD201", "AGD202")
DELAYED = ("AGD107",)
"""Rules that may report elsewhere than on the line on which torch raises: at the write, not at the backward."""


@dataclass(frozen=True)
class Disagreement:
    """kind: "false alarm", "missed alarm", "contradiction", "crash". key: what the shrinker must keep. excused: the
    program has conditions that only the run decides, so the engine may well not know."""

    kind: str
    key: str
    line: int
    detail: str
    excused: bool = False


@dataclass
class Verdict:
    """counts: how much was compared. outcome: how the run ended."""

    disagreements: list[Disagreement] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    outcome: Outcome = field(default_factory=Outcome)


class Watch:
    """Looks at the run while it goes: facts at every statement, `.grad` where a rule speaks of it."""

    def __init__(self, analysis: Analysis, last: set[int]) -> None:
        self.analysis, self.last = analysis, last
        self.compared = self.points = 0
        self.wrong: dict[tuple[str, str], tuple[int, Mismatch]] = {}
        self.unreached: list[int] = []
        self.gradients = [f for f in analysis.findings if f.code in GRADIENT_RULES]
        self.was_none: set[Reported] = set()
        self.evaluated: set[Reported] = set()
        self.times: Counter[int] = Counter()

    def __call__(self, frame: FrameType) -> None:
        line = frame.f_lineno
        for finding in self.gradients:
            if finding.line == line and finding not in self.was_none:
                self.read(finding, frame)
        self.times[line] += 1
        if sys.exc_info()[0] is not None and any(f.f_lineno in self.last for f in callers(frame)):
            return  # see `finals`
        visits = self.analysis.visits.get(line, [])
        if self.times[line] > len(visits) or not self.analysis.complete:
            return  # a later iteration than the engine went through; it claims nothing about that one
        self.points += 1
        names = dict(frame.f_locals)
        best: list[Mismatch] | None = None
        # in a loop or a function: one of the engine's visits must hold; the one of the same number is the likeliest
        for number in sorted(range(len(visits)), key=lambda n: abs(n + 1 - self.times[line])):
            found = list(self.compare(visits[number], names))
            if not found:
                return
            if best is None or len(found) < len(best):
                best = found
        for mismatch in best or ():
            self.wrong.setdefault((mismatch.fact, mismatch.path.partition(".")[0]), (line, mismatch))

    def compare(self, visit: Visit, names: dict[str, Any]) -> Iterator[Mismatch]:
        """What this visit claims and what does not hold now. Some visit of the statement must hold entirely."""
        comparison = Comparison(visit, in_turn=visit.in_turn())
        mode = visit.mode
        if mode.grad.proved:
            graphs = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
            yield from comparison.say("grad mode", "mode", mode.grad is Truth.YES, graphs)
        if mode.inference.proved:
            yield from comparison.say(
                "inference mode", "mode", mode.inference is Truth.YES, torch.is_inference_mode_enabled()
            )
        for name, real in names.items():
            value = visit.slots.get((visit.frame, name))
            if value is not None:
                yield from comparison.value(name, value, real)
        self.compared += comparison.compared

    def read(self, finding: Reported, frame: FrameType) -> None:
        """Is the reported `.grad` really None now?"""
        self.evaluated.add(finding)
        try:
            value = eval(compile(finding.text, FILE + " look", "eval"), frame.f_globals, dict(frame.f_locals))
        except Exception:
            self.evaluated.discard(finding)
            return
        if value is None:
            self.was_none.add(finding)


@functools.lru_cache(maxsize=4)
def tree_of(text: str) -> ast.Module:
    return ast.parse(text)


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    """The frame of the program and those that called it."""
    while frame is not None:
        if frame.f_code.co_filename == FILE:
            yield frame
        frame = frame.f_back


def judge(text: str) -> Verdict:
    """Lint and run `text`, and list where they disagree."""
    verdict = Verdict()
    text = text + "pass\n"
    try:
        analysis = analyse(text)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        key = f"{type(error).__name__} in {where.name}"
        verdict.disagreements.append(Disagreement("crash", key, 0, f"{error!r} in {where.filename}:{where.lineno}"))
        verdict.outcome = run(text)
        return verdict
    tree = tree_of(text)
    last = finals(tree)
    watch = Watch(analysis, last)
    outcome = verdict.outcome = run(text, watch)
    code = code_of(outcome.message) if outcome.error is not None else None
    if code == "AGD111" and ".grad" not in text.split("\n")[(outcome.line or 1) - 1]:
        code = None  # a None of another origin
    counts = verdict.counts
    counts["points"], counts["facts"] = watch.points, watch.compared
    counts["reports"] = len(analysis.findings)

    def add(kind: str, key: str, line: int, detail: str, excused: bool = False) -> None:
        verdict.disagreements.append(Disagreement(kind, key, line, detail, excused))

    for line, mismatch in watch.wrong.values():
        if line in last:
            continue
        add(
            "contradiction",
            mismatch.fact,
            line,
            f"{mismatch.path}: {mismatch.fact} is {mismatch.torch}, not {mismatch.engine}",
        )
    if analysis.complete:
        for line in sorted(set(outcome.ran) & statements(tree, set(analysis.visits)) - set(analysis.visits) - last):
            add("contradiction", "unreached", line, "the engine thinks that this line cannot run")
            break
    for finding in analysis.findings:
        if finding.confidence == "likely" and finding.code.startswith("AGD1") and finding.line in outcome.ran:
            counts["likely"] += 1
            counts["likely confirmed"] += finding.line in outcome.raised
        complaint = false_alarm(finding, watch, outcome, text)
        dying = outcome.error is not None and finding.line in last  # Python tells of lines there that it leaves at once
        if complaint and not dying:
            add("false alarm", finding.code, finding.line, f"{complaint}: {finding.message}")
    if code is not None and outcome.line is not None:
        counts[f"error {code}"] += 1
        if code in rules.load():
            if not answered(code, outcome, analysis):
                excused = surprising(tree, outcome.line) or behind_handlers(text, code, outcome)
                add("missed alarm", code, outcome.line, outcome.message[:150], excused)
            elif outcome.line not in {f.line for f in analysis.reported(code)}:
                counts[f"elsewhere {code}"] += 1
    if "AGD202" in rules.load():
        untested = {line for line in outcome.nonleaf if " is " not in text.split("\n")[line - 1]}
        for line in untested - {f.line for f in analysis.findings if f.code in ("AGD202", "AGD111")}:
            add(
                "missed alarm",
                "AGD202",
                line,
                "torch warns about the .grad of a non-leaf",
                surprising(tree, outcome.line),
            )
        counts["error AGD202"] += len(untested)
    if outcome.error is None:
        for disagreement in used_up(analysis, outcome):
            verdict.disagreements.append(disagreement)
            counts["freed"] += 1
    return verdict


def false_alarm(finding: Reported, watch: Watch, outcome: Outcome, text: str) -> str:
    """Why torch does not agree with a report; empty if it does or cannot be asked."""
    if finding.confidence != "certain" or not outcome.ran.keys() >= {finding.line, *finding.through}:
        return ""
    if finding.code in GRADIENT_RULES:
        wrong = finding in watch.evaluated and finding not in watch.was_none
        return ".grad is not None there" if wrong and not skipped(finding, watch, outcome, text) else ""
    if not finding.code.startswith("AGD1"):
        return ""
    if finding.line in outcome.raised and finding.line not in outcome.where:
        return ""  # it raised, and the program caught that
    if "(a warning now" in finding.message:
        return "" if outcome.warned.get(finding.line) else "torch does not warn"
    if finding.line in outcome.where:
        return ""  # autograd's error, or another one before Python came to what is reported: a call on that line failed
    if skipped(finding, watch, outcome, text):
        return ""
    if outcome.error is None:
        return "torch does not raise"
    if finding.code in DELAYED or repeats(text, finding.line):
        return ""  # the run ended before it could show
    return "torch raises later, not there"


def skipped(finding: Reported, watch: Watch, outcome: Outcome, text: str) -> bool:
    """Does the report speak of an iteration that did not come, or that took another branch?"""
    visits = watch.analysis.visits.get(finding.line)  # None for the head of an `if`: how many, nobody has counted
    seldom = visits is None or outcome.ran[finding.line] < len(visits)
    if seldom and (left_early(text, finding, outcome) or by_chance(text, finding)):
        return True
    if finding.code in GRADIENT_RULES and seldom and outcome.error is not None and repeats(text, finding.line):
        return True
    chosen = (n for n in ast.walk(tree_of(text)) if isinstance(n, ast.IfExp) and n.lineno == finding.line)
    return now_and_then(text, finding, outcome) or any(unforeseen(n.test) for n in chosen)


def answered(code: str, outcome: Outcome, analysis: Analysis) -> bool:
    """Does a finding announce the error? On the line itself another code of the block will do: `autograd.grad` of
    nothing towards something frozen is wrong in two ways, and torch names one. And what has the cause of an earlier
    finding is not reported again."""
    if code in DELAYED and analysis.reported(code):
        return True
    if (code, outcome.line) in analysis.told:
        return True
    return any(f.line in outcome.where for f in analysis.findings if f.code == code or f.code.startswith("AGD1"))


def behind_handlers(text: str, code: str, outcome: Outcome) -> bool:
    """Is the error found once the `except` blocks that did not run are left out? What stands there may have run, for
    all that the engine knows of the `try` before it."""
    tree = tree_of(text)
    idle = [h for h in ast.walk(tree) if isinstance(h, ast.ExceptHandler) and h.body[0].lineno not in outcome.ran]
    lines = text.split("\n")
    for handler in idle:
        first = min(n.lineno for n in (handler.body[0], *getattr(handler.body[0], "decorator_list", ())))
        if not lines[first - 1]:
            continue  # in a handler that is left out already
        for number in range(first, (handler.end_lineno or 0) + 1):
            lines[number - 1] = ""
        lines[first - 1] = " " * handler.body[0].col_offset + "raise"
    return bool(idle) and answered(code, outcome, analyse("\n".join(lines)))


def left_early(text: str, finding: Reported, outcome: Outcome) -> bool:
    """Did the run leave a loop around the finding, or an iteration, by `break`, `continue` or `return`?"""
    loops = [n for n in nested(tree_of(text)) if isinstance(n, (ast.For, ast.While))]
    lines = {finding.line, *finding.through}
    around = [n for n in loops if any(n.lineno <= line <= (n.end_lineno or 0) for line in lines)]
    leaving = [n for loop in around for n in ast.walk(loop) if isinstance(n, (ast.Break, ast.Continue, ast.Return))]
    return any(n.lineno in outcome.ran for n in leaving)


def by_chance(text: str, finding: Reported) -> bool:
    """Does the run decide in every iteration anew whether it comes to the finding?"""
    around = surrounding(text, finding)
    tests = [n for n in around if isinstance(n, ast.ExceptHandler) or (isinstance(n, ast.If) and unforeseen(n.test))]
    return bool(tests) and any(isinstance(n, (ast.For, ast.While)) for n in around)


def now_and_then(text: str, finding: Reported, outcome: Outcome) -> bool:
    """Did some iterations take the branch of the finding, and others not? The one that it speaks of may not have."""
    around = surrounding(text, finding)
    tests = [n for n in around if isinstance(n, ast.If) and unforeseen(n.test)]
    often = max((outcome.ran.get(n.lineno, 0) for n in tests), default=0)
    return outcome.ran[finding.line] < often and any(isinstance(n, (ast.For, ast.While)) for n in around)


def surrounding(text: str, finding: Reported) -> list[ast.AST]:
    """The loops, branches and handlers around the finding, and around the calls that lead to it."""
    found = [n for n in nested(tree_of(text)) if isinstance(n, (ast.For, ast.While, ast.If, ast.ExceptHandler))]
    lines = {finding.line, *finding.through}
    return [n for n in found if any(n.lineno < line <= (n.end_lineno or 0) for line in lines)]


def repeats(text: str, line: int) -> bool:
    """May the line run more than once, so that an early end of the run proves nothing?"""
    loops = (ast.For, ast.While, ast.FunctionDef, ast.Lambda)
    return any(
        isinstance(node, loops) and node.lineno <= line <= (node.end_lineno or node.lineno)
        for node in ast.walk(tree_of(text))
    )


def statements(tree: ast.Module, visited: set[int]) -> set[int]:
    """The lines of simple statements of the module, and of the functions that the engine has entered."""
    found: set[int] = set()
    todo: list[tuple[ast.AST, set[int]]] = [(tree, found)]
    while todo:
        node, lines = todo.pop()
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.FunctionDef):
                entered = any(line in visited for line in range(inner.body[0].lineno, (inner.end_lineno or 0) + 1))
                todo.append((inner, found if entered else set()))
            elif isinstance(inner, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Delete)):
                lines.add(inner.lineno)
            elif isinstance(inner, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                todo.append((inner, lines))
    return found


def finals(tree: ast.Module) -> set[int]:
    """The lines in `finally` and in `__exit__`. They also run while an error that nobody catches ends the program; for
    the engine, which asks what is wrong with programs that work, they do not."""
    bodies = [n.finalbody for n in nested(tree) if isinstance(n, ast.Try)]
    bodies += [n.body for n in nested(tree) if isinstance(n, ast.FunctionDef) and n.name == "__exit__"]
    return {
        line
        for body in bodies
        for inner in body
        for line in range(inner.lineno, (inner.end_lineno or inner.lineno) + 1)
    }


def unforeseen(expression: ast.AST) -> bool:
    """Does only the run decide its value?"""
    return any(isinstance(inner, ast.Attribute) and inner.attr in SURPRISES for inner in ast.walk(expression))


def surprising(tree: ast.Module, line: int | None) -> bool:
    """Has the program a condition that only the run decides, or stands `line` where errors are caught?"""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and line is not None and node.lineno <= line <= (node.end_lineno or 0):
            return True
        decides = deciding(node)
        if decides is not None and unforeseen(decides):
            return True
    return False


def deciding(node: ast.AST) -> ast.AST | None:
    """The expression that decides how the program goes on: a condition, a flag, the argument of set_grad_enabled."""
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        return node.test
    if isinstance(node, ast.withitem):
        return node.context_expr
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.startswith("flag"):
        return node.value
    return None


def used_up(analysis: Analysis, outcome: Outcome) -> Iterator[Disagreement]:
    """Run backward from the graph tensors that are left: is their graph freed exactly where the engine says so?"""
    last = max(analysis.visits, default=0)
    for name, freed in analysis.freed.items():
        tensor = outcome.names.get(name)
        if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad:
            continue
        try:
            torch.autograd.backward(tensor, torch.ones_like(tensor), retain_graph=True)
            second = False
        except Exception as error:  # also what a hook of the program raises
            if "second time" not in str(error):
                continue
            second = True
        if freed is Truth.YES and not second:
            yield Disagreement("contradiction", "freed", last, f"{name}: its graph is not freed")
        if freed is Truth.NO and second:
            yield Disagreement("missed alarm", "freed", last, f"{name}: its graph is freed", True)
