"""Functions that replace a parameter of a module by something computed from others, and those that undo it.

Sources: torch/nn/utils/{weight_norm,spectral_norm,prune,parametrize,parametrizations}.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Parametrization(NamedTuple):
    """originals: the parameters that are there instead, "{}" standing for the name of the old one.

    property: is what is computed found anew with every look (and no attribute of the module)? default: the name of the
    parameter, where none is given. keyword: the name of that argument. keeps: is the first of the originals the very
    parameter that was there? If not, all of them are new, and an optimizer that was made before knows none of them;
    follows: they require grad if the old one did.
    """

    originals: tuple[str, ...]
    property: bool = False
    default: str = ""
    keyword: str = "name"
    keeps: bool = True
    follows: bool = True


_PRUNE = Parametrization(("{}_orig",))
_NEW = ("parametrizations.{}.original",)

REPLACING: Mapping[str, Parametrization] = {
    "torch.nn.utils.weight_norm": Parametrization(("{}_v", "{}_g"), default="weight", keeps=False, follows=False),
    "torch.nn.utils.spectral_norm": Parametrization(("{}_orig",), default="weight"),
    "torch.nn.utils.parametrizations.weight_norm": Parametrization(
        ("parametrizations.{}.original1", "parametrizations.{}.original0"),
        property=True,
        default="weight",
        keeps=False,
    ),
    "torch.nn.utils.parametrizations.spectral_norm": Parametrization(_NEW, property=True, default="weight"),
    "torch.nn.utils.parametrizations.orthogonal": Parametrization(_NEW, property=True, default="weight"),
    "torch.nn.utils.parametrize.register_parametrization": Parametrization(_NEW, True, keyword="tensor_name"),
    **{
        f"torch.nn.utils.prune.{name}": _PRUNE
        for name in (
            "identity",
            "random_unstructured",
            "l1_unstructured",
            "random_structured",
            "ln_structured",
            "custom_from_mask",
        )
    },
}
"""Function -> what it does to the parameter of the module that it is given first, the name second."""

GLOBAL = "torch.nn.utils.prune.global_unstructured"
"""It is given pairs of a module and a name, and does to each of them what EACH does."""
EACH = "torch.nn.utils.prune.custom_from_mask"

RESTORING: Mapping[str, str] = {
    "torch.nn.utils.remove_weight_norm": "weight",
    "torch.nn.utils.remove_spectral_norm": "weight",
    "torch.nn.utils.parametrize.remove_parametrizations": "",
    "torch.nn.utils.prune.remove": "",
}
"""Function -> the name of the parameter that it makes one again, where none is given."""
