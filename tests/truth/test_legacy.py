"""What knowledge/legacy.py calls old, and what it names instead, is there in torch."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import pytest

from flake8_detach.imports import canonical
from flake8_detach.knowledge.legacy import LEGACY, Old

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.stateless")

pytestmark = pytest.mark.truth

ENTRIES = [(name, old) for name, olds in LEGACY.items() for old in olds]
ids = [f"{name} {old.keyword}".strip() for name, old in ENTRIES]


def find(name: str) -> Any:
    """The thing of that qualified name, or the method (`Tensor.resize`, `Module.to`)."""
    owner = torch.nn if name.startswith("Module.") else torch
    return operator.attrgetter(name.removeprefix("torch."))(owner)


@pytest.mark.parametrize(("name", "old"), ENTRIES, ids=ids)
def test_the_old_name_and_the_new_one_exist(name: str, old: Old) -> None:
    assert callable(find(name))
    assert canonical(name) == name, "the engine knows it by another name"
    if old.name:
        owner = "" if "." in old.name else name.partition(".")[0] + "."
        assert callable(find(owner + old.name))


@pytest.mark.parametrize(("name", "old"), [(n, o) for n, o in ENTRIES if o.same], ids=str)
def test_a_pure_rename_takes_the_same_arguments(name: str, old: Old) -> None:
    before, after = (list(inspect.signature(find(n)).parameters.values()) for n in (name, old.name))
    assert [(p.kind, p.default) for p in before] == [(p.kind, p.default) for p in after]
    differ = {b.name for b, a in zip(before, after, strict=True) if b.name != a.name}
    assert differ == ({old.unless} if old.unless else set())


@pytest.mark.parametrize(("name", "old"), [(n, o) for n, o in ENTRIES if o.first], ids=str)
def test_the_device_goes_in_front_of_the_same_arguments(name: str, old: Old) -> None:
    before, after = (list(inspect.signature(find(n)).parameters) for n in (name, old.name))
    assert set(before) <= set(after[1:])
    assert (before == after[1:]) or old.keywords
