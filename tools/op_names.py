"""Which ops torch has under which public names, and with which signatures (used by make_ops.py).

Signatures come from the stub files of the installed wheel, from `inspect` for what is written in Python, from
native_functions.yaml for builtins of torch.linalg, torch.fft, torch.special and torch.nn.functional, and, for what is
left, from the parameter names that torch.overrides keeps for its own tests.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from operator import attrgetter
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType
from typing import Any, NamedTuple

import torch
import torchgen  # type: ignore[import-untyped]
from torch.overrides import get_testing_overrides
from torchgen.api.python import PythonSignature, signature  # type: ignore[import-untyped]
from torchgen.gen import parse_native_yaml  # type: ignore[import-untyped]

PACKAGED = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native"
STUBS = Path(torch.__file__).parent / "_C"

SPACES: dict[str, Any] = {
    "torch": torch,
    "torch.nn.functional": torch.nn.functional,
    "torch.linalg": torch.linalg,
    "torch.fft": torch.fft,
    "torch.special": torch.special,
    "torch.sparse": torch.sparse,
    "torch.nn.init": torch.nn.init,
    "Tensor": torch.Tensor,
}

FOREIGN = re.compile(
    # other devices, backends, layouts and quantisation
    r"cuda|cudnn|miopen|mkldnn|mkl_|fbgemm|quantize|quantized|fake_quant|qscheme|^q_|int_repr|vulkan|^(xpu|ipu|mtia|hpu)$"
    r"|dlpack|storage$|storage_type|scaled_(grouped_)?mm$|grouped_mm$|sparse_(resize|bs|csr|csc|compressed|semi|gradcheck)"
    r"|to_sparse_(bs|csr|csc|semi)|as_sparse|resize_as_sparse|smm$|hspmm|dsmm|saddmm|sampled_addmm|spdiags|spsolve|pin_memory"
    r"|(crow|ccol|col|row)_indices|_indices_copy|to_padded_tensor|^(is_)?coalesced?$"
    # what sets or asks for a state of torch, and tools of its compiler
    r"|autocast|_?sym_|has_torch_function|^parse_|import_ir|deterministic|default_|num_threads|num_interop|rng_state|anomaly"
    r"|printoptions|flush_denormal|float32_matmul|warn_always|thread_safe|_from_type_comment|unify_type|boolean_dispatch"
    r"|^(fork|wait|compile|vmap|while_loop|manual_seed|seed|initial_seed|load|save|typename|isa|device|compiled_with\w+)$"
    r"|^(assert_int_or_pair|handle_torch_function|classproperty|get_file_path|prepare_multi\w+|profiler_\w+|is_storage)$"
    r"|^(read_vitals|set_vital|vitals_enabled|get_device_module|calculate_gain|broadcast_shapes|from_file|frombuffer)$"
    # internals under a public name
    r"|^native_|_with_indices$|^batch_norm_(backward|elemt|gather|stats)|fused_moving|embedding_renorm|segment_reduce"
    r"|^(rnn_relu|rnn_tanh|lstm|gru|lstm_cell|gru_cell|rnn_tanh_cell|rnn_relu_cell|convolution|choose_qparams_optimized)$"
    r"|^(conv_tbc|conv_depthwise3d|nonzero_static|lobpcg|values_copy|view_as_\w+_copy)$"
    # too irregular for a table: the engine knows them by hand or takes them as unknown
    r"|^(new|index|set_|map2_|record_stream|retain_grad|backward|register_\w+|data_ptr|const_data_ptr|align_\w+)$"
    r"|^(refine_names|rename_?|module_load|requires_grad_)$"
)
"""Names that are left out of the table."""

REMOVED = {
    f"{space}.{n}"
    for space in ("torch", "Tensor")
    for n in ["eig", "lstsq", "symeig", "solve", "matrix_rank", "reinforce", "resize", "resize_as"]
}
REMOVED.add("torch.cond")
"""Names that are still there and only raise; and torch.cond, which calls functions."""

DUNDERS = [
    "add",
    "radd",
    "iadd",
    "sub",
    "rsub",
    "isub",
    "mul",
    "rmul",
    "imul",
    "truediv",
    "rtruediv",
    "itruediv",
    "div",
    "rdiv",
    "idiv",
    "floordiv",
    "rfloordiv",
    "ifloordiv",
    "mod",
    "rmod",
    "imod",
    "pow",
    "rpow",
    "ipow",
    "matmul",
    "rmatmul",
    "and",
    "rand",
    "iand",
    "or",
    "ror",
    "ior",
    "xor",
    "rxor",
    "ixor",
    "lshift",
    "rlshift",
    "ilshift",
    "rshift",
    "rrshift",
    "irshift",
    "neg",
    "pos",
    "abs",
    "invert",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "bool",
    "int",
    "float",
    "complex",
    "index",
    "len",
    "contains",
    "getitem",
    "setitem",
    "iter",
    "reversed",
    "format",
]


SPARSE = {
    "mm": "input mat2",
    "addmm": "mat mat1 mat2",
    "softmax": "input dim",
    "log_softmax": "input dim",
    "sum": "input",
}
"""Builtins of torch.sparse: torch gives their parameters nowhere but in the text of the documentation."""


class Param(NamedTuple):
    name: str
    type: str
    required: bool
    kind: str
    """positional, keyword (only) or rest (`*size`)"""


class Signature(NamedTuple):
    params: tuple[Param, ...]
    returns: str

    @property
    def positional(self) -> tuple[Param, ...]:
        return tuple(p for p in self.params if p.kind != "keyword")


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public name and the callable of every op, sorted; Tensor methods as "Tensor.add"."""
    dunders = {f"__{d}__" for d in DUNDERS}
    for space, namespace in sorted(SPACES.items()):
        for name in sorted(dir(namespace)):
            if name.startswith("_") and not (space == "Tensor" and name in dunders):
                continue
            value = getattr(namespace, name, None)
            if (
                FOREIGN.search(name)
                or f"{space}.{name}" in REMOVED
                or not _is_op(value)
                or (space == "torch.nn.init" and not name.endswith("_"))
            ):
                continue
            assert value is not None
            yield f"{space}.{name}", value


