"""Which functions refuse `out=` with gradients? torch is asked about every one of the table."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from flake8_detach.knowledge import out  # noqa: E402

pytestmark = pytest.mark.truth

NAMES = sorted(out.UNARY | out.BINARY | out.JOINING | out.REDUCING)


def call(name: str, *, source: bool, target: bool) -> None:
    x, y = (torch.rand(3) / 2 + 0.25 for _ in range(2))
    x.requires_grad_(source)
    arguments = ([x, y],) if name in out.JOINING else (x, y) if name in out.BINARY else (x, 0)
    arguments = arguments[:1] if name in out.UNARY else arguments
    with torch.no_grad():
        shape = getattr(torch, name)(*arguments).shape
    getattr(torch, name)(*arguments, out=torch.zeros(shape).requires_grad_(target))


@pytest.mark.parametrize("name", NAMES)
def test_it_refuses_out_with_gradients_only(name: str) -> None:
    assert out.refuses(f"torch.{name}")
    call(name, source=False, target=False)
    for source, target in ((True, False), (False, True)):
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            call(name, source=source, target=target)
        with torch.no_grad():
            call(name, source=source, target=target)


@pytest.mark.parametrize("name", ["softmax", "floor_divide"])
def test_others_do_not(name: str) -> None:
    assert not out.refuses(f"torch.{name}")
    getattr(torch, name)(torch.ones(3, requires_grad=True), 0 if name == "softmax" else 2, out=torch.zeros(3))
