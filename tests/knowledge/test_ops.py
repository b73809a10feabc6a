"""The table of ops without torch: it loads fast, is well formed, and says what is written about torch in the docs."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from flake8_detach.knowledge import ops

TABLE = ops._table()
EVERY = sorted(TABLE)


def found(name: str) -> ops.Op:
    """The op of that name as the file lists it."""
    op = ops._op(name)
    assert op is not None, name
    return op


def words(text: str) -> list[str]:
    return text.split()


def given(op: ops.Op, *conditions: str) -> ops.Op:
    return op.given(lambda condition: condition in conditions)


# The file


def test_looking_up_an_op_imports_no_torch() -> None:
    program = "import sys; from flake8_detach.knowledge import ops; ops.method('add'); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_importing_the_module_reads_nothing() -> None:
    program = "from flake8_detach.knowledge import ops; print(ops._table.cache_info().currsize)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"


def test_the_table_loads_in_under_five_milliseconds() -> None:
    def load() -> float:
        ops._table.cache_clear()
        start = time.perf_counter()
        ops._table()
        return time.perf_counter() - start

    assert min(load() for _ in range(20)) < 0.005


def test_the_file_is_sorted_with_one_op_per_line() -> None:
    lines = ops.PATH.read_text(encoding="utf-8").splitlines()
    names = [line.split('"')[1] for line in lines[1:-1]]
    assert names == sorted(set(names)) == EVERY
    assert all(json.loads("{" + line.rstrip(",") + "}") for line in lines[1:-1])


def test_the_file_names_the_torch_that_it_describes() -> None:
    assert json.loads(ops.PATH.read_text(encoding="utf-8"))["torch"].startswith("2.13.")


def test_no_record_repeats_a_default() -> None:
    default = ops.Op("")
    for name, record in TABLE.items():
        if isinstance(record, dict):
            facts = ops._unpacked(record)
            assert not [f for f, value in facts.items() if value == getattr(default, f)], name


def test_every_record_is_well_formed() -> None:
    for name in EVERY:
        op = found(name)
        for one in (op, *(given(op, *condition.split(" & ")) for condition, _ in op.when)):
            params = {p.lstrip("*") for p in one.params}
            results = {"result", *(f"result{k}" for k in range(len(one.outputs)))}
            assert one.saves | one.may_save <= params | results, name
            assert not one.saves & set(one.nodiff) - {n for n, v in one.nodiff.items() if v != "ignore"} - params, name
            assert set(one.nodiff) | set(one.writes) <= params, name
            assert set(one.saves_if) <= one.saves, name
            assert all(set(by) <= params for by in one.saves_if.values()), name
            assert not one.fields or len(one.fields) == len(one.outputs), name
            assert not (one.listed and one.outputs), name
            assert one.writes or not one.inplace, name


def test_names_that_torch_does_not_have_are_unknown() -> None:
    assert ops.function("torch.no_such_op") is None
    assert ops.method("no_such_method") is None
    assert ops.attribute("add") is None


@pytest.mark.parametrize(
    "name",
    words("torch.Tensor.add torch.functional.einsum torch.special.expit torch.linalg.norm"),
)
def test_other_spellings_are_found(name: str) -> None:
    assert ops.function(name) is not None


def test_a_method_is_the_function_with_self_for_input() -> None:
    method, function = ops.method("max"), ops.function("torch.max")
    assert method is not None
    assert function is not None
    assert method.params == ("self", *function.params[1:])
    assert [condition for condition, _ in method.when] == [condition for condition, _ in function.when]
    assert given(method, "dim=<tensor>").saves == {"self", "dim"}


# What torch does (docs/knowledge.md; each was also asked of torch by tests/truth/test_ops_agree.py)

NEVER = (
    "all any argmax argmin argsort argwhere bool byte char count_nonzero detach eq ge gt histc int isclose isfinite"
    " isinf isnan le logical_and logical_not long lt multinomial ne nonzero short signbit"
)


@pytest.mark.parametrize("name", words(NEVER))
def test_never_carries_a_graph(name: str) -> None:
    assert found(f"Tensor.{name}").graph == "no"


@pytest.mark.parametrize(
    "name",
    words("round sign sgn floor ceil trunc fix bernoulli uniform_ normal_ zero_ fill_ gt_ eq_"),
)
def test_has_a_gradient_that_is_zero(name: str) -> None:
    assert given(found(f"Tensor.{name}"), "other=<tensor>").graph == "zero"


@pytest.mark.parametrize("name", words("floor_divide __floordiv__ heaviside histogram geqrf unique acosh_ __rmod__"))
def test_is_fine_forward_and_raises_in_backward(name: str) -> None:
    assert "raises" in (found(f"Tensor.{name}").graph, *found(f"Tensor.{name}").outputs)


@pytest.mark.parametrize(
    "name",
    words("remainder fmod nextafter median kthvalue mode sort topk max min amax clamp where cummax quantile"),
)
def test_is_differentiable_although_often_believed_not(name: str) -> None:
    op = found(f"Tensor.{name}")
    assert "yes" in (given(op, "other", "other=<tensor>").graph, *op.outputs)


@pytest.mark.parametrize(
    "name",
    words(
        "exp exp2 expm1 sqrt rsqrt reciprocal sigmoid tanh tan relu softmax log_softmax logsumexp norm std "
        "prod cumprod amax hypot dist cholesky inverse"
    ),
)
def test_backward_needs_the_result(name: str) -> None:
    assert "result" in found(f"Tensor.{name}").saves


@pytest.mark.parametrize(
    "name",
    words(
        "add sub neg mean sum cumsum clone chunk split index_select masked_fill where matmul triu roll flip "
        "repeat round reshape view permute var"
    ),
)
def test_the_result_may_be_changed(name: str) -> None:
    assert "result" not in found(f"Tensor.{name}").saves


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("binary_cross_entropy", "weight"),
        ("binary_cross_entropy_with_logits", "weight"),
        ("binary_cross_entropy_with_logits", "pos_weight"),
        ("nll_loss", "weight"),
        ("multi_margin_loss", "weight"),
        ("soft_margin_loss", "target"),
        ("batch_norm", "running_mean"),
    ],
)
def test_a_parameter_without_derivative_that_requires_grad_raises(name: str, parameter: str) -> None:
    assert (
        given(found(f"torch.nn.functional.{name}"), "running_var", "running_var=<tensor>").nodiff[parameter] == "raise"
    )


def test_class_indices_make_the_weight_of_cross_entropy_raise() -> None:
    op = found("torch.nn.functional.cross_entropy")
    assert given(op, "target=<int>").nodiff == {"weight": "raise"}
    assert given(op).nodiff == {}


def test_igamma_raises_for_its_first_argument_only() -> None:
    assert found("torch.igamma").nodiff == {"input": "backward"}
    assert found("torch.igamma").graph == "yes"


def test_mul_saves_an_operand_only_if_the_other_requires_grad() -> None:
    assert found("torch.mul").saves == {"input", "other"}
    assert found("torch.mul").saves_if == {"input": ("other",), "other": ("input",)}


def test_a_power_saves_its_result_only_if_the_exponent_is_a_tensor() -> None:
    power = found("Tensor.__pow__")
    assert given(power, "other").saves == {"self"}
    assert "result" in given(power, "other", "other=<tensor>").saves


def test_max_has_three_faces() -> None:
    op = found("torch.max")
    assert (given(op).outputs, given(op).rank) == ((), "zero")
    assert given(op, "dim").outputs == ("yes", "no")
    assert given(op, "dim").fields == ("values", "indices")
    assert (given(op, "other", "other=<tensor>").outputs, given(op, "other").rank) == ((), "broadcast")


def test_what_cannot_be_decided_is_unknown() -> None:
    undecided = found("torch.max").given(lambda _condition: None)
    assert undecided.graph == "unknown"
    assert undecided.rank == "unknown"
    assert undecided.saves == frozenset()
    assert {"input", "result", "result1"} <= undecided.may_save


def test_division_with_a_rounding_mode_has_gradient_zero() -> None:
    assert given(found("torch.div"), "rounding_mode").graph == "zero"
    assert given(found("torch.div")).graph == "yes"


def test_inplace_true_writes_the_input() -> None:
    op = given(found("torch.nn.functional.relu"), "inplace=True")
    assert (op.inplace, op.writes, op.same) == (True, ("input",), "always")
    assert not given(found("torch.nn.functional.relu")).inplace


def test_detach_in_place_bumps_no_version() -> None:
    assert (found("Tensor.detach_").writes, found("Tensor.detach_").bumps) == (("self",), False)
    assert found("Tensor.add_").bumps


def test_initialisers_may_write_leaves() -> None:
    assert found("torch.nn.init.xavier_uniform_").leaf
    assert not found("Tensor.normal_").leaf


def test_matmul_assignment_is_not_in_place() -> None:
    assert ops.method("__iadd__") is not None
    assert ops.method("__imatmul__") is None


@pytest.mark.parametrize("name", words("chunk split unbind split_with_sizes"))
def test_is_one_of_several_views_that_may_not_be_changed(name: str) -> None:
    assert (found(f"Tensor.{name}").view, found(f"Tensor.{name}").listed) == ("multi", True)


@pytest.mark.parametrize("name", words("tensor_split hsplit vsplit dsplit"))
def test_gives_several_views_that_may_be_changed(name: str) -> None:
    assert (found(f"Tensor.{name}").view, found(f"Tensor.{name}").listed) == ("view", True)


@pytest.mark.parametrize(
    ("name", "view", "same"),
    [
        ("view", "view", ""),
        ("reshape", "maybe", ""),
        ("contiguous", "", "maybe"),
        ("float", "", "maybe"),
        ("transpose", "view", ""),
        ("detach", "view", ""),
        ("clone", "", ""),
        ("__pos__", "", "always"),
    ],
)
def test_shares_memory(name: str, view: str, same: str) -> None:
    assert (found(f"Tensor.{name}").view, found(f"Tensor.{name}").same) == (view, same)


@pytest.mark.parametrize(
    "name",
    words("item tolist numpy size stride element_size dim numel __len__ __bool__ __float__"),
)
def test_returns_a_python_value(name: str) -> None:
    assert found(f"Tensor.{name}").graph == "python"


@pytest.mark.parametrize("name", words("shape dtype device ndim is_leaf requires_grad layout"))
def test_is_a_python_attribute(name: str) -> None:
    assert found(f"Tensor.{name}:").graph == "python"


def test_attributes_that_are_tensors() -> None:
    assert found("Tensor.data:").graph == "no"
    assert [found(f"Tensor.{name}:").graph for name in ("T", "mT", "real")] == ["yes", "yes", "yes"]
    assert found("Tensor.T:").view == "view"


@pytest.mark.parametrize(
    "name",
    words("zeros ones rand randn empty full arange eye tensor zeros_like randn_like linspace"),
)
def test_is_a_factory(name: str) -> None:
    assert given(found(f"torch.{name}"), "data").graph == "new"


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("argmax", "int"),
        ("eq", "bool"),
        ("isnan", "bool"),
        ("sum", "int_of_bool"),
        ("mul", "promote"),
        ("div", "float_of_int"),
        ("sqrt", "float_of_int"),
        ("abs", "real"),
        ("arange", "value:start end step"),
        ("randint", "int"),
        ("zeros", "arg"),
    ],
)
def test_kind_of_the_result(name: str, dtype: str) -> None:
    assert found(f"torch.{name}").dtype == dtype


@pytest.mark.parametrize("name", words("sum mean prod norm std var logsumexp any argmax count_nonzero"))
def test_reduces_to_a_scalar_unless_a_dim_is_given(name: str) -> None:
    assert found(f"Tensor.{name}").rank == "reduce"
