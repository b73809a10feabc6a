"""`if` and `match`: which branches can run, and the join of those that do."""

from __future__ import annotations

from typing import Any

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import (
    accumulation,
    iteration,
    narrowing,
    operators,
)
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.machine import Machine
from flake8_detach.flow.slots import Delta
from flake8_detach.flow.statements import execute_body, statement
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Const,
    Value,
)


@statement(cst.If)
def if_(m: Machine, node: cst.If) -> bool:
    """An elif chain is gone through in a loop: it may be as long as the file."""
    paths: list[Delta] = []
    base = m.state.mark()
    last, decided = node, False
    current: cst.BaseSuite | cst.If | cst.Else | None = node
    written = MAYBE
    while isinstance(current, cst.If):
        m.step()
        tested = evaluate(m, current.test)
        known = main_guard(current.test) or operators.truth_of(m, current.test, tested)
        if m.is_tensor(tested) or _periodic(current.test):
            written = PRESUMED_YES  # what data or a counter decides, no flag elsewhere can know of: some run goes there
        if not known.no:
            mark = m.state.mark()
            if known is not YES:
                m.frame.asked += 1
                narrowing.narrow(m, current.test, True)
            m.branches += 1
            with accumulation.turn(m, current, True):
                alive = execute_body(m, current.body)
            m.branches -= 1
            changes = m.state.delta(base)
            m.state.undo(mark)
            if alive:
                paths.append(changes)
        if known is YES:
            decided = True
            break
        if known is not NO:
            narrowing.narrow(m, current.test, False)
        last, current = current, current.orelse
    if not decided:
        m.branches += 1
        with accumulation.turn(m, last, False):
            alive = execute_body(m, current.body) if isinstance(current, cst.Else) else True
        m.branches -= 1
        if alive:
            paths.append(m.state.delta(base))
    m.state.undo(base)
    if paths:
        m.state.join(paths, written=written, since=None if isinstance(node.orelse, cst.If) else 0)
    return bool(paths)


def _periodic(test: cst.BaseExpression) -> bool:
    """`step % 4 == 0`: true again and again."""
    return (
        isinstance(test, cst.Comparison)
        and isinstance(test.left, cst.BinaryOperation)
        and isinstance(test.left.operator, cst.Modulo)
    )


def main_guard(test: cst.BaseExpression) -> Any:
    """`if __name__ == "__main__":` is how the file runs."""
    if isinstance(test, cst.Comparison) and isinstance(test.left, cst.Name) and test.left.value == "__name__":
        return YES if isinstance(test.comparisons[0].operator, cst.Equal) else None
    return None


@statement(cst.Match)
def match(m: Machine, node: cst.Match) -> bool:
    subject = evaluate(m, node.subject)
    paths: list[Delta] = []
    base = m.state.mark()
    exhaustive = False
    for case in node.cases:
        mark = m.state.mark()
        verdict = pattern(m, case.pattern, subject)
        if verdict is NO:
            m.state.undo(mark)
            continue
        guarded = case.guard is not None
        if case.guard is not None:
            evaluate(m, case.guard)
        if execute_body(m, case.body):
            paths.append(m.state.delta(base))
        m.state.undo(mark)
        if verdict is YES and not guarded:
            exhaustive = True
            break
    if not exhaustive:
        paths.append({})
    m.state.undo(base)
    if paths:
        m.state.join(paths)
    return bool(paths)


def pattern(m: Machine, node: cst.MatchPattern, subject: Value) -> Any:
    """Bind the names of a pattern; does it match?"""
    if isinstance(node, cst.MatchAs):
        verdict = pattern(m, node.pattern, subject) if node.pattern is not None else YES
        if node.name is not None:
            m.bind(node.name.value, subject)
        return verdict
    if isinstance(node, cst.MatchValue):
        value = evaluate(m, node.value)
        if isinstance(value, Const) and isinstance(subject, Const):
            return YES if value == subject else NO
        return MAYBE
    if isinstance(node, cst.MatchSingleton):
        same = operators._identical(m, subject, evaluate(m, node.value))
        return MAYBE if same is None else YES if same else NO
    if isinstance(node, cst.MatchOr):
        verdicts = [pattern(m, p.pattern, subject) for p in node.patterns]
        return YES if YES in verdicts else NO if all(v is NO for v in verdicts) else MAYBE
    if isinstance(node, (cst.MatchList, cst.MatchTuple)):
        plain = [p for p in node.patterns if isinstance(p, cst.MatchSequenceElement)]
        values = (
            iteration.unpack(m, subject, len(plain)) if len(plain) == len(node.patterns) else [UNKNOWN] * len(plain)
        )
        known = iteration.exact(m, subject)
        verdicts = [pattern(m, p.value, v) for p, v in zip(plain, values, strict=True)]
        if known is None or len(plain) != len(node.patterns):
            return MAYBE
        if len(known) != len(plain) or NO in verdicts:
            return NO
        return YES if all(v is YES for v in verdicts) else MAYBE
    for name in bound_names(node):
        m.bind(name, UNKNOWN)
    return MAYBE


def bound_names(node: cst.CSTNode) -> list[str]:
    patterns = (part for part in trees.walk(node) if isinstance(part, (cst.MatchAs, cst.MatchStar)))
    return [part.name.value for part in patterns if part.name is not None]
