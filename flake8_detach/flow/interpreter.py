"""Statements: running a block, branches, loops, try, with, match, definitions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import replace
from typing import Any, TypeVar

import libcst as cst

from flake8_detach.flow import (
    assigning,
    attributes,
    autograd,
    calls,
    containers,
    contexts,
    conversions,
    custom_ctx,
    forgotten,
    forward_ad,
    hidden,
    idle,
    iteration,
    legacy,
    library,
    operators,
    retention,
    tensors,
    transforms,
)
from flake8_detach.flow.evaluate import evaluate, index
from flake8_detach.flow.machine import MAX_DEPTH, Frame, Loop, Machine, OutOfBudget
from flake8_detach.flow.state import Comparison, Delta
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Class,
    Const,
    External,
    Foreign,
    Function,
    Joined,
    Method,
    Mode,
    Ref,
    Scalar,
    Sequence,
    Thing,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.imports import bindings, canonical
from flake8_detach.knowledge import ops

S = TypeVar("S", bound=cst.CSTNode)
HANDLERS: dict[type[cst.CSTNode], Callable[[Machine, Any], bool]] = {}
ROUNDS = 3
"""How often a loop body is run on joined states before what still changes becomes unknown."""
DEEP = 3
"""Each level of loops multiplies the work: one level deeper than this runs its body twice only, all others once."""


def statement(kind: type[S]) -> Callable[[Callable[[Machine, S], bool]], Callable[[Machine, S], bool]]:
    """Decorator: the function executes nodes of that type and tells whether control goes on after it."""

    def add(handler: Callable[[Machine, S], bool]) -> Callable[[Machine, S], bool]:
        HANDLERS[kind] = handler
        return handler

    return add


def execute(m: Machine, node: cst.CSTNode) -> bool:
    """Run one statement. False if no path gets past it."""
    handler = HANDLERS.get(type(node))
    if handler is None:
        return True
    if m.depth > MAX_DEPTH:
        raise OutOfBudget
    m.step()
    if m.watch is not None:
        m.watch(m, node)
    m.depth += 1
    try:
        return handler(m, node)
    finally:
        m.depth -= 1


def execute_block(m: Machine, body: Seq[cst.CSTNode]) -> bool:
    return all(execute(m, node) for node in body)


def execute_body(m: Machine, suite: cst.BaseSuite) -> bool:
    return execute_block(m, suite.body)


@statement(cst.SimpleStatementLine)
def line(m: Machine, node: cst.SimpleStatementLine) -> bool:
    return execute_block(m, node.body)


@statement(cst.SimpleStatementSuite)
def suite(m: Machine, node: cst.SimpleStatementSuite) -> bool:
    return execute_block(m, node.body)


@statement(cst.IndentedBlock)
def block(m: Machine, node: cst.IndentedBlock) -> bool:
    return execute_block(m, node.body)


@statement(cst.Expr)
def expr(m: Machine, node: cst.Expr) -> bool:
    value = evaluate(m, node.value)
    idle.dropped(m, node.value, value)
    # `torch.set_grad_enabled(False)` as a statement takes effect; the other modes do not
    cell = m.cell(value)
    if isinstance(cell, Thing) and cell.kind == "torch.set_grad_enabled":
        autograd.enter(m, cell.kind, cell.part("mode"), node.value)
    return not (isinstance(node.value, cst.Call) and value == External("builtins.exit"))


# Binding


@statement(cst.Assign)
def assign_statement(m: Machine, node: cst.Assign) -> bool:
    before = m.serial
    value = evaluate(m, node.value)
    forgotten.bound(m, node, value)
    for target in node.targets:
        name_evidence(m, value, target.target, before)
        assign(m, target.target, value)
    return True


@statement(cst.AnnAssign)
def annotated(m: Machine, node: cst.AnnAssign) -> bool:
    if node.value is not None:
        before = m.serial
        value = evaluate(m, node.value)
        name_evidence(m, value, node.target, before)
        assign(m, node.target, value)
    return True


def name_evidence(m: Machine, value: Value, target: cst.CSTNode, before: int) -> None:
    """`pred = net(x).detach()`: let messages call the cut value `pred`."""
    if m.serial != before and isinstance(target, (cst.Name, cst.Attribute)):
        for address, tensor in m.tensors(value):
            why = tensor.why
            if why is not None and not why.name and why.kind != "constant":
                m.change(address, why=replace(why, name=m.text(target)))


@statement(cst.AugAssign)
def augmented(m: Machine, node: cst.AugAssign) -> bool:
    old = evaluate(m, node.target)
    value = evaluate(m, node.value)
    kind = type(node.operator).__name__.removesuffix("Assign")
    name = operators.DUNDER.get(kind)
    if name == "add" and isinstance(node.target, cst.Name):
        forgotten.added(m, node, node.target, old, value)
    fatal = m.fatal
    if m.is_tensor(old) and name is not None and name != "matmul":
        operators.use_none(m, node, value, node.value)
        op = ops.method(f"__i{name}__") or ops.method(f"__{name}__")
        if op is not None:
            names = list(op.params) or ["self", "other"]
            op = replace(op, inplace=True, writes=(names[0],), when=())
            conversions.written(m, node, name, old, [value])
            tensors.apply(m, node, op, {names[0]: old, names[-1]: value}, m.text(node.target))
        if not isinstance(node.target, cst.Name) and m.fatal == fatal:  # `x[0] += 1` writes the view, then stores it
            assign(m, node.target, old)
        return True
    cell = m.cell(old)
    if isinstance(cell, Sequence) and name == "add":
        calls.call(m, Method(old, "extend"), calls.Args([value]), node)
        return True
    hidden.wrote_array(m, old, node.target)
    result = operators.binary(m, node, kind, old, value, node.target, node.value)
    assign(m, node.target, result)
    return True


def assign(m: Machine, target: cst.CSTNode, value: Value) -> None:
    """Bind a target of any shape to a value."""
    if isinstance(target, cst.Name):
        m.bind(target.value, value)
    elif isinstance(target, (cst.Tuple, cst.List)):
        stars = [i for i, e in enumerate(target.elements) if isinstance(e, cst.StarredElement)]
        values = iteration.unpack(m, value, len(target.elements), stars[0] if stars else None)
        if isinstance(value, Tuple) and not stars and len(value.items) != len(values):
            custom_ctx.misfit(m, target, value, len(values))
        for element, part in zip(target.elements, values, strict=True):
            assign(m, element.value, part)
    elif isinstance(target, cst.Attribute):
        attributes.put(m, evaluate(m, target.value), target.attr.value, value, target, target.value)
    elif isinstance(target, cst.Subscript):
        owner = evaluate(m, target.value)
        keys = [index(m, e.slice) for e in target.slice]
        operators.set_item(m, target, owner, keys[0] if len(keys) == 1 else Tuple(tuple(keys)), value)
    elif isinstance(target, cst.StarredElement):
        assign(m, target.value, value)


@statement(cst.Del)
def delete(m: Machine, node: cst.Del) -> bool:
    targets = [e.value for e in node.target.elements] if isinstance(node.target, cst.Tuple) else [node.target]
    for target in targets:
        if isinstance(target, cst.Name):
            m.bind(target.value, UNKNOWN)
        elif isinstance(target, cst.Attribute):
            owner = evaluate(m, target.value)
            assigning.deleted(m, target, owner, target.attr.value)
            for address, _ in m.cells(owner):
                m.state.set((address, target.attr.value), UNKNOWN)
        elif isinstance(target, cst.Subscript):
            owner = evaluate(m, target.value)
            keys = [index(m, e.slice) for e in target.slice]
            containers.delete(m, owner, keys[0] if len(keys) == 1 else UNKNOWN)
    return True


@statement(cst.Import)
def import_(m: Machine, node: cst.Import) -> bool:
    for name, qualified in bindings(node).items():
        m.bind(name, External(canonical(qualified)))
    return True


@statement(cst.ImportFrom)
def import_from(m: Machine, node: cst.ImportFrom) -> bool:
    for name, qualified in bindings(node).items():
        if name == "*":
            star_import(m, qualified)
        else:
            m.bind(name, External(canonical(qualified)) if not qualified.startswith(".") else UNKNOWN)
    return True


def star_import(m: Machine, module: str) -> None:
    """`from torch import *`: names that nothing in the file binds come from there if the library has them."""
    outer = m.lookup_global

    def look(name: str) -> Value | None:
        return library.star(module, name) or outer(name)

    m.lookup_global = look


@statement(cst.Global)
def global_(m: Machine, node: cst.Global) -> bool:
    for item in node.names:
        m.state.set((m.frame.id, f"*scope {item.name.value}"), m.frames[0].id)
    return True


@statement(cst.Nonlocal)
def nonlocal_(m: Machine, node: cst.Nonlocal) -> bool:
    for item in node.names:
        name = item.name.value
        owner = next((f for f in m.frame.scope[1:] if (f, name) in m.state.slots), None)
        if owner is not None:
            m.state.set((m.frame.id, f"*scope {name}"), owner)
    return True


# Leaving


@statement(cst.Return)
def return_(m: Machine, node: cst.Return) -> bool:
    value = evaluate(m, node.value) if node.value is not None else Const(None)
    m.state.set((m.frame.id, "*return"), value)
    frame = m.frame
    if frame.watch is not None:
        frame.watch(node, value)
    leave_withs(m, 0)
    frame.returns.append(m.state.delta(frame.mark))
    return False


def leave_withs(m: Machine, count: int) -> None:
    """Leaving early runs the `__exit__` of the `with` statements inside: grad mode is what it was before them."""
    if len(m.frame.withs) > count:
        m.go_back(m.frame.withs[count])


@statement(cst.Raise)
def raise_(m: Machine, node: cst.Raise) -> bool:
    if node.exc is not None:
        evaluate(m, node.exc)
    return False


@statement(cst.Break)
def break_(m: Machine, node: cst.Break) -> bool:
    if m.frame.loops:
        loop = m.frame.loops[-1]
        leave_withs(m, loop.withs)
        loop.breaks.append(m.state.delta(loop.mark))
    return False


@statement(cst.Continue)
def continue_(m: Machine, node: cst.Continue) -> bool:
    if m.frame.loops:
        loop = m.frame.loops[-1]
        leave_withs(m, loop.withs)
        loop.continues.append(m.state.delta(loop.mark))
    return False


@statement(cst.Assert)
def assert_(m: Machine, node: cst.Assert) -> bool:
    known = operators.truth_of(m, node.test, evaluate(m, node.test))
    operators.narrow(m, node.test, True)
    return known is not NO


# Branches


@statement(cst.If)
def if_(m: Machine, node: cst.If) -> bool:
    """An elif chain is gone through in a loop: it may be as long as the file."""
    paths: list[Delta] = []
    base = m.state.mark()
    current: cst.BaseSuite | cst.If | cst.Else | None = node
    decided = False
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
                operators.narrow(m, current.test, True)
            alive = execute_body(m, current.body)
            changes = m.state.delta(base)
            m.state.rollback(mark)
            if alive:
                paths.append(changes)
        if known is YES:
            decided = True
            break
        if known is not NO:
            operators.narrow(m, current.test, False)
        current = current.orelse
    if not decided:
        alive = execute_body(m, current.body) if isinstance(current, cst.Else) else True
        if alive:
            paths.append(m.state.delta(base))
    m.state.rollback(base)
    if paths:
        m.state.join(paths, written=written)
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
            m.state.rollback(mark)
            continue
        guarded = case.guard is not None
        if case.guard is not None:
            evaluate(m, case.guard)
        if execute_body(m, case.body):
            paths.append(m.state.delta(base))
        m.state.rollback(mark)
        if verdict is YES and not guarded:
            exhaustive = True
            break
    if not exhaustive:
        paths.append({})
    m.state.rollback(base)
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
    found = []
    todo: list[cst.CSTNode] = [node]
    while todo:
        current = todo.pop()
        if isinstance(current, (cst.MatchAs, cst.MatchStar)) and current.name is not None:
            found.append(current.name.value)
        todo.extend(current.children)
    return found


# Loops


@statement(cst.For)
def for_(m: Machine, node: cst.For) -> bool:
    source = iteration.iterated(m, node.iter, evaluate(m, node.iter))
    conversions.iterate(m, node.iter, source)
    idle.consumed(m, source)
    outside = idle.enter_consumer(m, source)
    if outside is not None:
        alive = over(m, node, source)
        m.set_mode(outside)
        return alive
    return over(m, node, source)


def over(m: Machine, node: cst.For, source: Value) -> bool:
    """Run a `for` over the value of its iterable."""
    known = iteration.exact(m, source)
    if known is not None and len(known) <= iteration.UNROLL:
        return unrolled(m, node, known)
    if iteration.once(m, source):
        one = iteration.element(m, source)
        iteration.consume(m, source)
        return unrolled(m, node, [one] if not (isinstance(one, Ref) and not one.addresses) else [])
    some = iteration.filled(m, source)

    def start() -> bool:
        assign(m, node.target, iteration.element(m, source))
        return True

    cell = m.cell(source)
    counted = isinstance(cell, Sequence) and cell.kind == "range" and some is YES  # one of length 0 or 1 is unrolled
    twice = counted or (known is not None and len(known) > 1)
    return repeated(m, node, start, some, twice, presume=not iteration.optional(source, node.iter))


def unrolled(m: Machine, node: cst.For, items: list[Value]) -> bool:
    """Run the body once for every element."""
    loop = Loop(m.state.mark(), len(m.frame.withs))
    frame = m.frame
    frame.loops.append(loop)
    alive = True
    try:
        for item in items:
            assign(m, node.target, item)
            alive = execute_body(m, node.body)
            alive = meet(m, loop, alive)
            if not alive:
                break
    finally:
        frame.loops.pop()
    if alive and node.orelse is not None:
        alive = execute_body(m, node.orelse.body)
    return leave(m, loop, alive)


def meet(m: Machine, loop: Loop, alive: bool) -> bool:
    """The end of one iteration: what fell through and what continued go on together."""
    if not loop.continues:
        return alive
    paths = [*loop.continues, *([m.state.delta(loop.mark)] if alive else [])]
    loop.continues = []
    m.state.rollback(loop.mark)
    m.state.join(paths)
    return True


def leave(m: Machine, loop: Loop, alive: bool) -> bool:
    """Behind the loop: what ended normally and what broke out go on together."""
    paths = [*loop.breaks, *([m.state.delta(loop.mark)] if alive else [])]
    m.state.rollback(loop.mark)
    if paths:
        m.state.join(paths)
    return bool(paths)


@statement(cst.While)
def while_(m: Machine, node: cst.While) -> bool:
    known = operators.truth_of(m, node.test, evaluate(m, node.test))
    if known is NO:
        return execute_body(m, node.orelse.body) if node.orelse is not None else True
    forever = known is YES and isinstance(node.test, (cst.Name, cst.Integer))

    def start() -> bool:
        if forever:
            return True
        again = operators.condition(m, evaluate(m, node.test))
        operators.narrow(m, node.test, True)
        return again is not NO

    return repeated(m, node, start, known, False, forever)


def repeated(
    m: Machine,
    node: cst.For | cst.While,
    start: Callable[[], bool],
    some: Any,
    twice: bool,
    forever: bool = False,
    presume: bool = False,
) -> bool:
    """A loop of unknown length: the first iteration, the second one on what it left, then joined until nothing changes.

    some: does it run at all? If that is not known, `presume` says whether to take it that it does.
    """
    if some is NO:
        return execute_body(m, node.orelse.body) if node.orelse is not None else True
    loop = Loop(m.state.mark(), len(m.frame.withs))
    watch = retention.Watch(m, node)
    frame = m.frame
    frame.loops.append(loop)
    depth = sum(len(f.loops) for f in m.frames)
    last = 1 + ROUNDS if depth <= DEEP else 1 if depth == DEEP + 1 else 0
    ends: list[Delta] = []
    fatal, quiet, presumed = m.fatal, m.quiet, m.presumed
    try:
        alive = True
        previous: Delta = {}
        for round_ in range(last + 1):
            if round_ == 1 and not twice:
                m.presumed += 1
            if not start():  # the condition is known to have become false
                ends = [m.state.delta(loop.mark)]
                break
            alive = execute_body(m, node.body)
            alive = meet(m, loop, alive)
            if not alive:
                break
            if m.fatal > fatal:  # there is no next iteration; run it only for the state behind the loop
                m.quiet = quiet + 1
            changes = m.state.delta(loop.mark)
            watch.after(m, round_, changes)
            if round_ >= 1 or last == 0:
                if last and settled(m, previous, changes):
                    ends.append(changes)
                    break
                m.state.rollback(loop.mark)
                if round_ == last:
                    same = Comparison(m.state, previous, changes)
                    changes = {
                        slot: widened(content)
                        if slot[0] < watch.start and unstable(same, slot, previous, content)
                        else content
                        for slot, content in changes.items()
                    }
                    m.state.apply(changes)
                else:
                    m.state.join([previous, changes], written=YES if twice else PRESUMED_YES)
                changes = m.state.delta(loop.mark)
            ends = [changes]
            previous = changes
    finally:
        frame.loops.pop()
        m.quiet, m.presumed = quiet, presumed
    m.state.rollback(loop.mark)
    watch.close(m, ends[0] if ends else {})
    if forever:
        ends = []
    if ends and node.orelse is not None:
        m.state.join(ends)
        ends = [m.state.delta(loop.mark)] if execute_body(m, node.orelse.body) else []
        m.state.rollback(loop.mark)
    paths = [*ends, *loop.breaks]
    if some is YES or not paths:
        if paths:
            m.state.join(paths)
        return bool(paths) or (not forever and some is not YES)
    if len(paths) > 1:
        m.state.join(paths)
        paths = [m.state.rollback(loop.mark)]
    m.state.join([{}, paths[0]], presume=presume)
    return True


def settled(m: Machine, before: Delta, after: Delta) -> bool:
    """Is the state after one more iteration the same, apart from which objects carry the facts?"""
    comparison = Comparison(m.state, before, after)
    return all(
        comparison.contents(before.get(slot, m.state.slots.get(slot)), after.get(slot, m.state.slots.get(slot)))
        for slot in before.keys() | after.keys()
        if not _hidden(slot)
    )


def _hidden(slot: tuple[int, str]) -> bool:
    """Objects made inside the loop differ in every iteration; what counts is what names and attributes lead to."""
    return slot[1] in ("version", "freed", "freed at", "retained", "*names", "", "*value", "*return", "spoiled")


def unstable(same: Comparison, slot: tuple[int, str], previous: Delta, after: Any) -> bool:
    """Has the content of a slot that was there before the loop changed once more?"""
    if isinstance(after, (Joined, Mode, tuple, int)):
        return False
    if slot[1] == "":
        return not same.objects(slot[0], slot[0])
    return not same.contents(previous.get(slot), after)


def widened(content: Any) -> Any:
    """What may be in a slot after any number of further iterations."""
    return MAYBE if isinstance(content, Truth) else UNKNOWN


# with and try


@statement(cst.With)
def with_(m: Machine, node: cst.With) -> bool:
    modes = m.modes()
    guards = m.guards
    block = m.block
    for item in node.items:
        value = evaluate(m, item.item)
        contexts.entered(m, item.item, value)
        entered = enter_context(m, item.item, value)
        if item.asname is not None:
            assign(m, item.asname.name, entered)
    m.frame.withs.append(modes)
    alive = execute_body(m, node.body)
    m.frame.withs.pop()
    m.guards = guards
    m.block = block
    if alive:
        m.go_back(modes)
    return alive


def enter_context(m: Machine, node: cst.BaseExpression, value: Value) -> Value:
    """What `with value as x` binds to x; switches grad mode where the context does."""
    from flake8_detach.flow import hooks, saved_hooks

    cell = m.cell(value)
    if isinstance(cell, Thing):
        if cell.kind in ("pytest.raises", "contextlib.suppress", "unittest.assertRaises"):
            m.guards += 1
        if cell.kind == hooks.HANDLE:
            hooks.doubt(m)  # it is removed when the block ends
        if isinstance(value, Ref):
            saved_hooks.entered(m, node, value.addresses[0], cell)
        if cell.kind == forward_ad.LEVEL:
            forward_ad.enter(m, node)
        autograd.enter(m, cell.kind, cell.part("mode"), node)
        return cell.part("enters") or value
    if (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value.startswith("assertRaises")
    ):
        m.guards += 1
        return UNKNOWN
    if isinstance(cell, Sequence) and cell.kind == "generator":  # a @contextmanager of the file
        modes: Mode | None = m.state.get((value.addresses[0], "*mode")) if isinstance(value, Ref) else None
        if modes is not None:
            m.set_mode(modes)
        return cell.element
    if isinstance(value, Foreign):
        return value
    if value == UNKNOWN:
        # an unknown context manager may well switch grad mode off (`with self.ema_scope():`)
        m.set_mode(Mode(MAYBE if m.mode.grad.yes else m.mode.grad, MAYBE, m.mode.why))
        return UNKNOWN
    from flake8_detach.flow import modules

    entered = modules.find(m, value, "__enter__")
    if isinstance(entered, Function):
        return calls.call(m, entered, calls.Args([]), node)
    return value


@statement(cst.Try)
def try_(m: Machine, node: cst.Try) -> bool:
    catches = any(catches_torch_errors(h) for h in node.handlers)
    mark = m.state.mark()
    left = len(m.frame.returns)
    m.guards += catches
    alive = execute_body(m, node.body)
    m.guards -= catches
    partial = m.state.delta(mark)
    if alive and node.orelse is not None:
        alive = execute_body(m, node.orelse.body)
    paths = [m.state.delta(mark)] if alive else []
    m.state.rollback(mark)
    for handler in node.handlers:
        m.state.join([{}, partial])
        if handler.name is not None and isinstance(handler.name.name, cst.Name):
            m.bind(handler.name.name.value, UNKNOWN)
        if execute_body(m, handler.body):
            paths.append(m.state.delta(mark))
        m.state.rollback(mark)
    if node.finalbody is not None:
        finish(m, node.finalbody, left)
    if paths:
        m.state.join(paths)
    elif node.finalbody is not None:
        m.state.join([{}, partial])
        execute_body(m, node.finalbody.body)
        return False
    if node.finalbody is not None:
        return execute_body(m, node.finalbody.body) and bool(paths)
    return bool(paths)


def finish(m: Machine, node: cst.Finally, left: int) -> None:
    """`finally` also runs on the paths that return from within the `try`, the ones from `left` on."""
    frame = m.frame
    returned = (frame.id, "*return")
    for i in range(left, len(frame.returns)):
        mark = m.state.mark()
        m.state.apply(frame.returns[i])
        value = m.state.get(returned)
        if execute_body(m, node.body):
            m.state.set(returned, value)
            frame.returns[i] = m.state.delta(frame.mark)
        m.state.rollback(mark)


@statement(cst.TryStar)
def try_star(m: Machine, node: cst.TryStar) -> bool:
    return try_(m, node)  # type: ignore[arg-type]


def catches_torch_errors(handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
    """Does the handler catch what autograd raises (RuntimeError, TypeError, AttributeError)?"""
    if handler.type is None:
        return True
    kinds = [e.value for e in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    names = {
        k.value if isinstance(k, cst.Name) else k.attr.value if isinstance(k, cst.Attribute) else "" for k in kinds
    }
    return bool(names & CAUGHT)


CAUGHT = {"RuntimeError", "TypeError", "AttributeError", "ValueError", "AssertionError", "Exception", "BaseException"}
"""What torch and Python raise for autograd misuse, and the bases of these."""


# Definitions

CAST = frozenset(
    f"torch.{place}.custom_{way}" for place in ("amp", "cuda.amp", "amp.autocast_mode") for way in ("fwd", "bwd")
)
"""Decorators of forward and backward of a custom Function, called with options or not."""
TRANSPARENT = frozenset(
    {
        "functools.wraps",
        "functools.lru_cache",
        "functools.cache",
        "abc.abstractmethod",
        "typing.overload",
        "typing.override",
        "typing.final",
        "torch.jit.export",
        "torch.jit.ignore",
        "torch.jit.unused",
        "torch.compile",
        "torch.jit.script",
        *CAST,
    }
)
"""Decorators that leave what a function computes as it is."""
MODES = ("torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.set_grad_enabled")
BINDING = (
    "builtins.staticmethod",
    "builtins.classmethod",
    "builtins.property",
    "functools.cached_property",
    "contextlib.contextmanager",
    "torch.autograd.function.once_differentiable",
)


@statement(cst.FunctionDef)
def function_def(m: Machine, node: cst.FunctionDef) -> bool:
    params = node.params
    defaults = tuple(
        (p.name.value, evaluate(m, p.default))
        for p in (*params.posonly_params, *params.params, *params.kwonly_params)
        if p.default is not None
    )
    owner = m.frame.owner
    scope = m.frame.scope if owner is None or m.frame.id != owner.frame else m.frame.scope[1:]
    value: Value = Function(node, node.name.value, scope, defaults, (), None, owner)
    for decorator in reversed(node.decorators):
        value = decorated(m, node, decorator.decorator, value)
    name = node.name.value
    if isinstance(value, Function) and "*setter" in value.wrappers:
        name = f"{name}.setter"
    m.bind(name, value)
    return True


def decorated(m: Machine, node: cst.FunctionDef, decorator: cst.BaseExpression, value: Value) -> Value:
    """What a decorator makes of a function."""
    if isinstance(decorator, cst.Attribute) and decorator.attr.value in ("setter", "deleter"):
        return replace(value, wrappers=("*setter",)) if isinstance(value, Function) else value
    made = evaluate(m, decorator)
    cell = m.cell(made)
    if isinstance(decorator, cst.Call) and isinstance(maker := evaluate(m, decorator.func), External):
        made = maker if maker.name in CAST else made
    if isinstance(made, External):
        name = made.name
        contexts.decorates(m, decorator, made)
        legacy.decorates(m, decorator, made)
    elif isinstance(cell, Thing):
        name = cell.kind
        mode = cell.part("mode")
        if name in MODES and mode is not None:
            name = f"{name}(False)" if mode == Const(False) else name if mode == Const(True) else "?"
    else:
        name = "?"
    if isinstance(value, Function):
        if name.removesuffix("(False)") in MODES or name in BINDING:
            # no_grad has no effect on what runs later: an async def, which is entered and left at once
            if name.removesuffix("(False)") in MODES and node.asynchronous is not None:
                idle.coroutine(m, node, name)
                return value
            return replace(value, wrappers=(name, *value.wrappers))
        if name in TRANSPARENT or name.startswith(("torch.jit.", "jaxtyping.", "typeguard.", "numba.")):
            return value
    if isinstance(made, (Function, Class)) or transforms.decorates(m, made):
        return calls.call(m, made, calls.Args([value]), decorator)
    return UNKNOWN


DATACLASSES = frozenset({"dataclasses.dataclass", "attr.s", "attrs.define", "attr.dataclass"})


@statement(cst.ClassDef)
def class_def(m: Machine, node: cst.ClassDef) -> bool:
    bases = tuple(evaluate(m, b.value) for b in node.bases)
    for keyword in node.keywords:
        evaluate(m, keyword.value)
    frame_id = m.state.address()
    cls = Class(node.name.value, frame_id, bases, node)
    frame = Frame((frame_id, *m.frame.scope), m.frame.function, None, m.state.mark(), owner=cls)
    m.frames.append(frame)
    try:
        execute_body(m, node.body)
    finally:
        m.frames.pop()
    value: Value = cls
    for decorator in node.decorators:
        made = evaluate(m, decorator.decorator)
        if isinstance(decorator.decorator, cst.Call):  # @dataclass(frozen=True)
            maker = evaluate(m, decorator.decorator.func)
            made = maker if isinstance(maker, External) and maker.name in DATACLASSES else made
        cell = m.cell(made)
        name = made.name if isinstance(made, External) else cell.kind if isinstance(cell, Thing) else "?"
        if name in MODES:
            idle.decorated_class(m, decorator.decorator, name)
        if name in DATACLASSES:
            m.state.set((frame_id, "*fields"), fields(node))
        elif name not in TRANSPARENT and not name.startswith("torch."):
            value = UNKNOWN
    m.bind(node.name.value, value)
    return True


def fields(node: cst.ClassDef) -> tuple[str, ...]:
    """The fields of a dataclass, in order."""
    found = []
    for statement_ in node.body.body:
        for part in getattr(statement_, "body", ()) if isinstance(statement_, cst.SimpleStatementLine) else ():
            if isinstance(part, cst.AnnAssign) and isinstance(part.target, cst.Name):
                found.append(part.target.value)
    return tuple(found)


__all__ = ["Scalar", "execute", "execute_block", "execute_body"]