def attributes() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The properties of a Tensor, named "Tensor.T:" and so on, as functions of the tensor."""
    for name in sorted(dir(torch.Tensor)):
        static = inspect.getattr_static(torch.Tensor, name)
        getset = isinstance(static, (property, GetSetDescriptorType)) or type(static).__name__ == "_TensorBase"
        if getset and not name.startswith("_") and name not in ("names", "volatile"):
            yield f"Tensor.{name}:", attrgetter(name)


def _is_op(value: Any) -> bool:
    kinds = (FunctionType, BuiltinFunctionType, type(torch.Tensor.add), type(torch.Tensor.__getitem__))
    if not isinstance(value, kinds) or isinstance(value, type):
        return False
    module = getattr(value, "__module__", None) or "torch"
    return module.startswith("torch") and not module.startswith(("torch.autograd", "torch.overrides", "torch._jit"))


def signatures(name: str, value: Callable[..., Any]) -> list[Signature]:
    """All overloads of an op, [] if torch tells nowhere."""
    if name.endswith(":"):
        return [Signature((Param("self", "Tensor", True, "positional"),), "")]
    space, base = name.rsplit(".", 1)
    if space == "torch.sparse" and base in SPARSE:
        return [Signature(tuple(Param(p, "Any", True, "positional") for p in SPARSE[base].split()), "")]
    function: Any = inspect.unwrap(value)
    if isinstance(function, FunctionType):
        sibling = getattr(torch.nn.functional, f"{base}_with_indices", None) if space == "torch.nn.functional" else None
        found = _inspected(sibling or function)
        if found and not base.startswith("__") and any(p.type != "Any" or p.kind != "rest" for p in found.params):
            return [found]
    stubs = {"torch": "_VariableFunctions.pyi", "Tensor": "__init__.pyi"}
    if space in stubs and (overloads := _stub(stubs[space]).get(base)):
        return [s for s in overloads if not _deprecated(s)] or overloads
    if overloads := _native().get((space, base)):
        return overloads
    if space == "torch.nn.functional" and (overloads := _stub("_VariableFunctions.pyi").get(base)):
        return overloads
    if base.startswith(("__r", "__i")) and f"__{base[3:]}" in {f"__{d}__" for d in DUNDERS}:
        other = Param("other", "Tensor | Number", True, "positional")
        return [Signature((Param("self", "Tensor", True, "positional"), other), "")]
    tested: Any = get_testing_overrides().get(value)
    found = _inspected(tested) if tested is not None else None
    return [found] if found else []


def _deprecated(overload: Signature) -> bool:
    """torch.add(x, alpha, y) and the like: scalars before the operands that they scale."""
    names = [p.name for p in overload.positional]
    return "alpha" in names or "beta" in names or ("value" in names and names[-1] in ("tensor2", "batch2"))


def _inspected(function: Any) -> Signature | None:
    try:
        sig = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    kinds: dict[Any, str] = {inspect.Parameter.KEYWORD_ONLY: "keyword", inspect.Parameter.VAR_POSITIONAL: "rest"}
    params = [
        Param(
            p.name,
            "Any" if p.annotation is p.empty else inspect.formatannotation(p.annotation).replace("torch.", ""),
            p.default is p.empty and p.kind is not p.VAR_POSITIONAL,
            kinds.get(p.kind, "positional"),
        )
        for p in sig.parameters.values()
        if p.kind is not p.VAR_KEYWORD and not p.name.startswith("_")
    ]
    returns = "" if sig.return_annotation is sig.empty else inspect.formatannotation(sig.return_annotation)
    return Signature(tuple(params), returns.replace("torch.", ""))


@cache
def _stub(file: str) -> dict[str, list[Signature]]:
    """The overloads of the functions of a stub file, or of the methods of its class TensorBase."""
    body: list[Any] = list(ast.parse((STUBS / file).read_text(encoding="utf-8")).body)
    if file == "__init__.pyi":
        body = next(d.body for d in body if isinstance(d, ast.ClassDef) and d.name == "TensorBase")
    found: dict[str, list[Signature]] = defaultdict(list)
    for definition in body:
        if isinstance(definition, ast.FunctionDef) and not any(
            "property" in ast.unparse(d) for d in definition.decorator_list
        ):
            found[definition.name].append(_parsed(definition))
    return found


def _parsed(definition: ast.FunctionDef) -> Signature:
    a = definition.args

    def param(arg: ast.arg, default: object, kind: str) -> Param:
        kind = "positional" if arg.arg == "self" else kind
        return Param(arg.arg, ast.unparse(arg.annotation) if arg.annotation else "Tensor", default is None, kind)

    plain = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(plain) - len(a.defaults)) + list(a.defaults)
    params = [param(p, d, "positional") for p, d in zip(plain, defaults, strict=True)]
    if a.vararg:
        params.append(param(a.vararg, a.vararg, "rest"))
    params += [param(p, d, "keyword") for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    return Signature(tuple(params), ast.unparse(definition.returns) if definition.returns else "")


@cache
def _native() -> dict[tuple[str, str], list[Signature]]:
    """Builtins of the name spaces that have no stubs, from native_functions.yaml."""
    spaces = {"linalg": "torch.linalg", "fft": "torch.fft", "special": "torch.special", "nn": "torch.nn.functional"}
    found: dict[tuple[str, str], list[Signature]] = defaultdict(list)
    yaml = parse_native_yaml(str(PACKAGED / "native_functions.yaml"), str(PACKAGED / "tags.yaml"))
    for f in yaml.native_functions:
        space = spaces.get(f.python_module or "")
        if space is None or f.func.is_out_fn():
            continue
        base = str(f.func.name.name).removeprefix(f"{f.python_module}_")
        python: PythonSignature = signature(f, method=False, pyi=True)
        definition = ast.parse(python.signature_str_pyi().replace("::", ".")).body[0]
        assert isinstance(definition, ast.FunctionDef)
        found[space, base].append(_parsed(definition))
    return found
