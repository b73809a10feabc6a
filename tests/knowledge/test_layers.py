"""The table of torch.nn layers without torch."""

from __future__ import annotations

import json

import pytest

from flake8_detach.knowledge import layers, ops

EVERY = sorted(layers._table())


def found(name: str) -> layers.Layer:
    layer = layers.layer(f"torch.nn.{name}")
    assert layer is not None, name
    return layer


def has(name: str, parameter: str, **options: bool) -> bool | None:
    """Has a layer made with these options that parameter? Options that are not given have torch's defaults."""
    defaults = {"bias": True, "affine": True, "elementwise_affine": True, "add_bias_kv": False}
    return found(name).has(parameter, lambda option: {**defaults, **options}[option])


def test_the_file_is_sorted_with_one_layer_per_line() -> None:
    lines = layers.PATH.read_text(encoding="utf-8").splitlines()
    assert [line.split('"')[1] for line in lines[1:-1]] == EVERY
    assert json.loads(layers.PATH.read_text(encoding="utf-8"))["torch"].startswith("2.13.")


def test_every_layer_applies_an_op_that_is_known() -> None:
    for name in EVERY:
        layer = found(name)
        op = ops.function(layer.op)
        assert bool(op) == bool(layer.op), name
        if op is not None:
            params = {p.lstrip("*") for p in op.params}
            assert set(layer.forwards) <= params & set(layer.params) | {"_random_samples"}, name
            assert {p for p, _ in layer.passes} <= params, name


def test_a_layer_is_found_under_the_module_that_defines_it() -> None:
    assert layers.layer("torch.nn.modules.linear.Linear") == layers.layer("torch.nn.Linear")
    assert layers.layer("mylib.nn.Linear") is None
    assert layers.layer("torch.nn.NoSuchLayer") is None


def test_linear() -> None:
    assert found("Linear").parameters == (("weight", ""), ("bias", "bias"))
    assert found("Linear").op == "torch.nn.functional.linear"
    assert found("Linear").params[:3] == ("in_features", "out_features", "bias")


@pytest.mark.parametrize(
    ("name", "parameter", "options", "verdict"),
    [
        ("Linear", "weight", {}, True),
        ("Linear", "bias", {"bias": False}, False),
        ("BatchNorm2d", "weight", {"affine": False}, False),
        ("BatchNorm2d", "bias", {"affine": False}, False),
        ("LayerNorm", "weight", {"bias": False}, True),
        ("LayerNorm", "bias", {"elementwise_affine": False}, False),
        ("InstanceNorm1d", "weight", {"affine": False}, False),
        ("InstanceNorm1d", "weight", {"affine": True}, True),
        ("MultiheadAttention", "bias_k", {}, False),
        ("MultiheadAttention", "bias_k", {"add_bias_kv": True}, True),
        ("MultiheadAttention", "out_proj.weight", {}, True),
    ],
)
def test_has_the_parameter(name: str, parameter: str, options: dict[str, bool], verdict: bool) -> None:
    assert has(name, parameter, **options) is verdict


def test_an_unknown_option_leaves_the_parameter_open() -> None:
    assert found("Linear").has("bias", lambda _option: None) is None
    assert found("BatchNorm2d").has("bias", lambda option: None if option == "bias" else False) is False


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("LSTM", "(t,(t,t))"),
        ("GRU", "(t,t)"),
        ("RNN", "(t,t)"),
        ("LSTMCell", "(t,t)"),
        ("GRUCell", "t"),
        ("MultiheadAttention", "(t,t?)"),
        ("Linear", "t"),
        ("AdaptiveLogSoftmaxWithLoss", "(t,t)"),
    ],
)
def test_structure_of_the_result(name: str, result: str) -> None:
    assert found(name).result == result


@pytest.mark.parametrize(
    ("name", "op", "forwards"),
    [
        ("ReLU", "relu", "inplace"),
        ("MSELoss", "mse_loss", "reduction"),
        ("MaxPool2d", "max_pool2d", "return_indices"),
        ("Dropout", "dropout", "inplace"),
        ("CrossEntropyLoss", "cross_entropy", "reduction"),
        ("Softmax", "softmax", "dim"),
    ],
)
def test_hands_its_options_to_the_op(name: str, op: str, forwards: str) -> None:
    assert found(name).op == f"torch.nn.functional.{op}"
    assert forwards in found(name).forwards


def test_hands_buffers_and_the_training_flag_to_the_op() -> None:
    passes = dict(found("BatchNorm1d").passes)
    assert passes == {"running_mean": "running_mean", "running_var": "running_var", "training": "training"}
    assert dict(found("Dropout").passes) == {"training": "training"}
    assert dict(found("RMSNorm").passes)["input"] == "x"


@pytest.mark.parametrize(
    ("name", "rank"),
    [("MSELoss", "reduction:broadcast"), ("CrossEntropyLoss", "reduction:-1"), ("Embedding", "+1"), ("Linear", "same")],
)
def test_number_of_dimensions(name: str, rank: str) -> None:
    assert found(name).rank == rank


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("Sequential", "sequential"),
        ("ModuleList", "modulelist"),
        ("ModuleDict", "moduledict"),
        ("ParameterList", "parameterlist"),
        ("ParameterDict", "parameterdict"),
        ("Linear", ""),
    ],
)
def test_containers(name: str, container: str) -> None:
    assert found(name).container == container


def test_lazy_layers_are_marked() -> None:
    assert [name for name in EVERY if found(name).lazy] == [name for name in EVERY if name.startswith("Lazy")]


def test_identity_returns_its_input() -> None:
    assert [name for name in EVERY if found(name).same] == ["Identity"]


def test_all_parameters_require_grad_by_default() -> None:
    assert all(found(name).trained for name in EVERY)
