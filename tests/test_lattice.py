"""The algebra of the engine, without any Python source: laws of the lattice, of joining tensors, and of paths."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flake8_detach.flow import joining
from flake8_detach.flow.comparison import Comparison
from flake8_detach.flow.loops import widened
from flake8_detach.flow.meeting import join_tensors
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.state import State
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Cell,
    Const,
    Either,
    Layer,
    Mapping_,
    Mode,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Value,
)

settings.register_profile("shared machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("shared machine")  # how quickly examples are drawn says nothing about the laws

TRUTHS = list(Truth)

tensors = st.builds(
    Tensor,
    grad=st.sampled_from(TRUTHS),
    leaf=st.sampled_from(TRUTHS),
    shape=st.none() | st.lists(st.none() | st.integers(0, 3), max_size=2).map(tuple),
    dtype=st.sampled_from(["float", "int", None]),
    storage=st.integers(0, 2),
    view=st.sampled_from(["", "view", "multi"]),
    parameter=st.booleans(),
    inference=st.sampled_from(TRUTHS),
)
values = st.one_of(
    st.just(UNKNOWN),
    st.just(NONE),
    st.builds(Const, st.integers(-1, 1)),
    st.builds(Scalar, st.sampled_from(["int", "float"])),
)


CELLS = [
    Tensor(grad=YES, leaf=YES, parameter=True),
    Sequence("list", (NONE,)),
    Mapping_((("a", NONE),)),
    Layer("torch.nn.ReLU"),
    Optimizer("torch.optim.SGD", None),
    Thing("context"),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
def test_an_object_that_a_loop_keeps_changing_stays_one_of_its_kind(cell: Cell) -> None:
    assert type(widened(cell)) is type(cell)


def test_nothing_is_known_of_a_tensor_that_a_loop_keeps_changing() -> None:
    cell = widened(CELLS[0])
    assert (cell.grad, cell.leaf, cell.shape, cell.dtype, cell.storage) == (MAYBE, MAYBE, None, None, 0)


def with_owners() -> State:
    """A state in which the owners 2, 3 and 4 exist already."""
    state = State()
    assert [state.address() for _ in range(3)] == [2, 3, 4]
    return state


def below(a: Truth, b: Truth) -> bool:
    """Does `b` claim no more than `a`?"""
    return a.join(b) is b


def test_joining_truths_is_a_semilattice_with_maybe_on_top() -> None:
    for a, b, c in product(TRUTHS, repeat=3):
        assert a.join(a) is a
        assert a.join(b) is b.join(a)
        assert a.join(b).join(c) is a.join(b.join(c))
        assert a.join(MAYBE) is MAYBE
    assert YES.join(NO) is MAYBE


def test_logic_agrees_with_python_and_is_monotone() -> None:
    for a, b in product((YES, NO), repeat=2):
        assert (a | b) is (YES if YES in (a, b) else NO)
        assert (a & b) is (NO if NO in (a, b) else YES)
        assert (~a) is (NO if a is YES else YES)
    for a, b, c in product(TRUTHS, repeat=3):
        if below(a, b):
            assert below(a | c, b | c)
            assert below(a & c, b & c)
            assert below(~a, ~b)


@given(tensors, tensors)
def test_joining_tensors_commutes(a: Tensor, b: Tensor) -> None:
    assert join_tensors(a, b) == join_tensors(b, a)


@given(tensors)
def test_joining_a_tensor_with_itself_changes_nothing(a: Tensor) -> None:
    assert join_tensors(a, a) == a


@given(tensors, tensors, tensors)
def test_joining_tensors_is_associative(a: Tensor, b: Tensor, c: Tensor) -> None:
    left, right = join_tensors(join_tensors(a, b), c), join_tensors(a, join_tensors(b, c))
    # a storage or view that differs becomes "none in particular", which may equal a third one's
    assert (left.grad, left.leaf, left.shape, left.dtype) == (right.grad, right.leaf, right.shape, right.dtype)
    assert (left.parameter, left.inference) == (right.parameter, right.inference)


slots = st.tuples(st.integers(2, 4), st.sampled_from(["a", "b"]))
writes = st.lists(st.tuples(slots, values), max_size=8)


@given(writes, writes)
def test_rolling_back_leaves_no_trace_and_its_delta_brings_everything_back(before: list, after: list) -> None:
    state = with_owners()
    for slot, value in before:
        state.set(slot, value)
    kept = dict(state.slots)
    mark = state.mark()
    for slot, value in after:
        state.set(slot, value)
    reached = dict(state.slots)
    delta = state.rollback(mark)
    assert state.slots == kept
    state.apply(delta)
    assert state.slots == reached


@given(writes, writes, writes)
def test_where_two_paths_meet_each_slot_claims_no_more_than_both(base: list, one: list, other: list) -> None:
    state = with_owners()
    for slot, value in base:
        state.set(slot, value)
    deltas, ends = [], []
    for path in (one, other):
        mark = state.mark()
        for slot, value in path:
            state.set(slot, value)
        ends.append(dict(state.slots))
        deltas.append(state.rollback(mark))
    state.join(deltas)
    for slot in ends[0].keys() | ends[1].keys():
        contents = [end.get(slot) for end in ends]
        joined = state.get(slot)
        if contents[0] == contents[1]:
            assert joined == contents[0]
        else:
            assert joined == UNKNOWN or isinstance(joined, Scalar)


def test_different_objects_meet_in_a_new_one_that_says_what_holds_for_both() -> None:
    state = with_owners()
    deltas = []
    for grad, kind in ((YES, "float"), (NO, "float")):
        mark = state.mark()
        state.set((2, "x"), state.new(Tensor(grad=grad, leaf=YES, dtype=kind, shape=(3,))))
        deltas.append(state.rollback(mark))
    state.join(deltas)
    ref = state.get((2, "x"))
    assert isinstance(ref, Ref)
    cell = state.cell(ref.addresses[0])
    assert isinstance(cell, Tensor)
    assert (cell.grad, cell.leaf, cell.dtype, cell.shape) == (MAYBE, YES, "float", (3,))


def test_a_list_that_one_path_filled_is_summed_up() -> None:
    state = State()
    made = state.new(Sequence("list", (), filled=NO))
    address = made.addresses[0]
    mark = state.mark()
    state.set((address, CELL), Sequence("list", (Const(1.0),), filled=YES))
    filled = state.rollback(mark)
    state.join([{}, filled])
    cell = state.cell(address)
    assert isinstance(cell, Sequence)
    assert (cell.items, cell.element, cell.filled) == (None, Const(1.0), MAYBE)


def test_grad_mode_is_joined_as_every_other_slot() -> None:
    state = State()
    state.set((0, "mode"), Mode(YES))
    mark = state.mark()
    state.set((0, "mode"), Mode(NO))
    state.join([{}, state.rollback(mark)])
    assert state.get((0, "mode")).grad is MAYBE


def met(state: State, contents: list) -> object:
    """The content of a slot where paths meet that have left these in it."""
    deltas = []
    for content in contents:
        mark = state.mark()
        made = state.new(content) if isinstance(content, Tensor) else content
        state.set((2, "x"), made)
        deltas.append(state.rollback(mark))
    state.join(deltas)
    return state.get((2, "x"))


plain = st.one_of(
    st.just(NONE), st.builds(Const, st.integers(-1, 1)), st.builds(Scalar, st.sampled_from(["int", "float"]))
)


@given(plain, tensors)
def test_a_number_or_none_meets_a_tensor_in_either_of_them_whichever_comes_first(number: Value, tensor: Tensor) -> None:
    for contents in ([number, tensor], [tensor, number]):
        state = with_owners()
        either = met(state, contents)
        assert isinstance(either, Either)
        assert either.plain == number
        assert isinstance(either.object, Ref)
        assert state.cell(either.object.addresses[0]) == tensor


@given(plain, plain, tensors, tensors)
def test_either_claims_no_more_than_each_of_the_paths(one: Value, two: Value, a: Tensor, b: Tensor) -> None:
    state = with_owners()
    either = met(state, [one, a, two, b])
    if (one == NONE) != (two == NONE):
        assert either == UNKNOWN
        return
    assert isinstance(either, Either)
    assert either.plain == one if one == two else isinstance(either.plain, Scalar)
    assert isinstance(either.object, Ref)
    cell = state.cell(either.object.addresses[0])
    assert isinstance(cell, Tensor)
    joined = join_tensors(a, b)
    assert (cell.grad, cell.leaf, cell.shape, cell.dtype) == (joined.grad, joined.leaf, joined.shape, joined.dtype)


@given(plain, tensors)
def test_either_absorbs_its_alternatives_and_is_lost_in_the_unknown(number: Value, tensor: Tensor) -> None:
    state = with_owners()
    either = met(state, [number, tensor])
    assert isinstance(either, Either)
    for other in (either.plain, either.object, either):
        assert met(state, [either, other]) == either
        assert met(state, [other, either]) == either
    assert met(state, [either, UNKNOWN]) == met(state, [UNKNOWN, either]) == UNKNOWN


steps = st.lists(
    st.one_of(
        st.tuples(slots, values),
        st.tuples(slots, st.sampled_from([Ref((5,)), Ref((6,))])),
        st.tuples(st.just((5, CELL)), tensors.map(lambda t: replace(t, leaf=YES))),
    ),
    max_size=5,
)


def forked(paths: list) -> tuple[State, list]:
    """A state with tensors at 5 and 6, and the changes of some paths that start there."""
    state = with_owners()
    state.new(Tensor(grad=YES, leaf=YES, shape=(2,)))
    state.new(Tensor(grad=NO, leaf=YES, shape=(2,)))
    state.set((3, "a"), Ref((5,)))
    state.set((3, "b"), NONE)
    deltas = []
    for path in paths:
        mark = state.mark()
        for slot, content in path:
            state.set(slot, content)
        deltas.append(state.rollback(mark))
    return state, deltas


@given(st.lists(steps, min_size=5, max_size=9))
def test_paths_that_have_not_changed_a_slot_count_once_where_many_meet(paths: list) -> None:
    reached = []
    for few in (joining.FEW, len(paths)):
        state, deltas = forked(paths)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(joining, "FEW", few)
            state.join(deltas)
        reached.append(state.slots)
    assert reached[0] == reached[1]


@given(steps, steps)
def test_what_one_path_covers_adds_nothing_to_it_where_they_meet(one: list, other: list) -> None:
    state, deltas = forked([one, other])
    mark = state.mark()
    state.join(deltas)
    joined = state.rollback(mark)

    def agree(comparison: Comparison, first: dict, second: dict) -> bool:
        written = first.keys() | second.keys()
        return all(comparison.contents(first.get(s, state.get(s)), second.get(s, state.get(s))) for s in written)

    for delta, another in (deltas, deltas[::-1]):
        if agree(Comparison(state, delta, another, covers=True), delta, another):
            assert agree(Comparison(state, delta, joined), delta, joined)


def test_what_is_not_known_covers_what_is_and_not_the_other_way_round() -> None:
    state = with_owners()
    vague, sure = state.new(Tensor(grad=MAYBE, leaf=YES)), state.new(Tensor(grad=YES, leaf=YES))
    assert Comparison(state, {}, {}, covers=True).contents(vague, sure)
    assert not Comparison(state, {}, {}, covers=True).contents(sure, vague)
    assert not Comparison(state, {}, {}).contents(vague, sure)
