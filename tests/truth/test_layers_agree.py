"""Does every claim of layers.json agree with what torch does?"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the truth tests need torch (pip install flake8-detach[oracle])")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import make_layers  # noqa: E402

from flake8_detach.knowledge import layers, ops  # noqa: E402

pytestmark = pytest.mark.truth

NAMES = sorted(layers._table())


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Some layers warn of deprecated options when they are made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def made(name: str, **changes: Any) -> tuple[layers.Layer, Any, dict[str, Any]]:
    """The record, a layer with default options, and inputs that it accepts."""
    layer, cls = layers.layer(f"torch.nn.{name}"), getattr(torch.nn, name)
    assert layer is not None
    inputs = next((x for x in make_layers.inputs(cls) if make_layers._runs(cls, x)), {})
    return layer, make_layers.make(cls, **changes), inputs


def defaults(name: str) -> dict[str, bool]:
    """The truth of every constructor argument that is not given."""
    return {n: bool(p.default) for n, p in make_layers.constructor(getattr(torch.nn, name)).items()}


@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="layers.json describes torch 2.13")
def test_layers_json_is_what_torch_says() -> None:
    assert make_layers.text() == layers.PATH.read_text(encoding="utf-8"), "run tools/make_layers.py"


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_are_those_of_torch(name: str) -> None:
    layer = layers.layer(f"torch.nn.{name}")
    if layer is None or layer.container:
        return
    _, module, inputs = made(name)
    module(*inputs.values())  # lazy layers make their parameters now
    real = {make_layers._starred(n) for n, p in module.named_parameters() if p.requires_grad}
    claimed = {n for n, _ in layer.parameters if layer.has(n, defaults(name).__getitem__)}
    assert claimed == real


@pytest.mark.parametrize("name", [n for n in NAMES if not layers.layer(f"torch.nn.{n}").container])  # type: ignore[union-attr]
def test_a_layer_depends_on_its_input_and_its_parameters(name: str) -> None:
    layer, module, inputs = made(name)
    op = ops.function(layer.op) if layer.op else None
    trained = {n for n, _ in layer.parameters if layer.has(n, defaults(name).__getitem__)}
    for x in list(inputs.values())[:1]:
        result = make_layers.first(module(*inputs.values()))
        assert result is not None
        assert result.requires_grad == bool(trained)
        if x.is_floating_point():
            leaf = x.clone().requires_grad_()
            result = make_layers.first(module(*{**inputs, next(iter(inputs)): leaf + 0}.values()))
            assert result is not None
            assert result.requires_grad
            assert op is None or op.graph in ("yes", "unknown")


def test_every_layer_of_torch_is_known() -> None:
    unknown = {n for n, _ in make_layers.layers()} - set(NAMES)
    assert not unknown
    assert all(inspect.isclass(getattr(torch.nn, n)) for n in NAMES)


def test_no_other_layer_has_defaults_of_its_own() -> None:
    """A layer that hands its options to a Tensor method has the defaults of that method, or stands in DEFAULTS."""
    found = {}
    for name in NAMES:
        spec = layers.layer(f"torch.nn.{name}")
        assert spec is not None
        if spec.op.startswith("Tensor."):
            given = inspect.signature(getattr(torch.nn, name)).parameters
            found[spec.name] = {n: d for n in spec.forwards if (d := given[n].default) is not inspect.Parameter.empty}
    wanted = {"torch.nn.Flatten": {"start_dim": 1, "end_dim": -1}}
    assert {n: options for n, options in found.items() if options} == wanted  # Tensor.flatten: 0 and -1
    assert layers.DEFAULTS == {"torch.nn.Flatten": {"start_dim": 1}}


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_has_a_weight_and_a_bias_or_lacks_them(name: str) -> None:
    module = make_layers.make(getattr(torch.nn, name))
    found = {attribute: not layers.lacks(f"torch.nn.{name}", attribute) for attribute in ("weight", "bias")}
    assert found == {attribute: hasattr(module, attribute) for attribute in found}
