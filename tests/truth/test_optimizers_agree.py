"""The table of optimizers and schedulers against those of the installed torch."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from flake8_detach.knowledge.optimizers import CLIPPING, EXCLUSIVE, OPTIMIZERS, SCHEDULERS, UNCHECKED

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.truth


def parameters(function: Any) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(function).parameters if name != "self")


def optimizer(name: str, parameter: Any, **options: Any) -> Any:
    return getattr(torch.optim, name)([parameter], **options)


def weight() -> Any:
    return torch.ones(2, 2, requires_grad=True)


def test_every_optimizer_is_in_the_table() -> None:
    base = torch.optim.Optimizer
    kinds = {n for n, c in vars(torch.optim).items() if inspect.isclass(c) and issubclass(c, base) and c is not base}
    assert kinds == OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_has_these_options(name: str) -> None:
    assert parameters(getattr(torch.optim, name).__init__) == OPTIMIZERS[name].options


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_needs_a_closure_or_not(name: str) -> None:
    step = inspect.signature(inspect.unwrap(getattr(torch.optim, name).step)).parameters["closure"]
    assert (step.default is inspect.Parameter.empty) == OPTIMIZERS[name].closure


BOTH = [(name, pair) for name, known in OPTIMIZERS.items() for pair in EXCLUSIVE if set(pair) <= set(known.options)]
"""The optimizers that have two options of which only one may be on."""


@pytest.mark.parametrize(("name", "pair"), BOTH, ids=lambda part: part if isinstance(part, str) else "+".join(part))
def test_options_exclude_each_other(name: str, pair: tuple[str, str]) -> None:
    optimizer(name, weight(), **{pair[1]: True})
    with pytest.raises(RuntimeError):
        optimizer(name, weight(), **dict.fromkeys(pair, True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_takes_groups_or_not(name: str) -> None:
    groups = [{"params": [weight()]}, {"params": [weight()]}]
    if OPTIMIZERS[name].groups:
        getattr(torch.optim, name)(groups)
    else:
        with pytest.raises(ValueError, match="parameter groups"):
            getattr(torch.optim, name)(groups)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_takes_such_gradients_or_not(name: str, sparse: bool) -> None:
    table = torch.nn.Embedding(4, 3, sparse=sparse)
    made = optimizer(name, table.weight)

    def closure() -> Any:
        made.zero_grad()
        loss = table(torch.arange(3)).pow(2).sum()
        loss.backward()
        return loss

    closure()
    step = made.step if not OPTIMIZERS[name].closure else lambda: made.step(closure)
    if OPTIMIZERS[name].sparse if sparse else OPTIMIZERS[name].dense:
        step()
    else:
        with pytest.raises(RuntimeError, match=r"(sparse|dense) gradients"):
            step()


def test_every_scheduler_is_in_the_table() -> None:
    room = torch.optim.lr_scheduler
    kinds = {n for n, c in vars(room).items() if inspect.isclass(c) and issubclass(c, room.LRScheduler)}
    assert {n for n in kinds if not n.startswith("_")} == SCHEDULERS.keys()
    assert SCHEDULERS.keys() >= UNCHECKED


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_has_these_options(name: str) -> None:
    kind = getattr(torch.optim.lr_scheduler, name)
    assert parameters(kind.__init__) == SCHEDULERS[name].options
    given = inspect.signature(kind.step).parameters
    asked = "metrics" if "metrics" in given else "epoch" if "epoch" in given else ""
    assert asked == SCHEDULERS[name].argument.replace("quiet", "epoch")


@pytest.mark.parametrize("name", CLIPPING)
def test_clipping_has_these_parameters(name: str) -> None:
    function = inspect.unwrap(getattr(torch.nn.utils, name.rpartition(".")[2]))
    assert parameters(function) == CLIPPING[name]
